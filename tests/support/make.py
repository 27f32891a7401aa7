"""Recordings, legs and results in a line, with NumPy only, for tests that need no backend.

    recording("label_range/past_the_end", "jax", loss=0.5, predictions=[[0.2, 0.8]])
    recording("a/b", "torch", raised="IndexError: Target 3 is out of bounds.", expect={})
    leg("jax", recording(…), recording(…))
    results({"a/b": {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}}})
    results({"a/b": everywhere(loss=0.5)})

Observations are keyword arguments, or come in the mapping `observations` where a name holds a slash. Python floats become
float32, ints int64, strings text; an array stays what it is.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.compare.findings import Comparison, Finding
from backendcheck.recordings.environment import CaseFileProblem, EarlierSession, Environment, MergedPart, Selection
from backendcheck.recordings.files import ENVIRONMENT_FILE
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.operation_calls import OperationCall
from backendcheck.recordings.recording import Frame, Raised, Recording
from backendcheck.recordings.scripts import KeptScript, ScriptsFound
from backendcheck.results.changes import Baseline, Outcome
from backendcheck.results.results import Results, analyze
from backendcheck.verdicts.known import Divergence
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.observations import Observation

TODAY = datetime.date(2026, 3, 1)
GOLDEN = Path(__file__).parents[1] / "golden"
BACKENDS = ("tensorflow", "jax", "torch")
_FIELDS = frozenset(Recording.__slots__) - {"case", "backend", "observations"}
_VERSIONS = {"tensorflow": "2.21.0", "jax": "0.10.2", "torch": "2.13.0"}
_JSON: Mapping[str, Any] = {
    "selection": Selection, "problems": tuple[CaseFileProblem, ...], "sessions": tuple[EarlierSession, ...],
    "parts": tuple[MergedPart, ...],
}  # fmt: skip
_SETTINGS = {"floatx": "float32", "epsilon": "1e-07", "image_data_format": "channels_last", "dtype_policy": "float32"}


def observation(value: Any, dtype: str | None = None) -> Observation:
    """One observation of `value`; `dtype` is the dtype that the backend computed it in, by default that of the array."""
    array = np.asarray(value)
    if array.dtype.kind in "UO":
        return Observation(value=array.astype(object), dtype=dtype or "text", precision="float32")
    if array.dtype == np.float64 and not isinstance(value, np.ndarray | np.generic):
        array = array.astype(np.float32)
    name = dtype or str(array.dtype)
    return Observation(value=array, dtype=name, precision=name if "float" in name else "float32")


def kind(comparison: Comparison) -> FindingKind | None:
    """The kind of a finding; None where the sides agree."""
    return comparison.kind if isinstance(comparison, Finding) else None


def raised(text: str, stage: str = "loss", **more: Any) -> Raised:
    """An exception from ``Type: message``."""
    name, _, message = text.partition(": ")
    return Raised(stage=stage, type=name, type_names=(name, "Exception"), message=message, **more)


def called(name: str, inputs: Mapping[str, Any], *results: Any, **options: Any) -> OperationCall:
    """One call of an operation."""
    return OperationCall(
        name=name, inputs={key: observation(value) for key, value in inputs.items()}, options=options,
        results={str(place): observation(result) for place, result in enumerate(results)},
    )  # fmt: skip


def authors(text: str, stage: str = "case", line: int = 9, folder: str = "cases/") -> Raised:
    """An exception from a line of the author's own code."""
    frame = Frame(
        file=f"{folder}a.py", line=line, function="case_b", source="    return losses.Crossentropi()", before=("def case_b():",)
    )
    traceback = f'Traceback (most recent call last):\n  File "{frame.file}", line {line}, in case_b\n{text}'
    return raised(text, stage, frame=frame, by_author=True, traceback=traceback)


def recording(
    case: str = "a/b",
    backend: str = "jax",
    /,
    *,
    raised: str | Raised | None = None,
    observations: Mapping[str, Any] | None = None,
    **more: Any,
) -> Recording:
    """One case on one backend. Keyword arguments are fields of `Recording` by name, and observations otherwise.

    `raised` is ``Type: message``, `expect` ``{}`` asks for any exception, `reference` and `labels` map names to arrays,
    `tolerance` maps patterns to ``(rtol, atol)``.
    """
    seen = {**{name: value for name, value in more.items() if name not in _FIELDS}, **(observations or {})}
    fields = {name: value for name, value in more.items() if name in _FIELDS}
    for name in ("reference", "labels"):
        fields[name] = {key: _array(value) for key, value in fields.get(name, {}).items()}
    fields["tolerance"] = {key: Tolerance(*figures) for key, figures in fields.get("tolerance", {}).items()}
    if fields.get("expect") is not None:
        fields["expect"] = {"type_names": None, "match": None} | dict(fields["expect"])
    fields.setdefault("status", "raised" if raised and not seen else "recorded")
    fields.setdefault("run", f"run of {backend}")
    fields.setdefault("claim", f"What {case.rpartition('/')[2]} claims.")
    fields.setdefault("file", f"cases/{case.partition('/')[0]}.py")
    fields.setdefault("line", 7)
    return Recording(
        case=case,
        backend=backend.partition("#")[0],
        observations={name: v if isinstance(v, Observation) else observation(v) for name, v in seen.items()},
        raised=(_raised(raised),) if raised else (),
        **fields,
    )


def _raised(given: str | Raised) -> Raised:
    return raised(given) if isinstance(given, str) else given


def _array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind in "UO" else array


def environment(backend: str, cases: Sequence[str] = (), /, **fields: Any) -> Environment:
    """The environment of a leg that has ended well; fields by name replace what it says.

    `selection`, `problems`, `sessions` and `parts` may be JSON, as in the file.
    """
    name = backend.partition("#")[0]
    usual: dict[str, Any] = {
        "run": f"run of {backend}",
        "exit_state": "complete",
        "versions": {"python": "3.11.7", "keras": "3.15.0", name: _VERSIONS.get(name, "1.0"), "numpy": "2.4.6"},
        "platform": {"system": "Linux", "machine": "x86_64"},
        "device": "cpu",
        "settings": _SETTINGS,
        "cases": tuple(cases),
        "started": "2026-03-01T12:00:00+00:00",
        "duration_s": 1.5,
    }
    return Environment(backend=name, **(usual | {key: _from_json(key, value) for key, value in fields.items()}))


def _from_json(field: str, value: Any) -> Any:
    is_json = isinstance(value, Mapping) or (isinstance(value, tuple) and any(isinstance(item, Mapping) for item in value))
    if field not in _JSON or not is_json:
        return value
    return ENVIRONMENT_FILE.decode(_JSON[field], list(value) if isinstance(value, tuple) else value)


def leg(label: str, /, *recordings: Recording, **fields: Any) -> Leg:
    """One backend's part of a run, with `recordings`; `fields` are those of its `Environment`."""
    fields.setdefault("cases", tuple(one.case for one in recordings))
    return Leg(
        label=label,
        path=Path("recordings") / label,
        environment=environment(label, **fields),
        recordings={one.case: one for one in recordings},
    )


def everywhere(backends: Sequence[str] = BACKENDS, /, **observed: Any) -> dict[str, dict[str, Any]]:
    """The same on every one of `backends`."""
    return {backend: dict(observed) for backend in backends}


def legs(cases: Mapping[str, Mapping[str, Any]]) -> list[Leg]:
    """Legs from ``{case: {backend: recording or its keyword arguments}}``; a backend left out of a case lacks its recording."""
    labels = dict.fromkeys(label for by_leg in cases.values() for label in by_leg)
    made = []
    for label in sorted(labels, key=lambda one: BACKENDS.index(one.partition("#")[0])):
        there = {case: by_leg[label] for case, by_leg in cases.items() if label in by_leg}
        made.append(leg(label, *(_made(case, label, given) for case, given in there.items()), cases=tuple(cases)))
    return made


def _made(case: str, label: str, given: Recording | Mapping[str, Any]) -> Recording:
    return given if isinstance(given, Recording) else recording(case, label, **given)


def results(cases: Mapping[str, Mapping[str, Any]], **analysis: Any) -> Results:
    """The results of `cases` (see `legs`); `analysis` goes to `analyze`: expected, known, overrides, today."""
    return replace(analyze(legs(cases), **({"today": TODAY} | analysis)), created=f"{TODAY}T12:00:00+00:00")


def divergence(case: str, backends: str | Sequence[str], kind: str | Sequence[str] = "value", /, **fields: Any) -> Divergence:
    """An entry of known_divergences.toml."""
    as_set = [frozenset([given] if isinstance(given, str) else given) for given in (backends, kind)]
    usual = {"reason": "looked at and understood", "versions": {}, "source": "known_divergences.toml", "number": 1}
    return Divergence(case=case, backends=as_set[0], kinds=as_set[1], **(usual | fields))


@cache
def many(n: int, n_failing: int) -> Results:
    """A run of `n` cases of usual size, the first `n_failing` of which fail."""
    rng = np.random.default_rng(0)
    cases: dict[str, dict[str, Any]] = {}
    for number in range(n):
        value = rng.random((8, 3)).astype(np.float32)
        bad = number < n_failing
        cases[f"topic_{number % 20}/a_case_with_a_name_of_usual_length[{number}]"] = {
            backend: {
                "loss": float(value.sum()) + (bad and backend == "jax"),
                "predictions": value,
                "per_example_loss": value[:, 0] + np.float32(bad and backend == "torch"),
                "observations": {f"gradient/layer_{i}/kernel": value + np.float32(bad and backend == "jax") for i in range(4)},
                "claim": "The labels mean the same whatever the order in which the classes were declared by the author of them.",
                "timings_s": {"case": 0.1, "loss": 0.2},
            }
            for backend in BACKENDS
        }
    return results(cases)


# What must not get through anywhere: markup, quotes, NUL, a terminal command, a lone surrogate, a turned direction of writing.
HOSTILE = "<script>alert(1)</script>\"'`|&\x00\x1b[31m\ud800\u202e]]>\r\nx"


@cache
def everything() -> Results:
    """A run with a case of each sort: all verdicts, all that a leg can do, known divergences of each state, hostile text."""
    losses = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}
    orders = {"tensorflow": ["tumor", "age", "Stage"], "jax": ["Stage", "age", "tumor"], "torch": ["Stage", "age", "tumor"]}
    scores = {"tensorflow": [[0.1, 0.2, 0.7], [0.1, 0.8, 0.1]], "jax": [[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]}
    cases: dict[str, dict[str, Any]] = {
        "multi_output/dict_labels": {
            backend: {"output_order": order, "observations": _outputs(4e-6 if backend == "jax" else 0.0)}
            for backend, order in orders.items()
        },
        "classes/wrong_class": {
            backend: {
                "predictions": scores.get(backend, scores["tensorflow"]),
                "predicted_class": [2, 0 if backend == "jax" else 1],
                "labels": {"y_true": [2, 1]},
                "class_names": ["cat", "dog", "fox"],
            }
            for backend in BACKENDS
        },
        "label_range/past_the_end": {
            "tensorflow": {"raised": "InvalidArgumentError: indices[2] = 3 is not in [0, 3)\nsecond line", "expect": {}},
            "jax": {"per_example_loss": [0.5, 0.25, 0.0], "loss": 0.25, "labels": {"y_true": [2, 0, 3]}, "expect": {}},
            "torch": {"raised": "IndexError: Target 3 is out of bounds.", "expect": {}},
        },
        "losses/crashes": losses
        | {"jax": {"status": "crashed", "problem": "exit code 139 (SIGSEGV)", "stderr_tail": "Fatal\n  at f\n"}},
        "losses/hangs": losses | {"jax": {"status": "timed out", "problem": "after 120 s"}},
        "losses/left_out": {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.5}},
        "losses/other_inputs": {b: {"loss": 0.5, "digests": {"x": "b" if b == "jax" else "a"}} for b in BACKENDS},
        "losses/nan": {b: {"per_example_loss": [0.5, float("nan") if b == "jax" else 0.25]} for b in BACKENDS},
        "losses/exact": {b: {"loss": 0.75 if b == "torch" else 0.5, "tolerance": {"*": (0, 0)}} for b in BACKENDS},
        "losses/against_the_reference": {b: {"loss": 0.5 if b == "torch" else 0.7, "reference": {"loss": 0.5}} for b in BACKENDS},
        "known/there": losses,
        "known/gone": everywhere(loss=0.5),
        "known/changed": losses | {"jax": {"loss": float("inf")}},
        "healthy/loss": everywhere(loss=0.5, timings_s={"case": 0.125, "loss": 0.25}),
        "healthy/rounding": {b: {"loss": 0.500001 if b == "jax" else 0.5} for b in BACKENDS},
        f"hostile/{HOSTILE}": {
            "tensorflow": {"raised": f"ValueError: {HOSTILE}", "claim": HOSTILE, "file": HOSTILE, "notes": (HOSTILE,)},
            "jax": {"observations": {f"value/{HOSTILE}": [HOSTILE], "loss": 0.5}, "class_names": [HOSTILE]},
            "torch": {"observations": {f"value/{HOSTILE}": ["other"], "loss": 0.5}, "stderr_tail": HOSTILE},
        },
    }
    known = [
        divergence(
            "known/there", "jax", reason="jax folds the mask into the sum", link="https://github.com/keras-team/keras/issues/1"
        ),
        divergence("known/gone", "jax", number=2, link="javascript:alert(1)"),
        divergence("known/changed", "jax", number=3, reason=HOSTILE, link=f"https://x/{HOSTILE}"),
        divergence("nowhere/*", "jax", number=4),
        divergence("losses/*", "torch", number=5, expires=datetime.date(2026, 1, 31)),
    ]
    return results(cases, known=known, expected=BACKENDS)


SCRIPT = KeptScript(
    case="losses/nan", source="import keras  # losses/nan\nprint('</pre><script>alert(1)</script>')\n", shows=True, recordings={},
    outputs={"tensorflow": "loss: 0.5", "jax": "loss: NaN"}, headline="NAN: loss is NaN on jax",
)  # fmt: skip


def since_a_baseline() -> Results:
    """`everything` with a script, compared with an earlier run: a case is new, one passed there, one is gone."""
    run = everything()
    before = {result.case: result.outcome for result in run.cases if result.case != "losses/exact"}
    passed = Outcome(verdict="PASSED", headline="")
    baseline = Baseline(created="2026-02-01", outcomes=before | {"losses/nan": passed, "old/case": passed})
    return replace(run.compared_with(baseline), scripts=ScriptsFound(by_case={"losses/nan": SCRIPT}))


def _outputs(nudge: float) -> dict[str, Observation]:
    values = {"tumor": 61.8, "age": 32.0, "Stage": 0.5}
    return {f"predictions/{name}": observation(np.array([[value + nudge]]), "float32") for name, value in values.items()}


def assert_golden(name: str, text: str) -> None:
    """That `text` is what ``tests/golden/<name>`` holds; with UPDATE_GOLDEN=1 in the environment it is made so."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_text(encoding="utf-8"), (
        f"{path} holds something else; if the new text is right, run with UPDATE_GOLDEN=1"
    )
