"""What reports show of the noise floor: its size, the headroom of the tolerance above it, and how a difference compares."""

from __future__ import annotations

from backendcheck.compare.findings import Comparison
from backendcheck.recordings.noise import Noise, headroom, magnitude, multiple
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.words import counted


def noise_words(comparison: Comparison) -> str:
    """``noise floor 3e-07 (jitter on jax), the tolerance is 33 x that, the difference 12 x``; empty if not measured."""
    words = noise_measured(comparison)
    return f"noise floor {words}" if words else ""


def noise_measured(comparison: Comparison) -> str:
    """The noise floor of a comparison and what it is to the tolerance; empty if not measured."""
    noise = None if comparison.noise is None else comparison.noise.largest
    if noise is None:
        return ""
    words = _size(noise)
    room, times = headroom(noise), multiple(comparison.excess, noise)
    if room is not None:
        words += f", the tolerance is {_times(room)} x that"
        if times:
            words += f", the difference {_times(times)} x"
    elif noise.excess and not noise.message:
        words += ", and the tolerance allows none"
    return words


def _size(noise: Noise) -> str:
    where = f"{noise.source} on {noise.leg}"
    if noise.message:
        return f"changes more than values: {noise.message} ({where})"
    if noise.max_abs is None or noise.excess is None:
        return f"{noise.n_different} of {noise.n_elements} elements ({where})" if noise.n_different else "0"
    return f"{noise.max_abs:.2g} ({where})" if noise.max_abs else "0"


def _times(value: float) -> str:
    """A number in two digits, without an exponent below 100,000."""
    return f"{float(f'{value:.2g}'):.0f}" if 10 <= value < 1e5 else f"{value:.2g}"  # noqa: PLR2004 - see above


def noisiest(result: CaseResult) -> tuple[Comparison, Noise] | None:
    """The comparison with the least headroom between noise and tolerance, and that noise; None if not measured."""
    largest = ((comparison, comparison.noise.largest) for comparison in result.comparisons if comparison.noise is not None)
    measured = [(comparison, noise) for comparison, noise in largest if noise is not None]
    return max(measured, key=lambda pair: magnitude(pair[1]), default=None)


def noise_line(results: Results) -> str:
    """The noise floor of a run in one line; empty if not measured."""
    worst = [(result.case, *noisy) for result in results.cases if (noisy := noisiest(result)) is not None]
    if not worst:
        return ""
    case, comparison, _ = max(worst, key=lambda row: magnitude(row[2]))
    words = noise_measured(comparison)
    return f"noise floor of {counted(len(worst), 'case')}, least headroom: {case} {comparison.observation}: {words}"
