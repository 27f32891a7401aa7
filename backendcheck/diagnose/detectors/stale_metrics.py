"""`stale-metrics`: a step on a batch reports other numbers if another batch came before it."""

from __future__ import annotations

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.difference import FAR
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import AFTER_ANOTHER, Quantity

CODES = ("stale-metrics",)
_REMEDY = "Call reset_metrics() before each batch, or read the numbers of whole epochs."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses legs on which the same step gives the right numbers alone, and others after another batch."""
    by_path: dict[str, list[str]] = {}
    for difference in situation.differences:
        call, _, after = difference.path.partition(f" {AFTER_ANOTHER}")
        is_reported = difference.quantity in (Quantity.LOSS, Quantity.METRIC) and difference.is_numeric
        if difference.oracle is not Oracle.PATHS or after or call == difference.path or not is_reported:
            continue
        leg = difference.suspects[0]
        alone_differs = any(
            finding.observation == difference.observation and (finding.right.leg, finding.right.path) == (leg, call)
            for finding in situation.findings
        )
        if difference.excess() >= FAR and not alone_differs and leg not in by_path.setdefault(call, []):
            by_path[call].append(leg)
    if not any(by_path.values()):
        return []
    calls = [call for call, legs in by_path.items() if legs]
    legs = [leg for leg in situation.recordings if any(leg in by_path[call] for call in calls)]
    report = "reports" if len(calls) == 1 else "report"
    text = f"{listed(calls)} on {listed(legs)} {report} other numbers if another batch came before"
    message = f"{text}. The metrics keep what they counted of it. {_REMEDY}"
    return [Diagnosis(
        code=CODES[0], backends=tuple(legs), message=message, remedy=_REMEDY, headline=f"{title(CODES[0])}: {text}",
        evidence={"paths": calls},
    )]  # fmt: skip
