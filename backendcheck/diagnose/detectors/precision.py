"""`precision`: one side was computed or stored in a coarser float format than the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference
from backendcheck.diagnose.evidence.float_formats import SIGNIFICAND_BITS, rounded
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = ("precision",)
_SAME_TYPES = "Compare the dtype policies, float types of inputs and matmul precision of both backends."
_FEWEST = 4  # so many values must be representable in the coarser format; fewer may be so by accident
_FEW = 12  # so many, if two other backends agree with each other
_ALONE = 30.0  # so many times as far as these two are apart
_SAME_VALUES = 10.0  # so many times nearer if each side is sorted
_SHORTER = 3  # so many bits fewer than the format make a short fraction
_MANY = 16  # so many elements must show that an error is everywhere


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses values that fit a coarser format exactly, or that were computed in one."""
    # Only the first difference of each pair of sides is evidence; later ones may follow from it.
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
                    f"{floatx} is set"
                )
                yield _precision_claim(difference, backends, text, format=name, relative_error=error)
                return
    if "dtype" in difference.kinds and len({*dtypes}) == 2 and all("float" in dtype for dtype in dtypes):  # noqa: PLR2004
        text = f"{difference.observation} is {dtypes[0]} on {difference.side}, {dtypes[1]} on {difference.reference_side}"
        yield _precision_claim(difference, difference.suspects, text, dtypes=dtypes)
        return
    # Values computed in a coarse format and stored in a finer one show it only by the size of their error.
    if difference.quantity in (Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS) or difference.name.of_predictions:
        return  # a loss has no matrix products; and with near-uniform predictions, other labels look like low precision
    in_order = np.sort(difference.left, axis=None), np.sort(difference.right, axis=None)
    if difference.excess(*in_order) < difference.excess() / _SAME_VALUES:
        return  # the same values in other places
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
    elif floatx == "float32" and difference.excess() > 1.0 and (alone := _leg_alone(difference, error, situation)):
        text = (
            f"{difference.observation} on {alone} differs by {error:.2g} of its magnitude everywhere, far more than the other "
            f"backends do from each other, as if part of it were computed in a coarser format"
        )
        yield _precision_claim(difference, (alone,), text, relative_error=error)


def _precision_claim(difference: Difference, backends: tuple[str, ...], text: str, **evidence: object) -> Diagnosis:
    return Diagnosis(
        code="precision",
        backends=backends,
        message=f"{text}. {_SAME_TYPES}",
        remedy=_SAME_TYPES,
        evidence={"observation": difference.observation, **evidence},
        headline=f"PRECISION: {text}",
    )


def _only_rounding(values: np.ndarray, finer: np.ndarray, name: str) -> bool:
    """Whether `values` are `finer` rounded to a format: every value representable, and within one step of the format."""
    values, finer = values.astype(np.float64).ravel(), finer.astype(np.float64).ravel()
    finite = np.isfinite(values) & np.isfinite(finer)
    values, finer = values[finite], finer[finite]
    if not np.array_equal(rounded(values, name), values):
        return False
    if 2 <= np.count_nonzero(values != finer) < _FEWEST:  # noqa: PLR2004 - one value may be a coincidence
        # Of a few values each must be exactly what rounding gives, and not a short fraction.
        short = values == _shortened(values, SIGNIFICAND_BITS[name] - _SHORTER)
        return bool(np.array_equal(rounded(finer, name), values) and not short[values != finer].any())
    if np.count_nonzero(values != finer) < _FEWEST:
        return False
    # Integers and short fractions are representable anyway, so the other side must need the finer format.
    if np.count_nonzero(rounded(finer, name) != finer) < _FEWEST:
        return False
    step = 2.0 ** (1 - SIGNIFICAND_BITS[name])
    return bool((np.abs(values - finer) <= 4 * step * np.abs(finer) + 1e-7).all())


def _shortened(values: np.ndarray, n_bits: int) -> np.ndarray:
    """Values rounded to fewer bits of the significand."""
    significand, exponent = np.frexp(values)
    shortened: np.ndarray = np.ldexp(np.rint(significand * 2.0**n_bits) / 2.0**n_bits, exponent)
    return shortened


def _relative_error(left: np.ndarray, right: np.ndarray) -> float:
    """The median of |difference| / magnitude, over elements that are not close to 0."""
    left, right = left.astype(np.float64).ravel(), right.astype(np.float64).ravel()
    magnitude = np.maximum(np.abs(left), np.abs(right))
    telling = np.isfinite(magnitude) & (magnitude > 1e-3 * np.max(magnitude, initial=0.0, where=np.isfinite(magnitude)))
    if not telling.any():
        return 0.0
    with np.errstate(all="ignore"):
        return float(np.median(np.abs(left - right)[telling] / magnitude[telling]))


def _leg_alone(difference: Difference, error: float, situation: Situation) -> str:
    """The single leg that is off everywhere by more than rounding of float32, where all others agree almost exactly; or empty."""
    others = [leg for leg in situation.recordings if leg not in difference.suspects]
    if difference.oracle is not Oracle.AGREEMENT or difference.left.size < _FEW:
        return ""
    alone, agreeing = (difference.suspects[0], others) if len(difference.suspects) == 1 else (others[0], [*difference.suspects])
    if len(agreeing) < 2 or len(agreeing) + 1 < len(situation.recordings):  # noqa: PLR2004 - two that agree
        return ""
    if not (2.0**-17 < error < 2.0**-10 and _patternless(difference)):
        return ""
    # What follows from the values is off as well, or they alone were changed.
    following = [of_output(quantity, difference.output) for quantity in ("per_example_loss", "gradient/y_pred")]
    is_off = [
        _is_off(name, alone, agreeing, situation) for name in (difference.observation, *following)
        if name in situation.recordings[alone].observations
    ]  # fmt: skip
    return alone if is_off[:1] == [True] and any(is_off[1:]) else ""


def _is_off(name: str, alone: str, agreeing: list[str], situation: Situation) -> bool:
    """Whether one leg is many times as far from the others in an observation as they are from each other."""
    observations = [situation.recordings[leg].observations.get(name) for leg in (alone, *agreeing)]
    values = [each.value for each in observations if each is not None and each.is_float]
    if len(values) < len(observations) or len({value.shape for value in values}) > 1:
        return False
    noise = max(_relative_error(values[1], value) for value in values[2:])
    return noise < _relative_error(values[0], values[1]) / _ALONE


def _patternless(difference: Difference) -> bool:
    """Whether the difference is everywhere, with both signs and similar sizes, as rounding is."""
    left, right = difference.left.astype(np.float64).ravel(), difference.right.astype(np.float64).ravel()
    deviation, magnitude = left - right, np.maximum(np.abs(left), np.abs(right))
    if not np.isfinite(deviation).all() or not magnitude.any():
        return False
    telling = magnitude > 1e-3 * magnitude.max()
    relative = np.abs(deviation[telling]) / magnitude[telling]
    signs = np.sign((deviation * right)[telling][relative > 0])
    if len(signs) < _FEWEST or abs(signs.mean()) > 0.9:  # noqa: PLR2004 - all to one side is a factor, not rounding
        return False
    return bool(relative.max() <= 12 * np.median(relative) + 1e-12)
