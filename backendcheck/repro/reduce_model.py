"""Smaller models: fewer outputs, fewer and narrower layers, weights by a rule instead of their values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backendcheck.nests import leaves, map_leaves
from backendcheck.repro.program import RULES, Program

_PER_OUTPUT = ("loss", "metrics", "weighted_metrics", "loss_weights")
_WIDTHS = ("units", "filters", "input_dim", "output_dim", "num_tokens")


def weights_by_rule(program: Program) -> Iterator[Program]:
    """Weights by a rule, which a script need not list and which fits layers of any size; then no weights."""
    current = program.weights if isinstance(program.weights, str) else None
    if program.model is None or (current is None and not program.weights):
        return
    for rule in ("random",) if current is None else RULES[RULES.index(current) + 1 :]:
        yield replace(program, weights=rule)
    if current is not None:
        yield replace(program, weights=())  # for a model without weights; other models would draw their own


def _with_model(program: Program, **parts: Any) -> Program:
    return replace(program, model={**(program.model or {}), **parts})


def fewer_outputs(program: Program) -> Iterator[Program]:
    """Without one output, its loss, its labels and the layers that only it needs."""
    outputs = program.model["outputs"] if program.model else None
    if not isinstance(outputs, Mapping | list) or len(outputs) < 2:  # noqa: PLR2004 - one stays
        return
    keys = list(outputs) if isinstance(outputs, Mapping) else list(range(len(outputs)))
    for key in keys:
        names = program.model["outputs"] if program.model else {}
        outputs_left = _without(names, key)
        arrays = {**program.arrays, "y": _without(program.arrays["y"], key)}
        if "sample_weight" in arrays:
            arrays["sample_weight"] = _without(arrays["sample_weight"], key)
        code = {
            name: _code_without(source, key, keys) if name in _PER_OUTPUT else source for name, source in program.code.items()
        }  # fmt: skip
        yield _pruned(_with_model(replace(program, arrays=arrays, code=code), outputs=outputs_left))


def _without(nest: Any, key: Any) -> Any:
    if isinstance(nest, Mapping):
        return {name: part for name, part in nest.items() if name != key}
    if isinstance(nest, list) and isinstance(key, int):
        return [part for index, part in enumerate(nest) if index != key]
    return nest


def _code_without(code: str, key: Any, keys: list[Any]) -> str:
    tree = ast.parse(code, mode="eval")
    body = tree.body
    if isinstance(body, ast.Dict):
        entries = [entry for entry in zip(body.keys, body.values, strict=True) if getattr(entry[0], "value", None) != key]
        body.keys, body.values = [name for name, _ in entries], [value for _, value in entries]
    elif isinstance(body, ast.List) and len(body.elts) == len(keys):
        del body.elts[keys.index(key)]
    else:
        return code
    return ast.unparse(tree)


def _pruned(program: Program) -> Program:
    """Without layers that no output needs. Weights listed by value need all layers, so these stay."""
    model = program.model or {}
    if program.weights and not isinstance(program.weights, str):
        return program
    needed = set(_layer_names(model["outputs"]))
    for step in reversed(model["steps"]):
        if step["name"] in needed:
            needed |= set(_layer_names(step["takes"]))
    return _with_model(program, steps=[step for step in model["steps"] if step["name"] in needed])


def _layer_names(nest: Any) -> list[str]:
    return [name for _, name in leaves(nest)]


def fewer_layers(program: Program) -> Iterator[Program]:
    """Without one layer; its input replaces its output."""
    model = program.model
    if model is None:
        return
    for step in model["steps"]:
        if not isinstance(step["takes"], str):
            continue
        steps = [_rewired(kept, step["name"], step["takes"]) for kept in model["steps"] if kept is not step]
        outputs = _renamed(model["outputs"], step["name"], step["takes"])
        yield _pruned(_with_model(program, steps=steps, outputs=outputs))


def _rewired(step: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {**step, "takes": _renamed(step["takes"], old, new)}


def _renamed(nest: Any, old: str, new: str) -> Any:
    return map_leaves(lambda name: new if name == old else name, nest)


def narrower(program: Program) -> Iterator[Program]:
    """Smaller inputs, and layers with fewer units. Labels of the same width are cut too, or stay."""
    model = program.model
    if model is None or (program.weights and not isinstance(program.weights, str)):
        return
    for number, declared in enumerate(model["inputs"]):
        for axis, size in enumerate(declared["shape"]):
            if not isinstance(size, int):
                continue
            for smaller in _sizes(size):
                shape = [*declared["shape"][:axis], smaller, *declared["shape"][axis + 1 :]]
                inputs = _replaced(model["inputs"], number, {**declared, "shape": shape})
                x = _cut(program.arrays["x"], number, axis + 1, size, smaller)
                changed = _with_model(replace(program, arrays={**program.arrays, "x": x}), inputs=inputs)
                y = _cut_all(program.arrays["y"], axis + 1, size, smaller)
                if not _equal(y, program.arrays["y"]):
                    yield replace(changed, arrays={**changed.arrays, "y": y})
                yield changed
    for number, step in enumerate(model["steps"]):
        for name, value in step["arguments"].items():
            if name not in _WIDTHS or not value.isdecimal():
                continue
            for smaller in _sizes(int(value)):
                arguments = {**step["arguments"], name: str(smaller)}
                changed = _with_model(program, steps=_replaced(model["steps"], number, {**step, "arguments": arguments}))
                y = _cut_all(program.arrays["y"], -1, int(value), smaller)
                if not _equal(y, program.arrays["y"]):
                    yield replace(changed, arrays={**changed.arrays, "y": y})
                lower = _lower_labels(program.arrays["y"], int(value), smaller)
                if not _equal(lower, program.arrays["y"]):
                    yield replace(changed, arrays={**changed.arrays, "y": lower})
                yield changed


def _replaced(parts: Sequence[Any], number: int, part: Any) -> list[Any]:
    return [part if index == number else kept for index, kept in enumerate(parts)]


def _sizes(size: int) -> list[int]:
    return sorted({smaller for smaller in (1, 2, size // 2, size - 1) if 0 < smaller < size})


def _cut(nest: Any, number: int, axis: int, size: int, smaller: int) -> Any:
    if isinstance(nest, Mapping):
        items = enumerate(nest.items())
        return {key: _cut_all(part, axis, size, smaller) if index == number else part for index, (key, part) in items}
    if isinstance(nest, list | tuple):
        return [_cut_all(part, axis, size, smaller) if index == number else part for index, part in enumerate(nest)]
    return _cut_all(nest, axis, size, smaller)


def _cut_all(nest: Any, axis: int, size: int, smaller: int) -> Any:
    def cut(array: np.ndarray) -> np.ndarray:
        if array.ndim > max(axis, 1 if axis < 0 else 0) and array.shape[axis] == size:
            return np.take(array, range(smaller), axis=axis)
        return array

    return map_leaves(cut, nest)


def _lower_labels(nest: Any, size: int, smaller: int) -> Any:
    """Integer labels moved down by the number of removed classes, so that labels past the last class stay past it."""

    def lower(array: np.ndarray) -> np.ndarray:
        if array.dtype.kind not in "iu":
            return array
        return np.where(array >= smaller, np.maximum(array - (size - smaller), 0), array).astype(array.dtype)

    return map_leaves(lower, nest)


def _equal(left: Any, right: Any) -> bool:
    return all(np.array_equal(a, b) for (_, a), (_, b) in zip(leaves(left), leaves(right), strict=True))


def without_names(program: Program) -> Iterator[Program]:
    """Layers and inputs without names."""
    model = program.model
    if model is None:
        return
    if any(part["label"] for part in (*model["steps"], *model["inputs"])):
        yield _with_model(
            program,
            steps=[{**step, "label": None} for step in model["steps"]],
            inputs=[{**declared, "label": None} for declared in model["inputs"]],
        )
