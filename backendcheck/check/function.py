"""`check_function`: a function of tensors on every backend, its values and its gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backendcheck.case import FunctionCase, Raises, Tolerance
from backendcheck.check.case_source import CaseSource, identifier
from backendcheck.check.report import Report
from backendcheck.check.run import Manner, ask, place_at


def check_function(
    function: Callable[..., Any], *arrays: Any, inputs: Mapping[str, Any] | None = None, gradients: bool = True,
    reference: Any = None, expect: Raises | None = None, tolerance: Tolerance | Mapping[str, Tolerance] | None = None,
    backends: Sequence[str] | None = None, out: str | Path | None = None, device: str = "cpu", timeout_s: float = 300.0,
    progress: bool = True,
) -> Report:  # fmt: skip
    """Run `function` on every backend, each in a process of its own, and compare what it returns and its gradients.

    The arrays are handed over as tensors, one by one, or by parameter from `inputs`; see `FunctionCase` for what is recorded.
    A function that can be imported is; one of a notebook, a closure or a lambda travels by value. The backend of this process is
    not touched.

    Args:
        function: takes tensors, returns one or a nest of them, by way of Keras or of anything that is there on all backends.
        *arrays: what it takes: arrays, lists, tensors of any backend.
        inputs: what it takes by parameter, in place of `arrays`.
        gradients: whether it can be differentiated.
        reference: ``{"value/result": array}``, or a function of the same parameters in NumPy that returns one.
        expect: `Raises()`, if every backend is to reject this.
        tolerance: see `Tolerance`.
        backends: by default all three, or those that pyproject.toml names.
        out: a directory that keeps the run; a temporary one by default.
        device: ``"cpu"``, ``"gpu"`` or ``"auto"``.
        timeout_s: seconds after which a backend has failed.
        progress: whether to show on standard error, or in the notebook, how far it is.

    Raises:
        UsageError: if a backend is not installed, or the function or an array cannot be sent to it.
    """
    if arrays and inputs is not None:
        message = "check_function: has arrays and inputs; expected one of them. Give all by parameter, in inputs."
        raise TypeError(message)
    FunctionCase(function, list(arrays) if inputs is None else inputs)  # says what is wrong with them here and now
    name = identifier(getattr(function, "__name__", "") or type(function).__name__, "function")
    source = CaseSource()
    if inputs is None:
        stored = [source.array(f"input_{number}", array) for number, array in enumerate(arrays)]
        given = f"[{', '.join(stored)}]"
    else:
        given = source.array("inputs", inputs)
    options = {
        "gradients": None if gradients else False, "reference": reference, "expect": expect, "tolerance": tolerance
    }  # fmt: skip
    body = ["return FunctionCase(", f"    {source.expression('function', function)},", f"    {given},"]
    body += [f"    {key}={source.expression(key, value)}," for key, value in options.items() if value is not None]
    body.append(")")
    with place_at(out) as place:
        return ask(
            source, name, place, Manner(backends=backends, device=device, timeout_s=timeout_s, progress=progress),
            name="function", claim=f"{name} returns the same, with the same gradients, on every backend.",
            why=f"{name}, as check_function was asked.", body=body,
        )  # fmt: skip

