"""Run a script under every backend, and decide whether its output shows the difference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.repro.printed_values import PrintedValue
from backendcheck.repro.target_finding import TargetFinding
from backendcheck.sessions.child_processes import environment_for
from backendcheck.temporary import temporary_directory
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.leg_names import LegName

_TIMEOUT_S = 180.0
_DEFAULT = Tolerance(rtol=1e-5, atol=1e-6)
_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOutput:
    """What a script printed under one backend. `error` is why it did not finish; empty if it exited with 0."""

    printed: str
    error: str = ""

    @property
    def text(self) -> str:
        """The output for readers."""
        return f"{self.printed}the script itself failed: {self.error}\n" if self.error else self.printed


class Raised:
    """The exception that a script printed instead of a value."""

    def __init__(self, text: str) -> None:
        self.text = text


def run_script(path: Path, legs: Sequence[LegName], device: str = "cpu") -> dict[str, ScriptOutput]:
    """The output of the script in each leg. All run at the same time, each in its own process and directory."""
    processes = {}
    with temporary_directory("repro") as folder:
        for leg in legs:
            environment = environment_for(leg, device, os.cpu_count() or 1) | ({"MODE": leg.mode} if leg.mode else {})
            command = [leg.python or sys.executable, "-P", str(path.absolute())]
            processes[leg.value] = subprocess.Popen(
                command, cwd=folder, env=environment, text=True, encoding="utf-8", errors="backslashreplace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        outputs = {}
        try:
            for backend, process in processes.items():
                try:
                    printed_text, errors = process.communicate(timeout=_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    printed_text, errors = "", f"it took longer than {_TIMEOUT_S:g} s"
                error = ""
                if process.returncode:
                    last = [line for line in errors.splitlines() if line.strip()][-1:]  # of the traceback
                    error = last[0].strip() if last else f"exit code {process.returncode}"
                outputs[backend] = ScriptOutput(printed=printed_text, error=error)
        finally:
            for process in processes.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()
    return outputs


def printed(output: str) -> dict[str, Any]:
    """The values in a script's output by name; `Raised` where an exception was printed instead."""
    values: dict[str, Any] = {}
    for line in output.splitlines():
        name, separator, text = line.rpartition(": raised ")
        if separator and not text.startswith('"') and " " not in text.partition(":")[0]:
            name, _, _ = line.partition(": raised ")
            values[name] = Raised(line.partition(": raised ")[2])
            continue
        for colon in [index for index in range(len(line)) if line.startswith(": ", index)]:
            try:
                values[line[:colon]] = json.loads(line[colon + 2 :])
            except ValueError:
                continue
            break
    return values


def shows(target: TargetFinding, printed_values: Sequence[PrintedValue], outputs: Mapping[str, ScriptOutput]) -> bool:
    """Whether these outputs show the same difference as the recordings."""
    values = {backend: printed(output.printed) for backend, output in outputs.items()}
    names = [value.name for value in printed_values if value.role == "recorded"]
    finding = target.finding
    tolerance = finding.tolerance or _DEFAULT
    if any(output.error for output in outputs.values()):
        return False
    if not all(name in values[backend] for backend in values for name in names):
        return False
    some_raised = finding.kind is FindingKind.RAISED and target.raised and len(target.raised) < len(target.legs)
    if finding.oracle is Oracle.AGREEMENT or some_raised:
        pairs = target.sides if finding.oracle == Oracle.AGREEMENT else _pairs_that_differ(target)
        return all(any(_differ_on([values[side][name] for side in pair], tolerance) for name in names) for pair in pairs)
    if finding.kind == FindingKind.RAISED and finding.oracle == Oracle.EXPECTATION:
        raised = [any(isinstance(values[leg][name], Raised) for name in names) for leg in values]
        return all(raised) if target.raised else not any(raised)
    legs = {side.leg for pair in target.sides for side in pair} & set(values)
    if finding.oracle == Oracle.REFERENCE:
        reference = next(value.name for value in printed_values if value.role == "reference")
        return all(differ(values[leg][names[0]], values[leg].get(reference, _MISSING), tolerance) for leg in legs)
    return bool(legs) and len(names) > 1 and all(differ(values[leg][names[0]], values[leg][names[1]], tolerance) for leg in legs)


def _pairs_that_differ(target: TargetFinding) -> list[tuple[str, str]]:
    return [(raising, leg) for raising in target.raised for leg in target.legs if leg not in target.raised]


def _differ_on(pair: Sequence[Any], tolerance: Tolerance) -> bool:
    left, right = pair
    return differ(left, right, tolerance)


def differ(left: Any, right: Any, tolerance: Tolerance) -> bool:
    """Whether two printed values differ by more than `tolerance`, scaled by their largest magnitude."""
    if isinstance(left, Raised) or isinstance(right, Raised):
        return isinstance(left, Raised) != isinstance(right, Raised)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) != list(right) or any(differ(left[key], right[key], tolerance) for key in left)
    try:
        a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    except (TypeError, ValueError):
        return bool(left != right)
    if a.size == b.size == 1:
        a, b = a.reshape(()), b.reshape(())
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return True
    finite = np.isfinite(a)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return True
    scale = np.maximum(np.abs(a), np.abs(b))[finite]
    return bool(np.any(np.abs(a - b)[finite] > tolerance.atol + tolerance.rtol * scale))
