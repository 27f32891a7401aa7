"""Problems: why a case or a run could not be judged. What a problem is stands in its code, never in its text alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from backendcheck.vocabulary.states import Status


class ProblemCode(StrEnum):
    """What the problem is, of a case first, then of a run."""

    AUTHORS_ERROR = "author's error"
    NO_RECORDING = "no recording"
    NOT_OBSERVED = "not observed"
    SKIPPED = "skipped"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    OTHER_CASE_FILE = "other case file"
    OTHER_SETTINGS = "other settings"
    OTHER_INPUTS = "other inputs"
    OTHER_WEIGHTS = "other weights"
    ONE_LEG = "one leg"
    NOTHING_COMPARED = "nothing compared"

    LEG_MISSING = "leg missing"
    LEG_UNFINISHED = "leg unfinished"
    NO_CASES = "no cases"
    PART_ALONE = "part alone"
    PART_MISSING = "part missing"
    PART_UNFINISHED = "part unfinished"
    CASE_FILE = "case file"
    CASE_NOT_FOUND = "case not found"

    @property
    def incomparable(self) -> bool:
        """Whether recordings are there and may not be compared."""
        return self in _INCOMPARABLE


_INCOMPARABLE = (
    ProblemCode.OTHER_CASE_FILE, ProblemCode.OTHER_SETTINGS, ProblemCode.OTHER_INPUTS, ProblemCode.OTHER_WEIGHTS,
)  # fmt: skip

# A recording notes how it ended, and that is the problem of its case. Recordings of any age have a status.
_OF_STATUS = {
    Status.ERROR: ProblemCode.NOT_OBSERVED,
    Status.SKIPPED: ProblemCode.SKIPPED,
    Status.CRASHED: ProblemCode.CRASHED,
    Status.TIMED_OUT: ProblemCode.TIMED_OUT,
}


def code_of(status: Status) -> ProblemCode | None:
    """The problem of a recording with this status; None if it was observed, or is declared as not supported."""
    return _OF_STATUS.get(status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem in words, with its code and the legs that it concerns.

    `text` is a sentence without a full stop, or one with its remedy; `detail` follows it.
    """

    code: ProblemCode
    text: str
    legs: tuple[str, ...] = ()
    detail: str = ""

    def __str__(self) -> str:
        return f"not comparable: {self.sentence}" if self.code.incomparable else self.sentence

    @property
    def sentence(self) -> str:
        """The problem without the words for its class, which a headline puts in front of it."""
        sentence = f"{self.text}: {self.detail}" if self.detail else self.text
        # What is wrong with a file is the same on each leg: the legs follow it.
        return f"{sentence} ({', '.join(self.legs)})" if self.code is ProblemCode.CASE_FILE else sentence
