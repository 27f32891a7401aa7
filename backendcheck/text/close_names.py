"""Names that someone may have meant by one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

_CUTOFF = 0.6  # of difflib: below this, names share letters and nothing else
_SIMILAR, _HARDLY = 3, 0.1


def close_names(name: str, names: Collection[str], most: int = 3) -> list[str]:
    """Up to `most` of `names`, closest first: those that contain `name`, are part of it, or differ in a few letters.

    Names of cases are compared as a whole and by their part after the last slash. Empty if nothing is close.
    """
    wanted = name.strip().lower()
    if not wanted:
        return []
    ranked = sorted((rank, other) for other in names if (rank := _rank(wanted, other.lower())) is not None)
    if ranked and ranked[0][0][0] == _SIMILAR:  # of similar names those that are hardly less similar than the closest
        ranked = [(rank, other) for rank, other in ranked if rank[0] == _SIMILAR and rank[1] <= ranked[0][0][1] + _HARDLY]
    return [other for _, other in ranked[:most]]


def did_you_mean(name: str, names: Collection[str], otherwise: str = "") -> str:
    """``Did you mean a, b or c?`` for close names, else the sentence `otherwise`."""
    close = close_names(name, names)
    return f"Did you mean {_either(close)}?" if close else otherwise


def _rank(wanted: str, other: str) -> tuple[int, float] | None:
    """How close two names are, closest first; None if they are not."""
    if other == wanted:
        return (0, 0.0)
    if other.startswith(wanted):
        return (1, len(other))
    if wanted in other:
        return (2, len(other))
    stem, slash, last = wanted.rpartition("/")
    other_stem, _, other_last = other.rpartition("/")
    ratio = max(_ratio(wanted, other), _ratio(last, other_last) if last and (not slash or stem == other_stem) else 0.0)
    if ratio >= _CUTOFF:
        return (_SIMILAR, -ratio)
    return (_SIMILAR + 1, -len(other)) if len(other_last) > len(last) // 2 and other_last and other_last in last else None


def _ratio(left: str, right: str) -> float:
    matcher = difflib.SequenceMatcher(None, left, right)
    if matcher.real_quick_ratio() < _CUTOFF or matcher.quick_ratio() < _CUTOFF:
        return 0.0
    return matcher.ratio()


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
