"""Differences in the last digits: `precision`, `rounding`. And what to say when no cause fits: `unexplained`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.compare.tolerances import default_tolerance
from backendcheck.diagnose.detectors.transformed import rounded
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.observations import Quantity

# Bits of the significand, hidden one included: a relative rounding error is at most 2**-bits.
_FORMATS = {"bfloat16": 8, "float16": 11, "TF32": 11, "float32": 24, "float64": 53}
_SAME_TYPES = "Compare the dtype policies, float types of inputs and matmul precision of both backends."
_MEASURE = (
    "If every run shows as much, set a tolerance for this case and say why; measure with 'backendcheck run --noise-floor'."
)
_REDUCE = "Reduce it to a script with 'backendcheck repro'; in a model, find the layer it begins in with 'backendcheck locate'."
_FEWEST = 4  # values that have to be representable before that is no accident
_MANY = 16  # elements that have to show that an error is everywhere
# Relative to the largest element: what summation in another order leaves, with room, by float type.
_NOISE = {"float64": 1e-10, "float32": 3e-4, "float16": 5e-2, "bfloat16": 4e-1}


def detect_precision(situation: Situation) -> list[Diagnosis]:
    """Claims `precision` where the values of one side fit a coarser format exactly, or were computed in one."""
    # What follows from a difference is no proof of anything: only the first of each pair of sides counts.
    first: dict[tuple[str, str, str], Difference] = {}
    for difference in situation.differences:
        first.setdefault((difference.oracle, difference.suspects[0], difference.path), difference)
    for difference in first.values():
        for diagnosis in _precision(difference, situation):
            return [diagnosis]
    return []


def _precision(difference: Difference, situation: Situation) -> Iterator[Diagnosis]:
    if not difference.is_float or not difference.left.size:
        return
    dtypes = [
        situation.recordings[leg].observations[difference.observation].dtype
        for leg in (difference.suspects[0], difference.reference_side)
        if leg in situation.recordings and difference.observation in situation.recordings[leg].observations
    ]
    floatx = difference.recording.settings.get("floatx", "float32")
    for side, values, other_values, backends in (
        (difference.side, difference.left, difference.right, difference.suspects),
        (
            difference.reference_side,
            difference.right,
            difference.left,
            (difference.reference_side,) if difference.reference_side in situation.recordings else difference.suspects,
        ),
    ):
        if side == "reference":
            continue
        for name in ("bfloat16", "float16", "float32"):
            if name == "float32" and (floatx != "float64" and "float64" not in dtypes):
                continue
            if _only_rounding(values, other_values, name) and difference.excess() > 1.0:
                error = _relative_error(values, other_values)
                text = (
                    f"{difference.observation} on {side} is rounded to {name} (relative error {error:.2g}), where "
                    f"{floatx} is asked for"
                )
                yield _precision_claim(difference, backends, text, format=name, relative_error=error)
                return
    if "dtype" in difference.kinds and len({*dtypes}) == 2 and all("float" in dtype for dtype in dtypes):  # noqa: PLR2004
        text = f"{difference.observation} is {dtypes[0]} on {difference.side}, {dtypes[1]} on {difference.reference_side}"
        yield _precision_claim(difference, difference.suspects, text, dtypes=dtypes)
        return
    # Computed in a coarse format and stored in a finer one: no value shows it, the size of the error does.
    if difference.quantity not in (Quantity.PREDICTIONS, Quantity.VALUE) and difference.observation.startswith(
        ("per_example", "loss", "gradient/y_pred")
    ):
        return  # a loss multiplies no matrices, and other labels under near-uniform predictions look alike
    error = _relative_error(difference.left, difference.right)
    if floatx == "float32" and difference.left.size >= _MANY and 2.0**-14 < error < 2.0**-5 and difference.excess() > NEAR:
        if _patternless(difference):
            name = "bfloat16" if error > 2.0**-9 else "float16 or TF32"
            text = (
                f"{difference.observation} differs by {error:.2g} of its magnitude everywhere, as if "
                f"{difference.side} computed in {name}"
            )
            yield _precision_claim(difference, difference.suspects, text, relative_error=error)
    elif (
        floatx == "float64"
        and difference.left.size >= _FEWEST
        and 2.0**-30 < error < 2.0**-16
        and difference.excess() >= FAR
        and _patternless(difference)
    ):
        text = (
            f"{difference.observation} differs by {error:.2g} of its magnitude, as if {difference.side} computed "
            f"in float32, not float64"
        )
        yield _precision_claim(difference, difference.suspects, text, relative_error=error)


def _precision_claim(difference: Difference, backends: tuple[str, ...], text: str, **evidence: object) -> Diagnosis:
    return Diagnosis(
        code="precision",
        backends=backends,
        message=f"{text}. {_SAME_TYPES}",
        remedy=_SAME_TYPES,
        evidence={"observation": difference.observation, **evidence},
        headline=f"PRECISION: {text}",
    )


def _only_rounding(values: np.ndarray, other: np.ndarray, name: str) -> bool:
    """Whether `here` is `there` rounded to a format: every value representable, none further away than one step of it."""
    values, other = values.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    finite = np.isfinite(values) & np.isfinite(other)
    values, other = values[finite], other[finite]
    if np.count_nonzero(values != other) < _FEWEST or not np.array_equal(rounded(values, name), values):
        return False
    # A value that is whole or a short fraction anyway proves nothing; the other side has to need the finer format.
    if np.count_nonzero(rounded(other, name) != other) < _FEWEST:
        return False
    step = 2.0 ** (1 - _FORMATS[name])
    return bool((np.abs(values - other) <= 4 * step * np.abs(other) + 1e-7).all())


def _relative_error(left: np.ndarray, right: np.ndarray) -> float:
    """The median |difference| as a share of the magnitude, of the elements that have one."""
    left, right = left.astype(np.float64).ravel(), right.astype(np.float64).ravel()
    magnitude = np.maximum(np.abs(left), np.abs(right))
    telling = np.isfinite(magnitude) & (magnitude > 1e-3 * np.max(magnitude, initial=0.0, where=np.isfinite(magnitude)))
    if not telling.any():
        return 0.0
    with np.errstate(all="ignore"):
        return float(np.median(np.abs(left - right)[telling] / magnitude[telling]))


def _patternless(difference: Difference) -> bool:
    """Whether the difference is everywhere, of either sign, and of about one size: no element stands out."""
    left, right = difference.left.astype(np.float64).ravel(), difference.right.astype(np.float64).ravel()
    deviation, magnitude = left - right, np.maximum(np.abs(left), np.abs(right))
    if not np.isfinite(deviation).all() or not magnitude.any():
        return False
    telling = magnitude > 1e-3 * magnitude.max()
    relative = np.abs(deviation[telling]) / magnitude[telling]
    signs = np.sign(deviation[telling][relative > 0])
    if len(signs) < _FEWEST or abs(signs.mean()) > 0.9:  # noqa: PLR2004 - all to one side is a factor, not rounding
        return False
    return bool(relative.max() <= 12 * np.median(relative) + 1e-12)


def detect_rounding(situation: Situation) -> list[Diagnosis]:
    """Claims `rounding` where every finding is a number just outside its tolerance and small against its tensor."""
    worst: Difference | None = None
    for difference in situation.differences:
        if not difference.is_float or difference.kinds - {"value"} or difference.quantity is Quantity.OUTPUT_ORDER:
            return []
        excess = difference.excess()
        scale = float(np.max(np.abs(difference.right.astype(np.float64)), initial=0.0))
        distance = float(np.max(np.abs(difference.left.astype(np.float64) - difference.right), initial=0.0))
        if excess >= FAR or not np.isfinite(excess) or distance > _NOISE[_precision_of(difference)] * scale + _least(difference):
            return []
        worst = difference if worst is None or excess > worst.excess() else worst
    if worst is None or any(finding.kind not in (None, "value") for finding in situation.findings):
        return []
    n_bits = _FORMATS[_precision_of(worst)]
    step = 2.0**-n_bits * float(np.max(np.abs(worst.right.astype(np.float64)), initial=0.0))
    distance = float(np.max(np.abs(worst.left.astype(np.float64) - worst.right), initial=0.0))
    n_steps, excess = distance / step if step else float("inf"), worst.excess()
    text = (
        f"noise just above its tolerance: {worst.observation} is {excess:.2g} times what is allowed, {n_steps:.2g} rounding steps"
    )
    return [
        Diagnosis(
            code="rounding",
            backends=worst.suspects,
            message=f"Nothing but {text} of its largest element. {_MEASURE}",
            remedy=_MEASURE,
            evidence={"observation": worst.observation, "excess": excess, "rounding steps": n_steps},
        )
    ]


def _precision_of(difference: Difference) -> str:
    observation = difference.recording.observations.get(difference.observation)
    return observation.precision if observation is not None and observation.precision in _NOISE else "float32"


def _least(difference: Difference) -> float:
    """What a vanishing value may be off without being more than noise."""
    return FAR * default_tolerance(difference.quantity, _precision_of(difference)).atol


def unexplained(situation: Situation) -> list[Diagnosis]:
    """What a difference looks like that no detector explains: how many elements, which examples, which classes."""
    if not situation.differences:
        return _structural(situation)
    # The first of those that are more than noise.
    difference = min(
        situation.differences,
        key=lambda difference: (not difference.is_numeric, difference.excess() <= NEAR, situation.differences.index(difference)),
    )
    if not difference.is_numeric:
        text = (
            f"{difference.observation} differs in shape or type: {difference.left.shape} on {difference.side}, "
            f"{difference.right.shape} on {difference.reference_side}"
        )
        evidence: dict[str, object] = {"observation": difference.observation}
    else:
        with np.errstate(all="ignore"):
            left, right = difference.left.astype(np.float64), difference.right.astype(np.float64)
            finite = np.isfinite(left) & np.isfinite(right)
            scale = difference.allowance.scale(np.where(finite, np.maximum(np.abs(left), np.abs(right)), 0.0))
            bound = difference.allowance.tolerance.atol + difference.allowance.tolerance.rtol * scale
            apart = np.where(finite, np.abs(left - right) > bound, ~((left == right) | (np.isnan(left) & np.isnan(right))))
        evidence = {"observation": difference.observation, "elements": f"{int(apart.sum())} of {apart.size}"}
        words = [f"{int(apart.sum())} of {apart.size} elements of {difference.observation}"]
        of_weights = difference.quantity in (Quantity.GRADIENT, Quantity.TRAIN_WEIGHT)
        if (apart.ndim and not of_weights) or difference.observation.startswith("gradient/y_pred"):
            words.append(_axis_words(apart, 0, "examples", evidence))
        if apart.ndim > 1:
            words.append(_axis_words(apart, apart.ndim - 1, "classes", evidence))
        text = f"{'; '.join(words)} differ between {difference.side} and {difference.reference_side}"
    return [
        Diagnosis(
            code="unexplained",
            backends=difference.suspects,
            message=f"None of the causes that backendcheck knows fits. {text}.",
            remedy=_REDUCE,
            evidence=evidence,
        )
    ]


def _structural(situation: Situation) -> list[Diagnosis]:
    """What was raised, or is missing, on some legs only."""
    throwers = [leg for leg, recording in situation.recordings.items() if recording.raised]
    first = situation.findings[0]
    if throwers:
        error = situation.recordings[throwers[0]].raised[0]
        text = f"{listed(throwers)} {'raises' if len(throwers) == 1 else 'raise'} {error.type} in stage {error.stage}"
    else:
        text = f"{first.observation}: {first.message}"
    return [
        Diagnosis(
            code="unexplained",
            backends=tuple(throwers) or tuple(leg for leg in first.sides if leg in situation.recordings),
            message=f"None of the causes that backendcheck knows fits. {text}.",
            remedy=_REDUCE,
            evidence={"observation": first.observation, "kind": first.kind},
        )
    ]


def _axis_words(apart: np.ndarray, axis: int, noun: str, evidence: dict[str, object]) -> str:
    along = np.flatnonzero(apart.any(axis=tuple(n for n in range(apart.ndim) if n != axis)))
    n = apart.shape[axis]
    evidence[noun] = along[:12].tolist()
    if len(along) == n:
        return f"all {n} {noun}"
    return f"{len(along)} of {n} {noun} ({', '.join(map(str, along[:8]))}{' …' if len(along) > 8 else ''})"  # noqa: PLR2004
