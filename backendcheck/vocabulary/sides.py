"""Sides of a comparison: a leg, another path of a leg, or the reference."""

from __future__ import annotations

from typing import Self


class Side(str):
    """One side of a comparison: ``jax``, ``jax#2``, ``jax:evaluate`` or ``reference``.

    Sides are compared with labels of legs, are keys, and are written to reports. So a side is its own text, which is taken apart
    once, when the side is made. `leg` is the label of the leg, and `path` is the other way to the same number, empty where the
    side is what the leg recorded. The name of a path may hold anything, colons too; the label of a leg has no colon.
    """

    __slots__ = ("leg", "path")
    leg: str
    path: str

    def __new__(cls, text: str) -> Self:
        side = super().__new__(cls, text)
        side.leg, _, side.path = text.partition(":")
        return side

    @classmethod
    def of(cls, leg: str, path: str = "") -> Self:
        """The side of a leg, or of one of its paths."""
        return cls(f"{leg}:{path}" if path else leg)

    @property
    def backend(self) -> str:
        """The leg without its number: ``jax`` for ``jax#2``, the second leg of that backend in a run."""
        return self.leg.partition("#")[0]

    @property
    def number(self) -> int:
        """The number of the leg, 0 where a run has one such leg."""
        digits = self.leg.partition("#")[2]
        return int(digits) if digits.isdecimal() else 0


REFERENCE = Side("reference")


def leg_label(backend: str, number: int) -> str:
    """The label of one of several legs of a backend."""
    return f"{backend}#{number}"
