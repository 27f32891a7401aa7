"""Go or no go: what a recording on the old and the new leg says about moving a model. The old leg is the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.compare.findings import Finding, error_words
from backendcheck.labels import LabelFinding
from backendcheck.migrate.decisions import Decisions, decisions_of
from backendcheck.migrate.source_scan import OUTPUTS_BY_POSITION, SourceFinding, module_files, scan
from backendcheck.recordings.recording import Raised, Recording
from backendcheck.results.results import CaseResult, Results
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.observations import ObservationName, Quantity, quantity_of
from backendcheck.vocabulary.stages import RecordingStage

SCHEMA = 1
_INSIDE = (Oracle.PATHS, Oracle.ORDER)
_OF_TRAINING = (Quantity.TRAIN_LOSS, Quantity.TRAIN_METRIC, Quantity.TRAIN_WEIGHT, Quantity.TRAIN_OPTIMIZER)
_BEFORE_PREDICTING = (RecordingStage.CASE, RecordingStage.BUILD)


class Answer(StrEnum):
    """The decision."""

    GO = "go"
    NO_GO = "no go"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question and its answer: `state` is ``yes``, ``no`` or ``not known``."""

    question: str
    state: str
    detail: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Migration:
    """A model recorded on both legs, what its labels break and what its source holds, as one decision."""

    model: str
    source: str
    target: str
    results: Results
    label_findings: Sequence[LabelFinding] = ()
    source_findings: Sequence[SourceFinding] = ()
    scanned: Sequence[str] = ()

    @property
    def result(self) -> CaseResult | None:
        return self.results.cases[0] if self.results.cases else None

    @cached_property
    def answer(self) -> Answer:
        """No go for a reason, go without one. Incomplete if the legs cannot be compared, or the old one does not work either."""
        if self.results.exit_code == 3 or self.result is None or self.problem:  # noqa: PLR2004 - see the exit codes
            return Answer.INCOMPLETE
        return Answer.NO_GO if self.reasons else Answer.GO

    @property
    def exit_code(self) -> int:
        return {Answer.GO: 0, Answer.NO_GO: 1, Answer.INCOMPLETE: 3}[self.answer]

    @cached_property
    def problem(self) -> str:
        """Why there is no decision; empty if there is one."""
        if self.results.problems:
            return str(self.results.problems[0])
        if self.result is None:
            return "the case was not recorded"
        if self.result.problems:
            return str(self.result.problems[0])
        old, new = self._raised(self.source), self._raised(self.target)
        if old is not None and new is not None and old.stage == new.stage:
            return f"{self.source} raises as well, so there is nothing to compare with: {error_words(old)}"
        return ""

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the new leg does otherwise than the old one; a difference that the old one has with itself, too, is left out."""
        if (result := self.result) is None:
            return ()
        of_old = {
            (finding.oracle, finding.observation, side.path)
            for finding in result.findings if finding.oracle in _INSIDE
            for side in finding.sides if side.leg == self.source and side.path
        }  # fmt: skip
        return tuple(
            finding for finding in result.findings
            if finding.oracle is Oracle.AGREEMENT or (
                finding.oracle in _INSIDE and any(
                    side.leg == self.target and side.path and (finding.oracle, finding.observation, side.path) not in of_old
                    for side in finding.sides
                )
            )
        )  # fmt: skip

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for no go, one for each check that fails."""
        return tuple(f"{check.question}: {check.detail}" for check in self.checks if check.state == "no")

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """The questions in the order of the page."""
        if self.result is None:
            return ()
        return (self._loads(), self._predicts(), self._trains(), self._remains())

    @cached_property
    def decisions(self) -> tuple[Decisions, ...]:
        """The decisions of each output on both legs."""
        if self._both is None:
            return ()
        old, new = self._both
        outputs = [
            ObservationName.parse(name).output
            for name in old.observations if quantity_of(name) is Quantity.PREDICTIONS and name in new.observations
        ]  # fmt: skip
        return tuple(filter(None, (decisions_of(old, new, output) for output in outputs)))

    @property
    def curves(self) -> Mapping[str, np.ndarray]:
        """The loss of each epoch, by leg."""
        recordings = self.result.recordings if self.result else {}
        return {
            leg: recordings[leg].observations["train/loss"].value
            for leg in (self.source, self.target) if leg in recordings and "train/loss" in recordings[leg].observations
        }  # fmt: skip

    @cached_property
    def raised_here(self) -> tuple[SourceFinding, ...]:
        """The lines of the source in which the new leg raised: these certainly do not move."""
        recording = self.result.recordings.get(self.target) if self.result else None
        places = {(Path(r.frame.file).resolve(), r.frame.line) for r in recording.raised if r.frame} if recording else set()
        return tuple(finding for finding in self.source_findings if (Path(finding.file).resolve(), finding.line) in places)

    @cached_property
    def by_position(self) -> tuple[SourceFinding, ...]:
        """The lines of the source that take outputs by position, if the new leg returns them in another order."""
        if not any(self._differing(Quantity.OUTPUT_ORDER)):
            return ()
        return tuple(finding for finding in self.source_findings if finding.code == OUTPUTS_BY_POSITION)

    @property
    def deciding(self) -> tuple[tuple[str, SourceFinding], ...]:
        """The lines for which it is no go, each with why."""
        raised = [("raised here", finding) for finding in self.raised_here]
        return (*raised, *(("another order", finding) for finding in self.by_position))

    @property
    def to_look_at(self) -> tuple[SourceFinding, ...]:
        """The other lines. Alone they decide nothing."""
        deciding = [finding for _, finding in self.deciding]
        return tuple(finding for finding in self.source_findings if finding not in deciding)

    def _differing(self, *quantities: Quantity) -> Iterator[Finding]:
        """The findings between the legs on these quantities."""
        for finding in self.findings:
            if finding.oracle is Oracle.AGREEMENT and quantity_of(finding.observation) in quantities:
                yield finding

    @cached_property
    def remedies(self) -> tuple[str, ...]:
        """What to change, without repetition."""
        if self.answer is not Answer.NO_GO or self.result is None:
            return ()
        of_lines = [f"{finding.place}: {finding.remedy}" for _, finding in self.deciding]
        return tuple(dict.fromkeys([*of_lines, *(d.remedy for d in self.result.diagnoses if d.remedy and not of_lines)]))

    def as_json(self) -> dict[str, Any]:
        """The decision with all that it rests on."""
        return {
            "schema": SCHEMA, "model": self.model, "source": self.source, "target": self.target, "answer": str(self.answer),
            "exit_code": self.exit_code, "problem": self.problem or None, "reasons": list(self.reasons),
            "checks": [{"question": c.question, "state": c.state, "detail": c.detail} for c in self.checks],
            "decisions": [
                {"output": d.output, "rule": d.rule, "n": d.n, "n_same": d.n_same, "changed": [list(row) for row in d.changed]}
                for d in self.decisions
            ],
            "train_loss": {leg: curve.tolist() for leg, curve in self.curves.items()},
            "labels": [finding.to_dict() for finding in self.label_findings],
            "scanned": list(self.scanned),
            "in_source": [
                {
                    "file": f.file, "line": f.line, "code": f.code, "what": f.what, "remedy": f.remedy, "source": f.source,
                    "raised_here": f in self.raised_here, "by_position": f in self.by_position,
                }
                for f in self.source_findings
            ],
            "remedies": list(self.remedies),
        }  # fmt: skip

    # --- the questions ---------------------------------------------------------------------------------------------

    @property
    def _both(self) -> tuple[Recording, Recording] | None:
        recordings = self.result.recordings if self.result else {}
        if self.source not in recordings or self.target not in recordings:
            return None
        return recordings[self.source], recordings[self.target]

    def _raised(self, leg: str) -> Raised | None:
        recording = self.result.recordings.get(leg) if self.result else None
        return recording.raised[0] if recording is not None and recording.raised else None

    def _loads(self) -> Check:
        question = f"Does it load on {self.target}"
        raised = self._raised(self.target)
        if self._both is None:
            return Check(question=question, state="not known", detail="a leg is missing")
        if raised is not None and raised.stage in _BEFORE_PREDICTING and self._raised(self.source) is None:
            return Check(question=question, state="no", detail=_raised_words(raised))
        return Check(question=question, state="yes", detail="the file is loaded with its weights")

    def _predicts(self) -> Check:
        question = "Does it predict the same"
        of = [*self._differing(Quantity.MASK, Quantity.PREDICTIONS, Quantity.PREDICTED_CLASS)]
        raised = self._raised(self.target)
        if raised is not None and raised.stage == RecordingStage.FORWARD and self._raised(self.source) is None:
            return Check(question=question, state="no", detail=_raised_words(raised))
        if not self._compared(Quantity.PREDICTIONS):
            return Check(question=question, state="not known", detail="predictions are not there on both legs")
        shares = "; ".join(f"{f'{d.output}: ' if d.output else ''}{d.share} decisions agree" for d in self.decisions)
        if any(self._differing(Quantity.OUTPUT_ORDER)):
            shares = "; ".join(filter(None, [shares, "predict returns the outputs in another order, so take them by name"]))
        if of or self.by_position:  # by name, outputs in another order are the same
            detail = "; ".join(filter(None, [shares, _words(of) if of else ""]))
            return Check(question=question, state="no", detail=detail)
        return Check(question=question, state="yes", detail=shares or "predictions agree within the tolerance")

    def _trains(self) -> Check:
        question = "Does it train the same"
        of = [*self._differing(*_OF_TRAINING)]
        raised = self._raised(self.target)
        is_later = raised is not None and raised.stage not in (*_BEFORE_PREDICTING, RecordingStage.FORWARD)
        if raised is not None and is_later and self._raised(self.source) is None:
            return Check(question=question, state="no", detail=_raised_words(raised))
        if not self._compared(Quantity.TRAIN_LOSS):
            return Check(question=question, state="not known", detail="it was not trained on both legs")
        n = len(next(iter(self.curves.values())))
        ends = ", ".join(f"{curve[-1]:.6g} on {leg}" for leg, curve in self.curves.items())
        detail = f"the loss after {n} epochs is {ends}"
        return Check(question=question, state="no" if of else "yes", detail=f"{detail}; {_words(of)}" if of else detail)

    def _remains(self) -> Check:
        """All that no other question is about, so that no difference is lost."""
        told = (Quantity.OUTPUT_ORDER, Quantity.MASK, Quantity.PREDICTIONS, Quantity.PREDICTED_CLASS, *_OF_TRAINING)
        raised = self._raised(self.target) is not None and self._raised(self.source) is None
        of = [
            finding for finding in self.findings
            if (finding.oracle in _INSIDE or quantity_of(finding.observation) not in told)
            and not (raised and finding.observation == "raised")
        ]  # fmt: skip
        question = "Do losses, gradients, metrics and paths agree"
        if not of and not self._compared(Quantity.LOSS):
            return Check(question=question, state="not known", detail="no loss was compared, and nothing else differs")
        return Check(question=question, state="no" if of else "yes", detail=_words(of) if of else "no other difference")

    def _compared(self, quantity: Quantity) -> bool:
        comparisons = self.result.comparisons if self.result else ()
        return any(c.oracle is Oracle.AGREEMENT and quantity_of(c.observation) is quantity for c in comparisons) and (
            self._both is not None and all(any(quantity_of(name) is quantity for name in r.observations) for r in self._both)
        )


def migration_of(results: Results, model: str, source: str, target: str, imports: Sequence[str]) -> Migration:
    """The decision on a recorded model, with what does not move in the modules that it imports."""
    files = module_files(imports)
    return Migration(
        model=model, source=source, target=target, results=results, source_findings=scan(files, str(parse_leg(target).backend)),
        scanned=[str(file) for file in files],
    )  # fmt: skip


def _raised_words(raised: Raised) -> str:
    where = f" at {raised.frame.place}" if raised.frame else ""
    return f"{raised.stage} raises {error_words(raised)}{where}"


def _words(findings: Sequence[Finding]) -> str:
    """The observations that differ, and by how much the worst one does."""
    names = list(dict.fromkeys(finding.observation for finding in findings))
    worst = max((f.excess for f in findings if f.excess is not None and np.isfinite(f.excess)), default=None)
    some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004
    messages = [f"{finding.kind}: {finding.message}" for finding in findings if finding.excess is None and finding.message]
    amount = f", up to {worst:.2g} times the tolerance" if worst is not None else f" ({messages[0]})" if messages else ""
    return f"{some} {'differs' if len(names) == 1 else 'differ'}{amount}"
