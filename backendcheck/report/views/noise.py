"""What reports show of the noise floor: how large it is, what room the tolerance has above it, and how a difference compares."""

from __future__ import annotations

from backendcheck.compare.findings import Comparison
from backendcheck.recordings.noise import Noise, head_room, magnitude, multiple
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.words import counted


def noise_words(comparison: Comparison) -> str:
    """``noise floor 3e-07 (jitter on jax), the tolerance is 33 x that, the difference 12 x``; empty where none was measured."""
    noise = None if comparison.noise is None else comparison.noise.largest
    if noise is None:
        return ""
    words = _size(noise)
    room, times = head_room(noise), multiple(comparison.excess, noise)
    if room is not None:
        words += f", the tolerance is {_times(room)} x that"
        if times:
            words += f", the difference {_times(times)} x"
    elif noise.excess and not noise.message:
        words += ", and the tolerance allows none"
    return f"noise floor {words}"


def _size(noise: Noise) -> str:
    where = f"{noise.source} on {noise.leg}"
    if noise.message:
        return f"not of values alone: {noise.message} ({where})"
    if noise.max_abs is None or noise.excess is None:
        return f"{noise.n_different} of {noise.n_elements} elements ({where})" if noise.n_different else "0"
    return f"{noise.max_abs:.2g} ({where})" if noise.max_abs else "0"


def _times(value: float) -> str:
    """Two digits, and no exponent for what is read at a glance without."""
    return f"{float(f'{value:.2g}'):.0f}" if 10 <= value < 1e5 else f"{value:.2g}"  # noqa: PLR2004 - see above


def noisiest(result: CaseResult) -> tuple[Comparison, Noise] | None:
    """The comparison with the least room between noise and tolerance, and that noise; None where none was measured."""
    largest = ((one, one.noise.largest) for one in result.comparisons if one.noise is not None)
    measured = [(comparison, noise) for comparison, noise in largest if noise is not None]
    return max(measured, key=lambda pair: magnitude(pair[1]), default=None)


def noise_line(results: Results) -> str:
    """The noise floor of a run in one line; empty if none was measured."""
    worst = [(result.case, *found) for result in results.cases if (found := noisiest(result)) is not None]
    if not worst:
        return ""
    case, comparison, _ = max(worst, key=lambda one: magnitude(one[2]))
    words = noise_words(comparison).removeprefix("noise floor ")
    return f"noise floor of {counted(len(worst), 'case')}, least room: {case} {comparison.observation}: {words}"
