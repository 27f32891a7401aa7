"""The pure half of `repro`: smaller programs, what a script prints and whether it shows the difference, the bug report."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from make import recording

from backendcheck.case import Tolerance
from backendcheck.report.formats.bug_report import issue_text
from backendcheck.repro.printed_values import PrintedValue, printed_values
from backendcheck.repro.program import Program, write_program
from backendcheck.repro.reduce import Reduction
from backendcheck.repro.reduce_data import fewer_classes, fewer_examples, simpler_numbers
from backendcheck.repro.reduce_model import fewer_layers, fewer_outputs, narrower
from backendcheck.repro.reduce_source import smaller_source
from backendcheck.repro.run_script import Raised, ScriptOutput, differ, printed, shows
from backendcheck.repro.script import pruned, script_source, with_outputs
from backendcheck.repro.target_finding import target_finding_of

EXACT = Tolerance(rtol=0.0, atol=0.0)


def loss_program(y_true, y_pred, **arrays):
    data = {"y_true": np.asarray(y_true), "y_pred": np.asarray(y_pred, "float32"), **arrays}
    return Program(case_type="loss", form="objects", code={"loss": "keras.losses.MeanSquaredError()"}, arrays=data)


# --- symptoms --------------------------------------------------------------------------------------------------


def three(**by_backend):
    return {backend: recording("a/b", backend, **fields) for backend, fields in by_backend.items()}


TORCH_RAISES = three(
    tensorflow={"loss": 1.0}, jax={"loss": 1.0}, torch={"raised": "IndexError: Target 3 is out of bounds."}
)  # fmt: skip


def test_a_symptom_stays_the_same_when_only_the_numbers_of_a_message_change():
    fewer = three(tensorflow={"loss": 2.0}, jax={"loss": 2.0}, torch={"raised": "IndexError: Target 1 is out of bounds."})
    target = target_finding_of(TORCH_RAISES)
    assert target is not None
    assert target_finding_of(fewer, like=target).same_as(target)


@pytest.mark.parametrize(
    "torch",
    [
        {"raised": "IndexError: too many indices for this tensor"}, {"raised": "RuntimeError: Target 3 is out of bounds."},
        {"loss": 9.0},
    ],
)
def test_another_complaint_is_another_symptom(torch):
    target = target_finding_of(TORCH_RAISES)
    found = target_finding_of(three(tensorflow={"loss": 1.0}, jax={"loss": 1.0}, torch=torch), like=target)
    assert found is None or not found.same_as(target)


def test_another_backend_is_another_symptom():
    target = target_finding_of(three(tensorflow={"loss": 1.0}, jax={"loss": 1.0}, torch={"loss": 2.0}))
    other = target_finding_of(three(tensorflow={"loss": 1.0}, jax={"loss": 2.0}, torch={"loss": 1.0}), like=target)
    assert not other.same_as(target)


# --- smaller programs ------------------------------------------------------------------------------------------


def test_examples_go_with_their_labels_and_weights():
    weights = np.array([1.0, 2.0, 3.0], "float32")
    found = list(fewer_examples(loss_program([5, 6, 7], [[1, 2], [3, 4], [5, 6]], sample_weight=weights)))
    single = next(one for one in found if one.n_examples == 1)
    assert [value.tolist() for value in single.arrays.values()] == [[7], [[5.0, 6.0]], [3.0]]
    assert {one.n_examples for one in found} == {1, 2}
    assert not list(fewer_examples(loss_program([1], [[1.0]])))


def test_a_class_goes_out_of_one_hot_labels_and_moves_integer_ones():
    one_hot = next(iter(fewer_classes(loss_program([[1, 0, 0]], [[1, 2, 3]]))))
    assert one_hot.arrays["y_true"].tolist() == [[1, 0]]
    integers = [one.arrays["y_true"].tolist() for one in fewer_classes(loss_program([3, 0], [[1, 2, 3], [4, 5, 6]]))]
    assert [2, 0] in integers
    assert [3, 0] in integers


def test_numbers_only_get_simpler():
    program = loss_program([[0.0]], [[0.123456]])
    tried = [one.arrays["y_pred"].item() for one in simpler_numbers(program)]
    assert tried[0] == 0.0
    assert np.float32(0.1) in np.array(tried, "float32")
    assert not list(simpler_numbers(loss_program([[0.0]], [[0.0]])))


MODEL = {
    "inputs": [{"name": "x_in", "shape": [4], "dtype": None, "label": None}],
    "steps": [
        {"name": name, "constructor": "keras.layers.Dense", "label": name, "takes": takes, "arguments": {"units": units}}
        for name, takes, units in (("h", "x_in", "8"), ("a", "h", "1"), ("b", "h", "1"))
    ],
    "outputs": {"b": "b", "a": "a"}, "takes": "x_in", "label": None,
}  # fmt: skip


def model_program(**changes):
    fields = {
        "case_type": "model", "form": "objects", "model": MODEL, "weights": "random",
        "code": {"loss": "{'b': 'mse', 'a': 'mae'}"},
        "arrays": {"x": np.ones((3, 4), "float32"), "y": {"b": np.ones((3, 1)), "a": np.zeros((3, 1))}},
    }  # fmt: skip
    return Program(**{**fields, **changes})


def test_an_output_goes_with_its_loss_its_labels_and_its_layer():
    without_b = next(iter(fewer_outputs(model_program())))
    assert list(without_b.model["outputs"]) == ["a"]
    assert list(without_b.arrays["y"]) == ["a"]
    assert ast.literal_eval(without_b.code["loss"]) == {"a": "mae"}
    assert [step["name"] for step in without_b.model["steps"]] == ["h", "a"]


def test_a_layer_goes_and_what_it_took_goes_on():
    without_h = next(iter(fewer_layers(model_program())))
    assert [step["takes"] for step in without_h.model["steps"]] == ["x_in", "x_in"]


def test_inputs_and_layers_become_narrower_with_their_data():
    found = list(narrower(model_program()))
    inputs = [one for one in found if one.model["inputs"][0]["shape"] != [4]]
    assert all(one.arrays["x"].shape[1] == one.model["inputs"][0]["shape"][0] for one in inputs)
    assert {one.model["steps"][0]["arguments"]["units"] for one in found} >= {"1", "2", "4"}
    assert not list(narrower(model_program(weights=(np.zeros((4, 8)),))))


def test_source_gets_smaller_one_step_at_a_time():
    body = "def compute_values():\n    a = np.array([1.5, 2.5])\n    b = 3\n    return {'a': a, 'b': ops.f(b, keep=True)}"
    bodies = {one.body for one in smaller_source(Program(case_type="value", form="source", body=body))}
    assert all(len(one) <= len(ast.unparse(ast.parse(body))) for one in bodies)
    for piece in ("return {'a': a}", "ops.f(b)", "[1.5]", "b = 1", "[0.0, 2.5]"):
        assert any(piece in one for one in bodies), piece
    assert not any("b = 0" in one for one in bodies)  # it may count something
    assert all(isinstance(ast.parse(one).body[0].body[-1], ast.Return) for one in bodies)


class Backends:
    """Stands in for recording processes: torch rejects any program in which the label 9 is left."""

    broken = ""

    def observe(self, program, source, wanted):
        torch = {"raised": "IndexError: Target 9 is out of bounds."} if 9 in program.arrays["y_true"] else {"loss": 1.0}
        return three(tensorflow={"loss": 1.0}, jax={"loss": 1.0}, torch=torch)


def test_a_reduction_keeps_the_one_example_that_matters():
    program = loss_program([0, 1, 9, 2, 1, 0, 2], np.arange(21.0).reshape(7, 3) + 0.123)
    reduction = Reduction(Backends(), {})
    assert reduction.begin(program, target_finding_of(TORCH_RAISES))
    reduction.run(30)
    assert reduction.program.arrays["y_true"].tolist() == [9]
    assert reduction.program.arrays["y_pred"].tolist() == [[0.0]]
    assert reduction.ended == ""


def test_a_reduction_ends_in_time_and_when_a_process_breaks():
    program = loss_program([0, 1, 9], np.ones((3, 3)))
    reduction = Reduction(Backends(), {})
    assert reduction.begin(program, target_finding_of(TORCH_RAISES))
    reduction.run(0)
    assert (reduction.ended, reduction.program.n_examples) == ("out of time", 3)
    broken = Reduction(Backends(), {})
    assert broken.begin(program, target_finding_of(TORCH_RAISES))
    broken.recorder = type("Broken", (), {"broken": "jax ended", "observe": lambda *_: None})()
    broken.run(30)
    assert (broken.ended, broken.program.n_examples) == ("jax ended", 3)


def test_a_case_that_every_backend_accepts_is_not_reduced_to_a_correct_one():
    """That a backend should have rejected it is known of these very labels: other ones may be fine."""

    class AcceptsAll:
        broken = ""

        def observe(self, program, source, wanted):
            loss = float(program.arrays["y_pred"].sum())
            return {b: recording("a/b", b, loss=loss, expect={}) for b in ("tensorflow", "jax", "torch")}

    program = loss_program([1.9], [[1.25, 2.0]])
    like = target_finding_of(AcceptsAll().observe(program, "", {}))
    reduction = Reduction(AcceptsAll(), {})
    assert reduction.begin(program, like)
    reduction.run(30)
    assert reduction.program.arrays["y_pred"].sum() == 3.25


# --- what a script prints --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "apart"),
    [
        (1.0, 1.0, False), (1.0, 1.1, True), ([1, 2], [1, 2], False), ([1, 2], [1, 3], True), ([1], [1, 1], True),
        (float("nan"), float("nan"), False), (float("nan"), 1.0, True), (["a", "b"], ["b", "a"], True), ("a", "a", False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), (Raised("E"), 1.0, True), (Raised("E"), Raised("F"), False),
        (float("inf"), float("-inf"), True), ([[]], [[]], False),
    ],
)  # fmt: skip
def test_printed_values_differ_beyond_the_tolerance(left, right, apart):
    assert differ(left, right, Tolerance(rtol=1e-5, atol=0.0)) is apart
    assert differ(right, left, Tolerance(rtol=1e-5, atol=0.0)) is apart


def test_the_output_of_a_script_is_read_back():
    lines = ["keras 3.15.0", "loss: -0.0", "a: b: [1, NaN]", 'fit: raised ValueError: no: {"x": 1}', 'text: "raised A: b"']
    found = printed("\n".join(lines))
    assert found["loss"] == 0.0
    assert str(found["a: b"]) == "[1, nan]"
    assert isinstance(found["fit"], Raised)
    assert found["text"] == "raised A: b"


LOSS = [PrintedValue(name="loss", code="0")]


def outputs(**printed_texts):
    return {backend: ScriptOutput(printed=text) for backend, text in printed_texts.items()}


def test_a_difference_is_shown_only_if_it_is_there():
    target = target_finding_of(TORCH_RAISES)
    raised = "loss: raised IndexError: Target"
    assert shows(target, LOSS, outputs(tensorflow="loss: 1.0", jax="loss: 1.0", torch=raised))
    assert not shows(target, LOSS, outputs(tensorflow="loss: 1.0", jax="loss: 1.0", torch="loss: 1.0"))
    assert not shows(target, LOSS, outputs(tensorflow=raised, jax="loss: 1.0", torch=raised))
    assert not shows(target, LOSS, outputs(tensorflow="", jax="", torch=raised))


def test_a_script_that_failed_shows_nothing():
    """Whatever it printed before. What it prints is not searched for the words of a failure."""
    target = target_finding_of(TORCH_RAISES)
    raised = "loss: raised IndexError: Target"
    complete = outputs(tensorflow="loss: 1.0\nthe script itself failed: no", jax="loss: 1.0", torch=raised)
    assert shows(target, LOSS, complete)
    failed = ScriptOutput(printed="loss: 1.0\n", error="NameError: x")
    assert not shows(target, LOSS, complete | {"tensorflow": failed})
    assert failed.text == "loss: 1.0\nthe script itself failed: NameError: x\n"


def test_a_reference_is_shown_as_a_literal_with_its_origin():
    recordings = {b: recording("a/b", b, loss=1.0, reference={"loss": 2.0}) for b in ("jax", "torch")}
    target = target_finding_of(recordings)
    values = printed_values(loss_program([[1.0]], [[1.0]]), target, recordings)
    assert [(one.role, one.name) for one in values] == [("recorded", "loss"), ("reference", "loss by the case's reference")]
    right = f"{values[1].name}: 2.0"
    assert shows(target, values, outputs(**dict.fromkeys(recordings, f"loss: 1.0\n{right}")))
    assert not shows(target, values, outputs(**dict.fromkeys(recordings, f"loss: 2.0\n{right}")))


HOSTILE = "x'); import os; os.abort()  # \"\"\"\nimport os; os.abort()\r\x0b\u2028`````"


def test_hostile_text_stays_text():
    program = loss_program([[1.0]], [[1.0]])
    values = [PrintedValue(name=HOSTILE, code="1")]
    source = script_source(program, write_program(program), values, heading=HOSTILE, backends=["jax"], name=HOSTILE)
    source = with_outputs(source, {"jax": HOSTILE}, HOSTILE)
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr == "abort"]
    assert not calls
    assert not any(line.startswith("import os") for line in source.splitlines())
    report = issue_text(
        headline=HOSTILE, claim=HOSTILE, message="", script=source, outputs={"jax": HOSTILE},
        environment=["keras 3"], data=None,
    )  # fmt: skip
    fence = next(line for line in report.splitlines() if line.startswith("`````"))
    assert report.count(f"\n{fence.removesuffix('python')}") >= 2


def test_large_arrays_go_into_a_file():
    program = loss_program(np.zeros(1000), np.arange(1000.0))
    text = write_program(program, "big.npz")
    assert set(text.stored) == {"y_true", "y_pred"}
    assert "'big.npz'" in text.source
    assert len(text.source) < 400
    ast.parse(text.source)


def test_a_script_that_predicts_lists_no_labels():
    recordings = three(
        tensorflow={"output_order": np.array(["b", "a"])}, jax={"output_order": np.array(["a", "b"])},
        torch={"output_order": np.array(["a", "b"])},
    )  # fmt: skip
    values = printed_values(model_program(), target_finding_of(recordings), recordings)
    less = pruned(model_program(), values)
    assert (list(less.arrays), dict(less.code)) == (["x"], {})
    trained = [PrintedValue(name="fit", code="(lambda model: model.fit(x, y))(compiled())")]
    assert list(pruned(model_program(), trained).arrays) == ["x", "y"]
