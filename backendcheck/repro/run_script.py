"""A script run under every backend, and whether what it prints shows the difference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.repro.printed_values import Figure
from backendcheck.repro.target_finding import Symptom
from backendcheck.sessions.child_processes import environment_for
from backendcheck.vocabulary.backends import parse_backend
from backendcheck.vocabulary.findings import FindingKind, Oracle

_TIMEOUT_S = 180.0
_USUAL = Tolerance(rtol=1e-5, atol=1e-6)
_MISSING = object()


class Threw:
    """What a script printed in place of a figure."""

    def __init__(self, text: str) -> None:
        self.text = text


def run_script(path: Path, backends: Sequence[str], device: str = "cpu") -> dict[str, str]:
    """What the script prints under each backend; all run at once, each in a process and a directory of its own."""
    processes = {}
    with tempfile.TemporaryDirectory(prefix="backendcheck-repro-") as folder:
        for backend in backends:
            environment = environment_for(parse_backend(backend), device, os.cpu_count() or 1)
            processes[backend] = subprocess.Popen(
                [sys.executable, "-P", str(path.absolute())], cwd=folder, env=environment, text=True, encoding="utf-8",
                errors="backslashreplace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        outputs = {}
        try:
            for backend, process in processes.items():
                try:
                    output, errors = process.communicate(timeout=_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    output, errors = "", f"it took longer than {_TIMEOUT_S:g} s"
                if process.returncode:
                    last = [line for line in errors.splitlines() if line.strip()][-1:] or [f"exit code {process.returncode}"]
                    output += f"the script itself failed: {last[0].strip()}\n"
                outputs[backend] = output
        finally:
            for process in processes.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()
    return outputs


def printed(output: str) -> dict[str, Any]:
    """The figures of a script's output by name; `Threw` where it raised instead."""
    found: dict[str, Any] = {}
    for line in output.splitlines():
        name, separator, text = line.rpartition(": raised ")
        if separator and not text.startswith('"') and " " not in text.partition(":")[0]:
            name, _, _ = line.partition(": raised ")
            found[name] = Threw(line.partition(": raised ")[2])
            continue
        for place in [index for index in range(len(line)) if line.startswith(": ", index)]:
            try:
                found[line[:place]] = json.loads(line[place + 2 :])
            except ValueError:
                continue
            break
    return found


def shows(symptom: Symptom, figures: Sequence[Figure], outputs: Mapping[str, str]) -> bool:
    """Whether these outputs show what the recordings showed."""
    values = {backend: printed(output) for backend, output in outputs.items()}
    seen = [figure.name for figure in figures if figure.role == "seen"]
    finding = symptom.finding
    tolerance = finding.tolerance or _USUAL
    if any("the script itself failed" in output for output in outputs.values()):
        return False
    if not all(name in values[backend] for backend in values for name in seen):
        return False
    some_raised = finding.kind is FindingKind.RAISED and symptom.raised and len(symptom.raised) < len(symptom.legs)
    if finding.oracle is Oracle.AGREEMENT or some_raised:
        pairs = symptom.sides if finding.oracle == Oracle.AGREEMENT else _thrown_apart(symptom)
        return all(any(_apart([values[side][name] for side in pair], tolerance) for name in seen) for pair in pairs)
    if finding.kind == FindingKind.RAISED and finding.oracle == Oracle.EXPECTATION:
        threw = [any(isinstance(values[leg][name], Threw) for name in seen) for leg in values]
        return all(threw) if symptom.raised else not any(threw)
    legs = {side.leg for pair in symptom.sides for side in pair} & set(values)
    if finding.oracle == Oracle.REFERENCE:
        right = next(figure.name for figure in figures if figure.role == "right")
        return all(differ(values[leg][seen[0]], values[leg].get(right, _MISSING), tolerance) for leg in legs)
    return bool(legs) and len(seen) > 1 and all(differ(values[leg][seen[0]], values[leg][seen[1]], tolerance) for leg in legs)


def _thrown_apart(symptom: Symptom) -> list[tuple[str, str]]:
    return [(one, other) for one in symptom.raised for other in symptom.legs if other not in symptom.raised]


def _apart(pair: Sequence[Any], tolerance: Tolerance) -> bool:
    left, right = pair
    return differ(left, right, tolerance)


def differ(left: Any, right: Any, tolerance: Tolerance) -> bool:
    """Whether two printed figures differ by more than `tolerance`, scaled by their largest magnitude."""
    if isinstance(left, Threw) or isinstance(right, Threw):
        return isinstance(left, Threw) != isinstance(right, Threw)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) != list(right) or any(differ(left[key], right[key], tolerance) for key in left)
    try:
        one, other = np.asarray(left, np.float64), np.asarray(right, np.float64)
    except (TypeError, ValueError):
        return bool(left != right)
    if one.size == other.size == 1:
        one, other = one.reshape(()), other.reshape(())
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return True
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return True
    scale = np.maximum(np.abs(one), np.abs(other))[finite]
    return bool(np.any(np.abs(one - other)[finite] > tolerance.atol + tolerance.rtol * scale))
