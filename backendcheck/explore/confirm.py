"""Confirm findings: run their scripts in fresh processes, three times on every leg, and keep those that show it again.

A process runs all scripts that are to be confirmed, one after another, so that it imports its backend once. Each round has new
processes and another order, so that nothing that a script leaves behind can confirm the next one three times.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.explore.judging import Sighting
from backendcheck.explore.script import reference_of
from backendcheck.repro.run_script import Raised, differ
from backendcheck.sessions.child_processes import environment_for
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.leg_names import parse_leg

N_ROUNDS = 3
_START_S, _SCRIPT_S = 180.0, 20.0
_DEFAULT = Tolerance(rtol=1e-5, atol=1e-6)
# Runs scripts in its own process. It needs nothing but Python.
_RUNNER = """
import contextlib, io, json, runpy, sys, warnings
warnings.simplefilter("ignore")
answers = sys.stdout
for path in sys.argv[1:]:
    printed, error = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(path, run_name="__main__")
    except BaseException as failure:
        error = type(failure).__name__
    print(json.dumps({"script": path, "printed": printed.getvalue(), "error": error}), file=answers, flush=True)
"""
Outcomes = dict[str, Any]  # by leg: what a script printed, `Raised`, or None if it printed nothing


def run_scripts(
    paths: Sequence[Path], legs: Sequence[str], device: str, imports: Sequence[Path] = ()
) -> dict[Path, Outcomes]:  # fmt: skip
    """What each script prints in one fresh process of each leg.

    The targets of a user are imported from `imports`, by default from the current directory.
    """
    imports = imports or [Path.cwd()]
    processes = {leg: _start(leg, paths, device, imports) for leg in legs}
    outcomes: dict[Path, Outcomes] = {path: dict.fromkeys(legs) for path in paths}
    by_name = {str(path.absolute()): path for path in paths}
    for leg, process in processes.items():
        left = list(paths)
        while left:
            printed = _lines(process, _START_S + _SCRIPT_S * len(left))
            for name, value in printed.items():
                outcomes[by_name[name]][leg] = value
            done = len(printed)
            if done >= len(left):
                break
            left = left[done + 1 :]  # the next one ended the process, or hangs
            if left:
                process = _start(leg, left, device, imports)  # noqa: PLW2901
    return outcomes


def _start(name: str, paths: Sequence[Path], device: str, imports: Sequence[Path]) -> subprocess.Popen[str]:
    leg = parse_leg(name)
    environment = environment_for(leg, device, 1) | ({"MODE": leg.mode} if leg.mode else {})
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment.get("PYTHONPATH", ""), *map(str, imports)]))
    return subprocess.Popen(
        [leg.python or sys.executable, "-P", "-c", _RUNNER, *(str(path.absolute()) for path in paths)],
        env=environment, text=True, encoding="utf-8", errors="backslashreplace", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _lines(process: subprocess.Popen[str], timeout_s: float) -> dict[str, Any]:
    """What the scripts of a process have printed, by their paths, in order, up to one that ended it."""
    try:
        text, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
    values: dict[str, Any] = {}
    for line in text.splitlines():
        try:
            answer = json.loads(line)
            error = answer["error"]
            values[answer["script"]] = Raised(f"raises {error}") if error else printed_value(answer["printed"])
        except (ValueError, TypeError, KeyError):
            continue  # what a library printed
    return values


def printed_value(text: str) -> Any:
    """The value that a script has printed in its last line, behind the backend; None if the line has no value."""
    lines = text.splitlines()
    try:
        tree = ast.parse(lines[-1].partition(" ")[2], mode="eval")
        return ast.literal_eval(_WithNames().visit(tree))
    except (IndexError, SyntaxError, ValueError):
        return None


class _WithNames(ast.NodeTransformer):
    """Names as constants: ``nan``, ``inf``, and types such as ``int32``."""

    def visit_Name(self, node: ast.Name) -> ast.Constant:
        return ast.Constant(float(node.id) if node.id in ("nan", "inf") else node.id)


def shows_again(sighting: Sighting, outcomes: Outcomes) -> bool:
    """Whether what a script printed on each leg shows the finding."""
    finding, odd = sighting.finding, sighting.signature.legs
    if finding is None:
        return all((outcomes[leg] is None) == (leg in odd) for leg in outcomes)
    if any(value is None for value in outcomes.values()):
        return False
    if finding.kind is FindingKind.RAISED:
        raised = {leg: f"raises {recording.raised[0].type}" for leg, recording in sighting.recordings.items() if recording.raised}
        if finding.oracle is Oracle.EXPECTATION:  # every leg refuses it, as it would a script that is wrong
            return all(isinstance(value, Raised) and value.text == raised.get(leg) for leg, value in outcomes.items())
        return all(isinstance(value, Raised) == (leg in raised) for leg, value in outcomes.items())
    tolerance = finding.tolerance or _DEFAULT
    recorded = [leg for leg in outcomes if not isinstance(outcomes[leg], Raised)]
    if finding.oracle is Oracle.PATHS:  # the values of the two paths
        return all(leg in recorded and differ(outcomes[leg][0], outcomes[leg][1], tolerance) for leg in odd)
    if finding.oracle is Oracle.REFERENCE:
        right = reference_of(sighting)
        return right is not None and all(
            leg in recorded and differ(outcomes[leg], right.tolist(), tolerance) for leg in odd
        )  # fmt: skip
    if not set(odd) <= set(recorded):
        return False
    if finding.kind is FindingKind.NON_FINITE and set(odd) == set(outcomes):  # NaN on every leg alike
        return not any(bool(np.isfinite(np.asarray(outcomes[leg], np.float64)).all()) for leg in odd)
    others = [leg for leg in recorded if leg not in odd] or list(odd[1:])
    return any(differ(outcomes[leg], outcomes[other], tolerance) for leg in odd for other in others if leg != other)


def confirm(
    sightings: Mapping[Path, Sighting], legs: Sequence[str], device: str, n_rounds: int = N_ROUNDS,
    run: Callable[[Sequence[Path], Sequence[str], str], dict[Path, Outcomes]] = run_scripts,
) -> dict[Path, int]:  # fmt: skip
    """In how many rounds each script has shown its finding again. What does not show in the first is not tried again.

    `run` runs scripts.
    """
    counts = dict.fromkeys(sightings, 0)
    paths = list(sightings)
    for number in range(n_rounds):
        order = sorted(paths, reverse=bool(number % 2))
        for path, outcomes in run(order, legs, device).items() if order else ():
            counts[path] += shows_again(sightings[path], outcomes)
        paths = [path for path in paths if counts[path] == number + 1]
    return counts
