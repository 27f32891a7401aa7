"""Smaller models: fewer outputs and layers, narrower ones, weights by a rule instead of their values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from backendcheck.repro.program import RULES, Program

_PER_OUTPUT = ("loss", "metrics", "weighted_metrics", "loss_weights")
_WIDTHS = ("units", "filters", "input_dim", "output_dim", "num_tokens")


def weights_by_rule(program: Program) -> Iterator[Program]:
    """Weights that no script needs to list, and that fit layers of any size; none at all where there are none."""
    current = program.weights if isinstance(program.weights, str) else None
    if program.model is None or (current is None and not program.weights):
        return
    for rule in ("random",) if current is None else RULES[RULES.index(current) + 1 :]:
        yield replace(program, weights=rule)
    if current is not None:
        yield replace(program, weights=())  # for a model that has none; any other would start from weights of its own


def _with_model(program: Program, **parts: Any) -> Program:
    return replace(program, model={**(program.model or {}), **parts})


def fewer_outputs(program: Program) -> Iterator[Program]:
    """Without one of the outputs and all that is its own."""
    outputs = program.model["outputs"] if program.model else None
    if not isinstance(outputs, Mapping | list) or len(outputs) < 2:  # noqa: PLR2004 - one stays
        return
    keys = list(outputs) if isinstance(outputs, Mapping) else list(range(len(outputs)))
    for key in keys:
        names = program.model["outputs"] if program.model else {}
        left = _without(names, key)
        arrays = {**program.arrays, "y": _without(program.arrays["y"], key)}
        if "sample_weight" in arrays:
            arrays["sample_weight"] = _without(arrays["sample_weight"], key)
        code = {name: _code_without(one, key, keys) if name in _PER_OUTPUT else one for name, one in program.code.items()}
        yield _pruned(_with_model(replace(program, arrays=arrays, code=code), outputs=left))


def _without(nest: Any, key: Any) -> Any:
    if isinstance(nest, Mapping):
        return {name: one for name, one in nest.items() if name != key}
    if isinstance(nest, list) and isinstance(key, int):
        return [one for index, one in enumerate(nest) if index != key]
    return nest


def _code_without(code: str, key: Any, keys: list[Any]) -> str:
    tree = ast.parse(code, mode="eval")
    body = tree.body
    if isinstance(body, ast.Dict):
        kept = [pair for pair in zip(body.keys, body.values, strict=True) if getattr(pair[0], "value", None) != key]
        body.keys, body.values = [one for one, _ in kept], [one for _, one in kept]
    elif isinstance(body, ast.List) and len(body.elts) == len(keys):
        del body.elts[keys.index(key)]
    else:
        return code
    return ast.unparse(tree)


def _pruned(program: Program) -> Program:
    """Without layers and inputs that lead nowhere. Weights that are listed by value are left alone: the layers stay then."""
    model = program.model or {}
    if program.weights and not isinstance(program.weights, str):
        return program
    needed = set(_names(model["outputs"]))
    for step in reversed(model["steps"]):
        if step["name"] in needed:
            needed |= set(_names(step["takes"]))
    return _with_model(program, steps=[step for step in model["steps"] if step["name"] in needed])


def _names(nest: Any) -> list[str]:
    if isinstance(nest, Mapping):
        return [name for one in nest.values() for name in _names(one)]
    if isinstance(nest, list | tuple):
        return [name for one in nest for name in _names(one)]
    return [nest]


def fewer_layers(program: Program) -> Iterator[Program]:
    """Without one layer, what it took going where its result went."""
    model = program.model
    if model is None:
        return
    for step in model["steps"]:
        if not isinstance(step["takes"], str):
            continue
        steps = [_rewired(one, step["name"], step["takes"]) for one in model["steps"] if one is not step]
        outputs = _renamed(model["outputs"], step["name"], step["takes"])
        yield _pruned(_with_model(program, steps=steps, outputs=outputs))


def _rewired(step: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {**step, "takes": _renamed(step["takes"], old, new)}


def _renamed(nest: Any, old: str, new: str) -> Any:
    if isinstance(nest, Mapping):
        return {key: _renamed(one, old, new) for key, one in nest.items()}
    if isinstance(nest, list | tuple):
        return [_renamed(one, old, new) for one in nest]
    return new if nest == old else nest


def narrower(program: Program) -> Iterator[Program]:
    """Smaller inputs, and layers with fewer units; labels of the same width are cut with them, or left."""
    model = program.model
    if model is None or (program.weights and not isinstance(program.weights, str)):
        return
    for number, one in enumerate(model["inputs"]):
        for axis, size in enumerate(one["shape"]):
            if not isinstance(size, int):
                continue
            for smaller in _sizes(size):
                shape = [*one["shape"][:axis], smaller, *one["shape"][axis + 1 :]]
                inputs = [{**other, "shape": shape} if index == number else other for index, other in enumerate(model["inputs"])]
                x = _cut(program.arrays["x"], number, axis + 1, size, smaller)
                changed = _with_model(replace(program, arrays={**program.arrays, "x": x}), inputs=inputs)
                y = _cut_all(program.arrays["y"], axis + 1, size, smaller)
                if not _alike(y, program.arrays["y"]):
                    yield replace(changed, arrays={**changed.arrays, "y": y})
                yield changed
    for number, step in enumerate(model["steps"]):
        for name, value in step["arguments"].items():
            if name not in _WIDTHS or not value.isdecimal():
                continue
            for smaller in _sizes(int(value)):
                arguments = {**step["arguments"], name: str(smaller)}
                steps = [{**one, "arguments": arguments} if index == number else one for index, one in enumerate(model["steps"])]
                changed = _with_model(program, steps=steps)
                y = _cut_all(program.arrays["y"], -1, int(value), smaller)
                if not _alike(y, program.arrays["y"]):
                    yield replace(changed, arrays={**changed.arrays, "y": y})
                lower = _lower_labels(program.arrays["y"], int(value), smaller)
                if not _alike(lower, program.arrays["y"]):
                    yield replace(changed, arrays={**changed.arrays, "y": lower})
                yield changed


def _sizes(size: int) -> list[int]:
    return sorted({one for one in (1, 2, size // 2, size - 1) if 0 < one < size})


def _cut(nest: Any, number: int, axis: int, size: int, smaller: int) -> Any:
    if isinstance(nest, Mapping):
        items = enumerate(nest.items())
        return {key: _cut_all(one, axis, size, smaller) if index == number else one for index, (key, one) in items}
    if isinstance(nest, list | tuple):
        return [_cut_all(one, axis, size, smaller) if index == number else one for index, one in enumerate(nest)]
    return _cut_all(nest, axis, size, smaller)


def _cut_all(nest: Any, axis: int, size: int, smaller: int) -> Any:
    if isinstance(nest, Mapping):
        return {key: _cut_all(one, axis, size, smaller) for key, one in nest.items()}
    if isinstance(nest, list | tuple):
        return [_cut_all(one, axis, size, smaller) for one in nest]
    if nest.ndim > max(axis, 1 if axis < 0 else 0) and nest.shape[axis] == size:
        return np.take(nest, range(smaller), axis=axis)
    return nest


def _lower_labels(nest: Any, size: int, smaller: int) -> Any:
    """Integer labels of `size` classes moved down by as many as are gone, so that those at and past the end stay there."""
    if isinstance(nest, Mapping):
        return {key: _lower_labels(one, size, smaller) for key, one in nest.items()}
    if isinstance(nest, list | tuple):
        return [_lower_labels(one, size, smaller) for one in nest]
    if nest.dtype.kind not in "iu":
        return nest
    return np.where(nest >= smaller, np.maximum(nest - (size - smaller), 0), nest).astype(nest.dtype)


def _alike(left: Any, right: Any) -> bool:
    if isinstance(left, Mapping):
        return all(_alike(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return all(_alike(*pair) for pair in zip(left, right, strict=True))
    return bool(np.array_equal(left, right))


def without_names(program: Program) -> Iterator[Program]:
    """Layers without names of their own."""
    model = program.model
    if model is None:
        return
    if any(one["label"] for one in (*model["steps"], *model["inputs"])):
        yield _with_model(
            program,
            steps=[{**step, "label": None} for step in model["steps"]],
            inputs=[{**one, "label": None} for one in model["inputs"]],
        )
