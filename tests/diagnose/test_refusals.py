"""What one backend refuses and another computes, named by the message of the library."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from diagnosing import diagnosed
from make import authors, everywhere, raised

from backendcheck.diagnose.detectors.refusals import CODES
from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle

LAYER = (
    "Exception encountered when calling CategoryEncoding.call().\n\n\x1b[1m{}\x1b[0m\n\n"
    "Arguments received by CategoryEncoding.call():\n  • inputs=array([True])"
)
STALE = "corresponding 1:1 to the trainable variables list that the optimizer was built with."
# What the libraries say, with the stage in which it was raised.
MESSAGES = {
    "unsupported-type": [
        ("compute", "InvalidArgumentError: Value for attr 'T' of bool is not in the list of allowed values: half\n{{node Neg}}"),
        ("compute", "Error: cannot compute Mul as input #1(zero-based) was expected to be a float tensor but is a int32 tensor"),
        ("loss", "TypeError: Cannot convert 1 to EagerTensor of dtype bool"),
        ("loss", "RuntimeError: Subtraction, the `-` operator, with a bool tensor is not supported. If you are"),
        ("compute", "NotImplementedError: \"bincount_cpu\" not implemented for 'Bool'"),
        ("compute", "ValueError: Unsupported dtype for PyTorch: uint64"),
        ("compute", "RuntimeError: expected scalar type Float but found Half"),
        ("compute", "TypeError: expected 'indices' to be integer dtype, but got torch.float32"),
        ("compute", "TypeError: iota does not accept dtype bool. Accepted dtypes are subtypes of integer"),
        ("compute", f"TypeError: {LAYER.format('iota does not accept dtype bool.')}"),
    ],
    "unsupported-shape": [
        ("compute", "InvalidArgumentError: {{function_node __wrapped__UpperBound}} Leading dim_size of both tensors must match."),
    ],
    "unsupported-argument": [
        ("compute", "ValueError: Argument `num_segments` must be set when using the JAX backend."),
        ("compute", "RuntimeError: selected index k out of range"),
    ],
    "memory-layout": [("gradient", "RuntimeError: grad_input must be contiguous")],
    "no-gradient": [
        ("gradient", "LookupError: gradient registry has no entry for: DenseBincount"),
        ("gradient", "RuntimeError: derivative for aten::bincount is not implemented"),
        ("gradient", "RuntimeError: a variable needed for gradient computation has been modified by an inplace operation"),
    ],
    "not-traceable": [
        ("metrics", "OperatorNotAllowedInGraphError: Using a symbolic `tf.Tensor` as a Python `bool` is not allowed."),
        ("metrics", "ConcretizationTypeError: Abstract tracer value encountered where concrete value is expected"),
    ],
    "numpy-inside": [("loss", "RuntimeError: Can't call numpy() on Tensor that requires grad. ")],
    "no-text": [("compute", "TypeError: Currently, string arrays can only be made from NumPy arrays.")],
    "empty-input": [("compute", "ValueError: zero-size array to reduction operation max which has no identity")],
    "undefined-integer": [
        ("compute", "InvalidArgumentError: {{function_node __wrapped__FloorDiv}} Integer division by zero [Op:FloorDiv]"),
        ("compute", "RuntimeError: ZeroDivisionError"),
    ],
    "stale-optimizer": [
        ("train", f"ValueError: `optimizer_variables` must be a list of tensors {STALE}"),
    ],
    "internal-error": [
        ("compute", "IndexError: tuple index out of range"),
        ("compute", "AttributeError: 'NoneType' object has no attribute 'shape'"),
    ],
}


def legs(stage: str, message: str, **more: Any) -> dict[str, dict[str, Any]]:
    """JAX raises in a stage that the others get past."""
    other = {"loss": 0.5, "observations": {"gradient/y_pred": np.ones(2, np.float32), "train/loss": 0.5}}
    return everywhere(**other, **more) | {"jax": {"loss": 0.5, "raised": raised(message, stage), **more}}


@pytest.mark.parametrize(("code", "stage", "message"), [(code, *message) for code, of in MESSAGES.items() for message in of])
def test_the_message_of_a_library_names_what_it_refuses(code: str, stage: str, message: str) -> None:
    (diagnosis,) = diagnosed(legs(stage, message)).values()
    assert (diagnosis.code, diagnosis.backends) == (code, ("jax",))
    assert diagnosis.message.endswith(diagnosis.remedy)
    assert "tensorflow and torch compute it" in diagnosis.message


def test_every_kind_of_refusal_has_a_message() -> None:
    assert {*MESSAGES} == {*CODES}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("compute", "ValueError: expected labels below 3"),
        ("compute", "RuntimeError: grad_input must be contiguous"),
        ("compute", "RuntimeError: derivative for aten::bincount is not implemented"),
        ("compute", "IndexError: index 3 is out of bounds for axis 0 with size 3"),
        ("compute", "KeyError: 'wolf'"),
        ("compute", "ValueError: ZeroDivisionError was raised by the user"),
    ],
)
def test_other_messages_and_other_stages_are_no_refusals(stage: str, message: str) -> None:
    assert not {*diagnosed(legs(stage, message))} & {*CODES}


def test_an_error_of_the_authors_own_code_is_no_refusal() -> None:
    own = authors("IndexError: tuple index out of range", "compute")
    assert "internal-error" not in diagnosed(everywhere(loss=0.5) | {"jax": {"raised": own}})


def test_an_operator_between_two_libraries_fails_in_the_authors_own_line() -> None:
    own = authors("TypeError: unsupported operand type(s) for *: 'numpy.ndarray' and 'Tensor'", "loss")
    assert "numpy-inside" in diagnosed(everywhere(loss=0.5) | {"torch": {"raised": own}})


def test_a_case_that_expects_an_exception_is_not_about_how_it_is_refused() -> None:
    codes = diagnosed(legs("compute", "TypeError: iota does not accept dtype float32.", expect={}))
    assert "unsupported-type" not in codes
    assert "silent-acceptance" in codes


def test_what_every_backend_refuses_is_no_limit_of_one() -> None:
    same = {"raised": raised("TypeError: iota does not accept dtype bool.", "compute")}
    assert [*diagnosed(everywhere(**same))] == ["refused-everywhere"]


def test_a_gradient_is_missing_only_if_its_value_was_computed() -> None:
    message = "RuntimeError: derivative for aten::bincount is not implemented"
    by_leg = everywhere(observations={"gradient/y_pred": np.ones(2, np.float32)})
    by_leg["torch"] = {"raised": raised(message, "gradient")}
    assert "no-gradient" not in diagnosed(by_leg)


def test_a_path_that_raises_is_named_with_the_leg_that_computes_it_otherwise() -> None:
    error = raised("TypeError: unsupported operand type(s) for *: 'numpy.ndarray' and 'Tensor'", "paths")
    variant = Variant(oracle=Oracle.PATHS, path="test_on_batch", raised=error)
    diagnosis = diagnosed(everywhere(loss=0.5) | {"torch": {"loss": 0.5, "variants": (variant,)}})["numpy-inside"]
    assert diagnosis.message.startswith("torch through test_on_batch cannot combine a NumPy array with a tensor; torch by itself")


def test_types_that_a_kernel_lacks_are_no_rejected_labels() -> None:
    message = "InvalidArgumentError: Value for attr 'T' of uint8 is not in the list of allowed values: int32; signature=targets:T"
    assert [*diagnosed(legs("compute", message))] == ["unsupported-type"]


def test_a_function_of_numpy_that_gets_a_tensor_is_known_by_the_last_frame() -> None:
    frames = [("cases/a.py", "loss"), ("site-packages/numpy/_core/fromnumeric.py", "mean")]
    traceback = "".join(f'  File "{file}", line 7, in {name}\n    ...\n' for file, name in frames)
    message = "TypeError: mean() got an unexpected keyword argument 'axis'"
    own = replace(authors(message, "loss"), traceback=f"Traceback (most recent call last):\n{traceback}{message}")
    assert "numpy-inside" in diagnosed(everywhere(loss=0.5) | {"torch": {"raised": own}})
    elsewhere = replace(own, traceback=own.traceback.replace("numpy/_core", "torch"))
    assert "numpy-inside" not in diagnosed(everywhere(loss=0.5) | {"torch": {"raised": elsewhere}})
