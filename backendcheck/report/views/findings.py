"""What reports show of findings and diagnoses: the difference, the tolerance, the evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from backendcheck.case import Tolerance
from backendcheck.compare.findings import Comparison, Finding, findings_of, leading
from backendcheck.compare.tolerances import NORM_WISE
from backendcheck.diagnose import Diagnosis
from backendcheck.results.results import CaseResult
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Quantity, flow_key, quantity_of

GENERIC = ("unexplained", "undiagnosed")  # diagnoses that do not name a cause
_MOST_EVIDENCE = 4  # items that a summary shows


def ordered_findings(result: CaseResult) -> list[Finding]:
    """The findings by observation, in the order of the computation, an exception first."""
    return sorted(result.findings, key=lambda finding: (finding.kind != FindingKind.RAISED, flow_key(finding.observation)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FindingRow:
    """A finding, and the other pairs with the same one: the odd one out may differ from every other backend alike."""

    finding: Finding
    likewise: tuple[str, ...] = ()


def finding_rows(result: CaseResult) -> list[FindingRow]:
    """The findings in order; the same finding on several pairs is one row: with the odd one out, or NaN at the same places."""
    rows: dict[object, list[Finding]] = {}
    for finding in ordered_findings(result):
        rows.setdefault((finding.observation, finding.oracle, _content(finding, result)), []).append(finding)
    return [FindingRow(finding=first, likewise=tuple(map(_between, others))) for first, *others in rows.values()]


def _content(finding: Finding, result: CaseResult) -> object:
    """What is the same in findings that are one row."""
    if finding.oracle is not Oracle.AGREEMENT:
        return id(finding)
    if finding.kind is FindingKind.RAISED:  # each leg in its own words
        words = finding.message
        for side in finding.sides:
            words = words.replace(f" on {side}", "")
        return finding.kind, words
    if result.odd_one_out in finding.sides:
        return finding.kind, finding.n_different, excess_words(finding.excess), result.odd_one_out
    both = (finding.worst_left, finding.worst_right)
    if finding.kind is FindingKind.NON_FINITE and not any(isinstance(value, float) and math.isfinite(value) for value in both):
        return finding.kind, finding.n_different, finding.worst_index, str(both)
    return id(finding)


def _between(finding: Finding) -> str:
    return f"{finding.left} and {finding.right}"


def ordered_passes(result: CaseResult) -> list[Comparison]:
    """The comparisons that passed, least headroom first."""
    passes = [comparison for comparison in result.comparisons if not isinstance(comparison, Finding)]
    return sorted(passes, key=lambda comparison: -(comparison.excess or 0.0))


def excess_of_verdict(result: CaseResult) -> float | None:
    """The worst excess of the findings, or of all comparisons if none differs; None if no comparison has an excess."""
    if result.verdict is Verdict.ERROR and not result.findings:
        return None
    shown = result.findings or result.comparisons
    return max((comparison.excess for comparison in shown if comparison.excess is not None), default=None)


# --- why ---------------------------------------------------------------------------------------------------------


def short_value(value: object) -> str:
    """A number in three digits, or in as many as distinguish it from 1; anything else as text."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.3g}"
    return short if short != "1" or value == 1.0 else f"{value:.7g}"


def evidence(diagnosis: Diagnosis, result: CaseResult) -> list[tuple[str, str]]:
    """The evidence of a diagnosis: words and values. ``by name max|d|`` also says whether it is within tolerance."""
    items = []
    for words, value in diagnosis.evidence.items():
        if words == "columns" and "permutation" in diagnosis.evidence:
            continue  # the same again, as a list for programs
        if value == [[]]:
            continue  # the only place of a scalar
        what, measure, _ = words.partition("max|d|")
        text = f"{measure} {short_value(value)}" if measure and isinstance(value, float) else short_value(value)
        if measure and what.strip() == "by name" and isinstance(value, float) and _predictions_agree(result):
            text += " (within tolerance)"
        items.append((what.strip(), text))
    return items


def _of_predictions(result: CaseResult) -> list[Comparison]:
    return [c for c in result.comparisons if quantity_of(c.observation) is Quantity.PREDICTIONS]


def _predictions_agree(result: CaseResult) -> bool:
    compared = [c for c in _of_predictions(result) if c.oracle is Oracle.AGREEMENT]
    return bool(compared) and not findings_of(compared)


def main_evidence(result: CaseResult) -> list[tuple[str, str]]:
    """The few values that a summary shows: those of the first diagnosis, or else the difference by observation."""
    for diagnosis in result.diagnoses[:1]:
        if items := [item for item in evidence(diagnosis, result) if item[0] != "excess"]:
            return items[:_MOST_EVIDENCE]
    largest: dict[str, float] = {}
    for finding in result.findings:
        if finding.max_abs is not None:
            largest[finding.observation] = max(finding.max_abs, largest.get(finding.observation, 0.0))
    items = [(observation, f"max|d| {apart:.3g}") for observation, apart in largest.items()]
    more = [(f"and {len(items) - _MOST_EVIDENCE + 1} more", "")] if len(items) > _MOST_EVIDENCE else []
    return (items[: _MOST_EVIDENCE - 1] + more) if more else items


def finding_note(comparison: Comparison) -> str:
    """What a comparison rests on besides the two arrays, such as the origin of its reference; may be empty."""
    return "; ".join(
        f"{words}: {short_value(value)}" for words, value in comparison.evidence.items() if isinstance(value, str | int | float)
    )


# --- tolerances --------------------------------------------------------------------------------------------------


def tolerance_words(comparison: Comparison) -> str:
    """The tolerance in force with its origin: ``rtol 1e-05 atol 1e-06, default float32 loss``."""
    if comparison.tolerance is None:
        return "exact" if comparison.origin == "exact" else f"none ({comparison.origin})"
    return f"{tolerance_values(comparison.tolerance)}, {comparison.origin}"


def tolerance_values(tolerance: Tolerance) -> str:
    """``rtol 1e-05 atol 1e-06``."""
    return f"rtol {tolerance.rtol:.3g} atol {tolerance.atol:.3g}"


def rule_words(comparison: Comparison) -> str:
    """The allowed difference as a formula, by element or by the magnitude of the tensor."""
    if quantity_of(comparison.observation) in NORM_WISE:
        return "|d| ≤ atol + rtol · largest magnitude of the whole tensor"
    return "|d| ≤ atol + rtol · max(|left|, |right|), element by element"


def leading_number(result: CaseResult) -> Finding | None:
    """The leading one of the findings that have a tolerance and an excess."""
    numeric = [finding for finding in result.findings if finding.tolerance is not None and finding.excess is not None]
    return leading(numeric) if numeric else None


def excess_words(excess: float | None) -> str:
    """An excess in two digits; empty for None."""
    if excess is None:
        return ""
    return f"{excess:.2g}" if math.isfinite(excess) else "infinite"


def main_tolerance(result: CaseResult) -> str:
    """The tolerance line of a summary; empty if all findings are exact or structural."""
    finding = leading_number(result)
    if finding is not None:
        return f"{tolerance_words(finding)}; excess {excess_words(finding.excess)}"
    measured = [d for d in result.diagnoses if any("max|d|" in words for words in d.evidence)]
    compared = [c for c in _of_predictions(result) if c.tolerance is not None]
    if not measured or not compared:
        return ""
    excess = measured[0].evidence.get("excess")
    return tolerance_words(compared[0]) + (f"; excess {excess_words(excess)}" if isinstance(excess, float) else "")


def required_tolerance(comparison: Comparison) -> Tolerance | None:
    """The smallest multiple of a finding's tolerance that would pass, rounded up to two digits; None if no multiple would.

    Zero has no multiples: from a tolerance of zero, `atol` alone becomes the largest difference.
    """
    tolerance, excess = comparison.tolerance, comparison.excess
    if not isinstance(comparison, Finding) or comparison.kind is not FindingKind.VALUE:
        return None
    if tolerance is None or excess is None or comparison.max_abs is None:
        return None
    if math.isinf(excess) or (tolerance.rtol == 0 and tolerance.atol == 0):
        return Tolerance(tolerance.rtol, _round_up(comparison.max_abs)) if math.isfinite(comparison.max_abs) else None
    rtol, atol = (_round_up(part * excess) for part in (tolerance.rtol, tolerance.atol))
    return Tolerance(rtol, atol) if math.isfinite(rtol + atol) else None


def advised_tolerance(finding: Comparison, result: CaseResult) -> Tolerance | None:
    """`required_tolerance`, unless a cause is named: a wider tolerance would hide it. Rounding is a cause that it is for."""
    named = any(diagnosis.code not in (*GENERIC, "rounding") for diagnosis in result.diagnoses)
    return None if named else required_tolerance(finding)


def _round_up(value: float) -> float:
    """`value` in two significant digits, never smaller than it."""
    if value == 0 or not math.isfinite(value):
        return value
    rounded = float(f"{value:.1e}")
    if rounded >= value:
        return rounded
    return float(f"{value + 0.5 * 10.0 ** (math.floor(math.log10(value)) - 1):.1e}")
