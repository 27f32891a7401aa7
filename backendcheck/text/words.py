"""Words that all messages share: lists of names, counts with their noun, the first line of a message, long text cut."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST_LINE = 200  # characters of a message that another message quotes
_NOT_CLEANED = 100_000  # characters; a longer message is read to here

# What Keras and TensorFlow put around a message. Blanks are bounded, so that no text takes long.
_STYLES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NODES = re.compile(r"\[\[\{\{(?:function_)?node [^{}]{0,1000}\}\}\]\]|\{\{function_node [^{}]{0,1000}\}\} ?")
_NODE_OF = re.compile(r"'\{\{node [^{}]{0,1000}\}\} = (\w+)[^\n']{0,1000}'|\{\{node ([^{}]{0,1000})\}\}")
_OPERATION = re.compile(r" ?\[Op:[^\]\n]{0,300}\](?: name:[^\n]{0,300})?$", re.MULTILINE)
_DEFINITION = re.compile(r"[ \t]{0,8}; NodeDef: [^\n]*")
_CALL = re.compile(r"Exception encountered when calling [^\n]*\n(.*?)(?:\n[ \t]{0,8}Arguments received by .*)?$", re.DOTALL)
_ARGUMENTS = re.compile(r"\n[ \t]{0,8}Arguments received by .*", re.DOTALL)
_SIZE = re.compile(r"torch\.Size\(\[([^\]\n]{0,200})\]\)")
_INNER = "Error encountered:"
_IN_USER_CODE = re.compile(
    r"in user code:[ \t]{0,8}\n.*\n[ \t]{1,16}[\w.]{1,80}(?:Error|Exception|Warning): ([^\n]*)", re.DOTALL
)
_GRAPH = re.compile(
    r"Graph execution error:|Detected at node |<stack traces unavailable>|\d+ root error\(s\) found|  File \"|    \S"
)
_ROOT = re.compile(r"[ \t]{0,8}\(\d+\) [A-Z_]+: +")


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


def duration(seconds: float) -> str:
    """A time that was measured: ``8.3 s``, ``1 min 12 s``, ``2 h 10 min``."""
    if seconds < 59.95:  # noqa: PLR2004 - below it rounds to less than a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def plain_message(text: str) -> str:
    """A message without the styles of a terminal and without the nodes of TensorFlow's graphs."""
    text = _NODES.sub("", _STYLES.sub("", text))
    return _OPERATION.sub("", _NODE_OF.sub(lambda match: match[1] or match[2], text))


def first_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """The first line of a message that says something, cut to `longest` characters; empty if all are blank.

    What Keras and TensorFlow put around a message is left out: the layer that was called with its arguments, the places
    where a graph was defined, the names of nodes.
    """
    lines = [line for line in _bare(text[:_NOT_CLEANED]).splitlines() if line.strip()]
    telling = [line for line in lines if _GRAPH.match(line) is None] or lines
    return " ".join(_ROOT.sub("", telling[0]).split())[:longest] if telling else ""


def _bare(text: str) -> str:
    """A message without what Keras and TensorFlow put around it, if anything is left then."""
    text = _SIZE.sub(lambda match: f"({match[1]}{',' if match[1].strip().isdecimal() else ''})", plain_message(text)).strip()
    for pattern in (_CALL, _IN_USER_CODE):
        if (match := pattern.match(text)) is not None and match[1].strip():
            text = match[1]
    if (inner := text.rpartition(_INNER)[2]).strip():
        text = inner
    for pattern in (_ARGUMENTS, _DEFINITION):
        if (shorter := pattern.sub("", text)).strip():
            text = shorter
    return text


def error_line(error: BaseException) -> str:
    """An exception in one line: ``ValueError: the first line of its message``."""
    line = first_line(str(error))
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def cut(text: str, longest: int, *, count: bool = False) -> str:
    """`text` in at most `longest` characters, with an ellipsis for the end that was cut off; `count` adds the whole length."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 1]}…{f' ({len(text)} characters)' if count else ''}"
