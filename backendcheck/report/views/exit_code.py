"""What the exit code of a run means, for this run."""

from __future__ import annotations

from collections.abc import Iterator

from backendcheck.results.results import Results
from backendcheck.text.words import counted


def exit_sentence(results: Results) -> str:
    """The exit code and why it is that, in one line such as ``exit code 1: 2 cases differ (FAILED)``."""
    return f"exit code {results.exit_code}: {exit_reason(results)}"


def exit_reason(results: Results) -> str:
    """Why the exit code is what it is."""
    if results.exit_code == 0:
        return _as_expected(results)
    differing = ", ".join(_differing(results))
    if results.exit_code == 1:
        return differing
    return f"incomplete: {', '.join(_missing(results))}" + (f"; besides, {differing}" if differing else "")


def _as_expected(results: Results) -> str:
    if not results.cases:
        n_all = max((len(leg.environment.all_cases) for leg in results.legs), default=0)
        return f"shard {results.shard} holds none of the {counted(n_all, 'case')}, which is no error"
    if n := results.counts["XFAILED"]:
        return f"all as expected; {counted(n, 'case')} {'differs' if n == 1 else 'differ'} as known_divergences.toml says"
    return "all backends agree with each other and with what is expected"


def _differing(results: Results) -> Iterator[str]:
    counts = results.counts
    if n := counts["FAILED"]:
        yield f"{counted(n, 'case')} {'differs' if n == 1 else 'differ'} (FAILED)"
    if n := counts["XPASSED"]:
        yield f"{counted(n, 'known divergence')} {'is' if n == 1 else 'are'} gone (XPASSED)"
    if stale := len(results.unmatched) + len(results.expired) if results.strict_known else 0:
        yield f"{'an entry' if stale == 1 else f'{stale} entries'} of known_divergences.toml no longer in force (--strict-known)"


def _missing(results: Results) -> Iterator[str]:
    if n := results.counts["ERROR"]:
        yield f"{counted(n, 'case')} could not be compared (ERROR)"
    if n := len(results.problems):
        yield f"{counted(n, 'problem')} of the run (PROBLEM)"
    if not results.counts["ERROR"] and not results.problems:
        yield "nothing was compared"
