"""Scripts kept beside a run: that of one case, or those of the worst cases that failed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from backendcheck.compare.tolerances import Override
from backendcheck.errors import UsageError
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.scripts import KeptScript, digests_of, keep_script, script_path
from backendcheck.repro.make import Repro, Say, make_repro
from backendcheck.repro.paths import case_file
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import visible
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.sides import Side


def keep(made: Repro, result: CaseResult, legs: Sequence[Leg], directory: Path) -> Path:
    """Keep a script that was made beside the run in `directory`; returns where.

    Raises:
        OutputInTheWay: if `directory` cannot be written.
    """
    script = KeptScript(
        case=result.case, source=made.script, outputs=made.outputs, shows=made.shows, recordings=_made_from(result, legs),
        headline=made.headline, notes=made.notes, data=made.data.name if made.data else "",
        data_sha256=hashlib.sha256(made.data.read_bytes()).hexdigest() if made.data else "",
    )  # fmt: skip
    return keep_script(directory, script, made.data)


def _made_from(result: CaseResult, legs: Sequence[Leg]) -> dict[str, str]:
    """The recordings that `make_repro` takes: of each backend the first."""
    found: dict[str, str] = {}
    for label, digest in digests_of(result.case, legs).items():
        found.setdefault(Side(label).backend, digest)
    return found


def keep_worst(
    results: Results, directory: Path, n: int, *, seconds: float, device: str, overrides: Sequence[Override], say: Say
) -> Iterator[tuple[str, str]]:
    """Make and keep the scripts of the `n` worst cases that failed; yields each case with what became of it, in words.

    Why one cannot be had is kept in its place, for the report to say.
    """
    failed = [result for result in results.cases if result.verdict is Verdict.FAILED]
    for result in failed[:n]:
        path = script_path(directory, result.case)
        try:
            made = make_repro(
                result, nodeid=str(case_file(result, results.legs)), out=path, seconds=seconds, device=device,
                overrides=overrides, say=say,
            )  # fmt: skip
        except UsageError as error:
            why = visible(str(error).removeprefix(f"{result.case}: "))
            none = KeptScript(
                case=result.case, source="", outputs={}, shows=False, recordings=_made_from(result, results.legs), notes=(why,)
            )
            keep_script(directory, none)
            yield result.case, f"no script: {why}"
            continue
        keep(made, result, results.legs, directory)
        yield result.case, f"{path}{'' if made.shows else ', which does not show the difference'}"
