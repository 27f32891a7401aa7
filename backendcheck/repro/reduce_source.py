"""Smaller source: fewer statements, entries of dicts and lists, and arguments; simpler numbers. Delta debugging on a tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from backendcheck.repro.program import Program

_MAKES_ARRAYS = ("array", "asarray", "convert_to_tensor")


def smaller_source(program: Program) -> Iterator[Program]:
    """Every program that is one step smaller, the largest steps first."""
    if program.form == "source":
        for step in (_fewer_rows, _fewer_statements, _fewer_entries, _fewer_columns, _fewer_keywords, _simpler_constants):
            yield from (replace(program, body=source) for source in _steps(program.body, step))
            if program.definitions and step is not _fewer_rows:
                yield from (replace(program, definitions=source) for source in _steps(program.definitions, step))


def _steps(source: str, step: Callable[[ast.Module], Iterator[ast.Module]]) -> Iterator[str]:
    for tree in step(ast.parse(source)):
        yield ast.unparse(ast.fix_missing_locations(tree))


def _changed(tree: ast.Module, place: int, change: Callable[[Any], object]) -> ast.Module:
    """A copy of the tree in which the node at index `place` of the walk is changed."""
    changed = copy.deepcopy(tree)
    change(list(ast.walk(changed))[place])
    return changed


def _without(name: str, part: int | slice) -> Callable[[Any], None]:
    """A function that removes one entry, or a slice, from the list `name` of a node."""

    def change(node: Any) -> None:
        del getattr(node, name)[part]

    return change


def _places(tree: ast.Module, *kinds: type[ast.AST]) -> list[tuple[int, ast.AST]]:
    return [(place, node) for place, node in enumerate(ast.walk(tree)) if isinstance(node, kinds)]


def _fewer_rows(tree: ast.Module) -> Iterator[ast.Module]:
    """Without the same rows in all literal arrays of one length, which removes examples from x, y and weights together."""
    arrays = [(place, node) for place, node in _places(tree, ast.List) if _in_array(tree, node)]
    for n in sorted({len(node.elts) for _, node in arrays if isinstance(node, ast.List)}, reverse=True):
        runs = [range(1), range(2), range(n // 2), range(n // 2, n)]
        all_but_one = [[index for index in range(n) if index != out] for out in reversed(range(n))]
        for indices in [list(rows) for rows in (*runs, *all_but_one) if 0 < len(rows) < n]:
            smaller = copy.deepcopy(tree)
            nodes = list(ast.walk(smaller))
            for place, node in arrays:
                copied = nodes[place]
                if isinstance(node, ast.List) and isinstance(copied, ast.List) and len(node.elts) == n:
                    copied.elts = [copied.elts[i] for i in indices]
            yield smaller


def _in_array(tree: ast.Module, node: ast.AST) -> bool:
    return any(
        isinstance(call, ast.Call) and call.args and call.args[0] is node and getattr(call.func, "attr", "") in _MAKES_ARRAYS
        for call in ast.walk(tree)
    )


def _fewer_statements(tree: ast.Module) -> Iterator[ast.Module]:
    for place, node in _places(tree, ast.Module, ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.With):
        body = getattr(node, "body", [])
        for index in reversed(range(len(body))):
            if len(body) > 1 and not isinstance(body[index], ast.Return):
                yield _changed(tree, place, _without("body", index))


def _fewer_entries(tree: ast.Module) -> Iterator[ast.Module]:
    for place, node in _places(tree, ast.Dict):
        n = len(node.keys) if isinstance(node, ast.Dict) else 0
        for index in range(n if n > 1 else 0):
            yield _changed(tree, place, partial(_cut_entry, index))
    for place, node in _places(tree, ast.List, ast.Tuple, ast.Set):
        n = len(getattr(node, "elts", ()))
        if n < 2 or isinstance(getattr(node, "ctx", ast.Load()), ast.Store):  # noqa: PLR2004 - one entry stays
            continue
        if n > 4:  # noqa: PLR2004 - for fewer, single entries do as well
            for part in (slice(n // 2, None), slice(None, n // 2)):
                yield _changed(tree, place, _without("elts", part))
        for index in reversed(range(n)):
            yield _changed(tree, place, _without("elts", index))


def _cut_entry(index: int, node: Any) -> None:
    del node.keys[index], node.values[index]


def _fewer_columns(tree: ast.Module) -> Iterator[ast.Module]:
    for place, node in _places(tree, ast.List):
        rows = node.elts if isinstance(node, ast.List) else []
        widths = {len(row.elts) if isinstance(row, ast.List) else 0 for row in rows}
        if len(rows) > 1 and len(widths) == 1 and (width := widths.pop()) > 1:
            for column in reversed(range(width)):
                yield _changed(tree, place, partial(_cut_column, column))


def _cut_column(column: int, node: Any) -> None:
    for row in node.elts:
        del row.elts[column]


def _fewer_keywords(tree: ast.Module) -> Iterator[ast.Module]:
    for place, node in _places(tree, ast.Call):
        for index in range(len(node.keywords) if isinstance(node, ast.Call) else 0):
            yield _changed(tree, place, _without("keywords", index))


def _set_value(value: object, node: Any) -> None:
    node.value = value


def _simpler_constants(tree: ast.Module) -> Iterator[ast.Module]:
    """Zero, one, fewer digits. A number outside of a list may be a count, and does not become zero."""
    entries = {
        inner
        for _, node in _places(tree, ast.List, ast.Tuple, ast.Set)
        for entry in getattr(node, "elts", ())
        for inner in (entry, getattr(entry, "operand", None))
    }
    for place, node in _places(tree, ast.Constant):
        value = getattr(node, "value", None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        digits = [round(value, n) for n in (1, 2)] if isinstance(value, float) else []
        for simpler in [*([type(value)(0)] if node in entries else []), type(value)(1), *digits]:
            if (len(repr(simpler)), abs(simpler)) < (len(repr(value)), abs(value)):
                yield _changed(tree, place, partial(_set_value, simpler))
