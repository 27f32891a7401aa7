"""Each rule of the label contract finds its example, leaves the near miss alone, and says so in one line."""

from __future__ import annotations

import json
import re
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backendcheck.data import Data
from backendcheck.errors import UsageError
from backendcheck.labels import RULES, LabelFinding, Severity, check_labels
from backendcheck.labels.contract.rules import GROUPS
from backendcheck.labels.rule_examples import EXAMPLES, run_example

SPARSE, ONE_HOT, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"


def my_own_loss(y_true: Any, y_pred: Any) -> Any:
    return y_true - y_pred


def codes(*arguments: Any, **options: Any) -> list[str]:
    return [one.code for one in check_labels(*arguments, **options)]


def one(code: str, *arguments: Any, **options: Any) -> LabelFinding:
    (found,) = [one for one in check_labels(*arguments, **options) if one.code == code]
    return found


# --- the registry ----------------------------------------------------------------------------------------------


def test_each_rule_has_a_code_of_its_group_and_examples() -> None:
    assert len(RULES) == 37
    assert set(EXAMPLES) == set(RULES)
    assert {code[:2] for code in RULES} == set(GROUPS)
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    for code, rule in RULES.items():
        assert code == rule.code
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
        for text in (rule.looks_for, rule.hurts, rule.remedy):
            assert text.rstrip("`").endswith(".")


@pytest.mark.parametrize("code", RULES)
def test_a_rule_finds_its_example(code: str) -> None:
    found = [finding for finding in run_example(EXAMPLES[code][0]) if finding.code == code]
    assert len(found) == 1
    finding = found[0]
    assert finding.name == RULES[code].name
    assert finding.severity is RULES[code].severities[0]
    assert "\n" not in finding.message
    assert finding.message.startswith(f"{finding.where}: ")
    assert finding.message.endswith((".", "`."))
    assert json.loads(json.dumps(finding.to_dict()))["code"] == code


@pytest.mark.parametrize("code", RULES)
def test_a_rule_leaves_the_near_miss_alone(code: str) -> None:
    assert run_example(EXAMPLES[code][1]) == []


@pytest.mark.parametrize("code", RULES)
def test_a_rule_that_is_ignored_is_silent_and_one_that_is_selected_is_alone(code: str) -> None:
    example = EXAMPLES[code][0]
    assert code not in [finding.code for finding in run_example(f"{example}, ignore=['{code}']")]
    assert {finding.code for finding in run_example(f"{example}, select=['{code}']")} == {code}
    assert {finding.code for finding in run_example(f"{example}, select=['{code[:2]}']")} >= {code}


# --- selection -------------------------------------------------------------------------------------------------


def test_the_longer_code_decides_between_select_and_ignore() -> None:
    labels = [0, 1, 2, -1]
    assert codes(labels, loss=SPARSE, head=3) == ["L103", "L102"]
    assert codes(labels, loss=SPARSE, head=3, ignore=["L1"]) == []
    assert codes(labels, loss=SPARSE, head=3, ignore=["L1"], select=["L102"]) == ["L102"]
    assert codes(labels, loss=SPARSE, head=3, select=["L1"], ignore=["L102"]) == ["L103"]
    assert codes(labels, loss=SPARSE, head=3, select=["L4"]) == []
    assert codes(labels, loss=SPARSE, head=3, select="l102") == ["L102"]


@pytest.mark.parametrize("wrong", ["L9", "E501", "L1011"])
def test_a_code_that_is_no_rule_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=f"ignore: unknown rule {wrong}"):
        check_labels([0, 1], ignore=[wrong])


def test_errors_come_first() -> None:
    found = check_labels([0] * 40 + [1, 3], loss=SPARSE, head=(3, "softmax"))
    assert [finding.severity for finding in found] == sorted(
        (finding.severity for finding in found), key=list(Severity).index
    )  # fmt: skip
    assert len({finding.severity for finding in found}) > 1


# --- values ----------------------------------------------------------------------------------------------------


def test_nan_among_integers_is_called_missing_and_weights_are_distinguished() -> None:
    found = one("L101", np.array([0.0, 1.0, np.nan]), loss=SPARSE, head=2)
    assert "NaN among integers is a missing label" in found.message
    assert (found.evidence["n"], found.evidence["first"]) == (1, [2])
    weights = one("L101", [0, 1], loss=SPARSE, head=2, sample_weight=[1.0, np.inf])
    assert weights.where == "sample weights"
    assert "1 Inf" in weights.message


def test_a_sentinel_that_the_loss_ignores_is_worth_knowing_only() -> None:
    loss = {"class_name": "SparseCategoricalCrossentropy", "module": "keras.losses", "config": {"ignore_class": -1}}
    (found,) = check_labels([0, 1, 2, -1], loss=loss, head=3)
    assert (found.code, found.severity, found.today) == ("L102", Severity.INFO, None)
    assert codes([0, 1, 2, 255], loss=loss, head=3) == ["L103", "L102"]


@pytest.mark.parametrize(("value", "finds"), [(-9999.0, ["L102"]), (-99.0, []), (-4321.0, [])])
def test_a_target_has_a_sentinel_where_a_usual_one_stands_alone(value: float, finds: list[str]) -> None:
    targets = np.r_[np.linspace(0, 200, 50), value, value]
    assert codes(targets, loss="mse") == finds
    assert codes(np.r_[targets[:51], -9999.5], loss="mse") == []


def test_image_masks_and_signs_are_no_sentinels() -> None:
    assert codes([0, 255, 0], loss=BINARY) == ["L109"]
    assert codes([-1, 1, -1], loss="hinge") == []
    assert codes([0, 1, -1, 0], loss=BINARY) == ["L109", "L102"]


def test_an_id_among_classes_is_out_of_range_and_no_gap() -> None:
    assert codes([0, 1, 2**40], loss=SPARSE, head=3) == ["L103"]
    assert codes([0, 1, 2**40], loss=SPARSE) == ["L105"]
    assert codes([-5, 0, 1], loss=SPARSE) == ["L103"]


def test_labels_from_one_for_a_head_that_is_one_wider_are_doubted() -> None:
    found = one("L104", [1, 2, 3], loss=SPARSE, head=4)
    assert found.severity is Severity.WARNING
    assert one("L104", [1, 2, 3], loss=SPARSE).severity is Severity.WARNING
    assert one("L104", [1, 2, 3], loss=SPARSE, head=3).severity is Severity.ERROR
    assert "L104" not in codes([1, 2], loss=SPARSE, head=4)


def test_soft_labels_are_worth_knowing() -> None:
    (found,) = check_labels([0.1, 0.9, 1.0], loss=BINARY, head=(1, "sigmoid"))
    assert (found.code, found.severity) == ("L109", Severity.INFO)


def test_objects_are_text_or_numbers_one_by_one() -> None:
    assert codes(np.array(["cat", 3], dtype=object)) == ["L110"]
    assert codes(np.array([0, 1, 1], dtype=object), loss=SPARSE, head=2) == ["L201"]
    assert codes(np.array([0, 1, None], dtype=object), loss=SPARSE, head=2) == ["L101", "L201"]
    assert codes(np.array(["cat", "dog"], dtype=object), class_names=["cat", "dog"]) == []
    assert codes([b"cat", b"dog"], class_names=["cat", "dog"]) == []


# --- shape and dtype -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "units", "finds"),
    [
        ("int8", 128, False), ("int8", 129, True), ("uint8", 256, False), ("uint8", 257, True),
        ("float16", 2049, False), ("float16", 2050, True), ("float32", 10_000, False), ("int64", 10_000, False),
        ("uint64", 3, True), ("complex64", 3, True), ("datetime64[s]", 3, True),
    ],
)  # fmt: skip
def test_a_dtype_has_to_hold_every_class(dtype: str, units: int, finds: bool) -> None:
    labels = np.array([0, 1, 2]).astype(dtype)
    assert ("L201" in codes(labels, loss=SPARSE, head=(units, "softmax"))) is finds


def test_bfloat16_is_a_number_that_holds_256() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    labels = np.array([0, 1, 2]).astype(ml_dtypes.bfloat16)
    assert codes(labels, loss=SPARSE, head=3) == []
    assert "L201" in codes(labels, loss=SPARSE, head=300)


def test_lengths_that_differ_are_both_named() -> None:
    found = one("L202", [0, 1, 1], loss=SPARSE, head=2, x=np.ones((4, 2)))
    assert "inputs: have 4 examples, labels have 3" in found.message
    assert codes([], loss=SPARSE) == ["L202"]
    assert codes(3, loss=SPARSE) == ["L202"]
    assert codes([0, 1], loss=SPARSE, validation=([[1.0]], [0, 1]))[0] == "L202"


def test_keras_brings_a_column_and_a_row_together_unless_the_loss_is_a_class_of_your_own() -> None:
    labels = np.array([0.0, 1.0, 1.0])
    for loss in ("mse", BINARY, my_own_loss):
        assert codes(labels, loss=loss, head=1, select=["L2"]) == []
        assert codes(labels.reshape(-1, 1), loss=loss, head=1, select=["L2"]) == []
    own = {"class_name": "Own", "module": "mine", "registered_name": "mine>Own", "config": {}}
    assert codes(labels, loss=own, head=1) == ["L203"]
    assert codes(labels.reshape(-1, 1), loss=own, head=1) == []


@pytest.mark.parametrize(
    ("shape", "loss", "head", "finds"),
    [
        ((4,), "mse", 3, "L203"), ((4, 1), "mse", 3, "L203"), ((4, 3), "mse", 3, ""), ((4, 2), "mse", 3, "L204"),
        ((4,), BINARY, 3, "L203"), ((4, 2), BINARY, 1, "L204"), ((4,), ONE_HOT, 3, "L205"), ((4, 1), ONE_HOT, 3, "L205"),
        ((4, 5), ONE_HOT, 3, "L204"), ((4, 1), SPARSE, 3, ""), ((4,), SPARSE, 3, ""), ((4, 7), SPARSE, 3, ""),
        ((4, 8, 8), SPARSE, 3, ""),
    ],
)  # fmt: skip
def test_labels_have_the_shape_of_the_output(shape: tuple[int, ...], loss: str, head: int, finds: str) -> None:
    assert "".join(codes(np.zeros(shape, "int64"), loss=loss, head=head, select=["L2"])) == finds


def test_labels_of_steps_and_pixels_are_no_rows() -> None:
    from backendcheck.model_file import Head

    steps = Head(name="", shape=(None, 5, 3), units=3, activation="softmax")
    assert codes(np.tile([0, 1, 2, 0, 1], (4, 1)), loss=SPARSE, head=steps) == []
    assert codes(np.zeros((4, 6), "int64"), loss=SPARSE, head=steps, select=["L2"]) == ["L204"]
    assert codes(np.eye(3)[np.tile([0, 1, 2, 0, 1], (4, 1))], loss=ONE_HOT, head=steps) == []
    assert codes(np.tile([0, 1, 2, 0, 1], (4, 1)), loss=ONE_HOT, head=steps, select=["L2"]) == ["L205"]
    assert codes(np.eye(3)[np.tile([0, 1, 2, 0, 1], (4, 1))], loss=SPARSE, head=steps, select=["L2"]) == ["L206"]


# --- rows ------------------------------------------------------------------------------------------------------


def test_a_row_without_weight_may_be_empty() -> None:
    rows = np.eye(3)[[0, 1, 2, 0]]
    rows[1] = 0
    assert codes(rows, loss=ONE_HOT, head=(3, "softmax"), select=["L3"]) == ["L301"]
    assert codes(rows, loss=ONE_HOT, head=(3, "softmax"), select=["L3"], sample_weight=[1, 0, 1, 1]) == []


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_rounding_is_no_fault_of_a_row(dtype: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(50), size=200).astype(dtype)
    assert codes(rows, loss=ONE_HOT, head=(50, "softmax"), select=["L3"]) == []


# --- head and loss ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("activation", ["softmax", "linear", "tanh"])
def test_an_activation_and_from_logits_are_never_both_and_never_neither(activation: str, from_logits: bool) -> None:
    loss = {"class_name": "CategoricalCrossentropy", "module": "keras.losses", "config": {"from_logits": from_logits}}
    finds = (activation == "softmax") is from_logits  # tanh gives no probabilities, and may give logits
    assert ("L403" in codes(np.eye(3), loss=loss, head=(3, activation))) is finds


def test_ctc_takes_logits() -> None:
    from backendcheck.model_file import Head

    steps = Head(name="", shape=(None, 5, 9), units=9, activation="softmax")
    assert codes(np.ones((4, 3), "int64"), loss="ctc", head=steps) == ["L403"]


def test_sparse_labels_for_one_sigmoid_unit_are_one_finding() -> None:
    assert codes([0, 1, 1], loss=SPARSE, head=(1, "sigmoid")) == ["L405"]


def test_names_may_be_two_for_one_unit_and_more_units_are_doubted() -> None:
    assert codes([0, 1, 1], loss=BINARY, head=(1, "sigmoid"), class_names=["no", "yes"]) == []
    assert one("L405", [0, 1], loss=SPARSE, head=(3, "softmax"), class_names=["no", "yes"]).severity is Severity.WARNING


def test_hinge_says_what_keras_does_with_zeros() -> None:
    assert one("L406", [0, 1, 0], loss="hinge", head=1).severity is Severity.INFO
    assert one("L406", [0, 1, -1], loss="hinge", head=1).severity is Severity.WARNING
    assert codes([-1, 1, 3], loss="hinge", head=1) == ["L109"]


def test_outputs_are_matched_by_name_or_by_place() -> None:
    losses = {"stage": SPARSE, "age": "mse"}
    assert codes({"stage": [0, 1], "age": [50.0, 61.0]}, loss=losses) == []
    found = check_labels({"stage": [0, 1]}, loss=losses, head={"stage": 2, "age": 1})
    assert [(finding.code, finding.output) for finding in found] == [("L407", "age")]
    assert codes([0, 1], loss=losses)[0] == "L407"


def test_a_custom_loss_may_take_anything() -> None:
    for labels in ([5, -1, 255], np.ones((3, 2)), [0.5, 3.0, -7.0]):
        assert codes(labels, loss=my_own_loss, head=3) == []


# --- names -----------------------------------------------------------------------------------------------------


def test_names_in_another_order_than_the_numbers_were_given_in() -> None:
    names = ["cat", "dog", "fox"]
    assert codes([0, 1, 2], class_names=["dog", "cat", "fox"], label_names=names) == ["L503"]
    assert codes([0, 1, 2], class_names=names, label_names=names) == []
    assert codes([0, 1, 2], class_names=["A", "B", "C"], label_names=names) == []


def test_names_that_differ_by_case_alone_are_doubted() -> None:
    assert one("L502", [0, 1], class_names=["Cat", "cat "]).severity is Severity.WARNING
    assert one("L502", [0, 1], class_names=["cat", "cat"]).severity is Severity.ERROR


def test_a_class_map_gives_text_its_indices() -> None:
    assert codes(["cat", "dog"], against=["cat", "dog"]) == []
    assert codes(["cat", "dgo"], against=["cat", "dog"], select=["L5"]) == ["L505"]
    assert codes(["cat", "cat", "dog"], against={"pet": ["cat", "dog"]}) == []
    assert codes(["cat", "dog"], against={"pet": ["cat", "dog"], "color": ["red", "white"]}) == ["L110", "L504"]


def test_a_difference_of_maps_is_described_in_words() -> None:
    found = one("L504", [0, 1, 2], class_names=["cat", "fox", "dog"], against=["cat", "dog", "fox"])
    assert "'dog' moved from 1 to 2" in found.message
    assert len(found.evidence["sha256"]) == 64
    assert found.evidence["sha256"] != found.evidence["against_sha256"]
    assert "'dog' is now 'hound'" in one("L504", [0, 1], class_names=["cat", "hound"], against=["cat", "dog"]).message
    assert "'fox' was added" in one("L504", [0, 1, 2], class_names=["cat", "dog", "fox"], against=["cat", "dog"]).message
    gone = one("L504", [0, 1], class_names=["cat", "fox"], against=["cat", "dog", "fox"])
    assert "'dog' was removed" in gone.message
    assert "1 class behind has another index" in gone.message


# --- splits ----------------------------------------------------------------------------------------------------


def test_rows_that_repeat_by_themselves_are_no_leak() -> None:
    rng = np.random.default_rng(0)
    answers, labels = rng.integers(0, 2, size=(300, 4)), np.tile([0, 1], 150)
    finding = one("L601", labels[:200], x=answers[:200], validation=(answers[200:], labels[200:]))
    assert finding.severity is Severity.INFO
    measured = rng.normal(size=(300, 4))
    leaked = np.vstack([measured[200:], measured[:20]])
    assert one("L601", labels[:200], x=measured[:200], validation=(leaked, np.tile([0, 1], 60))).severity is Severity.ERROR


def test_one_copy_of_a_picture_is_a_leak_and_blank_pictures_are_none() -> None:
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 255, size=(30, 8, 8), dtype=np.uint8), np.tile([0, 1, 2], 10)
    others = rng.integers(0, 255, size=(6, 8, 8), dtype=np.uint8)
    assert codes(labels, x=pictures, validation=(others, labels[:6])) == []
    pictures[3], others[2] = 0, 0
    assert codes(labels, x=pictures, validation=(others, labels[:6])) == []
    others[4] = pictures[7]
    finding = one("L601", labels, x=pictures, validation=(others, labels[:6]))
    assert (finding.severity, finding.evidence["first"]) == (Severity.ERROR, [[4, 7]])


def test_a_copy_is_one_in_another_type_and_under_another_sign_of_zero() -> None:
    x = np.array([[0.0, 0.1], [1.0, 2.0], [3.0, np.nan]])
    other = np.array([[-0.0, 0.1], [5.0, 2.0], [3.0, np.nan]], "float32")
    found = one("L601", [0, 1, 0], x=x, test=(other, [0, 1, 0]))
    assert (found.split, found.evidence["n"]) == ("test", 2)


def test_a_copy_with_another_label_contradicts() -> None:
    x = np.arange(8.0).reshape(4, 2)
    finding = one("L602", [0, 1, 0, 1], x=x, validation=(x[:1], [1]))
    assert "row 0 of validation is 1" in finding.message


# --- balance ---------------------------------------------------------------------------------------------------


def test_class_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], [100, 7, 40])
    finding = one("L701", labels, loss=SPARSE, head=3)
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 2]), y=labels)
    assert np.allclose([finding.evidence["class_weight"][str(index)] for index in range(3)], expected, atol=1e-6)
    assert codes(labels, loss=SPARSE, head=3, imbalance=20) == []


# --- whatever comes --------------------------------------------------------------------------------------------

DTYPES = st.one_of(
    arrays.boolean_dtypes(), arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), arrays.floating_dtypes(),
    arrays.complex_number_dtypes(), arrays.unicode_string_dtypes(max_len=4), arrays.byte_string_dtypes(max_len=4),
    arrays.datetime64_dtypes(),
)  # fmt: skip
LABELS = arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
LOSSES = st.sampled_from([
    None, "mse", SPARSE, ONE_HOT, BINARY, "hinge", "categorical_hinge", "kl_divergence", "dice", "circle", "ctc", "poisson",
    my_own_loss,
    {"class_name": "SparseCategoricalCrossentropy", "config": {"ignore_class": 255, "from_logits": True}},
])  # fmt: skip
HEADS = st.sampled_from([
    None, 1, 3, "softmax", "sigmoid", (1, "softmax"), (1, "sigmoid"), (3, "softmax"), (4, "sigmoid"), (2, "linear"),
])  # fmt: skip
NAMES = st.sampled_from([None, [], ["a"], ["a", "a", "B"], ["1", "10", "2"]])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(y=LABELS, loss=LOSSES, head=HEADS, names=NAMES, other=LABELS, weight=st.none() | LABELS, x=st.none() | LABELS)
def test_arrays_of_any_kind_are_judged_and_never_raise(
    y: Any, loss: Any, head: Any, names: Any, other: Any, weight: Any, x: Any
) -> None:
    known = {"loss": loss, "head": head, "class_names": names, "against": names or None}
    found = check_labels(y, sample_weight=weight, x=x, validation=other, **known)
    for finding in found:
        assert finding.code in RULES
        assert finding.severity in RULES[finding.code].severities
        assert "\n" not in finding.message
        json.dumps(finding.to_dict(), allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(y=st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=3), st.booleans()), max_size=6), loss=LOSSES)
def test_lists_of_anything_are_judged_and_never_raise(y: Any, loss: Any) -> None:
    check_labels(np.array(y, dtype=object), loss=loss, head=3)


@pytest.mark.parametrize(
    ("labels", "purpose", "codes"),
    [
        ([1, 2, 3] * 3, {"class_names": ["a", "b", "c"]}, ["L104"]),
        ([1, 2, 3] * 3, {"class_names": ["a", "b", "c"], "loss": SPARSE}, ["L104"]),
        ([1, 2, 3] * 3, {"against": ["a", "b", "c"]}, ["L104"]),
        ([1, 2, 3, 4] * 3, {"class_names": ["a", "b", "c"]}, ["L501"]),
        (np.eye(4)[[0, 1, 2] * 5], {"loss": ONE_HOT, "head": (4, "softmax")}, ["L106"]),
        (np.eye(3)[[0] * 9], {"loss": ONE_HOT, "head": (3, "softmax")}, ["L111"]),
        (np.eye(3)[[0, 1, 2] * 9], {"loss": ONE_HOT, "head": (3, "softmax")}, []),
        (np.eye(3)[[0, 1, 2] * 9], {"loss": SPARSE, "head": (3, "softmax")}, ["L206"]),
    ],
)
def test_labels_are_compared_with_names_and_rows_with_classes(labels: Any, purpose: dict[str, Any], codes: list[str]) -> None:
    assert [one.code for one in check_labels(labels, **purpose)] == codes


def test_minus_one_and_one_are_not_taken_for_indices() -> None:
    assert not [one for one in check_labels([-1, 1] * 50) if one.severity == "error"]
    assert [one.code for one in check_labels([-1, 0, 1] * 50, loss=SPARSE) if one.severity == "error"] == ["L103"]


def test_a_mask_may_leave_out_the_axis_of_its_one_question() -> None:
    mask = np.zeros((10, 8, 8))
    mask[:, 2:5, 3:6] = 1
    assert check_labels(mask, loss="binary_crossentropy", head=(1, "sigmoid")) == []
    assert [one.code for one in check_labels(mask[:, 0], loss="binary_crossentropy", head=(1, "sigmoid"))] != []


def test_the_names_of_another_split_are_compared_with_those_of_training_and_of_the_map() -> None:
    training = Data(x=None, y=np.array([0, 1, 2] * 4), class_names=["cat", "dog", "fox"], source="train.npz")
    validation = Data(x=None, y=np.array([0, 1, 2] * 2), class_names=["dog", "cat", "fox"], source="validation.npz")
    (found,) = check_labels(training, validation=validation)
    assert (found.code, found.split) == ("L504", "validation")
    assert "class names differ from those of training" in found.message
    (found,) = check_labels(training, validation=validation, against=["cat", "dog", "fox"])
    assert "class names differ from the class map" in found.message
    assert check_labels(training, validation=training) == []


def test_classes_may_be_another_axis() -> None:
    loss = {"class_name": "CategoricalCrossentropy", "config": {"axis": 1}}
    labels = np.random.default_rng(0).integers(0, 5, (10, 8, 8))
    hot = np.moveaxis(np.eye(5)[labels], -1, 1)
    from backendcheck.model_file import Head

    head = Head(name="", shape=(None, 5, 8, 8), units=5, activation="softmax")
    assert check_labels(hot, loss=loss, head=head) == []
    assert [one.code for one in check_labels(hot[:, :4], loss=loss, head=head) if one.severity == "error"] != []


@pytest.mark.parametrize(
    ("labels", "loss", "head", "found"),
    [
        ([10.0, 200.0, 30.0], "mse", (1, "sigmoid"), "3 of 3 are outside the range of sigmoid; expected 0 … 1, got 10, 30, 200"),
        ([-10.0, 20.0, 3.0], "mae", (1, "relu"), "1 of 3 is outside the range of relu; expected at least 0, got -10"),
        ([0.5, 1.0000001, 0.0], "mse", (1, "sigmoid"), ""),
        ([-10.0, 20.0, 3.0], "mae", (1, "linear"), ""),
        ([-10.0, 20.0, 3.0], "cosine_similarity", (1, "tanh"), ""),
        ([3, 0, 1, 2], "poisson", (1, "exponential"), ""),
    ],
)
def test_numbers_that_the_head_cannot_give(labels: Any, loss: str, head: Any, found: str) -> None:
    told = [one.message for one in check_labels(labels, loss=loss, head=head) if one.code == "L408"]
    assert [found in one for one in told] == [True] * bool(found)


@pytest.mark.parametrize("activation", ["relu", "tanh", "log_softmax"])
def test_a_loss_that_takes_probabilities_gets_some(activation: str) -> None:
    assert codes([0, 1, 2], loss=SPARSE, head=(3, activation)) == ["L403"]
    logits = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}
    assert codes([0, 1, 2], loss=logits, head=(3, activation)) == []


def test_letters_of_ctc_have_columns() -> None:
    assert codes([[1, 5, 40], [2, 3, 0]], loss="ctc", head=(28, "linear")) == ["L103"]
    assert codes([[1, 5, 27], [2, 3, 0]], loss="ctc", head=(28, "linear")) == []


def test_rows_of_validation_data_in_the_test_data() -> None:
    x = np.random.default_rng(0).normal(size=(30, 4))
    y = np.arange(30) % 3
    validation, test = (x[:10], y[:10]), (x[8:16], y[8:16])
    (found,) = check_labels(y[16:], x=x[16:], validation=validation, test=test)
    assert (found.code, found.severity, found.split) == ("L601", "error", "test")
    problem = "2 of 8 rows are also in the validation data; expected no common rows, got row 0 equal to row 8 of validation"
    assert problem in found.message


def test_one_row_of_few_numbers_may_be_there_by_chance() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = np.arange(40) % 2
    (found,) = check_labels(y[:30], x=x[:30], validation=(np.vstack([x[:1], x[31:]]), np.r_[y[:1], y[31:]]))
    assert (found.code, found.severity) == ("L601", "info")
    assert "which can be chance with so few values" in found.message


def test_signs_in_columns_are_no_classes() -> None:
    signs = 2 * np.eye(3)[[0, 1, 2] * 6] - 1
    assert codes(signs, loss="squared_hinge", head=(3, "tanh")) == []


def test_text_is_not_numbered_from_one() -> None:
    (found,) = check_labels(["cat", "dog", "fox"] * 3, against=["ant", "cat", "dog", "fox"])
    assert (found.code, "'ant' has no example" in found.message) == ("L106", True)


def test_an_output_without_classes_needs_no_class_map() -> None:
    labels = {"age": np.linspace(20.5, 60, 20), "stage": [0, 1] * 10}
    loss = {"age": "mse", "stage": SPARSE}
    assert check_labels(labels, loss=loss, against={"stage": ["a", "b"]}) == []


def test_what_is_said_today_of_imbalance_is_of_such_labels() -> None:
    (found,) = check_labels([0] * 50 + [1] * 2, loss="binary_crossentropy")
    assert found.code == "L701"
    assert found.today is None or "multi-hot" not in found.today.says


def test_a_class_that_the_loss_ignores_needs_no_examples() -> None:
    loss = {"class_name": "SparseCategoricalCrossentropy", "config": {"ignore_class": 2}}
    assert not [one for one in check_labels([0, 1, 2, 0, 1, 2], loss=loss, head=(3, "softmax")) if one.code == "L106"]


def test_what_cannot_be_an_array_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="labels: cannot become an array"):
        check_labels([[0, 1], [2]])
    with pytest.raises(UsageError, match="training: no labels; expected y"):
        check_labels(None)
    with pytest.raises(UsageError, match="invalid loss"):
        check_labels([0], loss=3)
    with pytest.raises(UsageError, match="unknown loss; expected a loss of Keras, such as binary_crossentropy"):
        check_labels([0], loss="binary_crosentropy")
    with pytest.raises(UsageError, match="invalid head"):
        check_labels([0], head=-1)
    with pytest.raises(UsageError, match="unknown activation 'Sofmax'; expected an activation of Keras, such as 'softmax'"):
        check_labels([0], head=(3, "Sofmax"))
    check_labels([0], head=(3, "of_my_own"))
    problem = r"labels: invalid value; expected an array of N examples, got csr_matrix. Pass value.toarray\(\)"
    with pytest.raises(UsageError, match=problem):
        check_labels(scipy.sparse.csr_matrix(np.eye(3)))
