"""`check_function`: compare the values and the gradients of a function of tensors on every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backendcheck.argument_types import Nest, Reference
from backendcheck.case import FunctionCase, Raises, Tolerance
from backendcheck.check.case_source import CaseSource, identifier
from backendcheck.check.report import Report
from backendcheck.check.run import RunOptions, output_directory, run_case


def check_function(
    function: Callable[..., Any], *arrays: Nest, inputs: Mapping[str, Nest] | None = None, gradients: bool = True,
    reference: Reference | None = None, expect: Raises | None = None,
    tolerance: Tolerance | Mapping[str, Tolerance] | None = None,
    backends: Sequence[str] | None = None, out: str | Path | None = None, device: str = "cpu", timeout_s: float = 300.0,
    progress: bool = True,
) -> Report:  # fmt: skip
    """Run `function` on every backend, each in a process of its own, and compare what it returns and its gradients.

    The arrays are passed as tensors, by position, or by parameter from `inputs`. `FunctionCase` lists what is recorded. A
    function that can be imported is imported; a lambda, a closure or a function of a notebook is sent by value. The backend of
    this process is not touched.

    Args:
        function: takes tensors and returns one, or a nest of them. It may use Keras, or anything that all backends have.
        *arrays: its arguments: arrays, lists, tensors of any backend.
        inputs: its arguments by parameter, instead of `arrays`.
        gradients: whether it can be differentiated.
        reference: ``{"value/result": array}``, or a NumPy function of the same parameters that returns such a dict.
        expect: `Raises()`, if every backend must reject this.
        tolerance: see `Tolerance`.
        backends: by default all three, or those in pyproject.toml.
        out: a directory for the run; by default a temporary one.
        device: ``"cpu"``, ``"gpu"`` or ``"auto"``.
        timeout_s: seconds after which a backend counts as failed.
        progress: whether to show progress, on standard error or in the notebook.

    Raises:
        UsageError: if a backend is not installed, or the function or an array cannot be sent to it.
    """
    if arrays and inputs is not None:
        message = "check_function: has arrays and inputs; expected one of them. Pass all by parameter, in inputs."
        raise TypeError(message)
    FunctionCase(function, list(arrays) if inputs is None else inputs)  # raises here and now if they are invalid
    name = identifier(getattr(function, "__name__", "") or type(function).__name__, "function")
    source = CaseSource()
    if inputs is None:
        stored = [source.array(f"input_{number}", array) for number, array in enumerate(arrays)]
        inputs_source = f"[{', '.join(stored)}]"
    else:
        inputs_source = source.array("inputs", inputs)
    options = {
        "gradients": None if gradients else False, "reference": reference, "expect": expect, "tolerance": tolerance
    }  # fmt: skip
    body = ["return FunctionCase(", f"    {source.expression('function', function)},", f"    {inputs_source},"]
    body += [f"    {key}={source.expression(key, value)}," for key, value in options.items() if value is not None]
    body.append(")")
    with output_directory(out) as directory:
        return run_case(
            source, name, directory, RunOptions(backends=backends, device=device, timeout_s=timeout_s, progress=progress),
            name="function", claim=f"{name} returns the same, with the same gradients, on every backend.",
            why=f"{name}, written by check_function.", body=body,
        )  # fmt: skip

