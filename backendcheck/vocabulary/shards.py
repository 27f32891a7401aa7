"""Shards: a leg recorded in parts, on several machines. Which part a case is in depends on its id alone."""

from __future__ import annotations

import hashlib
import re
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
        """Whether the case with this id is in it."""
        digest = hashlib.sha256(case.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1


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
