"""What the first differing operation of a computation shows: the same inputs, other results, and inputs that explain them.

`cast-out-of-range`, `index-out-of-range`, `nan-order`, `infinite-scores`, `tie-order`, `denormal`, `half-way`, `label-wrapped`,
`label-rounded`, `label-truncated`, `broadcast`, `undefined-integer`, `empty-input`.

A diagnosis needs one of two proofs. Either the result of each side is exactly what the definition gives, on one side with the
inputs as they are and on the other with one thing changed. Or every place that differs has such an input.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.open_results import EXPLAINERS
from backendcheck.diagnose.evidence.operations import DifferingCall, exact_result, first_differing_call, fits, suppositions
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.operation_calls import OperationCall
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity, quantity_of

_REMEDIES = {
    "cast-out-of-range": "Clip before the cast, and look for NaN and infinity: what such a float becomes is left open.",
    "index-out-of-range": "Check indices against the number of classes first: what an index outside them reads is left open.",
    "nan-order": "Replace NaN before ordering (keras.ops.nan_to_num): where it sorts is left open.",
    "infinite-scores": "Use large finite numbers in place of infinities.",
    "tie-order": "Only ties are affected; break ties yourself.",
    "denormal": "Do not rely on numbers below 1e-38: some backends take them for 0.",
    "half-way": "Do not rely on which of two neighbors is taken half-way between them.",
    "label-wrapped": "Keep labels below 2**31 and cast them once, before they reach a backend.",
    "label-rounded": "Keep ids in integers from end to end, or below 2**24.",
    "missing-label-counted": "Give unlabeled examples a sample weight of 0.",
    "label-truncated": "Give whole numbers, or a type that holds fractions on every backend.",
    "broadcast": "Give both sides the same rank.",
    "undefined-integer": "Guard the divisor or the shift: integers have no result there.",
    "empty-input": "Handle classes without examples yourself: the reduction of nothing is left open.",
}
CODES = tuple(_REMEDIES)
_LONGEST_LIST = 12


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the first operation that differs between two legs, or that differs from its definition on all of them."""
    values = [finding for finding in situation.findings if quantity_of(finding.observation) is Quantity.VALUE]
    if any(finding.oracle is Oracle.AGREEMENT for finding in values):
        return _joined(situation, [*_between_legs(situation)])
    if any(finding.oracle is Oracle.REFERENCE for finding in values):
        return [*_on_all_legs(situation)][:1]
    return []


# --- between legs ------------------------------------------------------------------------------------------------


def _between_legs(situation: Situation) -> Iterator[tuple[str, DifferingCall, str, str]]:
    """A code, a call, which leg shows it, and words about it, for each pair of legs that differ."""
    pairs = {(f.left.leg, f.right.leg) for f in situation.findings if f.oracle is Oracle.AGREEMENT}
    for left, right in sorted(pairs):
        call = first_differing_call((left, right), (situation.recordings[left], situation.recordings[right]))
        if call is None or not all(_may_matter(each, leg, situation) for each, leg in zip(call.calls, call.legs, strict=True)):
            continue
        for explain in EXPLAINERS:
            explanation = explain(call)
            if explanation is not None:
                yield (explanation[0], call, explanation[1], explanation[2])
                break


def _may_matter(call: OperationCall, leg: str, situation: Situation) -> bool:
    """Whether a call may be behind a finding, by what is recorded of its result.

    A result that was recorded as a value which agrees is not the cause. A tensor that was only made, with as many elements as no
    value that differs, has to be the input of a later call.
    """
    differing = {finding.observation for finding in situation.findings}
    observations = situation.recordings[leg].observations
    results = [result.value for result in call.results.values()]
    recorded_as = [name for name, each in observations.items() for result in results if _is_equal(result, each.value)]
    if recorded_as:
        return any(name in differing for name in recorded_as)
    if call.name != "convert_to_tensor":
        return True
    sizes = {observations[name].value.size for name in differing if name in observations}
    operations = situation.recordings[leg].operations
    later = operations[next(n for n, each in enumerate(operations) if each is call) + 1 :]
    inputs = [each.value.ravel() for after in later for each in after.inputs.values()]  # perhaps in another shape
    is_used = any(_is_equal(result.ravel(), each) for result in results for each in inputs)
    return is_used or any(result.size in sizes for result in results)


def _is_equal(left: np.ndarray, right: np.ndarray) -> bool:
    if left.shape != right.shape or object in (left.dtype, right.dtype):
        return False
    return bool(np.array_equal(left, right, equal_nan=left.dtype.kind == right.dtype.kind == "f"))


def _joined(situation: Situation, explanations: list[tuple[str, DifferingCall, str, str]]) -> list[Diagnosis]:
    """One diagnosis for each code."""
    diagnoses = []
    for code in dict.fromkeys(code for code, *_ in explanations):
        of_code = [(call, side, words) for each, call, side, words in explanations if each == code]
        call, side, words = of_code[0]
        sides = [leg for leg in situation.recordings if leg in {side for _, side, _ in of_code}]
        where = f"on {listed(sides)} {words}" if side else words
        diagnoses.append(_diagnosis(code, call, sides or _suspects(situation, [call for call, _, _ in of_code]), where))
    return diagnoses


def _suspects(situation: Situation, calls: list[DifferingCall]) -> list[str]:
    """The legs that the reference contradicts, or else the one that is part of every pair, or else all that differ."""
    legs = [leg for leg in situation.recordings if any(leg in call.legs for call in calls)]
    contradicted = {finding.left.leg for finding in situation.findings if finding.oracle is Oracle.REFERENCE}
    suspects = [leg for leg in legs if leg in contradicted]
    if suspects and len(suspects) < len(legs):
        return suspects
    common = set.intersection(*({*call.legs} for call in calls))
    return [calls[0].legs[1]] if len(calls) == 1 else [leg for leg in legs if leg in common] or legs


def _diagnosis(code: str, call: DifferingCall, legs: list[str], words: str) -> Diagnosis:
    text = f"it begins in {call.name}, with equal inputs: {words}"
    remedy = _REMEDIES[code]
    places = [place.tolist() for place in np.argwhere(call.apart)[:_LONGEST_LIST]]
    return Diagnosis(
        code=code, backends=tuple(legs), headline=f"{title(code)}: {text}", message=f"{text[0].upper()}{text[1:]}. {remedy}",
        remedy=remedy, evidence={"operation": call.name, "places": places, "of": int(call.left.size)},
    )  # fmt: skip


# --- on all legs -------------------------------------------------------------------------------------------------


def _on_all_legs(situation: Situation) -> Iterator[Diagnosis]:
    """An operation that gives the same on every leg, which is not its result by definition, but that with one thing changed.

    Or one whose inputs leave its result open: the largest of entries that are all equal, a comparison with NaN.
    """
    recordings = situation.recordings
    if any(finding.oracle is not Oracle.REFERENCE for finding in situation.findings):
        return
    if any(recording.raised for recording in recordings.values()):
        return
    first, *others = recordings.values()
    for calls in zip(first.operations, *(recording.operations for recording in others), strict=False):
        call = calls[0]
        if any(each.name != call.name or {*each.results} != {*call.results} for each in calls):
            return
        if not all(_may_matter(each, leg, situation) for each, leg in zip(calls, recordings, strict=True)):
            continue
        for code, words in (*_changed_everywhere(calls), *_open_everywhere(call)):
            text = f"{listed([*recordings])} agree, and the reference does not: in {call.name} {words}"
            yield Diagnosis(
                code=code, backends=tuple(recordings), message=f"{text}. {_REMEDIES[code]}", remedy=_REMEDIES[code],
                headline=f"{title(code)}: {text}", evidence={"operation": call.name},
            )  # fmt: skip


def _changed_everywhere(calls: tuple[OperationCall, ...]) -> Iterator[tuple[str, str]]:
    exact = exact_result(calls[0])
    if exact is None or any("0" not in call.results or fits(call.results["0"].value, exact) for call in calls):
        return
    for supposition in suppositions(calls[0]):
        if supposition.code in _REMEDIES and all(fits(call.results["0"].value, supposition.result) for call in calls):
            yield supposition.code, supposition.words
            return


def _open_everywhere(call: OperationCall) -> Iterator[tuple[str, str]]:
    inputs = {name: observation.value for name, observation in call.inputs.items()}
    x = inputs.get("x")
    if call.name in ("argmax", "argmin") and x is not None and x.ndim > 1 and x.shape[-1] > 1 and call.options.get("axis") == -1:
        rows = np.flatnonzero((x == x[..., :1]).all(axis=-1))
        if rows.size:
            value = x.reshape(-1, x.shape[-1])[rows[0], 0]
            yield "tie-order", f"row {rows[0]} has one value for all classes, {value:g}, and the first is taken"
        rows = np.flatnonzero(np.isnan(x).all(axis=-1)) if x.dtype.kind == "f" else rows[:0]
        if rows.size:
            yield "nan-order", f"row {rows[0]} is NaN for all classes, and the first is taken"
    if call.name in ("equal", "not_equal") and any(type(value) is float and np.isnan(value) for value in call.options.values()):
        yield "nan-order", "the other side is NaN, which is unequal to itself"
    pair = inputs.get("x1"), inputs.get("x2")
    if call.name in ("add", "subtract", "multiply") and pair[0] is not None and pair[1] is not None:
        shapes, result = [side.shape for side in pair if side is not None], call.results["0"].value.shape
        n = result[0] if result else 0
        if n > 1 and result[:2] == (n, n) and all(len(shape) and shape[0] == n and shape[:2] != (n, n) for shape in shapes):
            yield "broadcast", f"the shapes {shapes[0]} and {shapes[1]} were broadcast to {result}: each example meets all"
