"""What one backend refuses and another computes: a type, a shape, an argument, a gradient, a trace, a foreign array.

`unsupported-type`, `unsupported-shape`, `unsupported-argument`, `memory-layout`, `no-gradient`, `not-traceable`, `numpy-inside`,
`no-text`, `empty-input`, `undefined-integer`, `stale-optimizer`, `internal-error`.

The exception has to be one whose message the library uses for this limit alone, and another backend, or another path of the same
one, has to get past the place where it was raised. A case that expects an exception is about what is refused, not about how.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backendcheck.compare.findings import error_words
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.refusals import Refusal, refusal_of
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Raised, Recording
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import INSIDE_ONE_BACKEND, FindingKind, Oracle
from backendcheck.vocabulary.stages import RecordingStage, recorded_in


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How a refusal reads: the clause after the legs, and what to do. The clause may name an operation and a type."""

    clause: str
    remedy: str


_KINDS = {
    "unsupported-type": _Kind(
        clause="{refuse} the type{type}{operation}", remedy="Cast to int32 or float32 first: every backend takes these."
    ),
    "unsupported-shape": _Kind(clause="{refuse} the shape{operation}", remedy="Reshape to a form that every backend takes."),
    "unsupported-argument": _Kind(
        clause="{refuse} the argument{argument}", remedy="Leave the argument out, or keep it within what every backend takes."
    ),
    "memory-layout": _Kind(
        clause="{need} another layout of the memory for the gradient",
        remedy="Report it to Keras. Until then, compute it in another form, such as one-hot labels in place of integers.",
    ),
    "no-gradient": _Kind(
        clause="{have} no gradient{operation}",
        remedy="Write it with operations that have a gradient everywhere, such as one_hot and sum.",
    ),
    "not-traceable": _Kind(
        clause="cannot compile this: it asks for a number while the program is traced",
        remedy="Replace Python's if, bool, len and loops over tensors by keras.ops (where, cond, shape).",
    ),
    "numpy-inside": _Kind(
        clause="cannot combine a NumPy array with a tensor", remedy="Convert the array first: keras.ops.convert_to_tensor(array)."
    ),
    "no-text": _Kind(clause="{have} no tensors of text", remedy="Turn text into integers before it reaches this backend."),
    "empty-input": _Kind(
        clause="{refuse} to reduce an axis without elements", remedy="Handle the empty case yourself before the reduction."
    ),
    "undefined-integer": _Kind(clause="{refuse} to divide an integer by zero", remedy="Divide as floats, or guard the divisor."),
    "stale-optimizer": _Kind(
        clause="{have} an optimizer that was built for other trainable variables", remedy="Compile again after trainable changes."
    ),
    "internal-error": _Kind(
        clause="{fail} inside Keras or the backend, without a check of the input",
        remedy="Look for None and missing axes among the inputs. If all is well with them, report it there.",
    ),
}
CODES = tuple(_KINDS)


def detect(situation: Situation) -> list[Diagnosis]:
    """One diagnosis for each kind of refusal, with all legs that show it."""
    if any(recording.expect is not None for recording in situation.recordings.values()):
        return []
    return [*_between_legs(situation), *_inside_a_leg(situation)]


def _between_legs(situation: Situation) -> Iterator[Diagnosis]:
    if not _has_finding(situation, Oracle.AGREEMENT):
        return
    refusals: dict[str, dict[str, tuple[Raised, Refusal]]] = {}
    for leg, recording in situation.recordings.items():
        if recording.raised and (refusal := refusal_of(recording.raised[0])) is not None:
            refusals.setdefault(refusal.code, {})[leg] = (recording.raised[0], refusal)
    for code, by_leg in refusals.items():
        legs = {
            leg: pair for leg, pair in by_leg.items()
            if (code != "no-gradient" or _has_value(situation.recordings[leg])) and _got_past(situation, leg, pair[0].stage)
        }  # fmt: skip
        if legs:
            stages = [error.stage for error, _ in legs.values()]
            past = [leg for leg, other in situation.recordings.items() if all(_is_past(other, stage) for stage in stages)]
            yield _diagnosis(code, legs, "", past)


def _inside_a_leg(situation: Situation) -> Iterator[Diagnosis]:
    """A path that raises where the backend itself has computed the same numbers."""
    for leg, recording in situation.recordings.items():
        if recording.raised:
            continue
        for variant in recording.variants:
            refusal = None if variant.raised is None else refusal_of(variant.raised)
            if variant.raised is None or refusal is None or variant.oracle not in INSIDE_ONE_BACKEND:
                continue
            raised = {(f.right.leg, f.right.path) for f in situation.findings if f.kind is FindingKind.RAISED}
            if (leg, variant.path) in raised:
                yield _diagnosis(refusal.code, {leg: (variant.raised, refusal)}, f" through {variant.path}", [f"{leg} by itself"])
                break


def _has_finding(situation: Situation, oracle: Oracle) -> bool:
    return any(finding.kind is FindingKind.RAISED and finding.oracle is oracle for finding in situation.findings)


def _has_value(recording: Recording) -> bool:
    """Whether the value whose gradient fails was recorded."""
    return any(recorded_in(name) in (RecordingStage.LOSS, RecordingStage.COMPUTE) for name in recording.observations)


def _got_past(situation: Situation, leg: str, stage: str) -> bool:
    return any(_is_past(recording, stage) for other, recording in situation.recordings.items() if other != leg)


def _is_past(recording: Recording, stage: str) -> bool:
    """Whether a leg got past a stage: it raised nothing, or raised in a later one."""
    if not recording.was_observed:
        return False
    stages = [str(each) for each in RecordingStage]
    return not recording.raised or stages.index(recording.raised[0].stage) > stages.index(stage)


def _diagnosis(code: str, legs: dict[str, tuple[Raised, Refusal]], path: str, past: list[str]) -> Diagnosis:
    kind = _KINDS[code]
    error, refusal = next(iter(legs.values()))
    singular = len(legs) == 1
    types = {each.type for _, each in legs.values()}
    operations = {each.operation for _, each in legs.values()}
    same_type, same_operation = refusal.type if len(types) == 1 else "", refusal.operation if len(operations) == 1 else ""
    clause = kind.clause.format(
        refuse="refuses" if singular else "refuse", need="needs" if singular else "need", have="has" if singular else "have",
        fail="fails" if singular else "fail", type=f" {same_type}" if same_type else "",
        operation=f" {'of' if code == 'no-gradient' else 'in'} {same_operation}" if same_operation else "",
        argument=f" {same_operation}" if same_operation else "",
    )  # fmt: skip
    text = f"{listed([*legs])}{path} {clause}; {listed(past)} {'computes' if len(past) == 1 else 'compute'} it"
    words = "; ".join(dict.fromkeys(error_words(each) for each, _ in legs.values()))
    evidence = {"stage": error.stage, "raised": words}
    evidence |= {name: value for name, value in (("operation", same_operation), ("type", same_type)) if value}
    return Diagnosis(
        code=code, backends=tuple(legs), message=f"{text} ({words}). {kind.remedy}", remedy=kind.remedy, evidence=evidence
    )
