"""Which layer: the calls of one model on two backends, held against each other as recorded and as replayed. NumPy only.

Of each call there are two outputs on the other backend: the one that it returned there, with whatever went wrong before it in its
inputs, and the one that it returns given the inputs that the *teacher* had. A layer whose replay differs is a cause; one that
differs as recorded, and agrees when replayed, has inherited it. Gradients likewise, from the loss backwards: given the same
inputs and the same gradient by its outputs, the gradients by its inputs and weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from backendcheck.compare.arrays import compare_observations
from backendcheck.compare.findings import Comparison, Finding, Pairing
from backendcheck.compare.tolerances import Allowed, Override, Tolerances, coarser
from backendcheck.recordings.layer_calls import (
    AGAIN,
    INPUT,
    LOSS,
    OUTPUT,
    REPLAYED_BY_INPUT,
    REPLAYED_BY_WEIGHT,
    REPLAYED_OUTPUT,
    UPSTREAM,
    LayerCall,
    LayerTrace,
    parts,
)
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation
from backendcheck.vocabulary.sides import Side

SAME, INHERITED, LOCAL, ENCLOSES = "same", "inherited", "local", "encloses"
RAISED, STATEFUL, NOT_COMPARABLE = "raised", "stateful", "not comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far apart the arrays of one part of a call are: the largest |difference|, the largest excess, and which.

    `max_abs` and `excess` are None where the comparison is exact or structural. `message` is empty where they agree.
    """

    max_abs: float | None
    excess: float | None
    message: str = ""

    def __bool__(self) -> bool:
        return bool(self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One call on both sides.

    `recorded` and `inputs` are as recorded on each side, `replayed` is given the inputs of the teacher; `upstream` is the
    gradient of the loss by the outputs as recorded, `gradient` the gradients by inputs and weights given the teacher's. None
    where there is nothing to compare. `verdict` is about the outputs, `backward` about the gradients, empty where there are none.
    `shape` is that of the outputs, `note` says what could not be done.
    """

    key: str
    type: str
    within: str
    depth: int
    shape: str
    verdict: str
    backward: str = ""
    recorded: Difference | None = None
    inputs: Difference | None = None
    replayed: Difference | None = None
    upstream: Difference | None = None
    gradient: Difference | None = None
    note: str = ""

    @property
    def name(self) -> str:
        return "loss" if self.key == LOSS else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where `backend` parts from `teacher`: every call, in the order in which they began, and the first on either way.

    `forward` is the first call whose output is its own doing, `backward` the first from the loss whose gradients are; None where
    there is none. `unseen` are paths inside a layer that cannot be compared: traced, so that they had no values, or called on one
    of them only.
    """

    teacher: str
    backend: str
    layers: tuple[LayerResult, ...]
    forward: LayerResult | None
    backward: LayerResult | None
    unseen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything is apart, located or not."""
        apart = (INHERITED, LOCAL, ENCLOSES, RAISED)
        return any(one in apart for layer in self.layers for one in (layer.verdict, layer.backward))


def locate(teacher: Recording, other: Recording, overrides: Sequence[Override] = ()) -> Location:
    """Hold the layers of one case on two backends against each other.

    Both recordings have `layers`, and that of `other` has replayed the calls of `teacher`.
    """
    if teacher.layers is None or other.layers is None:
        message = f"{teacher.case}: a recording without layers"
        raise ValueError(message)
    held = _Held(teacher, other, overrides)
    calls = [*teacher.layers.calls, *(call for call in other.layers.calls if call.key not in held.taught)]
    unseen = tuple(dict.fromkeys((*teacher.layers.unseen, *other.layers.unseen, *_on_one_side(teacher.layers, other.layers))))
    calls = [call for call in calls if not any(call.path == path or call.path.startswith(f"{path}/") for path in unseen)]
    layers = [held.result(call, held.own.get(call.key)) for call in calls]
    layers = _enclosing(layers)
    innermost = [layer for layer in layers if layer.verdict in (LOCAL, RAISED)]
    backwards = [layer for layer in reversed(layers) if layer.backward == LOCAL]
    return Location(
        teacher=teacher.backend,
        backend=other.backend,
        layers=tuple(layers),
        forward=innermost[0] if innermost else None,
        backward=backwards[0] if backwards else None,
        unseen=unseen,
        notes=tuple(dict.fromkeys((*teacher.notes, *other.notes))),
    )


def _on_one_side(left: LayerTrace, right: LayerTrace) -> Iterator[str]:
    """The paths inside a layer that only one backend takes, such as the cell of an RNN that the other has a faster way for."""
    paths = [{call.path for call in trace.calls} for trace in (left, right)]
    for trace, others in zip((left, right), paths[::-1], strict=True):
        yield from (call.path for call in trace.calls if "/" in call.path.strip("/") and call.path not in others)


class _Held:
    """Two recordings side by side."""

    def __init__(self, teacher: Recording, other: Recording, overrides: Sequence[Override]) -> None:
        self.teacher, self.other, self.overrides = teacher, other, overrides
        self.sides = (Side(teacher.backend), Side(other.backend))
        self.taught, self.own = ({call.key: call for call in one.layers.calls} if one.layers else {} for one in (teacher, other))
        self.replays = dict(other.layers.replays) if other.layers else {}

    def result(self, call: LayerCall, own: LayerCall | None) -> LayerResult:
        """What is to be said of one call; whether others inside it explain it comes later."""
        teachers = self.taught.get(call.key)
        side = self.teacher if teachers is not None else self.other
        depth, around = 0, call.within
        by_key = self.taught if teachers is not None else self.own
        while around:
            depth, around = depth + 1, by_key[around].within if around in by_key else ""
        outputs = parts(side.observations, call.key, OUTPUT)
        result = LayerResult(
            key=call.key, type=call.type, within=call.within, depth=depth, verdict=NOT_COMPARABLE,
            shape=", ".join(str(seen.value.shape) for seen in outputs.values()),
        )  # fmt: skip
        if teachers is None or own is None:
            there, away = self.sides if own is None else self.sides[::-1]
            return replace(result, note=f"called on {there}, not on {away}")
        if teachers.raised or own.raised:
            return self._with_raised(result, teachers, own)
        return self._backward(self._forward(result, call), call)

    def _with_raised(self, result: LayerResult, teachers: LayerCall, own: LayerCall) -> LayerResult:
        if teachers.raised and own.raised:
            return replace(result, note=f"raised on both: {teachers.raised}; {own.raised}")
        where, what = (self.sides[0], teachers.raised) if teachers.raised else (self.sides[1], own.raised)
        inputs = self._apart(result.key, INPUT, INPUT, "predictions")
        return replace(result, verdict=RAISED, inputs=inputs, note=f"raised on {where}: {what}")

    def _forward(self, result: LayerResult, call: LayerCall) -> LayerResult:
        key, kind = call.key, "loss" if call.key == LOSS else "predictions"
        result = replace(
            result,
            recorded=self._apart(key, OUTPUT, OUTPUT, kind),
            inputs=self._apart(key, INPUT, INPUT, "predictions"),
            replayed=self._apart(key, REPLAYED_OUTPUT, REPLAYED_OUTPUT, kind),
        )
        for side in (self.teacher, self.other):
            unlike = self._between((side, side), key, (OUTPUT, AGAIN), kind)
            if unlike:
                note = f"on {side.backend} the same inputs give another output the second time"
                return replace(result, verdict=STATEFUL, note=note)
        trouble = self.replays.get(key, "")
        if result.replayed is None or trouble:
            if trouble.startswith("raised"):
                return replace(result, verdict=RAISED, note=f"given the same inputs, {self.sides[1]} {trouble}")
            return self._unreplayed(result, trouble)
        verdict = LOCAL if result.replayed else INHERITED if result.recorded else SAME
        return replace(result, verdict=verdict)

    def _unreplayed(self, result: LayerResult, trouble: str) -> LayerResult:
        """By what was recorded alone: the same inputs and another output are a cause as well."""
        note = f"not replayed: {trouble}" if trouble else "not replayed"
        if result.recorded is None or not result.recorded:
            return replace(result, verdict=SAME if result.recorded is not None else NOT_COMPARABLE, note=note)
        verdict = LOCAL if result.inputs is not None and not result.inputs else NOT_COMPARABLE
        return replace(result, verdict=verdict, note=note)

    def _backward(self, result: LayerResult, call: LayerCall) -> LayerResult:
        key, name = call.key, "gradient/y_pred" if call.key == LOSS else "gradient/layer"
        if result.verdict not in (SAME, INHERITED, LOCAL):
            return result
        by = [
            self._apart(key, part, part, name, which)
            for part, which in ((REPLAYED_BY_INPUT, "by input "), (REPLAYED_BY_WEIGHT, "by "))
        ]
        gradient = _worst([one for one in by if one is not None])
        upstream = self._apart(key, UPSTREAM, UPSTREAM, name)
        if gradient is None:
            return replace(result, upstream=upstream)
        backward = LOCAL if gradient else INHERITED if upstream else SAME
        return replace(result, upstream=upstream, gradient=gradient, backward=backward)

    def _apart(self, key: str, part: str, of_other: str, name: str, which: str = "") -> Difference | None:
        return self._between((self.teacher, self.other), key, (part, of_other), name, which)

    def _between(
        self, pair: tuple[Recording, Recording], key: str, names: tuple[str, str], name: str, which: str = ""
    ) -> Difference | None:
        """The worst of the arrays of a part, None where one side has none of it."""
        left, right = (parts(side.observations, key, part) for side, part in zip(pair, names, strict=True))
        if not left or not right:
            return None
        if left.keys() != right.keys():
            message = f"{len(left)} arrays on {self.sides[0]}, {len(right)} on {self.sides[1]}"
            return Difference(max_abs=None, excess=None, message=message)
        found = []
        for one in left:
            prefix = f"{which}{one}: " if which and not (which == "by input " and len(left) == 1) else which and "by input: "
            found.append(self._difference((left[one], right[one]), name, prefix, self._precision(key, names[1])))
        return _worst(found)

    def _precision(self, key: str, part: str) -> str:
        """The float type whose rounding to expect: of the call itself when replayed, of the whole model as recorded."""
        calls = list(self.taught.values()) if part in (INPUT, OUTPUT, UPSTREAM) else [self.taught[key]]
        return reduce(coarser, (call.precision for call in calls))

    def _difference(self, values: tuple[Observation, Observation], name: str, prefix: str, inside: str) -> Difference:
        """`inside` is the float type that the call computes in, which may be coarser than what it returns."""
        precision = coarser(coarser(values[0].precision, values[1].precision), inside)
        allowance = Tolerances.of(self.teacher, self.overrides).allowed(name, precision)
        if name != "loss":
            # An output goes on as a whole, so that it is measured by its largest element, as gradients are: where a sum of large
            # terms comes close to nothing, rounding is as large as its terms have it.
            allowance = Allowed(tolerance=allowance.tolerance, origin=allowance.origin, norm_wise=True)
        expected = values[0].value if values[0].is_float else None  # NaN on both sides alike has come from elsewhere
        pairing = Pairing(oracle=Oracle.AGREEMENT, observation=name, left=self.sides[0], right=self.sides[1])
        comparisons = compare_observations(pairing, values, allowance, expected)
        if not any(value.is_float for value in values):
            comparisons = [c for c in comparisons if not isinstance(c, Finding) or c.kind is not FindingKind.DTYPE]
        worst = max(comparisons, key=_badness, default=None)
        if worst is None:
            return Difference(max_abs=None, excess=None)
        return Difference(
            max_abs=worst.max_abs, excess=worst.excess, message=f"{prefix}{worst.message}" if isinstance(worst, Finding) else ""
        )


def _badness(comparison: Comparison) -> tuple[bool, float]:
    differs = isinstance(comparison, Finding)
    return differs, comparison.excess if comparison.excess is not None else float("inf") if differs else 0.0


def _worst(found: Sequence[Difference]) -> Difference | None:
    def badness(one: Difference) -> tuple[bool, float]:
        return bool(one), one.excess if one.excess is not None else float("inf") if one else 0.0

    return max(found, key=badness, default=None)


def _enclosing(layers: Sequence[LayerResult]) -> list[LayerResult]:
    """The same, those marked whose difference one inside them explains."""
    by_key = {layer.key: layer for layer in layers}
    forward: set[str] = set()
    backward: set[str] = set()
    for layer in layers:
        around = list(_around(layer, by_key))
        forward |= set(around) if layer.verdict in (LOCAL, RAISED) else set()
        # One whose gradients cannot be replayed may well be the cause of what its enclosing call shows of them.
        doubtful = layer.verdict in (LOCAL, RAISED) and not layer.backward
        backward |= set(around) if layer.backward == LOCAL or doubtful else set()
    return [
        replace(
            layer,
            verdict=ENCLOSES if layer.key in forward and layer.verdict in (LOCAL, RAISED) else layer.verdict,
            backward=ENCLOSES if layer.key in backward and layer.backward == LOCAL else layer.backward,
        )
        for layer in layers
    ]


def _around(layer: LayerResult, by_key: Mapping[str, LayerResult]) -> Iterator[str]:
    key = layer.within
    while key:
        yield key
        key = by_key[key].within if key in by_key else ""
