"""Shards: a leg recorded in parts, on several machines. Which part a case is in depends on its id, or on durations before."""

from __future__ import annotations

import hashlib
import heapq
import re
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from backendcheck.errors import UsageError

_MOST = 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Part `number` of `of`, from 1 on. Every case is in exactly one of them, and stays there when others are added."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, case: str) -> bool:
        """Whether the case with this id is in it, if no durations are known."""
        return _number_by_id(case, self.of) == self.number


def _number_by_id(case: str, of: int) -> int:
    digest = hashlib.sha256(case.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % of + 1


def divided(cases: Collection[str], of: int, seconds: Mapping[str, float]) -> dict[str, int]:
    """The number of the shard of each case. `seconds` is how long cases took before, by case; it may lack some, or all.

    With durations the longest case comes first, and each goes to the shard that has least so far. A case that is not known counts
    as a usual one. The order of `cases` does not matter.
    """
    known = {case: round(seconds[case] * 1000) for case in cases if case in seconds}
    if not known:
        return {case: _number_by_id(case, of) for case in cases}
    usual = round(statistics.median(known.values()))
    loads = [(0, number) for number in range(1, of + 1)]
    numbers = {}
    for case in sorted(cases, key=lambda case: (-known.get(case, usual), case)):
        load, number = heapq.heappop(loads)
        heapq.heappush(loads, (load + max(1, known.get(case, usual)), number))
        numbers[case] = number
    return numbers


def parse_shard(text: str) -> Shard:
    """The shard that ``K/N`` stands for.

    Raises:
        UsageError: if the text has another form.
    """
    spelt = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    shard = Shard(number=int(spelt[1]), of=int(spelt[2])) if spelt else None
    if shard is None or not 1 <= shard.number <= shard.of:
        message = f"invalid shard {text!r}: expected K/N with K from 1 to N, such as 2/8, and N up to {_MOST}."
        raise UsageError(message)
    return shard
