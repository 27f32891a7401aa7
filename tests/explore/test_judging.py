from dataclasses import replace

import numpy as np
import pytest
from make import recording

from backendcheck.explore.case_file import case_file, case_name
from backendcheck.explore.confirm import printed_value, run_scripts, shows_again
from backendcheck.explore.judging import N_JITTERS, Judge, Signature, request_of
from backendcheck.explore.known import KnownCase, KnownDivergences
from backendcheck.explore.label_reference import label_reference
from backendcheck.explore.script import script_of
from backendcheck.explore.situation import Situation
from backendcheck.repro.run_script import Raised
from backendcheck.verdicts.known import Divergence
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.states import Status

_SITUATION = Situation(
    target="keras.losses.SparseCategoricalCrossentropy", labels="integer", head="softmax", label_values="above-range",
    label_dtype="int32", n_examples=1, n_classes=2,
)  # fmt: skip
_LEGS = ("tensorflow", "jax", "torch")


class _Legs:
    """Legs that give the same recordings again, moved by `step` for each jitter."""

    def __init__(self, values, step=0.0, **fields):
        self.values, self.step, self.fields = values, step, fields
        self.n_observed = 0

    def observe(self, requests):
        self.n_observed += len(requests)
        return [
            _recordings({
                leg: value if isinstance(value, str) else value + self.step * (number + 1) for leg, value in self.values.items()
            })
            for number in range(len(requests))
        ]


def _recordings(values, **fields):
    return {
        leg: recording(f"explored/{_SITUATION.key}", leg, raised=value, **fields)
        if isinstance(value, str)
        else recording(f"explored/{_SITUATION.key}", leg, loss=value, **fields)
        for leg, value in values.items()
    }


def _sighting(values, situation=_SITUATION, step=0.0, legs=None):
    legs = legs or _Legs(values, step)
    return Judge(legs).sighting(situation, _recordings(values))


def test_a_leg_that_accepts_what_the_others_refuse_is_the_odd_one():
    sighting = _sighting({"tensorflow": "InvalidArgumentError: 2", "jax": 0.0, "torch": "IndexError: 2"})
    assert sighting.signature == Signature(
        oracle="agreement", kind="raised", stage="loss", legs=("jax",), target=_SITUATION.target,
        diagnosis=sighting.signature.diagnosis, path="call",
    )  # fmt: skip
    assert str(sighting.signature).startswith("agreement|raised|loss|jax|keras.losses.")


def test_a_value_that_differs_is_looked_at_again():
    legs = _Legs({"tensorflow": 0.5, "jax": 0.5, "torch": 0.7})
    sighting = _sighting(legs.values, legs=legs)
    assert (sighting.signature.kind, sighting.signature.legs) == ("value", ("torch",))
    assert legs.n_observed == N_JITTERS


def test_what_rounding_of_the_inputs_moves_as_far_is_not_a_finding():
    judge = Judge(_Legs({"tensorflow": 0.5, "jax": 0.5, "torch": 0.7}, step=0.1))
    assert judge.sighting(_SITUATION, _recordings(judge.legs.values)) is None
    assert sum(judge.counts.dismissed.values()) == 2  # torch beside each of the two


@pytest.mark.parametrize("values", [dict.fromkeys(_LEGS, 0.5), dict.fromkeys(_LEGS, "ValueError: no")])
def test_what_all_do_alike_shows_nothing(values):
    assert _sighting(values) is None


def test_an_option_that_a_backend_does_not_have_and_says_so_is_unsupported():
    judge = Judge(_Legs({}))
    refused = "ValueError: Only axis=-1 is currently supported. Received: axis=1"
    assert judge.sighting(_SITUATION, _recordings({"tensorflow": refused, "jax": 0.5, "torch": 0.5})) is None
    assert judge.counts.unsupported == 1


_REFUSED = "InvalidArgumentError: Value for attr 'T' of {0} is not in the list of allowed values: int32, int64"


@pytest.mark.parametrize(
    ("leg", "change", "is_finding"),
    [
        ("tensorflow", {"label_dtype": "uint8"}, True), ("torch", {"label_dtype": "int32"}, True),
        ("tensorflow", {"label_dtype": "float32", "predictions": "bool"}, True),
        ("torch", {"label_dtype": "float32", "options": (("dtype", "bool"),)}, True),
        ("tensorflow", {"label_dtype": "uint64"}, True), ("torch", {"label_dtype": "uint64"}, False),
        ("jax", {"label_dtype": "int64"}, False), ("tensorflow", {"label_dtype": "float32"}, False),
        ("torch", {"label_dtype": "uint8", "path": "fit", "policy": "mixed_float16"}, False),
    ],
)  # fmt: skip
def test_a_type_that_a_backend_has_and_refuses_is_a_finding_and_one_that_it_lacks_is_none(leg, change, is_finding):
    situation = replace(_SITUATION, label_values="valid", **change)
    judge = Judge(_Legs({}))
    recordings = _recordings({each: _REFUSED.format("uint8") if each == leg else 0.5 for each in _LEGS})
    sighting = judge.sighting(situation, recordings)
    assert (sighting is not None, judge.counts.unsupported) == (is_finding, int(not is_finding))
    if sighting is not None:
        assert (sighting.signature.diagnosis, sighting.signature.legs) == ("unsupported-type", (leg,))


def test_a_refusal_of_a_type_beside_a_refusal_of_the_label_is_no_finding_of_its_own():
    situation = replace(_SITUATION, label_dtype="uint8")
    recordings = _recordings({"tensorflow": _REFUSED.format("uint8"), "jax": 0.5, "torch": "IndexError: 2"})
    assert Judge(_Legs({})).sighting(situation, recordings) is None


def test_another_exception_without_a_diagnosis_is_another_finding():
    values = dict.fromkeys(_LEGS, 0.5)
    first, second = (_sighting({**values, "jax": raised}).signature for raised in ("KeyError: 'b'", "RuntimeError: no"))
    assert (first.diagnosis, second.diagnosis) == ("unexplained: KeyError", "unexplained: RuntimeError")
    assert not first.is_like(second)


def test_a_few_rounding_steps_are_not_a_finding():
    values = {"tensorflow": 0.5, "jax": 0.5, "torch": 0.50002}
    judge = Judge(_Legs(values))
    assert judge.sighting(_SITUATION, _recordings(values)) is None
    assert judge.counts.dismissed["rounding"] == 1


def test_what_every_leg_refuses_is_counted_as_unsupported():
    judge = Judge(_Legs({}))
    judge.sighting(_SITUATION, _recordings(dict.fromkeys(_LEGS, "ValueError: no")))
    assert judge.counts.unsupported == 1


_NESTED = replace(_SITUATION, label_values="valid", path="fit", outputs="nested")


def test_valid_input_that_every_leg_refuses_in_a_model_is_a_finding_if_all_take_it_in_a_plain_call():
    refused = _recordings(dict.fromkeys(_LEGS, "ValueError: no"))
    sighting = Judge(_Legs(dict.fromkeys(_LEGS, 0.5))).sighting(_NESTED, refused)
    assert (sighting.signature.kind, sighting.signature.legs) == ("raised", _LEGS)
    assert "every backend refuses this" in sighting.headline
    assert "must be taken by" in case_file([(sighting, "refused", "loss")])
    assert shows_again(sighting, dict.fromkeys(_LEGS, Raised("raises ValueError")))
    assert not shows_again(sighting, dict.fromkeys(_LEGS, Raised("raises NameError")))  # of a script that is wrong
    assert not shows_again(sighting, {**dict.fromkeys(_LEGS, Raised("raises ValueError")), "jax": 0.5})


@pytest.mark.parametrize(
    ("change", "called"),
    [
        ({}, "ValueError: no"), ({"label_values": "negative"}, 0.5), ({"predictions": "nan"}, 0.5),
        ({"path": "call", "outputs": "one", "sample_weight": "per-example"}, 0.5),
    ],
)  # fmt: skip
def test_bad_input_and_what_a_plain_call_refuses_too_may_be_refused(change, called):
    judge = Judge(_Legs(dict.fromkeys(_LEGS, called)))
    refused = _recordings(dict.fromkeys(_LEGS, "ValueError: no"))
    assert judge.sighting(replace(_NESTED, **change), refused) is None
    assert judge.counts.unsupported == 1


def test_nan_in_gives_nan_out():
    values = dict.fromkeys(_LEGS, float("nan"))
    assert _sighting(values) is not None
    assert _sighting(values, Situation(target="keras.losses.Huber", labels="real", head="linear", predictions="nan")) is None


def _nan_labels(values):
    return _sighting(values, replace(_SITUATION, label_values="nan", label_dtype="float32"))


def test_values_of_nan_that_differ_are_not_findings_as_no_cast_of_nan_is_defined():
    assert _nan_labels({"tensorflow": 0.5, "jax": 0.5, "torch": 0.7}) is None


def test_a_refusal_of_nan_beside_nan_is_not_a_finding_and_one_beside_a_number_is():
    nan = float("nan")
    assert _nan_labels({"tensorflow": "InvalidArgumentError: nan", "jax": nan, "torch": nan}) is None
    assert _nan_labels({"tensorflow": "InvalidArgumentError: nan", "jax": 0.5, "torch": nan}) is not None


def test_text_beside_a_refusal_of_nan_is_a_value():
    situation = Situation(
        target="keras.layers.StringLookup", labels="integer", head="logits", label_values="nan", options=(("invert", True),),
    )  # fmt: skip
    recordings = {leg: recording("explored/x", leg, **{"value/result": np.array(["cat"])}) for leg in ("tensorflow", "torch")}
    recordings["jax"] = recording("explored/x", "jax", raised="TypeError: nan")
    assert Judge(_Legs({}), {situation.target: "labels"}).sighting(situation, recordings) is not None


def test_a_mean_of_no_examples_has_no_defined_value():
    values = dict.fromkeys(_LEGS, float("nan"))
    assert _sighting(values, Situation(target="keras.losses.Huber", labels="real", head="linear", label_values="empty")) is None


def test_random_numbers_are_not_findings():
    values = {"tensorflow": 0.5, "jax": 0.5, "torch": 0.7}
    judge = Judge(_Legs(values))
    assert judge.sighting(_SITUATION, _recordings(values, not_compared={"*": "it draws random numbers"})) is None


@pytest.mark.parametrize(
    ("leg", "stand_in", "dtype", "is_finding"),
    [
        ("jax", "int32", "int64", False), ("torch", "int32", "int64", True), ("jax", "float32", "float64", False),
        ("torch", "int64", "uint32", False), ("tensorflow", "int64", "uint32", True), ("torch", "int32", "uint32", True),
    ],
)  # fmt: skip
def test_a_backend_may_have_another_type_in_place_of_one_that_it_lacks(leg, stand_in, dtype, is_finding):
    situation = Situation(target="keras.layers.IntegerLookup", labels="integer", head="logits", label_dtype="int32")
    recordings = {
        each: recording(f"explored/{situation.key}", each, **{"value/result": np.ones(2, stand_in if each == leg else dtype)})
        for each in _LEGS
    }
    assert (Judge(_Legs({}), {situation.target: "labels"}).sighting(situation, recordings) is not None) == is_finding


@pytest.mark.parametrize(("status", "word"), [(Status.CRASHED, "crashes"), (Status.TIMED_OUT, "hangs")])
def test_a_leg_that_crashes_or_hangs_is_a_finding_of_its_own(status, word):
    recordings = _recordings(dict.fromkeys(_LEGS, 0.5)) | {"torch": recording("a/b", "torch", status=status)}
    sighting = Judge(_Legs({})).sighting(_SITUATION, recordings)
    assert (sighting.signature.kind, sighting.signature.legs) == ("missing", ("torch",))
    assert f"torch {word}" in sighting.headline


def test_the_explanation_of_a_value_may_change_while_a_situation_shrinks_that_of_an_exception_may_not():
    value = Signature(oracle="agreement", kind="value", stage="loss", legs=("jax",), target="t", diagnosis="a", path="call")
    raised = Signature(oracle="agreement", kind="raised", stage="loss", legs=("jax",), target="t", diagnosis="a", path="call")
    assert value.is_like(Signature(**{**_as_dict(value), "diagnosis": "b"}))
    assert not raised.is_like(Signature(**{**_as_dict(raised), "diagnosis": "b"}))
    assert not value.is_like(Signature(**{**_as_dict(value), "legs": ("torch",)}))


def _as_dict(signature):
    return {name: getattr(signature, name) for name in Signature.__slots__}


def test_a_request_has_nothing_but_json():
    request = request_of(_SITUATION)
    assert request["arrays"]["y_true"] == {"dtype": "int32", "shape": [1], "data": "AgAAAA=="}
    assert request["batches"] == [(0, 1)]


# --- scripts and confirmation ------------------------------------------------------------------------------------


def _raised():
    return _sighting({"tensorflow": "InvalidArgumentError: 2", "jax": 0.0, "torch": "IndexError: 2"})


@pytest.mark.parametrize(
    ("change", "kind", "parts"),
    [
        ({}, "loss", ["keras.losses.SparseCategoricalCrossentropy()", "y_true = np.array([2], "]),
        ({"target": "keras.metrics.AUC", "options": (("curve", "PR"),)}, "metric", ["keras.metrics.AUC(curve='PR')"]),
        ({"target": "own.losses:Focal"}, "loss", ["from own.losses import Focal", "Focal()"]),
        ({"target": "own.losses:focal"}, "loss function", ["from own.losses import focal", "focal(y_true, y_pred)"]),
        ({"label_values": "empty"}, "loss", ["y_true = np.zeros((0,), np.int32)"]),
    ],
)
def test_a_script_needs_only_keras_and_has_its_arrays_in_it(change, kind, parts):
    sighting = _raised()
    sighting = replace(sighting, situation=replace(sighting.situation, **change))
    source = script_of(sighting, "scripts/x.py", kind)
    compile(source, "script", "exec")
    assert "backendcheck" not in source
    assert all(part in source for part in parts)
    name = case_name(sighting, ["taken"])
    cases = case_file([(sighting, name, kind)])
    compile(cases, "cases", "exec")
    assert f"def case_{name}():" in cases


def test_cases_of_the_same_kind_have_names_of_their_own():
    first = case_name(_raised(), [])
    assert case_name(_raised(), [first]) == f"{first}_2"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("jax 0.5\n", 0.5), ("a log line\njax [1.0, nan, -inf]\n", [1.0, np.nan, -np.inf]), ("", None), ("jax a value", None),
        ("torch int32", "int32"), ("torch [True]", [True]),
    ],
)
def test_the_last_line_of_a_script_is_its_value(text, value):
    assert printed_value(text) == value or np.array_equal(printed_value(text), value, equal_nan=True)


def test_a_script_that_raises_is_known_by_the_exception(tmp_path):
    sources = {"raises.py": "print(1)\nraise KeyError(2)", "returns.py": "print('numpy', [0.5])"}
    for name, source in sources.items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    outcomes = run_scripts([tmp_path / name for name in sources], ["numpy"], "cpu")
    assert outcomes[tmp_path / "raises.py"]["numpy"].text == "raises KeyError"
    assert outcomes[tmp_path / "returns.py"]["numpy"] == [0.5]


def test_a_script_confirms_if_the_same_legs_raise_again():
    sighting = _raised()
    assert shows_again(sighting, {"tensorflow": Raised("raises A"), "jax": 0.0, "torch": Raised("raises B")})
    assert not shows_again(sighting, {"tensorflow": Raised("raises A"), "jax": 0.0, "torch": 0.0})
    assert not shows_again(sighting, {"tensorflow": Raised("raises A"), "jax": 0.0, "torch": None})


def test_a_script_confirms_if_the_odd_leg_differs_again():
    sighting = _sighting({"tensorflow": 0.5, "jax": 0.5, "torch": 0.7})
    assert shows_again(sighting, {"tensorflow": 0.5, "jax": 0.5, "torch": 0.7})
    assert not shows_again(sighting, {"tensorflow": 0.5, "jax": 0.5, "torch": 0.5})


def test_a_script_confirms_nan_on_every_leg():
    nan = float("nan")
    sighting = _sighting(dict.fromkeys(_LEGS, nan))
    assert shows_again(sighting, dict.fromkeys(_LEGS, nan))
    assert not shows_again(sighting, {"tensorflow": nan, "jax": 0.5, "torch": nan})


# --- known or new ------------------------------------------------------------------------------------------------

_CASE = KnownCase(
    id="label_range/one_past_the_last_class", text="Label 3 of three classes is rejected.",
    names=frozenset({"SparseCategoricalCrossentropy"}),
)  # fmt: skip


def _known(**changes):
    kinds = frozenset({FindingKind.RAISED})
    entry = {"case": _CASE.id, "backends": frozenset({"jax"}), "kinds": kinds, "reason": "", "versions": {}}
    return KnownDivergences([Divergence(**{**entry, **changes})], [_CASE])


def test_a_finding_is_known_if_a_case_about_the_same_loss_legs_kind_and_labels_describes_it():
    assert _known().describing(_raised(), "loss") == _CASE.id


@pytest.mark.parametrize("change", [{"backends": frozenset({"torch"})}, {"kinds": frozenset({FindingKind.VALUE})}])
def test_other_legs_or_another_kind_are_new(change):
    assert _known(**change).describing(_raised(), "loss") is None


def test_an_entry_may_name_the_legs_on_the_other_side():
    assert _known(backends=frozenset({"tensorflow", "torch"})).describing(_raised(), "loss") == _CASE.id


def test_other_labels_or_another_loss_are_new():
    sighting = _raised()
    for change in ({"label_values": "minus-hundred"}, {"target": "keras.losses.Huber"}, {"label_values": "valid"}):
        assert _known().describing(replace(sighting, situation=replace(sighting.situation, **change)), "loss") is None


def test_the_known_divergences_of_the_built_in_cases_can_be_read(tmp_path):
    assert _in_force(tmp_path, "3.15.1").describing(_raised(), "loss") == "jax-gives-unknown-labels-no-loss"


def test_a_divergence_that_ended_with_an_earlier_version_describes_nothing(tmp_path):
    sighting = _sighting({"tensorflow": "InvalidArgumentError: -1", "jax": 0.0, "torch": 0.0})
    sighting = replace(sighting, situation=replace(_SITUATION, label_values="negative"))
    assert _in_force(tmp_path, "3.13.2").describing(sighting, "loss") == "torch-gave-negative-labels-no-loss"
    assert _in_force(tmp_path, "3.15.1").describing(sighting, "loss") is None


def _in_force(folder, version):
    return KnownDivergences.in_force(folder, {leg: {"versions": {"keras": version}, "device": "cpu"} for leg in _LEGS})


def test_infinity_that_is_right_is_no_finding():
    absent = Situation(
        target="keras.ops.segment_max", labels="integer", head="logits", label_dtype="int32", n_examples=1, n_classes=2,
        options=(("num_segments", "number of classes"),),
    )  # fmt: skip
    right = label_reference(absent).astype("float32")
    assert np.isneginf(right).any()
    lowest = np.maximum(right, np.finfo("float32").min)

    def sighting(**of_legs):
        recordings = {leg: recording("explored/x", leg, observations={"value/result": value}) for leg, value in of_legs.items()}
        return Judge(_Legs({})).sighting(absent, recordings)

    assert sighting(tensorflow=lowest, jax=right, torch=right).signature.legs == ("tensorflow",)
    assert sighting(tensorflow=right, jax=right, torch=right) is None
    assert sighting(tensorflow=-right, jax=-right, torch=-right) is not None
    undefined = np.full_like(right, np.nan)
    assert sighting(tensorflow=undefined, jax=undefined, torch=undefined) is not None
