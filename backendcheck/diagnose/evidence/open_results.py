"""What explains other results of equal inputs: the definition with one thing changed, or inputs that leave the result open."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backendcheck.diagnose.evidence.operations import DifferingCall, exact_result, fits, suppositions

Explanation = tuple[str, str, str]  # a code, the leg that shows it (empty if either may), words


def _by_definition(call: DifferingCall) -> Explanation | None:
    """One side is the result by definition, and the other is the same with one thing changed."""
    exact = exact_result(call.call)
    for result, other, side in ((call.left, call.right, 0), (call.right, call.left, 1)):
        if fits(result, exact) or not fits(other, exact):
            continue
        for supposition in suppositions(call.calls[side]):
            if fits(result, supposition.result) and not fits(result, exact):
                return supposition.code, call.legs[side], supposition.words
    return None


def _cast(call: DifferingCall) -> Explanation | None:
    x, dtype = call.inputs.get("x"), str(call.options.get("dtype"))
    if call.name not in ("cast", "saturate_cast") or x is None or x.dtype.kind != "f" or "int" not in dtype:
        return None
    limits = np.iinfo(dtype)
    with np.errstate(all="ignore"):
        outside = ~np.isfinite(x) | (np.trunc(x.astype(np.float64)) < limits.min) | (np.trunc(x.astype(np.float64)) > limits.max)
    words = "{x} does not fit " + dtype + " and becomes {left} on {a}, {right} on {b}"
    return _of_places("cast-out-of-range", call, outside, words, x)


def _index(call: DifferingCall) -> Explanation | None:
    """Indices that are negative, or not below the number of classes."""
    if call.name == "in_top_k":
        indices, n = call.inputs.get("targets"), _width(call.inputs.get("predictions"))
    elif call.name in ("take", "take_along_axis"):
        indices, x, axis = call.inputs.get("indices"), call.inputs.get("x"), call.options.get("axis")
        n = 0 if x is None else x.size if axis is None else x.shape[axis]
    else:
        return None
    if indices is None or not n or indices.dtype.kind not in "iu":
        return None
    outside = (indices < 0) | (indices >= n)
    words = f"index {{x}} of {n} gives {{left}} on {{a}}, {{right}} on {{b}}"
    return _of_places("index-out-of-range", call, outside, words, indices)


def _width(array: np.ndarray | None) -> int:
    return 0 if array is None or not array.ndim else int(array.shape[-1])


def _special(code: str, test: Callable[[np.ndarray], np.ndarray], name: str) -> Callable[[DifferingCall], Explanation | None]:
    """Scores, or values that are sorted into bins, that are NaN or infinite."""

    def explain(call: DifferingCall) -> Explanation | None:
        scores = _scores(call)
        if scores is None or scores.dtype.kind != "f":
            return None
        rows = test(scores)
        if rows.shape != call.apart.shape:
            rows = _by_row(rows, call)
        words = f"{{n}} of {{size}} results differ, all of inputs with {name}: {{left}} on {{a}}, {{right}} on {{b}}"
        return _of_places(code, call, rows, words)

    return explain


def _scores(call: DifferingCall) -> np.ndarray | None:
    inputs = call.inputs
    if call.name in ("argmax", "argmin", "argsort", "sort", "top_k", "digitize"):
        return inputs.get("x")
    return inputs.get({"in_top_k": "predictions", "searchsorted": "values", "ctc_decode": "inputs"}.get(call.name, ""))


def _by_row(places: np.ndarray, call: DifferingCall) -> np.ndarray:
    """Places of scores as places of results, by the axes in front that both have. Empty if they do not fit."""
    if call.name in ("argmax", "argmin") and call.options.get("axis") not in (-1, places.ndim - 1):
        return np.zeros(0, bool)
    if call.name == "ctc_decode" and call.apart.ndim >= 2:  # noqa: PLR2004 - (paths, N, T), or (N, T)
        rows = np.asarray(places.reshape(len(places), -1).any(axis=1))
        shape = call.apart.shape
        n_axis = 1 if len(shape) > 2 and shape[1] == len(rows) else 0  # noqa: PLR2004
        if shape[n_axis] != len(rows):
            return np.zeros(0, bool)
        return np.broadcast_to(rows.reshape([-1 if axis == n_axis else 1 for axis in range(len(shape))]), shape)
    rows = np.asarray(places.any(axis=-1) if places.ndim else places)
    while rows.ndim < call.apart.ndim:
        rows = rows[..., None]
    return np.broadcast_to(rows, call.apart.shape) if rows.ndim == call.apart.ndim else np.zeros(0, bool)


def _ties(call: DifferingCall) -> Explanation | None:
    """Indices of scores that are equal on both sides."""
    x, axis = call.inputs.get("x"), call.options.get("axis", -1)
    if call.name == "in_top_k":
        return _ties_in_top_k(call)
    if call.name == "ctc_decode" and (scores := call.inputs.get("inputs")) is not None and scores.ndim == 3:  # noqa: PLR2004
        best = np.sort(scores, axis=-1)[..., -2:]
        rows = _by_row(np.asarray((best[..., 0] == best[..., -1]).all(axis=1)), call)
        return _of_places("tie-order", call, rows, "in all frames the best classes tie: it is {left} on {a}, {right} on {b}")
    if call.name not in ("argmax", "argmin", "argsort", "top_k") or x is None or not x.ndim or axis not in (-1, x.ndim - 1):
        return None
    if call.left.dtype.kind not in "iu" or call.left.min(initial=0) < 0 or max(call.left.max(), call.right.max()) >= x.shape[-1]:
        return None
    left, right = (side[..., None] if side.ndim < x.ndim else side for side in (call.left, call.right))
    if left.shape[:-1] != x.shape[:-1]:
        return None
    equal = np.take_along_axis(x, left.astype(np.int64), -1) == np.take_along_axis(x, right.astype(np.int64), -1)
    words = "{n} of {size} indices differ, all of equal scores: {left} on {a}, {right} on {b}"
    return _of_places("tie-order", call, equal.reshape(call.apart.shape), words)


def _ties_in_top_k(call: DifferingCall) -> Explanation | None:
    """Hits that depend on which of the classes that tie with the k-th one are counted."""
    targets, scores, k = call.inputs.get("targets"), call.inputs.get("predictions"), call.options.get("k")
    if targets is None or scores is None or not isinstance(k, int) or not 1 <= k <= scores.shape[-1]:
        return None
    if (targets < 0).any() or (targets >= scores.shape[-1]).any() or not np.isfinite(scores).all():
        return None
    own = np.take_along_axis(scores, targets.astype(np.int64)[..., None], -1)
    place = (scores > own).sum(axis=-1)
    tied = (place < k) & (place + (scores == own).sum(axis=-1) > k)
    return _of_places("tie-order", call, tied, "{n} of {size} hits differ, all of scores that tie: {left} on {a}, {right} on {b}")


def _undefined(call: DifferingCall) -> Explanation | None:
    """Integers that are divided by 0, or shifted by more bits than they have."""
    x, y = (call.inputs.get(names[0], call.inputs.get(names[1])) for names in (("x", "x1"), ("y", "x2")))
    if x is None or y is None or x.dtype.kind not in "iu" or y.dtype.kind not in "iu":
        return None
    if call.name in ("floor_divide", "mod"):
        by_zero = np.broadcast_to(y == 0, call.apart.shape)
        return _of_places("undefined-integer", call, by_zero, "divided by 0, it is {left} on {a}, {right} on {b}")
    if call.name in ("left_shift", "right_shift"):
        bits = 8 * x.dtype.itemsize
        outside = np.broadcast_to((y < 0) | (y >= bits), call.apart.shape)
        words = f"shifted by more than the {bits} bits of {x.dtype}, it is {{left}} on {{a}}, {{right}} on {{b}}"
        return _of_places("undefined-integer", call, outside, words)
    return None


def _half_way(call: DifferingCall) -> Explanation | None:
    """Numbers half-way between two neighbors, of which one is taken."""
    options, x = call.options, call.inputs.get("x")
    words = "half-way between two neighbors, it is {left} on {a}, {right} on {b}"
    if call.name == "round" and x is not None and x.shape == call.apart.shape:
        return _of_places("half-way", call, np.abs(x - np.trunc(x)) == 0.5, words)  # noqa: PLR2004
    if call.name == "quantile" and options.get("method") == "nearest" and x is not None and type(options.get("q")) is float:
        n = x.size if options.get("axis") is None else x.shape[options["axis"]]
        place = options["q"] * (n - 1)
        return _of_places("half-way", call, np.full(call.apart.shape, place % 1 == 0.5), words)  # noqa: PLR2004
    coordinates = call.inputs.get("coordinates")
    if call.name == "map_coordinates" and options.get("order") == 0 and coordinates is not None:
        return _of_places("half-way", call, np.asarray((coordinates % 1 == 0.5).any(axis=0)), words)  # noqa: PLR2004
    transform = call.inputs.get("transform")
    if call.name == "affine_transform" and options.get("interpolation") == "nearest" and transform is not None:
        a = transform.reshape(-1, 8)
        moved = (a[:, [0, 4]] == 1).all() and (a[:, [1, 3, 6, 7]] == 0).all() and (a[:, [2, 5]] % 1 == 0.5).any()  # noqa: PLR2004
        return _of_places("half-way", call, np.full(call.apart.shape, bool(moved)), words)
    return None


def _empty(call: DifferingCall) -> Explanation | None:
    """Segments that no example belongs to, and sequences of length 0."""
    lengths = call.inputs.get("sequence_lengths")
    if call.name == "ctc_decode" and lengths is not None and (lengths == 0).any():
        rows = _by_row(np.asarray(lengths == 0), call)
        return _of_places("empty-input", call, rows, "a sequence of length 0 has {left} on {a}, {right} on {b}")
    ids, n = call.inputs.get("segment_ids"), len(call.apart) if call.apart.ndim else 0
    if call.name not in ("segment_max", "segment_min") or ids is None or not n:
        return None
    empty = ~np.isin(np.arange(n), ids)
    places = np.broadcast_to(empty.reshape([-1] + [1] * (call.apart.ndim - 1)), call.apart.shape)
    return _of_places("empty-input", call, places, "a class without examples has {left} on {a}, {right} on {b}")


def _of_places(
    code: str, call: DifferingCall, places: np.ndarray, words: str, values: np.ndarray | None = None
) -> Explanation | None:
    """An explanation if all results that differ are at these places, with the first of them in words."""
    if places.shape != call.apart.shape or not call.apart.any() or (call.apart & ~places).any():
        return None
    at = tuple(np.argwhere(call.apart)[0])
    x = values[at] if values is not None and values.shape == call.apart.shape else ""
    return code, "", words.format(
        x=f"{x:g}" if values is not None else "", left=_number(call.left[at]), right=_number(call.right[at]),
        a=call.legs[0], b=call.legs[1], n=int(call.apart.sum()), size=call.apart.size,
    )  # fmt: skip


def _number(value: np.generic) -> str:
    return f"{value:.7g}" if value.dtype.kind == "f" else str(value)


EXPLAINERS: tuple[Callable[[DifferingCall], Explanation | None], ...] = (
    _by_definition, _cast, _index, _special("nan-order", np.isnan, "NaN"), _special("infinite-scores", np.isinf, "an infinity"),
    _undefined, _half_way, _empty, _ties,
)  # fmt: skip
