"""What reports show of exceptions: where they were raised, with the source there, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backendcheck.compare.findings import error_words
from backendcheck.recordings.recording import Frame, Raised, Recording
from backendcheck.results.results import CaseResult
from backendcheck.verdicts.verdict import authors_error
from backendcheck.vocabulary.problems import ProblemCode

TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where legs have raised an exception. `path` is the other path through which they did, empty for the case as recorded."""

    legs: tuple[str, ...]
    error: Raised
    path: str = ""

    @property
    def frame(self) -> Frame | None:
        return self.error.frame

    @property
    def source(self) -> tuple[str, ...]:
        """The author's function down to the line that was running, as pytest shows it, with ``>`` before that line."""
        if self.frame is None:
            return ()
        above = [f"      {line}".rstrip() for line in self.frame.before]
        meant = f". Did you mean {self.error.suggestion!r}?" if self.error.suggestion else ""
        return (*above, f">     {self.frame.source}", f"E     {error_words(self.error)}{meant}")

    @property
    def traceback(self) -> str:
        return self.error.traceback


def origins(result: CaseResult, legs: Sequence[str]) -> list[Origin]:
    """Where each leg has raised its first exception, those with the same line and the same words together."""
    grouped: dict[object, list[tuple[str, Raised, str]]] = {}
    for leg in legs:
        recording = result.recordings.get(leg)
        for error, path in _errors(recording) if recording is not None else ():
            if error.frame is not None or error.traceback:
                of_author = (error.type, error.frame) if error.by_author else error.traceback
                grouped.setdefault((of_author, path), []).append((leg, error, path))
    return [
        Origin(legs=tuple(leg for leg, _, _ in alike), error=alike[0][1], path=alike[0][2]) for alike in grouped.values()
    ]


def _errors(recording: Recording) -> Iterator[tuple[Raised, str]]:
    """The exception that a leg has raised first: of the case, of what is around it, or else through another path."""
    if recording.failure is not None:
        yield recording.failure, ""
    elif recording.raised:
        yield recording.raised[0], ""
    else:
        yield from ((variant.raised, variant.path) for variant in recording.variants if variant.raised is not None)


def authors_frame(result: CaseResult) -> Frame | None:
    """The author's own line that raises on every leg; None unless that is what is wrong with the case."""
    if not any(problem.code is ProblemCode.AUTHORS_ERROR for problem in result.problems):
        return None
    error = authors_error(result.recordings)
    return error.frame if error is not None else None


def refused_everywhere(result: CaseResult) -> bool:
    """Whether every backend refuses the case, so that nothing differs between them."""
    return any(diagnosis.code == "refused-everywhere" for diagnosis in result.diagnoses)


def place_of(result: CaseResult) -> tuple[str, int]:
    """The file and the line that a reader is sent to: the author's line that raises, or else the case."""
    frame = authors_frame(result)
    return (frame.file, frame.line) if frame is not None else (result.file, result.line)


def frames_in_words(result: CaseResult, legs: Sequence[str]) -> list[str]:
    """The author's lines that were running, each with its legs unless that is all of them."""
    lines: dict[str, list[str]] = {}
    for origin in origins(result, legs):
        if origin.frame is not None and not origin.path:
            text = f"{origin.frame.place} in {origin.frame.function}: {origin.frame.source.strip()}"
            lines.setdefault(text, []).extend(origin.legs)
    return [text if len(names) == len(result.recordings) else f"{text} ({', '.join(names)})" for text, names in lines.items()]
