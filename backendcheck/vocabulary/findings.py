"""What a finding can be: the oracle that made it, and its kind. Both are written to disk and to reports as their text."""

from __future__ import annotations

from enum import StrEnum

from backendcheck.errors import UsageError


class Oracle(StrEnum):
    """What a case is compared with. The order is that of headlines: the most telling oracle first."""

    EXPECTATION = "expectation"
    AGREEMENT = "agreement"
    PATHS = "paths"
    ORDER = "order"
    REFERENCE = "reference"

    @property
    def rank(self) -> int:
        """Its place in the order, 0 for the most telling one."""
        return _ORACLE_RANKS[self]


class FindingKind(StrEnum):
    """What differs. The order is that of headlines: structure before values, the most telling kind first."""

    RAISED = "raised"
    MISSING = "missing"
    SHAPE = "shape"
    ORDER = "order"
    NON_FINITE = "non-finite"
    VALUE = "value"
    DTYPE = "dtype"

    @property
    def rank(self) -> int:
        """Its place in the order, 0 for the most telling one."""
        return _KIND_RANKS[self]


_ORACLE_RANKS = {oracle: rank for rank, oracle in enumerate(Oracle)}
_KIND_RANKS = {kind: rank for rank, kind in enumerate(FindingKind)}

# The oracles that a user can ask for. What a case says about its own outcome (`expect`) is always compared.
ORACLES = (Oracle.AGREEMENT, Oracle.PATHS, Oracle.ORDER, Oracle.REFERENCE)
# The oracles that compare a backend with itself.
INSIDE_ONE_BACKEND = (Oracle.PATHS, Oracle.ORDER)


def parse_oracles(text: str) -> tuple[Oracle, ...]:
    """The oracles in a comma-separated list. Agreement is always one of them.

    Raises:
        UsageError: naming those that are not oracles, or cannot be asked for.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ORACLES]:
        message = f"unknown oracle {', '.join(unknown)}; expected some of {', '.join(ORACLES)}."
        raise UsageError(message)
    return tuple(oracle for oracle in ORACLES if oracle in names or oracle is Oracle.AGREEMENT)
