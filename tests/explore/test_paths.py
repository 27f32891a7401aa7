"""Situations with a model, and label layers: their programs, numbers and references, without a backend."""

import ast
import itertools
from dataclasses import replace

import numpy as np
import pytest
from make import recording

from backendcheck.explore.case_file import case_file
from backendcheck.explore.confirm import shows_again
from backendcheck.explore.judging import Judge, Signature, request_of
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.known import KnownDivergences
from backendcheck.explore.label_targets import keras_label_targets
from backendcheck.explore.model_numbers import model_arrays, predictions_of, weight_by_class
from backendcheck.explore.model_reference import model_reference
from backendcheck.explore.paths import OF_LOSSES, OPTIMIZERS, fits_path
from backendcheck.explore.predict_program import keras_model_targets
from backendcheck.explore.program import program_of
from backendcheck.explore.references import with_reference
from backendcheck.explore.script import script_of
from backendcheck.explore.search import Plan
from backendcheck.explore.shrink import shrink
from backendcheck.explore.situation import Situation
from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Observation

_BY_NAME = {target.name: target for target in (*keras_targets(), *keras_label_targets())}
_CROSSENTROPY = "keras.losses.SparseCategoricalCrossentropy"
_SQUARED = Situation(
    target="keras.losses.MeanSquaredError", labels="real", head="linear", label_shape="(N,C)", path="fit",
)  # fmt: skip
_LEGS = ("tensorflow", "jax", "torch")


def _classes(**dimensions):
    return Situation(target=_CROSSENTROPY, labels="integer", head="softmax", label_dtype="int32", **dimensions)


def _described(situation, **fields):
    losses = {"": {"name": "mean_squared_error", "from_keras": True, "options": {}, "reduction": "sum_over_batch_size"}}
    return recording(f"explored/{situation.key}", "jax", losses=losses, **fields)


@pytest.mark.parametrize("path", OF_LOSSES)
@pytest.mark.parametrize(
    "change",
    [
        {}, {"outputs": "list"}, {"outputs": "dict-unsorted", "sample_weight": "per-example"}, {"outputs": "nested"},
        {"mask": "some", "label_shape": "(N,T)"}, {"policy": "mixed_float16"},
    ],
)  # fmt: skip
def test_a_program_names_what_it_is_fed_and_nothing_else(path, change):
    program = program_of(_classes(path=path, **change), "loss")
    names = set(compile(program.source, "program", "exec").co_names)
    inside = {name for code in _codes(compile(program.source, "program", "exec")) for name in code.co_names}
    assert set(program.arrays) <= inside
    assert {"build", "compute"} <= names
    assert bool(program.by_hand) == (path != "compute_loss")


def _codes(code):
    return [code, *(inner for constant in code.co_consts if hasattr(constant, "co_code") for inner in _codes(constant))]


def test_a_plain_call_has_no_program():
    assert program_of(replace(_SQUARED, path="call"), "loss") is None
    assert "source" not in request_of(replace(_SQUARED, path="call"), kind="loss")
    assert request_of(_SQUARED, kind="loss")["stage"] == "train"


def test_the_model_predicts_what_the_situation_says():
    for mask in ("none", "some", "all"):
        situation = _classes(path="fit", label_shape="(N,T)", mask=mask, numbers=3)
        arrays = model_arrays(situation)
        scores = arrays["x"] if mask == "none" else arrays["table"][arrays["x"]]
        softmax = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(softmax, predictions_of(situation), rtol=1e-6)
    assert (arrays["x"] == 0).all()


def test_each_step_of_an_embedding_has_a_token_of_its_own():
    tokens = model_arrays(_classes(path="fit", optimizer="Adam"))["x"]
    assert sorted(tokens.tolist()) == [1, 2, 3, 4]


def test_class_weights_are_those_of_the_nearest_class_and_1_for_a_class_without_one():
    weights = {0: 0.5, 1: 2.0}
    np.testing.assert_array_equal(weight_by_class(np.array([0, 1, 2, -1]), weights), [0.5, 2.0, 1.0, 1.0])
    np.testing.assert_array_equal(weight_by_class(np.array([[0.0, 1.0], [1.0, 0.0]]), weights), [2.0, 0.5])
    np.testing.assert_array_equal(weight_by_class(np.array([[0.8], [np.nan]]), weights), [2.0, 1.0])


def test_the_reference_of_a_step_is_its_loss_and_the_weights_after_it():
    arrays = model_arrays(_SQUARED)
    values = model_reference(_SQUARED, _described(_SQUARED))
    error = arrays["x"].astype(np.float64) - arrays["y_true"]
    np.testing.assert_allclose(values["train/loss"].value, [np.mean(error**2)], rtol=1e-12)
    kernel = np.eye(3) - 0.1 * arrays["x"].T @ (2 * error / error.size)
    np.testing.assert_allclose(values["train/weight/first/kernel"].value, kernel, atol=1e-7)


def test_the_reference_adds_the_outputs_and_knows_their_labels():
    values = model_reference(replace(_SQUARED, outputs="list"), _described(_SQUARED))
    arrays = model_arrays(_SQUARED)
    errors = [np.mean((arrays["x"] - arrays["y_true"]) ** 2), np.mean((arrays["x"] / 2 - arrays["y_true"][::-1]) ** 2)]
    np.testing.assert_allclose(values["train/loss"].value, [sum(errors)], rtol=1e-6)
    gradient = arrays["x"].T @ (arrays["x"] / 2 - arrays["y_true"][::-1]) * (2 / arrays["x"].size)
    np.testing.assert_allclose(values["train/weight/second/kernel"].value, np.eye(3) / 2 - 0.1 * gradient, atol=1e-6)
    assert "train/weight/first/kernel" in values


def test_the_second_output_predicts_something_else_so_that_exchanged_labels_are_seen():
    for situation in (_SQUARED, _classes(path="fit", label_shape="(N,T)", mask="some")):
        first, second = predictions_of(situation), predictions_of(situation, is_second=True)
        assert (first != second).all()


def test_an_output_without_a_loss_adds_nothing_to_the_reference():
    alone, beside = (model_reference(each, _described(_SQUARED)) for each in (_SQUARED, replace(_SQUARED, outputs="one-loss")))
    assert {name: value.value.tolist() for name, value in alone.items()} == {
        name: value.value.tolist() for name, value in beside.items()
    }


def test_there_is_no_reference_for_half_precision_or_several_steps():
    for change in ({"policy": "mixed_bfloat16"}, {"batch": "ragged-last"}):
        assert model_reference(replace(_SQUARED, **change), _described(_SQUARED)) == {}


@pytest.mark.parametrize(
    ("choices", "fits"),
    [
        ({"sample_weight": "class-weight", "path": "evaluate"}, False), ({"sample_weight": "class-weight", "path": "fit"}, True),
        ({"optimizer": "Adam", "path": "compute_loss"}, False), ({"mask": "some", "label_shape": "(N,)"}, False),
        ({"outputs": "list", "path": "call"}, False), ({"batch": "ragged-last", "path": "train_on_batch"}, False),
        ({"labels": "text", "path": "fit"}, False), ({}, True),
        ({"outputs": "named", "sample_weight": "per-example"}, False), ({"outputs": "named", "mask": "all"}, False),
        ({"outputs": "named", "optimizer": "Adam"}, False), ({"outputs": "named", "path": "fit"}, True),
    ],
)  # fmt: skip
def test_which_choices_go_with_a_path(choices, fits):
    assert fits_path(choices) is fits


def test_a_plan_has_each_path_each_optimizer_and_each_triple_of_weights_mask_and_path():
    targets = [_BY_NAME[f"keras.losses.{name}"] for name in ("Huber", "MeanSquaredError", "KLDivergence")]
    planned = list(itertools.chain.from_iterable(Plan.of(targets, seed=0).covering))
    assert {situation.path for situation in planned} == {"call", *OF_LOSSES}
    assert {situation.optimizer for situation in planned} == {"none", *itertools.chain.from_iterable(OPTIMIZERS)}
    triples = {(situation.sample_weight, situation.mask, situation.path) for situation in planned}
    for weight, mask, path in itertools.product(("none", "per-element", "zero", "negative"), ("some", "all"), OF_LOSSES):
        assert (weight, mask, path) in triples


# --- models that predict -----------------------------------------------------------------------------------------

_PREDICTING = Situation(
    target="keras.Model", labels="real", head="linear", label_shape="(N,C)", path="predict", outputs="dict-unsorted",
)  # fmt: skip


def _predicted(**orders):
    """What each leg predicts, with the names in its order."""
    values = {"predictions/b": predictions_of(_PREDICTING), "predictions/a": predictions_of(_PREDICTING, is_second=True)}
    return {leg: recording("explored/x", leg, output_order=[*order], **values) for leg, order in orders.items()}


def test_a_model_predicts_with_outputs_in_every_form_and_labels_do_not_matter_to_it():
    (target,) = keras_model_targets()
    planned = list(itertools.islice(Plan.of([target], seed=0).situations(), 60))
    assert {situation.outputs for situation in planned} == {"one", "list", "dict", "dict-unsorted", "nested"}
    assert {(situation.path, situation.label_values, situation.sample_weight) for situation in planned} == {
        ("predict", "valid", "none")
    }
    assert target.is_sensible(_PREDICTING)
    assert not target.is_sensible(replace(_PREDICTING, path="call", outputs="one"))
    shrunk = shrink(replace(_PREDICTING, policy="mixed_float16"), target, _first(lambda each: bool(program_of(each, "model"))))
    assert (shrunk.outputs, shrunk.policy, shrunk.path) == ("one", "float32", "predict")
    assert not _BY_NAME["keras.losses.MeanSquaredError"].is_sensible(replace(_PREDICTING, target="keras.losses.MeanSquaredError"))


def test_names_that_predict_returns_in_another_order_are_a_finding_that_is_known(tmp_path):
    recordings = _predicted(tensorflow="ba", jax="ab", torch="ab")
    sighting = Judge(_SameLegs(recordings), {"keras.Model": "model"}).sighting(_PREDICTING, recordings)
    signature = sighting.signature
    assert (signature.kind, signature.stage, signature.legs, signature.path) == ("order", "forward", ("tensorflow",), "predict")
    script = script_of(sighting, "scripts/x.py", "model")
    assert "result = model.predict(x, batch_size=4, verbose=0)" in script
    assert script.splitlines()[-1] == "print(keras.backend.backend(), list(result))"
    assert shows_again(sighting, {"tensorflow": ["b", "a"], "jax": ["a", "b"], "torch": ["a", "b"]})
    assert not shows_again(sighting, {leg: ["a", "b"] for leg in _LEGS})
    cases = case_file([(sighting, "order", "model")])
    compile(cases, "cases", "exec")
    assert '"output_order": list(result)' in cases
    known = KnownDivergences.in_force(tmp_path, {leg: {"versions": {"keras": "3.15.1"}, "device": "cpu"} for leg in _LEGS})
    assert known.describing(sighting, "model") == "sorted-output-names"
    assert known.describing(replace(sighting, situation=replace(_PREDICTING, outputs="nested")), "model") is None


def test_the_reference_of_a_model_that_predicts_has_each_output_in_its_place():
    recorded = with_reference(_PREDICTING, _predicted(jax="ab"))["jax"]
    for name, observation in recorded.observations.items():
        if name != "output_order":
            np.testing.assert_array_equal(recorded.reference_values[name].value, observation.value)
    assert len(recorded.reference_values) == 2
    assert not with_reference(replace(_PREDICTING, policy="mixed_float16"), _predicted(jax="ab"))["jax"].reference_values


def _first(shows):
    return lambda candidates: next((candidate for candidate in candidates if shows(candidate)), None)


def test_a_finding_of_a_model_that_a_call_shows_too_becomes_one_of_the_call():
    target = _BY_NAME[_CROSSENTROPY]
    start = _classes(path="fit", mask="some", label_shape="(N,T)", label_values="above-range")
    small = shrink(start, target, _first(lambda each: each.label_values == "above-range"))
    assert (small.path, small.mask) == ("call", "none")
    small = shrink(start, target, _first(lambda each: each.path == "fit"))
    assert (small.path, small.mask) == ("fit", "none")


def test_a_simpler_path_that_differs_on_the_same_legs_shows_why_the_other_one_differs():
    of_model = Signature(oracle="agreement", kind="raised", stage="train", legs=("jax",), target="t", diagnosis="a", path="fit")
    of_call = replace(of_model, stage="loss", diagnosis="b", path="call")
    assert of_model.is_like(of_call)
    assert of_model.is_like(replace(of_call, path="compute_loss"))
    assert not of_model.is_like(replace(of_call, path="fit"))
    assert not of_model.is_like(replace(of_call, legs=("torch",)))


# --- findings ----------------------------------------------------------------------------------------------------


def _on_paths(values, situation=_SQUARED):
    """Recordings with a loss of `fit` and one by hand."""
    def observed(value):
        return {"train/loss": Observation(value=np.array([value]), dtype="float64", precision="float32")}

    return {
        leg: recording(
            f"explored/{situation.key}", leg, observations=observed(value),
            variants=(Variant(oracle=Oracle.PATHS, path="compute_loss", observations=observed(by_hand)),),
        )
        for leg, (value, by_hand) in values.items()
    }  # fmt: skip


class _SameLegs:
    def __init__(self, recordings):
        self.recordings = recordings

    def observe(self, requests):
        return [self.recordings for _ in requests]


def test_a_path_that_differs_from_the_loss_by_hand_is_a_finding_with_both_in_its_script():
    recordings = _on_paths(dict.fromkeys(_LEGS, (0.5, 0.25)))
    sighting = Judge(_SameLegs(recordings), {_SQUARED.target: "loss"}).sighting(_SQUARED, recordings)
    assert (sighting.signature.oracle, sighting.signature.legs, sighting.signature.path) == ("paths", _LEGS, "fit")
    script = script_of(sighting, "scripts/x.py", "loss")
    assert "by_hand = model.compute_loss(data, labels, model(data))" in script
    assert shows_again(sighting, {leg: [[0.5], [0.25]] for leg in _LEGS})
    assert not shows_again(sighting, {leg: [[0.5], [0.5]] for leg in _LEGS})


@pytest.mark.parametrize(
    ("situation", "kind", "parts"),
    [
        (_SQUARED, "loss", ["model.fit(x, y_true, batch_size=4", "loss=keras.losses.MeanSquaredError()"]),
        (
            replace(_SQUARED, path="save-load", target="own:Loss"), "loss",
            ["from own import Loss as own_Loss", 'custom_objects={"Loss": own_Loss}'],
        ),
        (replace(_SQUARED, path="dataset", target="keras.metrics.MeanSquaredError"), "metric", ["metrics=[", "Data()"]),
        (
            replace(_SQUARED, outputs="named"), "loss",
            ["Model(inputs, [second, first])", '{"first": loss, "second": loss}', '{"first": y_true, "second": y_true[::-1]}'],
        ),
        (
            replace(_SQUARED, outputs="one-loss"), "loss",
            ['{"a": first, "b": second}', 'loss={"a": keras.losses.MeanSquaredError()}', 'fit(x, {"a": y_true}, '],
        ),
        (_classes(path="fit", sample_weight="class-weight"), "loss", ["class_weight={0: 0.5, 1: 2.0, 2: 1.5}"]),
        (
            Situation(
                target="keras.ops.one_hot", labels="integer", head="logits", label_dtype="int8", options=(("num_classes", 3),),
            ),
            "labels", ["keras.ops.one_hot(keras.ops.convert_to_tensor(y_true), num_classes=3)"],
        ),
        (
            Situation(
                target="keras.layers.StringLookup", labels="text", head="linear", label_dtype="text",
                label_values="above-range", options=(("vocabulary", ("cat",)),),
            ),
            "labels", ["keras.layers.StringLookup(vocabulary=['cat'])(y_true)", "wolf"],
        ),
    ],
)  # fmt: skip
def test_scripts_and_cases_of_models_and_label_layers(situation, kind, parts):
    recordings = _on_paths(dict.fromkeys(_LEGS, (0.5, 0.25)), situation)
    sighting = Judge(_SameLegs(recordings), {situation.target: kind}).sighting(situation, recordings)
    script = script_of(sighting, "scripts/x.py", kind)
    compile(script, "script", "exec")
    assert "backendcheck" not in script
    assert all(part in script for part in parts), script
    cases = case_file([(sighting, "name", kind)])
    compile(cases, "cases", "exec")
    assert ('weights="as built"' in cases) == (kind != "labels")


@pytest.mark.parametrize("kind", ["loss", "loss function", "metric"])
@pytest.mark.parametrize("name", ["loss", "compute", "metric", "Loss", "y_true", "Outer.Inner"])
@pytest.mark.parametrize(
    "change", [{}, {"path": "save-load"}, {"path": "fit", "outputs": "dict"}, {"path": "dataset", "mask": "some"}]
)
def test_a_target_of_ones_own_may_have_a_name_that_scripts_use(name, change, kind):
    situation = replace(_SQUARED, **{"path": "call", "target": f"own:{name}", "label_shape": "(N,T,C)", **change})
    recordings = _on_paths(dict.fromkeys(_LEGS, (0.5, 0.25)), situation)
    sighting = Judge(_SameLegs(recordings), {situation.target: kind}).sighting(situation, recordings)
    for source in (script_of(sighting, "scripts/x.py", kind), case_file([(sighting, "of_own", kind)])):
        nodes = list(ast.walk(ast.parse(source)))
        (statement,) = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "own"]
        (imported,) = statement.names
        assert imported.name == name.partition(".")[0]
        bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        assert (imported.asname or imported.name) not in bound
        assert (imported.asname or imported.name) in {node.id for node in nodes if isinstance(node, ast.Name)}


@pytest.mark.parametrize(
    ("situation", "kind", "shown"),
    [
        (_SQUARED, "loss", 'result.history["loss"]'), (replace(_SQUARED, path="evaluate"), "loss", 'result["loss"]'),
        (replace(_SQUARED, path="compute_loss"), "loss", "keras.ops.convert_to_numpy(by_hand).tolist()"),
        (
            replace(_SQUARED, path="jit", target="keras.metrics.MeanSquaredError"), "metric",
            'next(value for name, value in result.items() if name != "loss")',
        ),
        (Situation(target="keras.ops.multi_hot", labels="integer", head="logits"), "labels", "keras.ops.multi_hot("),
    ],
)  # fmt: skip
def test_the_script_of_what_one_leg_refuses_prints_the_value_of_the_others(situation, kind, shown):
    recordings = _on_paths(dict.fromkeys(_LEGS, (0.5, 0.5)), situation)
    recordings["jax"] = recording(f"explored/{situation.key}", "jax", raised="ValueError")
    sighting = Judge(_SameLegs(recordings), {situation.target: kind}).sighting(situation, recordings)
    assert sighting.signature.kind == "raised"
    script = script_of(sighting, "scripts/x.py", kind)
    assert shown in script.splitlines()[-1]


@pytest.mark.parametrize("change", [
    {}, {"path": "save-load"}, {"path": "jit", "mask": "some", "outputs": "nested"},
    {"path": "dataset", "mask": "some", "outputs": "list"}, {"path": "dataset", "sample_weight": "per-element"},
])  # fmt: skip
def test_the_script_of_a_small_model_has_no_more_lines_than_a_person_would_write(change):
    situation = replace(_SQUARED, **{"label_shape": "(N,T,C)", "n_examples": 1, "n_classes": 2, **change})
    recordings = _on_paths(dict.fromkeys(_LEGS, (0.5, 0.5)), situation)
    recordings["jax"] = recording(f"explored/{situation.key}", "jax", raised="ValueError")
    sighting = Judge(_SameLegs(recordings), {situation.target: "loss"}).sighting(situation, recordings)
    tree = ast.parse(script_of(sighting, "scripts/x.py", "loss"))
    assert sum(bool(line.strip()) for node in tree.body[1:] for line in ast.unparse(node).splitlines()) <= 20


def test_the_script_of_a_function_prints_one_loss_for_each_example():
    situation = replace(_SQUARED, target="own:absolute", path="call")
    recordings = {leg: recording("explored/x", leg, per_example_loss=[number, number]) for number, leg in enumerate(_LEGS)}
    sighting = Judge(_SameLegs(recordings)).sighting(situation, recordings)
    assert sighting.finding.observation == "per_example_loss"
    assert 'loss = Loss(reduction="none")' in script_of(sighting, "scripts/x.py", "loss function")
    assert "reduction='none')" in script_of(sighting, "scripts/x.py", "loss")


def test_without_a_reduction_there_is_no_loss_to_train_with():
    called = _SQUARED.with_option("reduction", "none")
    target = _BY_NAME["keras.losses.MeanSquaredError"]
    assert target.is_sensible(_SQUARED)
    assert target.is_sensible(replace(called, path="call"))
    assert not target.is_sensible(called)
