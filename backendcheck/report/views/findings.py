"""What reports show of findings and diagnoses: how far apart, by which tolerance, proved by what."""

from __future__ import annotations

import math
from dataclasses import dataclass

from backendcheck.case import Tolerance
from backendcheck.compare.findings import Comparison, Finding, findings_of, leading
from backendcheck.compare.tolerances import NORM_WISE
from backendcheck.diagnose import Diagnosis
from backendcheck.results.results import CaseResult
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.observations import Quantity, flow_key, quantity_of

_MOST_EVIDENCE = 4  # items that a summary shows


def ordered_findings(result: CaseResult) -> list[Finding]:
    """The findings by observation, in the order of the computation, an exception first."""
    return sorted(result.findings, key=lambda finding: (finding.kind != "raised", flow_key(finding.observation)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FindingRow:
    """A finding, and the pairs of which the same is true: the odd one out differs from every other backend alike."""

    finding: Finding
    likewise: tuple[str, ...] = ()


def finding_rows(result: CaseResult) -> list[FindingRow]:
    """The findings in order, those of one observation together that say the same of the odd one out."""
    rows: dict[object, list[Finding]] = {}
    for finding in ordered_findings(result):
        alike = finding.oracle == "agreement" and result.odd_one_out in finding.sides
        said = (finding.kind, finding.n_different, excess_words(finding.excess), result.odd_one_out) if alike else id(finding)
        rows.setdefault((finding.observation, finding.oracle, said), []).append(finding)
    return [FindingRow(finding=first, likewise=tuple(map(_between, others))) for first, *others in rows.values()]


def _between(finding: Finding) -> str:
    return f"{finding.left} and {finding.right}"


def ordered_passes(result: CaseResult) -> list[Comparison]:
    """The comparisons that passed, least head-room first."""
    passes = [comparison for comparison in result.comparisons if not isinstance(comparison, Finding)]
    return sorted(passes, key=lambda comparison: -(comparison.excess or 0.0))


def excess_of_verdict(result: CaseResult) -> float | None:
    """The worst excess of what differs, or of all that was compared where nothing does; None where there is none to tell."""
    if result.verdict is Verdict.ERROR and not result.findings:
        return None
    shown = result.findings or result.comparisons
    return max((comparison.excess for comparison in shown if comparison.excess is not None), default=None)


# --- why ---------------------------------------------------------------------------------------------------------


def figure(value: object) -> str:
    """A number in three digits, or in as many as tell it from 1; anything else as text."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.3g}"
    return short if short != "1" or value == 1.0 else f"{value:.7g}"


def evidence(diagnosis: Diagnosis, result: CaseResult) -> list[tuple[str, str]]:
    """What proves a diagnosis: words and figures. ``by name max|d|`` says as well whether that is within tolerance."""
    items = []
    for words, value in diagnosis.evidence.items():
        if words == "columns" and "permutation" in diagnosis.evidence:
            continue  # the same, for programs
        what, measure, _ = words.partition("max|d|")
        text = f"{measure} {figure(value)}" if measure and isinstance(value, float) else figure(value)
        if measure and what.strip() == "by name" and isinstance(value, float) and _predictions_agree(result):
            text += " (within tolerance)"
        items.append((what.strip(), text))
    return items


def _predictions_agree(result: CaseResult) -> bool:
    held = [c for c in result.comparisons if quantity_of(c.observation) is Quantity.PREDICTIONS and c.oracle == "agreement"]
    return bool(held) and not findings_of(held)


def main_evidence(result: CaseResult) -> list[tuple[str, str]]:
    """The few figures that a summary shows: those of the first diagnosis, else by observation how far apart."""
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
    """What a comparison rests on besides the two arrays, such as where its reference comes from; empty if nothing."""
    return "; ".join(
        f"{words}: {figure(value)}" for words, value in comparison.evidence.items() if isinstance(value, str | int | float)
    )


# --- tolerances --------------------------------------------------------------------------------------------------


def tolerance_words(comparison: Comparison) -> str:
    """The tolerance in force with its origin: ``rtol 1e-05 atol 1e-06, default float32 loss``."""
    if comparison.tolerance is None:
        return "exact" if comparison.origin == "exact" else f"none ({comparison.origin})"
    return f"{in_words(comparison.tolerance)}, {comparison.origin}"


def in_words(tolerance: Tolerance) -> str:
    """``rtol 1e-05 atol 1e-06``."""
    return f"rtol {tolerance.rtol:.3g} atol {tolerance.atol:.3g}"


def rule_words(comparison: Comparison) -> str:
    """The rule of a tolerance: what a difference may be, by element or by the magnitude of the tensor."""
    if quantity_of(comparison.observation) in NORM_WISE:
        return "|d| ≤ atol + rtol · largest magnitude of the whole tensor"
    return "|d| ≤ atol + rtol · max(|left|, |right|), element by element"


def leading_number(result: CaseResult) -> Finding | None:
    """The finding that says most of those that have a tolerance."""
    numeric = [finding for finding in result.findings if finding.tolerance is not None and finding.excess is not None]
    return leading(numeric) if numeric else None


def excess_words(excess: float | None) -> str:
    """An excess in two digits; empty where there is none."""
    if excess is None:
        return ""
    return f"{excess:.2g}" if math.isfinite(excess) else "infinite"


def main_tolerance(result: CaseResult) -> str:
    """The tolerance line of a summary; empty where all findings are exact or structural."""
    finding = leading_number(result)
    if finding is not None:
        return f"{tolerance_words(finding)}; excess {excess_words(finding.excess)}"
    measured = [d for d in result.diagnoses if any("max|d|" in words for words in d.evidence)]
    held = [c for c in result.comparisons if quantity_of(c.observation) is Quantity.PREDICTIONS and c.tolerance is not None]
    if not measured or not held:
        return ""
    excess = measured[0].evidence.get("excess")
    return tolerance_words(held[0]) + (f"; excess {excess_words(excess)}" if isinstance(excess, float) else "")


def required_tolerance(comparison: Comparison) -> Tolerance | None:
    """The smallest multiple of a finding's tolerance that would pass, in two digits rounded up; None where none would.

    A tolerance of nothing has no multiples: there `atol` alone becomes the largest difference.
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


def _round_up(value: float) -> float:
    """`value` in two significant digits, never less than it."""
    if value == 0 or not math.isfinite(value):
        return value
    rounded = float(f"{value:.1e}")
    if rounded >= value:
        return rounded
    return float(f"{value + 0.5 * 10.0 ** (math.floor(math.log10(value)) - 1):.1e}")
