"""Words that all messages share: lists of names, counts with their noun, the first line of a message, long text cut."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST_LINE = 200  # characters of a message that another message quotes


def listed(names: Sequence[str], *, most: int | None = None, none: str = "no backend") -> str:
    """Names in a sentence: ``a, b and c``; beyond `most` of them ``a, b and 3 more``; `none` for an empty sequence."""
    if most is not None and len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else none

def some_of(names: Sequence[str], most: int) -> str:
    """The first `most` names with commas, and how many more there are: ``a, b, c and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(n: int, noun: str) -> str:
    """A number with what it counts: ``1 case``, ``2 cases``, ``3 classes``, ``2 entries``."""
    if n == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{n} {noun[:-1]}ies"
    return f"{n} {noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{n} {noun}s"


def first_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """The first line of a message that is not blank, cut to `longest` characters; empty if all are blank."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:longest]


def error_line(error: BaseException) -> str:
    """An exception in one line: ``ValueError: the first line of its message``."""
    line = first_line(str(error))
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def cut(text: str, longest: int, *, count: bool = False) -> str:
    """`text` in at most `longest` characters, with an ellipsis for the end that was cut off; `count` adds the whole length."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 1]}…{f' ({len(text)} characters)' if count else ''}"
