"""Known or new: findings beside the known divergences of a project."""

from dataclasses import replace

import pytest
from make import recording

from backendcheck.explore.case_file import case_file
from backendcheck.explore.judging import Judge
from backendcheck.explore.known import KnownDivergences
from backendcheck.explore.situation import Situation

_CASES = """
from own.losses import Focal
from backendcheck import LossCase

def case_focal_negative_value():
    \"\"\"Real labels with a negative label must give the same on every backend.\"\"\"
    return LossCase(loss=Focal(gamma=2.0), y_true=[-1.0], y_pred=[[0.5]])
"""
_ENTRY = """
[[divergence]]
case = "explored/focal_negative_value"
backends = ["jax", "torch"]
keras = ">=3.15"
kind = "value"
reason = "Found by explore."
"""
_ENVIRONMENTS = {leg: {"versions": {"keras": "3.15.1"}, "device": "cpu"} for leg in ("jax", "torch")}


class _Legs:
    def observe(self, requests):
        return [_recordings() for _ in requests]


def _recordings():
    return {leg: recording("explored/x", leg, loss=value) for leg, value in (("jax", 0.5), ("torch", 0.7))}


def _sighting(**changes):
    chosen = {"labels": "real", "head": "linear", "label_values": "negative", "target": "own.losses:Focal", **changes}
    return Judge(_Legs()).sighting(Situation(**chosen), _recordings())


def _project(folder, monkeypatch, cases="cases", entry=_ENTRY, source=None):
    (folder / cases).mkdir(parents=True)
    (folder / cases / "explored.py").write_text(source or _CASES)
    (folder / cases / "known_divergences.toml").write_text(entry)
    monkeypatch.chdir(folder)
    return KnownDivergences.in_force(folder, _ENVIRONMENTS)


def test_a_finding_that_a_case_describes_is_known(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch)
    assert known.describing(_sighting(), "loss") == "explored/focal_negative_value"
    assert known.describing(_sighting(label_values="above-range"), "loss") is None
    assert known.describing(_sighting(target="own.losses:Other"), "loss") is None
    assert known.describing(_sighting(target="other.losses:Focal"), "loss") is None


def test_a_case_is_about_what_the_functions_of_its_file_call(tmp_path, monkeypatch):
    by_helper = """
import keras

def measured(unit):
    hinge = keras.metrics.LogCoshError()
    return lambda: {unit: hinge([-1.0], [0.5])}

def one_of(name):
    return {"mse": keras.metrics.MeanSquaredError, "mae": keras.metrics.MeanAbsoluteError}[name]

def case_focal_negative_value():
    \"\"\"A negative label must give the same on every backend.\"\"\"
    return measured("grade"), one_of("mse")
"""
    monkeypatch.setattr(f"{__name__}._CASES", by_helper)
    known = _project(tmp_path, monkeypatch)
    assert known.describing(_sighting(target="keras.metrics.LogCoshError"), "metric") == "explored/focal_negative_value"
    # A local name is not a loss, and which of several metrics a function uses is not said.
    for name in ("losses.Hinge", "metrics.Hinge", "metrics.MeanSquaredError", "metrics.MeanAbsoluteError"):
        assert known.describing(_sighting(target=f"keras.{name}"), "metric") is None


@pytest.mark.parametrize(
    ("outcome", "claim", "is_known"),
    [
        ("nan", "Labels that do not vary", True), ("0.5", "Labels that do not vary", False),
        ("raises ValueError", "Labels that do not vary", False), ("nan", "Labels with a NaN", False),
    ],
)  # fmt: skip
def test_a_plain_situation_is_known_where_every_leg_does_what_the_entry_says(tmp_path, monkeypatch, outcome, claim, is_known):
    monkeypatch.setattr(f"{__name__}._CASES", _CASES.replace("Real labels with a negative label", claim).replace("_negative", ""))
    outcomes = f'outcome = {{jax = "{outcome}", torch = "{outcome}"}}'
    entry = _ENTRY.replace('kind = "value"', f'kind = "non-finite"\n{outcomes}').replace("_negative", "")
    entry = entry.replace("Found by explore.", "It is NaN on every backend.")
    known = _project(tmp_path, monkeypatch, entry=entry)
    nan = {leg: recording("explored/x", leg, loss=float("nan")) for leg in ("jax", "torch")}
    plain = Situation(labels="real", head="linear", target="own.losses:Focal")
    assert (known.describing(Judge(_Legs()).sighting(plain, nan), "loss") is not None) == is_known


def test_a_plain_situation_with_flat_labels_is_known_by_a_case_about_flat_labels(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch, entry=_ENTRY.replace("Found by explore.", "Labels (N,) meet every prediction."))
    plain = {"labels": "real", "label_values": "valid"}
    assert known.describing(_sighting(**plain, label_shape="(N,)"), "loss") == "explored/focal_negative_value"
    assert known.describing(_sighting(**plain, label_shape="(N,1)"), "loss") is None


def test_cases_are_looked_for_where_projects_have_them(tmp_path, monkeypatch):
    assert _project(tmp_path, monkeypatch, "tests/cases").describing(_sighting(), "loss") == "explored/focal_negative_value"


def test_an_entry_of_other_versions_describes_nothing(tmp_path, monkeypatch):
    assert _project(tmp_path, monkeypatch, entry=_ENTRY.replace(">=3.15", "<3.15")).describing(_sighting(), "loss") is None


def test_an_option_that_is_left_has_to_be_named_and_a_single_word_tells_nothing(tmp_path, monkeypatch):
    entry = _ENTRY.replace("Found by explore.", "The label smoothing counts the last axis.")
    known = _project(tmp_path, monkeypatch, entry=entry)
    smoothed = {"label_values": "valid", "options": (("axis", 1), ("gamma", 2.0), ("label_smoothing", 0.1))}
    assert known.describing(_sighting(**smoothed), "loss") == "explored/focal_negative_value"
    assert known.describing(_sighting(label_values="valid", options=(("axis", 1),)), "loss") is None
    assert known.describing(_sighting(**smoothed | {"options": (("delta", 2.0), ("label_smoothing", 0.1))}), "loss") is None


def test_a_type_that_is_refused_has_to_be_named_beside_the_options(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch)
    sighting = _sighting(label_values="valid", label_dtype="uint8", options=(("gamma", 0.5),))
    refused = replace(sighting, signature=replace(sighting.signature, diagnosis="unsupported-type"))
    assert known.describing(sighting, "loss") == "explored/focal_negative_value"
    assert known.describing(refused, "loss") is None


def test_minus_hundred_is_a_negative_label_unless_labels_are_classes(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch)
    assert known.describing(_sighting(label_values="minus-hundred"), "loss") == "explored/focal_negative_value"
    assert known.describing(_sighting(label_values="minus-hundred", labels="integer", head="softmax"), "loss") is None


def test_an_option_that_the_case_gives_to_the_target_tells_what_it_is_about(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch)
    assert known.describing(_sighting(label_values="valid", options=(("gamma", 0.5),)), "loss") == "explored/focal_negative_value"
    assert known.describing(_sighting(label_values="valid", options=(("power", 0.5),)), "loss") is None


@pytest.mark.parametrize(("pattern", "is_known"), [("*", True), ("hinge", True), ("hi*", True), ("huber", False)])
def test_of_the_losses_in_a_list_an_entry_selects_some(tmp_path, monkeypatch, pattern, is_known):
    listed = _CASES.replace("def case_", "LOSSES = ['huber', 'hinge']\n\n\n@pytest.mark.parametrize('loss', LOSSES)\ndef case_")
    entry = _ENTRY.replace("focal_negative_value", f"focal_negative_value[[]{pattern}]")
    known = _project(tmp_path, monkeypatch, entry=entry, source=listed.replace("Focal(gamma=2.0)", "loss"))
    assert (known.describing(_sighting(target="keras.losses.Hinge"), "loss") is not None) is is_known


def test_a_column_of_classes_has_to_be_named(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch, source=_CASES.replace("with a negative label", "(N, 1) of classes"))
    column = {"label_values": "valid", "labels": "integer", "head": "softmax", "label_shape": "(N,1)"}
    assert known.describing(_sighting(**column), "loss") == "explored/focal_negative_value"
    assert known.describing(_sighting(**column | {"label_shape": "(N,T)"}), "loss") is None


def test_an_accepted_finding_is_known_whatever_its_situation_is(tmp_path, monkeypatch):
    chosen = {"labels": "real", "head": "linear", "label_shape": "(N,C)", "target": "own.losses:Focal"}
    for number, changes in enumerate([{}, {"path": "jit", "outputs": "dict"}, {"path": "fit", "policy": "mixed_float16"}]):
        situation = Situation(**chosen, **changes)
        sighting = replace(_sighting(), situation=situation)
        folder = tmp_path / str(number)
        (folder / "cases").mkdir(parents=True)
        (folder / "cases/explored.py").write_text(case_file([(sighting, "focal", "loss")]))
        (folder / "cases/known_divergences.toml").write_text(_ENTRY.replace("focal_negative_value", "focal"))
        monkeypatch.chdir(folder)
        known = KnownDivergences.in_force(folder, _ENVIRONMENTS)
        assert known.describing(sighting, "loss") == "explored/focal"
        for other in ({"head": "relu"}, {"path": "evaluate"}, {"sample_weight": "per-example"}, {"numbers": 3}):
            assert known.describing(replace(sighting, situation=replace(situation, **other)), "loss") is None
        nan = replace(sighting, signature=replace(sighting.signature, kind="non-finite"))
        assert known.describing(nan, "loss") is None


_OF_FUNCTIONS = """
from keras import ops

def case_rarest_tags():
    \"\"\"`argmin` over the examples gives an example for each step and class.\"\"\"
    return {"rarest": ops.argmin([[1]], axis=0)}

def case_counting_labels():
    \"\"\"`bincount` refuses label -1, and -100.\"\"\"
    return {"counts": ops.bincount([-1])}
"""
_ENTRIES_OF_FUNCTIONS = """
[[divergence]]
case = "explored/rarest_tags"
backends = ["torch"]
kind = "value"
oracle = "reference"
reason = "PyTorch transposes."

[[divergence]]
case = "explored/counting_labels"
backends = ["torch"]
kind = "value"
oracle = "reference"
reason = "PyTorch takes it for a class."
"""


def test_a_function_for_labels_is_known_by_a_case_with_the_same_kind_of_labels(tmp_path, monkeypatch):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases/explored.py").write_text(_OF_FUNCTIONS)
    (tmp_path / "cases/known_divergences.toml").write_text(_ENTRIES_OF_FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    known = KnownDivergences.in_force(tmp_path, _ENVIRONMENTS)

    def describing(name, **changes):
        chosen = {"labels": "one-hot", "head": "logits", "label_shape": "(N,T,C)", **changes}
        situation = Situation(target=f"keras.ops.{name}", **chosen)
        sighting = _sighting()
        signature = replace(sighting.signature, oracle="reference", kind="value", legs=("torch",), target=situation.target)
        return known.describing(replace(sighting, situation=situation, signature=signature), "labels")

    assert describing("argmin", options=(("axis", 0),)) == "explored/rarest_tags"
    assert describing("argmin", options=(("keepdims", True),)) is None
    assert describing("argmin", label_values="nan") is None
    assert describing("argmin", label_dtype="uint8") is None
    counted = {"labels": "integer", "label_shape": "(N,)", "label_dtype": "int32"}
    assert describing("bincount", label_values="negative", **counted) == "explored/counting_labels"
    assert describing("bincount", label_values="minus-hundred", **counted) == "explored/counting_labels"
    assert describing("bincount", **counted) is None  # valid labels are not what the case is about


def test_what_a_search_has_left_in_beside_special_labels_or_a_mask_does_not_matter(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch)
    left_in = {"outputs": "list", "policy": "mixed_float16", "batch": "ragged-last", "sample_weight": "per-example"}
    assert known.describing(_sighting(**left_in), "loss") == "explored/focal_negative_value"
    for matters in ({"optimizer": "Adam"}, {"sample_weight": "negative"}, {"predictions": "tied"}, {"mask": "some"}):
        assert known.describing(_sighting(**left_in | matters), "loss") is None


def test_what_refuses_a_label_refuses_it_in_every_model(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch, entry=_ENTRY.replace('kind = "value"', 'kind = "raised"'))
    raised = {"jax": recording("explored/x", "jax", loss=0.5), "torch": recording("explored/x", "torch", raised="ValueError: no")}

    def describing(**changes):
        sighting = _sighting(optimizer="Adam", sample_weight="zero", predictions="tied", options=(("axis", 1),), **changes)
        sighting = replace(sighting, signature=replace(sighting.signature, kind="raised"), recordings=raised)
        return known.describing(sighting, "loss")

    assert describing() == "explored/focal_negative_value"
    assert describing(label_values="valid") is None
    assert describing(label_values="above-range") is None


def test_sample_weights_have_to_be_named(tmp_path, monkeypatch):
    weighted = {"label_values": "valid", "sample_weight": "one-zero"}
    assert _project(tmp_path / "a", monkeypatch).describing(_sighting(**weighted), "loss") is None
    entry = _ENTRY.replace("Found by explore.", "PyTorch changes the weights.")
    assert _project(tmp_path / "b", monkeypatch, entry=entry).describing(_sighting(**weighted), "loss") is not None


def test_flat_labels_make_every_number_wrong(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch, entry=_ENTRY.replace("Found by explore.", "Labels (N,) meet every prediction."))
    sighting = _sighting(label_values="valid", label_shape="(N,)", predictions="exact-hit", sample_weight="zero")
    assert known.describing(sighting, "loss") is None
    wrong = replace(sighting, signature=replace(sighting.signature, oracle="reference"))
    assert known.describing(wrong, "loss") == "explored/focal_negative_value"


_OF_MASS = (
    _CASES.replace("focal_negative_value", "focal_rows").replace("a negative label must", "rows that do not sum to 1 must"),
    _ENTRY.replace("focal_negative_value", "focal_rows"),
)


def test_a_negative_label_in_a_row_is_known_by_the_sum_of_the_row_where_that_is_the_diagnosis(tmp_path, monkeypatch):
    known = _project(tmp_path, monkeypatch, source=_OF_MASS[0], entry=_OF_MASS[1])
    sighting = _sighting(labels="one-hot", head="softmax", label_shape="(N,C)")
    assert known.describing(sighting, "loss") is None
    of_mass = replace(sighting, signature=replace(sighting.signature, diagnosis="label-mass"))
    assert known.describing(of_mass, "loss") == "explored/focal_rows"


def test_a_plain_call_is_not_known_by_a_case_about_outputs(tmp_path, monkeypatch):
    of_outputs = _ENTRY.replace("focal_negative_value", "focal_negative_outputs")
    source = _CASES.replace("focal_negative_value", "focal_negative_outputs")
    known = _project(tmp_path, monkeypatch, entry=of_outputs, source=source)
    assert known.describing(_sighting(path="fit"), "loss") == "explored/focal_negative_outputs"
    assert known.describing(_sighting(), "loss") is None


_OF_ARITHMETIC = """
import keras
import pytest
from backendcheck import ValueCase

OPERATIONS = {"greater": lambda labels: keras.ops.greater(labels, 0), "equal": lambda labels: keras.ops.equal(labels, 0)}

@pytest.mark.parametrize("name", OPERATIONS)
def case_wide_labels(name):
    \"\"\"Labels beyond 32 bits stay as they are.\"\"\"
    return ValueCase(lambda: {"result": OPERATIONS[name](2**32)})

def case_a_number_that_no_label_can_be():
    \"\"\"No label is -1.\"\"\"
    return ValueCase(lambda: {"same": keras.ops.multiply(255, x2=-1)})

def case_a_mean_of_losses():
    \"\"\"Labels beyond 32 bits have a loss.\"\"\"
    return ValueCase(lambda: {"loss": keras.losses.MeanSquaredError(reduction="sum")(2**32, keras.ops.sum(0))})
"""


def test_arithmetic_is_known_by_a_case_that_calls_it_and_not_by_an_option_with_its_name(tmp_path, monkeypatch):
    cases = ("wide_labels[greater]", "a_number_that_no_label_can_be", "a_mean_of_losses")
    entry = _ENTRY.replace('kind = "value"', 'kind = ["shape", "dtype"]')  # which no built-in case of these has
    entries = "".join(entry.replace("focal_negative_value", case) for case in cases)
    known = _project(tmp_path, monkeypatch, entry=entries, source=_OF_ARITHMETIC)

    def describing(target, kind="shape", legs=("jax", "torch"), **changes):
        sighting = _sighting(target=target, **{"label_values": "wide", **changes})
        sighting = replace(sighting, signature=replace(sighting.signature, kind=kind, legs=legs))
        return known.describing(sighting, "labels" if "ops" in target else "loss")

    assert describing("keras.ops.greater") == "explored/wide_labels[greater]"
    assert describing("keras.ops.equal") is None  # the entry selects the other one
    assert describing("keras.ops.sum") == "explored/a_mean_of_losses"
    assert describing("keras.ops.mean") is None
    assert describing("keras.losses.MeanSquaredError") == "explored/a_mean_of_losses"
    narrow = {"label_values": "valid", "label_dtype": "uint8", "options": (("x2", -1),)}
    assert describing("keras.ops.multiply", **narrow) == "explored/a_number_that_no_label_can_be"
    # JAX has another type in place of one that it lacks, which is left out: the finding is about PyTorch alone.
    assert describing("keras.ops.greater", kind="dtype", legs=("torch",)) == "explored/wide_labels[greater]"
    assert describing("keras.ops.greater", legs=("torch",)) is None
