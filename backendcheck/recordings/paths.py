"""Where the recording of a case lies: a path that two cases never share, and that every system can hold.

The id of an ordinary case is its path, to the letter. Three kinds of ids are spelled differently:

    characters, names and lengths that a system cannot hold     are percent-encoded or cut: `con/a` lies in ``%63on``
    ids that differ from another only in upper and lower case   have a digest behind both parts: ``names~1b2c…/a~3d4e…``
    such ids and names in runs of earlier versions              lie where those versions put them, and are read there

Whether an id is one of the second kind depends on the other cases of the session, so a writer has to know. A reader
does not: it looks at all paths of a case.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from backendcheck.vocabulary.case_ids import test_of

SUFFIX = ".safetensors"
RECORDINGS = "recordings"
_LONGEST_NAME = 180  # bytes; file systems take 255, and a temporary suffix must fit
# What Windows takes for a device, whatever follows behind a point.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9])[ ]*(?:\.|$)", re.IGNORECASE)


def recording_path(leg: Path, case: str, *, distinct: bool = False) -> Path:
    """Where the recording of `case` is written below the directory of a leg; `distinct` if another id differs only in case."""
    stem, slash, rest = case.partition("/")
    name = _name(rest, distinct=distinct) if slash else "~"
    return leg / RECORDINGS / _name(stem, distinct=distinct) / (name + SUFFIX)


def recording_paths(leg: Path, case: str) -> tuple[Path, ...]:
    """All paths at which a recording of `case` may lie."""
    stem, slash, rest = case.partition("/")
    earlier = leg / RECORDINGS / _name_before(stem) / ((_name_before(rest) if slash else "~") + SUFFIX)
    paths = (recording_path(leg, case), recording_path(leg, case, distinct=True), earlier)
    return tuple(dict.fromkeys(paths))


def is_path_of(case: str, file: Path, leg: Path) -> bool:
    """Whether `file` may hold the recording of `case`. Most files lie at the first path, so the others are rarely made."""
    stem, slash, rest = case.partition("/")
    usual = f"{_name(stem, distinct=False)}{os.sep}{_name(rest, distinct=False)}{SUFFIX}" if slash else ""
    return (bool(usual) and str(file) == f"{leg / RECORDINGS}{os.sep}{usual}") or file in recording_paths(leg, case)


def alike(cases: Iterable[str]) -> frozenset[str]:
    """The ids that would share a folder or a file with another where upper and lower case are the same."""
    stems: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        stem = case.partition("/")[0]
        stems[_spelled(stem).lower()].add(stem)
        ids[_spelled(case).lower()].add(case)
    return frozenset(
        case
        for group in ids.values()
        for case in group
        if len(group) > 1 or len(stems[_spelled(case.partition("/")[0]).lower()]) > 1
    )


def is_alike(case: str, ids: frozenset[str]) -> bool:
    """Whether `case`, or the test that it is a call of, is one of `ids`."""
    return test_of(case, ids) in ids


def _name(part: str, *, distinct: bool) -> str:
    name = no_device(_spelled(part))
    if name.endswith((".", " ")):  # Windows drops them
        name = f"{name[:-1]}%{ord(name[-1]):02X}"
    return _limited(name, part, distinct=distinct)


def no_device(name: str) -> str:
    """The name of a file, with its first letter percent-encoded if Windows takes it for a device."""
    return f"%{ord(name[0]):02X}{name[1:]}" if _DEVICE.match(name) else name


def _name_before(part: str) -> str:
    """The name of a part of an id in earlier versions, which all systems but Windows hold."""
    return _limited(_spelled(part), part)


def _spelled(part: str) -> str:
    name = quote(_bytes(part), safe="[]-_.,=+() @'")
    name = name.replace("~", "%7E") or "%"  # both are free then for names that are not spelled out
    return name.replace(".", "%2E") if name.strip(".") == "" else name


def _limited(name: str, part: str, *, distinct: bool = False) -> str:
    """A name that is not too long; one that is, or is to be `distinct`, ends with a digest of the part."""
    if len(name) <= _LONGEST_NAME and not distinct:
        return name
    return f"{name[: _LONGEST_NAME - 17]}~{hashlib.sha256(_bytes(part)).hexdigest()[:16]}"


def _bytes(part: str) -> bytes:
    return part.encode("utf-8", "surrogatepass")  # an id may hold whatever a parameter's repr holds, lone surrogates too
