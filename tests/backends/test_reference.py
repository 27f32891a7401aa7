"""The reference against live Keras, one process per backend; where they disagree, who is right and why."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_cases import BACKENDS, CASES, DISAGREEMENTS, Case

from backendcheck.reference import NoReference, gradient, loss, unreduced, weighted


def recorded_disagreements(backend: str, cases: set[str]) -> set[tuple[str, str]]:
    """Give the (case, observation) pairs of one backend that the table says."""
    return {
        (name, observation)
        for name, entries in DISAGREEMENTS.items()
        for entry in entries
        if backend in entry.backends and name in cases
        for observation in entry.observations
    }


def reference_of(case: Case) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give name -> (value, where it is defined)."""
    arguments = (case.spec, case.y_true, np.asarray(case.y_pred, "float32"))
    found: dict[str, Any] = {}
    with contextlib.suppress(NoReference):
        found["unreduced"] = unreduced(*arguments)
    given = (case.sample_weight, case.mask)
    with contextlib.suppress(NoReference):
        found["loss"] = weighted(*arguments, *given) if case.reduction is None else loss(*arguments, *given)
    found = {name: (np.asarray(value), np.ones(np.shape(value), bool)) for name, value in found.items()}
    with contextlib.suppress(NoReference):
        slope = gradient(*arguments, *given)
        found["gradient"] = (slope.value, slope.smooth)
    return found


def disagreement(name: str, expected: np.ndarray, defined: np.ndarray, got: np.ndarray) -> str | None:
    """Say in a few words how `got` differs from the reference; None if it does not."""
    if got.dtype.kind == "U":
        return f"raised {got.item()}"
    if expected.shape != got.shape:
        return f"shape {got.shape} for {expected.shape}"
    expected, got = expected[defined], got[defined].astype(float)
    if not np.array_equal(np.isfinite(expected), np.isfinite(got)):
        return f"{got[:6]} for {expected[:6]}"
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=0.0) if name == "gradient" else np.abs(expected[finite])
    excess = np.abs(expected[finite] - got[finite]) / (1e-6 + 2e-5 * scale)
    return None if excess.max(initial=0.0) <= 1 else f"{got[:6]} for {expected[:6]}"


@pytest.fixture(scope="module", params=BACKENDS)
def answers_of_backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """Compute all cases on one backend, in a process of its own."""
    backend: str = request.param
    for module in (backend, "keras"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    path = tmp_path_factory.mktemp("answers") / f"{backend}.npz"
    root = Path(__file__).parents[2]
    script = root / "tests" / "support" / "reference_on_backend.py"
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(path.parent),  # not the settings of the user
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    finished = subprocess.run(
        [sys.executable, str(script), str(path)], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    with np.load(path) as answers:
        return backend, dict(answers)


def test_backend_gives_the_reference_but_for_what_is_recorded(answers_of_backend: tuple[str, Any]) -> None:
    """Disagreements with the reference are exactly those in the table, each with its judgement."""
    backend, answers = answers_of_backend
    is_judged_version = importlib.metadata.version("keras").startswith("3.15.")
    cases = {name for name in CASES if is_judged_version or name.startswith(("plain", "reduction", "rank", "steps"))}
    found, n_compared = {}, 0
    for name in cases:
        for observation, (expected, defined) in reference_of(CASES[name]).items():
            n_compared += 1
            difference = disagreement(observation, expected, defined, answers[f"{name}|{observation}"])
            if difference is not None:
                found[name, observation] = difference
    assert n_compared > 2 * len(cases)
    for (name, observation), difference in sorted(found.items()):
        print(f"{backend} {name} {observation}: {difference}")  # noqa: T201 - what to record, if it is to be
    recorded = recorded_disagreements(backend, cases)
    assert {key: found[key] for key in found.keys() - recorded} == {}, "new disagreements"
    assert recorded - found.keys() == set(), "recorded disagreements that are gone"
