"""Make a script from a recorded case: write the case as a program, make it smaller, write the script, run it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.compare.tolerances import Override
from backendcheck.errors import UsageError
from backendcheck.files import write_atomically
from backendcheck.recordings.recording import Recording
from backendcheck.repro.printed_values import printed_values
from backendcheck.repro.processes import ProgramClient
from backendcheck.repro.program import Program, write_program
from backendcheck.repro.reduce import Reduction
from backendcheck.repro.run_script import run_script, shows
from backendcheck.repro.script import MODES_OF_SCRIPTS, pruned, script_source, with_outputs
from backendcheck.repro.target_finding import TargetFinding, target_finding_of
from backendcheck.results.headline import headline
from backendcheck.results.results import CaseResult
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.temporary import temporary_directory
from backendcheck.text.escape import visible
from backendcheck.text.literals import NotWritable
from backendcheck.verdicts.verdict import judge
from backendcheck.vocabulary.findings import INSIDE_ONE_BACKEND, Oracle
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.sides import Side
from backendcheck.vocabulary.stages import MODEL_STAGES, RecordingStage, recorded_in

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Repro:
    """A script that was written and run. `first` is the program before the reduction, `program` the smallest one."""

    path: Path
    data: Path | None
    script: str
    outputs: Mapping[str, str]
    shows: bool
    headline: str
    target: TargetFinding
    program: Program
    first: Program
    notes: tuple[str, ...]
    n_tried: int
    ended: str


def make_repro(
    result: CaseResult, *, nodeid: str, out: Path, seconds: float, device: str,
    overrides: Sequence[Override], say: Say,
) -> Repro:  # fmt: skip
    """Write the script that shows the leading finding of `result` to `out`, and run it.

    Raises:
        UsageError: if the case has no finding, cannot be run here, or cannot be written as a script.
    """
    recordings = _by_backend(result.recordings)
    target = target_finding_of(recordings, overrides)
    if target is None:
        why = str(result.problems[0]) if result.problems else "nothing differs, so a script has nothing to show"
        message = f"{result.case}: {visible(why)}. Give a case that FAILED or XFAILED; 'backendcheck show' lists its findings."
        raise UsageError(message)
    legs = {name: parse_leg(name) for name in recordings}
    for name, leg in legs.items():
        if leg.mode not in ("", *MODES_OF_SCRIPTS):
            message = (
                f"{result.case}: was recorded on the leg {name}; expected none with the mode {leg.mode}, which a script cannot "
                f"have. Record the case without it, or see its values with 'backendcheck show'."
            )
            raise UsageError(message)
        if missing := leg.missing_in_words():
            message = f"{name}: {missing}"
            raise UsageError(message)
        install_packages(leg)
    say(f"starting {', '.join(recordings)}")
    with ProgramClient(result.case, nodeid, legs, device) as client:
        programs, reasons = client.describe()
        reduction, first, more_reasons = _begin_reduction(programs, client, target, recordings, overrides)
        reasons += more_reasons
        if reduction is None or first is None:
            why = "; ".join(dict.fromkeys(reasons)) or "the program made from it does not show the finding"
            message = (
                f"{result.case}: cannot be written as a script: {visible(why)}. Build what it needs inside the case "
                "function, from plain values, Keras and NumPy, and return it in a ValueCase, LossCase or ModelCase."
            )
            raise UsageError(message)
        say(f"making it smaller, for {seconds:g} s at most")
        reduction.run(seconds)
    assert reduction.program is not None  # noqa: S101 - set by Reduction.begin
    assert reduction.target is not None  # noqa: S101
    say("running the script")
    notes = list(reasons)
    if reduction.program.foreign:
        notes.append(f"needs {', '.join(reduction.program.foreign)} besides Keras and NumPy")
    repro = _write_and_run(result, reduction.program, reduction.target, reduction.recordings, out, device)
    return replace(repro, first=first, notes=tuple(notes), n_tried=reduction.n_tried, ended=reduction.ended)


def _by_backend(recordings: Mapping[str, Recording]) -> dict[str, Recording]:
    """One recording per backend: the first of each."""
    firsts: dict[str, Recording] = {}
    for leg, recording in recordings.items():
        firsts.setdefault(Side(leg).backend, recording)
    return firsts


def _begin_reduction(
    programs: Sequence[Program], client: ProgramClient, target: TargetFinding, recordings: Mapping[str, Recording],
    overrides: Sequence[Override],
) -> tuple[Reduction | None, Program | None, list[str]]:  # fmt: skip
    """A reduction of the first program that shows the target."""
    first = next(iter(recordings.values()))
    reasons = []
    for program in programs:
        for oracles, last in ((_needed_oracles(target), _needed_stage(target)), (list(first.oracles), "train")):
            options: dict[str, Any] = {
                "expect": None if first.expect is None else dict(first.expect), "class_names": first.class_names,
                "oracles": oracles, "last": last,
            }  # fmt: skip
            reduction = Reduction(client, options, overrides)
            if not reduction.begin(program, target, any_diagnosis=last == "train" and oracles == list(first.oracles)):
                continue
            assert reduction.target is not None  # noqa: S101 - set by Reduction.begin
            try:
                printed_values(program, reduction.target, reduction.recordings)
            except NotWritable as error:
                reasons.append(str(error))
                continue
            return reduction, program, reasons
        if client.broken:
            reasons.append(client.broken)
            break
    return None, None, reasons


def _needed_stage(target: TargetFinding) -> RecordingStage:
    """The stage of the finding. Later stages need not be recorded."""
    finding = target.finding
    if finding.oracle in INSIDE_ONE_BACKEND:
        return RecordingStage.TRAIN
    if finding.observation == "raised":
        stages = [RecordingStage(stage) for stage, _, _ in target.raised.values() if stage in MODEL_STAGES]
        last = max(stages, key=MODEL_STAGES.index, default=RecordingStage.TRAIN)
        return last if len(stages) == len(target.raised) else RecordingStage.TRAIN
    stage = recorded_in(finding.observation)
    return stage if stage in MODEL_STAGES else RecordingStage.TRAIN


def _needed_oracles(target: TargetFinding) -> list[Oracle]:
    """Agreement, and the oracle of the finding."""
    oracle = target.finding.oracle
    return [Oracle.AGREEMENT, *([oracle] if oracle in (Oracle.PATHS, Oracle.ORDER, Oracle.REFERENCE) else [])]


def _write_and_run(
    result: CaseResult, program: Program, target: TargetFinding, recordings: Mapping[str, Recording], out: Path, device: str
) -> Repro:
    data = out.with_suffix(".npz")
    values = printed_values(program, target, recordings)
    words = headline(judge(recordings, list(recordings)), recordings)  # of the smaller case, which the script shows
    whole, program = program, pruned(program, values)
    text = write_program(program, data.name)
    backends = list(recordings)
    source = script_source(
        program, text, values, heading=f"{words}\n\nFrom the case {result.case} of backendcheck.{_claimed(result)}",
        backends=backends, name=out.name,
    )  # fmt: skip
    with temporary_directory("repro") as folder:
        script = folder / out.name
        script.write_text(source, encoding="utf-8")
        if text.stored:
            np.savez(folder / data.name, **text.stored)  # type: ignore[arg-type]
        outputs = run_script(script, [parse_leg(backend) for backend in backends], device)
    texts = {backend: output.text for backend, output in outputs.items()}
    source = with_outputs(source, texts, _platform())
    write_atomically(out, source.encode("utf-8", "backslashreplace"))
    if text.stored:
        buffer = io.BytesIO()
        np.savez(buffer, **text.stored)  # type: ignore[arg-type]
        write_atomically(data, buffer.getvalue())
    return Repro(
        path=out, data=data if text.stored else None, script=source, outputs=texts, shows=shows(target, values, outputs),
        headline=words, target=target, program=whole, first=whole, notes=(), n_tried=0, ended="",
    )  # fmt: skip


def _claimed(result: CaseResult) -> str:
    claim = " ".join(result.claim.partition("\n\n")[0].split())
    return f" It claims:\n{claim}" if claim else ""


def _platform() -> str:
    import platform

    return f"on Python {platform.python_version()}, {platform.system()} {platform.machine()}"


__all__ = ["Repro", "make_repro"]
