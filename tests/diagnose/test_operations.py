"""The first operation with equal inputs and different results, and what its inputs explain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosing import diagnosed
from make import BACKENDS, called

INT8 = np.array([5, -1], np.int8)
UINT8 = np.array([0, 3, 255], np.uint8)
ROWS, WRAPPED = np.eye(300)[[5, 255]], np.eye(300)[[261, 0]] * [[1], [0]]  # in 8 bits 261 is 5 and 255 is -1
IDS = np.array([2**24, 2**24 + 1], np.int32)
WIDE = np.array([2**32 + 1, 5], np.int64)
NAN = np.array([[0.1, np.nan, 0.9], [0.3, 0.1, 0.2]], np.float32)
TIES = np.array([[0.2, 0.4, 0.4], [0.3, 0.1, 0.2]], np.float32)
LOW, SECOND = np.array([0, 0]), np.array([1, 0])


def f32(values: object) -> np.ndarray:
    return np.asarray(values, np.float32)


def legs(name: str, inputs: dict[str, Any], usual: Any, jax: Any, **options: Any) -> dict[str, dict[str, Any]]:
    """A value that is the result of one operation, which JAX computes otherwise."""
    return {
        leg: {"result": result, "operations": (called(name, inputs, result, **options),)}
        for leg in BACKENDS
        for result in [jax if leg == "jax" else usual]
    }


EXPLAINED = [
    ("cast-out-of-range", legs("cast", {"x": f32([1, 300])}, np.uint8([1, 44]), np.uint8([1, 255]), dtype="uint8")),
    ("cast-out-of-range", legs("cast", {"x": f32([1, np.nan])}, np.array([1, -(2**31)]), np.array([1, 0]), dtype="int32")),
    ("label-wrapped", legs("convert_to_tensor", {"x": WIDE}, WIDE, WIDE.astype(np.int32))),
    ("label-wrapped", legs("not_equal", {"x1": UINT8}, np.array([True] * 3), np.array([True, True, False]), x2=-1)),
    ("label-wrapped", legs("argmax", {"x": np.array([3, 2**32])}, np.array(1), np.array(0), axis=-1)),
    ("label-rounded", legs("digitize", {"x": IDS, "bins": IDS[1:]}, np.array([0, 1]), np.array([1, 1]))),
    ("denormal", legs("argmax", {"x": f32([[1e-40, 3e-39]])}, np.array([1]), np.array([0]), axis=-1)),
    ("tie-order", legs("argmax", {"x": f32([[-0.0, 0.0]])}, np.array([0]), np.array([1]), axis=-1)),
    ("tie-order", legs("top_k", {"x": TIES}, np.array([[1], [0]]), np.array([[2], [0]]), k=1)),
    ("nan-order", legs("argmax", {"x": NAN}, SECOND, np.array([2, 0]), axis=-1)),
    ("nan-order", legs("searchsorted", {"sorted_sequence": f32([1, 2]), "values": f32([np.nan, 1.5])},
                       np.array([2, 1]), np.array([0, 1]), side="left")),
    ("infinite-scores", legs("in_top_k", {"targets": LOW, "predictions": f32([[3, -np.inf], [2, 1]])},
                             np.array([True, True]), np.array([False, True]), k=1)),
    ("index-out-of-range", legs("in_top_k", {"targets": np.array([0, -1]), "predictions": f32([[3, 1], [2, 1]])},
                                np.array([True, False]), np.array([True, True]), k=1)),
    ("index-out-of-range", legs("take_along_axis", {"x": np.arange(6), "indices": np.array([0, -1])},
                                np.array([0, 5]), np.array([0, 2]), axis=None)),
    ("missing-label-counted", legs("one_hot", {"x": np.array([1, -1])}, f32([[0, 1], [0, 0]]), f32([[0, 1], [1, 0]]),
                                   num_classes=2)),
    ("missing-label-counted", legs("one_hot", {"x": np.array([0, -1])}, f32([[1, 0], [0, 0]]), f32([[1, 0], [0, 1]]),
                                   num_classes=2)),
    ("label-wrapped", legs("one_hot", {"x": INT8}, ROWS * [[1], [0]], ROWS + WRAPPED, num_classes=300)),
    ("undefined-integer", legs("left_shift", {"x": np.array([1], np.uint8), "y": np.array([9], np.uint8)},
                               np.array([0], np.uint8), np.array([128], np.uint8))),
    ("undefined-integer", legs("floor_divide", {"x1": np.array([4, 4]), "x2": np.array([2, 0])},
                               np.array([2, 0]), np.array([2, -1]))),
    ("half-way", legs("round", {"x": f32([0.5, 1.2])}, f32([0, 1]), f32([1, 1]))),
    ("half-way", legs("quantile", {"x": f32([0.1, 0.2, 0.3, 0.4])}, f32(0.3), f32(0.2), q=0.5, method="nearest")),
    ("empty-input", legs("segment_min", {"data": np.array([4, 6]), "segment_ids": np.array([0, 2])},
                         np.array([4, 2**31 - 1, 6]), np.array([4, -(2**31), 6]), num_segments=3)),
    ("empty-input", legs("ctc_decode", {"inputs": f32(np.ones((1, 2, 3))), "sequence_lengths": np.array([0])},
                         np.array([[-1, -1]]), np.array([[0, -1]]))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "by_leg"), EXPLAINED, ids=[f"{code}-{n}" for n, (code, _) in enumerate(EXPLAINED)])
def test_the_inputs_of_the_first_differing_operation_name_the_cause(code: str, by_leg: dict[str, dict[str, Any]]) -> None:
    diagnosis = diagnosed(by_leg)[code]
    assert diagnosis.backends == ("jax",)
    assert f"It begins in {by_leg['jax']['operations'][0].name}, with equal inputs" in diagnosis.message


NOT_EXPLAINED = {
    "a place that differs without a NaN": legs("argmax", {"x": NAN}, SECOND, np.array([2, 1]), axis=-1),
    "a float that fits": legs("cast", {"x": f32([1.5, 2.5])}, np.array([1, 2]), np.array([2, 3]), dtype="int32"),
    "an index in range": legs("in_top_k", {"targets": LOW, "predictions": f32([[3, 1], [2, 1]])},
                              np.array([True, True]), np.array([True, False]), k=1),
    "scores that do not tie": legs("top_k", {"x": TIES}, np.array([[1], [0]]), np.array([[1], [2]]), k=1),
    "ids that float32 holds": legs("digitize", {"x": np.array([5]), "bins": np.array([6])}, np.array([0]), np.array([1])),
    "a number that the type holds": legs("not_equal", {"x1": UINT8}, np.array([True, False, True]), np.array([True] * 3), x2=3),
    "not half-way": legs("round", {"x": f32([0.4])}, f32([0]), f32([1])),
    "a divisor that is not 0": legs("floor_divide", {"x1": np.array([7]), "x2": np.array([2])}, np.array([3]), np.array([4])),
    "another integer than the wrapped one": legs("convert_to_tensor", {"x": WIDE}, WIDE, np.array([2, 5], np.int32)),
    "an operation that is not known": legs("matmul", {"x": NAN}, f32([1, 1]), f32([1, 2])),
}  # fmt: skip


@pytest.mark.parametrize("by_leg", NOT_EXPLAINED.values(), ids=NOT_EXPLAINED.keys())
def test_what_the_inputs_do_not_prove_is_not_named(by_leg: dict[str, dict[str, Any]]) -> None:
    assert not [diagnosis for diagnosis in diagnosed(by_leg).values() if "It begins in" in diagnosis.message]


def test_inputs_that_differ_already_name_nothing() -> None:
    by_leg = legs("argmax", {"x": NAN}, SECOND, np.array([2, 0]), axis=-1)
    by_leg["jax"]["operations"] = (called("argmax", {"x": NAN + 1}, np.array([2, 0]), axis=-1),)
    assert "nan-order" not in diagnosed(by_leg)


def test_the_cause_is_in_the_first_call_that_differs() -> None:
    before = called("cast", {"x": f32([1, 2])}, np.array([1, 2]), dtype="int32")
    by_leg = legs("argmax", {"x": NAN}, SECOND, np.array([2, 0]), axis=-1)
    by_leg = {leg: fields | {"operations": (before, *fields["operations"])} for leg, fields in by_leg.items()}
    assert diagnosed(by_leg)["nan-order"].evidence["operation"] == "argmax"
    other = called("cast", {"x": f32([1, 2])}, np.array([1, 3]), dtype="int32")
    by_leg["jax"]["operations"] = (other, by_leg["jax"]["operations"][1])
    assert "nan-order" not in diagnosed(by_leg)


def test_a_backend_without_64_bits_asks_for_32() -> None:
    calls = {
        leg: called("convert_to_tensor", {"x": WIDE}, WIDE.astype(width), dtype=width)
        for leg, width in (("tensorflow", "int64"), ("jax", "int32"), ("torch", "int64"))
    }
    by_leg = {leg: {"share": 1.0 if leg == "jax" else 0.5, "operations": (call, use_of(call))} for leg, call in calls.items()}
    assert diagnosed(by_leg)["label-wrapped"].message.startswith("It begins in convert_to_tensor, with equal inputs: on jax")


def test_the_legs_that_the_reference_contradicts_are_named() -> None:
    by_leg = legs("argmax", {"x": NAN}, SECOND, np.array([2, 0]), axis=-1)
    by_leg = {leg: fields | {"reference": {"result": np.array([2, 0])}} for leg, fields in by_leg.items()}
    assert diagnosed(by_leg)["nan-order"].backends == ("tensorflow", "torch")


def use_of(call: Any) -> Any:
    """A later call that takes the result."""
    result = call.results["0"].value
    return called("unique", {"x": result}, np.unique(result))


def everywhere_wrong(call: Any) -> dict[str, dict[str, Any]]:
    return {leg: {"score": 1.0, "reference": {"score": 0.5}, "operations": (call, use_of(call))} for leg in BACKENDS}


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("label-rounded", called("convert_to_tensor", {"x": IDS}, f32(IDS), dtype="float32")),
        ("label-wrapped", called("subtract", {"x1": UINT8[:1], "x2": UINT8[1:2]}, np.array([253], np.uint8))),
        ("label-wrapped", called("clip", {"x": UINT8}, np.array([255] * 3, np.uint8), x_min=-1, x_max=255)),
        ("label-truncated", called("convert_to_tensor", {"x": f32([0.5, 1])}, np.array([0, 1]), dtype="int32")),
        ("tie-order", called("argmax", {"x": f32([[0, 0, 0], [0, 1, 0]])}, SECOND[::-1], axis=-1)),
        ("nan-order", called("argmax", {"x": f32([[np.nan] * 3])}, np.array([0]), axis=-1)),
        ("nan-order", called("not_equal", {"x1": f32([np.nan])}, np.array([True]), x2=float("nan"))),
        ("broadcast", called("multiply", {"x1": f32(np.ones((2, 3))), "x2": f32(np.ones((2, 1, 1)))}, f32(np.ones((2, 2, 3))))),
    ],
)
def test_what_all_backends_do_alike_is_named_if_the_reference_differs(code: str, call: Any) -> None:
    found = diagnosed(everywhere_wrong(call))
    assert [*found] == [code]
    assert found[code].backends == BACKENDS


@pytest.mark.parametrize(
    "call",
    [
        called("convert_to_tensor", {"x": np.array([1, 2])}, f32([1, 2]), dtype="float32"),
        called("subtract", {"x1": UINT8[1:2], "x2": UINT8[:1]}, np.array([3], np.uint8)),
        called("argmax", {"x": TIES}, SECOND, axis=-1),
        called("multiply", {"x1": f32(np.ones((2, 2))), "x2": f32(np.ones((2, 2)))}, f32(np.ones((2, 2)))),
        called("cast", {"x": f32([0.5])}, np.array([0]), dtype="int32"),
    ],
)
def test_what_is_right_by_definition_is_not_the_cause_on_all_backends(call: Any) -> None:
    assert [*diagnosed(everywhere_wrong(call))] == ["wrong-everywhere"]


# --- calls that are not behind a finding -------------------------------------------------------------------------


def test_a_tensor_that_is_not_used_again_is_not_the_cause() -> None:
    """The ids differ on JAX, and what differs in the end is another number."""
    widths = {leg: np.int32 if leg == "jax" else np.int64 for leg in BACKENDS}
    calls = {leg: called("convert_to_tensor", {"x": WIDE}, WIDE.astype(width)) for leg, width in widths.items()}
    by_leg = {leg: {"other": 7.0 if leg == "jax" else 1.0, "operations": (calls[leg],)} for leg in BACKENDS}
    assert "label-wrapped" not in diagnosed(by_leg)
    for leg, fields in by_leg.items():
        used = called("equal", {"x1": calls[leg].results["0"].value[:, None], "x2": WIDE[None]}, np.eye(2) == 1)
        fields["operations"] += (used,)
    assert "label-wrapped" in diagnosed(by_leg)


def test_a_result_that_was_recorded_and_agrees_is_not_the_cause() -> None:
    call = called("argmax", {"x": f32([[0, 0], [0, 1]])}, np.array([0, 1]), axis=-1)
    common = {"class": np.array([0, 1]), "score": 2.0, "reference": {"score": 3.0}}
    by_leg = {leg: {**common, "operations": (call,)} for leg in BACKENDS}
    assert [*diagnosed(by_leg)] == ["wrong-everywhere"]
