"""Which layer differs: the calls of one model on two backends, compared as recorded and as replayed. NumPy only.

Each call has two outputs on the other backend: the recorded one, whose inputs may differ already, and the replayed one, for the
inputs of the *source backend*. A layer whose replay differs is a cause. A layer that differs as recorded and agrees when
replayed has inherited the difference. Gradients are compared in the same way, from the loss backwards: by inputs and weights,
for the same inputs and the same gradient by the outputs.
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

    recorded, inputs, upstream: outputs, inputs, and the gradient of the loss by the outputs, as recorded on each side.
    replayed, gradient: outputs, and gradients by inputs and weights, given the inputs and the upstream gradient of the source.
    verdict, backward: about the outputs and about the gradients; `backward` is empty without gradients.
    shape: of the outputs. note: what could not be done. Differences are None where there is nothing to compare.
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
    """Where `backend` starts to differ from `source`: every call, in the order in which they began, and the first causes.

    `forward` is the first call that causes a difference in its output, `backward` the first from the loss that causes one in its
    gradients; None without such a call. `unseen` are paths inside a layer that cannot be compared: traced, so that they had no
    values, or called on one backend only.
    """

    source: str
    backend: str
    layers: tuple[LayerResult, ...]
    forward: LayerResult | None
    backward: LayerResult | None
    unseen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything differs, located or not."""
        differing = (INHERITED, LOCAL, ENCLOSES, RAISED)
        return any(verdict in differing for layer in self.layers for verdict in (layer.verdict, layer.backward))


def locate(source: Recording, compared: Recording, overrides: Sequence[Override] = ()) -> Location:
    """Compare the layers of one case on two backends.

    Both recordings have `layers`, and that of `compared` has replayed the calls of `source`.
    """
    if source.layers is None or compared.layers is None:
        message = f"{source.case}: a recording without layers"
        raise ValueError(message)
    comparer = _Comparer(source, compared, overrides)
    calls = [*source.layers.calls, *(call for call in compared.layers.calls if call.key not in comparer.source_calls)]
    unseen = tuple(dict.fromkeys((*source.layers.unseen, *compared.layers.unseen, *_on_one_side(source.layers, compared.layers))))
    calls = [call for call in calls if not any(call.path == path or call.path.startswith(f"{path}/") for path in unseen)]
    layers = [comparer.result(call, comparer.compared_calls.get(call.key)) for call in calls]
    layers = _enclosing(layers)
    innermost = [layer for layer in layers if layer.verdict in (LOCAL, RAISED)]
    backwards = [layer for layer in reversed(layers) if layer.backward == LOCAL]
    return Location(
        source=source.backend, backend=compared.backend, layers=tuple(layers), forward=innermost[0] if innermost else None,
        backward=backwards[0] if backwards else None, unseen=unseen, notes=tuple(dict.fromkeys((*source.notes, *compared.notes))),
    )  # fmt: skip


def _on_one_side(left: LayerTrace, right: LayerTrace) -> Iterator[str]:
    """Paths inside a layer that only one backend calls, such as the cell of an RNN that the other computes in one kernel."""
    paths = [{call.path for call in trace.calls} for trace in (left, right)]
    for trace, paths_of_other in zip((left, right), paths[::-1], strict=True):
        yield from (call.path for call in trace.calls if "/" in call.path.strip("/") and call.path not in paths_of_other)


class _Comparer:
    """Compares the calls of two recordings."""

    def __init__(self, source: Recording, compared: Recording, overrides: Sequence[Override]) -> None:
        self.source, self.compared, self.overrides = source, compared, overrides
        self.sides = (Side(source.backend), Side(compared.backend))
        self.source_calls, self.compared_calls = (
            {call.key: call for call in recording.layers.calls} if recording.layers else {} for recording in (source, compared)
        )
        self.replays = dict(compared.layers.replays) if compared.layers else {}
        self.raised_in_replay = frozenset(compared.layers.raised_in_replay) if compared.layers else frozenset()

    def result(self, call: LayerCall, compared_call: LayerCall | None) -> LayerResult:
        """The result of one call, without regard to the calls inside it."""
        source_call = self.source_calls.get(call.key)
        side = self.source if source_call is not None else self.compared
        depth, around = 0, call.within
        by_key = self.source_calls if source_call is not None else self.compared_calls
        while around:
            depth, around = depth + 1, by_key[around].within if around in by_key else ""
        outputs = parts(side.observations, call.key, OUTPUT)
        result = LayerResult(
            key=call.key, type=call.type, within=call.within, depth=depth, verdict=NOT_COMPARABLE,
            shape=", ".join(str(output.value.shape) for output in outputs.values()),
        )  # fmt: skip
        if source_call is None or compared_call is None:
            caller, missing = self.sides if compared_call is None else self.sides[::-1]
            return replace(result, note=f"called on {caller}, not on {missing}")
        if source_call.raised or compared_call.raised:
            return self._with_raised(result, source_call, compared_call)
        return self._backward(self._forward(result, call), call)

    def _with_raised(self, result: LayerResult, source_call: LayerCall, compared_call: LayerCall) -> LayerResult:
        if source_call.raised and compared_call.raised:
            return replace(result, note=f"raised on both: {source_call.raised}; {compared_call.raised}")
        side, exception = (self.sides[0], source_call.raised) if source_call.raised else (self.sides[1], compared_call.raised)
        inputs = self._compare(result.key, INPUT, INPUT, "predictions")
        return replace(result, verdict=RAISED, inputs=inputs, note=f"raised on {side}: {exception}")

    def _forward(self, result: LayerResult, call: LayerCall) -> LayerResult:
        key, name = call.key, "loss" if call.key == LOSS else "predictions"
        result = replace(
            result, recorded=self._compare(key, OUTPUT, OUTPUT, name), inputs=self._compare(key, INPUT, INPUT, "predictions"),
            replayed=self._compare(key, REPLAYED_OUTPUT, REPLAYED_OUTPUT, name),
        )  # fmt: skip
        for side in (self.source, self.compared):
            difference = self._between((side, side), key, (OUTPUT, AGAIN), name)
            if difference:
                note = f"on {side.backend} the same inputs give another output the second time"
                return replace(result, verdict=STATEFUL, note=note)
        problem = self.replays.get(key, "")
        if key in self.raised_in_replay:
            return replace(result, verdict=RAISED, note=f"given the same inputs, {self.sides[1]} {problem}")
        if result.replayed is None or problem:
            return self._unreplayed(result, problem)
        verdict = LOCAL if result.replayed else INHERITED if result.recorded else SAME
        return replace(result, verdict=verdict)

    def _unreplayed(self, result: LayerResult, problem: str) -> LayerResult:
        """The verdict from the recorded arrays alone: the same inputs and another output are a cause as well."""
        note = f"not replayed: {problem}" if problem else "not replayed"
        if result.recorded is None or not result.recorded:
            return replace(result, verdict=SAME if result.recorded is not None else NOT_COMPARABLE, note=note)
        verdict = LOCAL if result.inputs is not None and not result.inputs else NOT_COMPARABLE
        return replace(result, verdict=verdict, note=note)

    def _backward(self, result: LayerResult, call: LayerCall) -> LayerResult:
        key, name = call.key, "gradient/y_pred" if call.key == LOSS else "gradient/layer"
        if result.verdict not in (SAME, INHERITED, LOCAL):
            return result
        parts_by = ((REPLAYED_BY_INPUT, "by input "), (REPLAYED_BY_WEIGHT, "by "))
        differences = [self._compare(key, part, part, name, which) for part, which in parts_by]
        gradient = _worst([difference for difference in differences if difference is not None])
        upstream = self._compare(key, UPSTREAM, UPSTREAM, name)
        if gradient is None:
            return replace(result, upstream=upstream)
        backward = LOCAL if gradient else INHERITED if upstream else SAME
        return replace(result, upstream=upstream, gradient=gradient, backward=backward)

    def _compare(self, key: str, part: str, of_other: str, name: str, which: str = "") -> Difference | None:
        return self._between((self.source, self.compared), key, (part, of_other), name, which)

    def _between(
        self, pair: tuple[Recording, Recording], key: str, names: tuple[str, str], name: str, which: str = ""
    ) -> Difference | None:
        """The largest difference between the arrays of a part; None where a side does not have the part."""
        left, right = (parts(side.observations, key, part) for side, part in zip(pair, names, strict=True))
        if not left or not right:
            return None
        if left.keys() != right.keys():
            message = f"{len(left)} arrays on {self.sides[0]}, {len(right)} on {self.sides[1]}"
            return Difference(max_abs=None, excess=None, message=message)
        differences = []
        for number in left:
            prefix = f"{which}{number}: " if which and not (which == "by input " and len(left) == 1) else which and "by input: "
            differences.append(self._difference((left[number], right[number]), name, prefix, self._precision(key, names[1])))
        return _worst(differences)

    def _precision(self, key: str, part: str) -> str:
        """The float type whose rounding to expect: that of the call when replayed, that of the whole model as recorded."""
        calls = list(self.source_calls.values()) if part in (INPUT, OUTPUT, UPSTREAM) else [self.source_calls[key]]
        return reduce(coarser, (call.precision for call in calls))

    def _difference(self, values: tuple[Observation, Observation], name: str, prefix: str, inside: str) -> Difference:
        """`inside` is the float type that the call computes in, which may be coarser than what it returns."""
        precision = coarser(coarser(values[0].precision, values[1].precision), inside)
        allowance = Tolerances.of(self.source, self.overrides).allowed(name, precision)
        if name != "loss":
            # The next layer uses the whole output, so its tolerance is scaled by its largest element, as for gradients: where a
            # sum of large terms is close to zero, its rounding is that of the terms.
            allowance = Allowed(tolerance=allowance.tolerance, origin=allowance.origin, norm_wise=True)
        expected = values[0].value if values[0].is_float else None  # NaN on both sides comes from an earlier layer
        pairing = Pairing(oracle=Oracle.AGREEMENT, observation=name, left=self.sides[0], right=self.sides[1])
        comparisons = compare_observations(pairing, values, allowance, expected)
        if not any(value.is_float for value in values):
            comparisons = [c for c in comparisons if not isinstance(c, Finding) or c.kind is not FindingKind.DTYPE]
        worst = max(comparisons, key=_badness, default=None)
        if worst is None:
            return Difference(max_abs=None, excess=None)
        message = f"{prefix}{worst.message}" if isinstance(worst, Finding) else ""
        return Difference(max_abs=worst.max_abs, excess=worst.excess, message=message)


def _badness(comparison: Comparison) -> tuple[bool, float]:
    differs = isinstance(comparison, Finding)
    return differs, comparison.excess if comparison.excess is not None else float("inf") if differs else 0.0


def _worst(differences: Sequence[Difference]) -> Difference | None:
    def badness(difference: Difference) -> tuple[bool, float]:
        return bool(difference), difference.excess if difference.excess is not None else float("inf") if difference else 0.0

    return max(differences, key=badness, default=None)


def _enclosing(layers: Sequence[LayerResult]) -> list[LayerResult]:
    """The results, with those marked as enclosing whose difference is explained by a call inside them."""
    by_key = {layer.key: layer for layer in layers}
    forward: set[str] = set()
    backward: set[str] = set()
    for layer in layers:
        around = list(_around(layer, by_key))
        forward |= set(around) if layer.verdict in (LOCAL, RAISED) else set()
        # A call whose gradients cannot be replayed may be the cause of the difference in its enclosing call.
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
