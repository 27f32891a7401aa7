"""Keep scripts in the directory of a run: that of one case, or those of the worst failed cases."""

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


def keep(repro: Repro, result: CaseResult, legs: Sequence[Leg], directory: Path) -> Path:
    """Keep a copy of a script in the run `directory`; returns its path.

    Raises:
        OutputInTheWay: if `directory` cannot be written.
    """
    script = KeptScript(
        case=result.case, source=repro.script, outputs=repro.outputs, shows=repro.shows, recordings=_digests(result, legs),
        headline=repro.headline, notes=repro.notes, data=repro.data.name if repro.data else "",
        data_sha256=hashlib.sha256(repro.data.read_bytes()).hexdigest() if repro.data else "",
    )  # fmt: skip
    return keep_script(directory, script, repro.data)


def _digests(result: CaseResult, legs: Sequence[Leg]) -> dict[str, str]:
    """The recordings that `make_repro` uses: the first of each backend."""
    digests: dict[str, str] = {}
    for label, digest in digests_of(result.case, legs).items():
        digests.setdefault(Side(label).backend, digest)
    return digests


def keep_worst(
    results: Results, directory: Path, n: int, *, seconds: float, device: str, overrides: Sequence[Override], say: Say
) -> Iterator[tuple[str, str]]:
    """Make and keep scripts of the `n` worst failed cases; yields each case with the outcome in words.

    If a script cannot be made, the reason is kept for the report.
    """
    failed = [result for result in results.cases if result.verdict is Verdict.FAILED]
    for result in failed[:n]:
        path = script_path(directory, result.case)
        try:
            repro = make_repro(
                result, nodeid=str(case_file(result, results.legs)), out=path, seconds=seconds, device=device,
                overrides=overrides, say=say,
            )  # fmt: skip
        except UsageError as error:
            why = visible(str(error).removeprefix(f"{result.case}: "))
            missing = KeptScript(
                case=result.case, source="", outputs={}, shows=False, recordings=_digests(result, results.legs), notes=(why,)
            )
            keep_script(directory, missing)
            yield result.case, f"no script: {why}"
            continue
        keep(repro, result, results.legs, directory)
        yield result.case, f"{path}{'' if repro.shows else ', which does not show the difference'}"
