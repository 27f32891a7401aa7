"""Smaller source: fewer statements, fewer entries of dicts and lists, fewer arguments, simpler numbers. Delta debugging on a tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

from backendcheck.repro.program import Program

_MAKES_ARRAYS = ("array", "asarray", "convert_to_tensor")


def smaller_source(program: Program) -> Iterator[Program]:
    """Every program that is one step smaller, the boldest steps first."""
    if program.form == "source":
        for step in (_fewer_rows, _fewer_statements, _fewer_entries, _fewer_columns, _fewer_keywords, _simpler_constants):
            yield from (replace(program, body=source) for source in _steps(program.body, step))
            if program.definitions and step is not _fewer_rows:
                yield from (replace(program, definitions=source) for source in _steps(program.definitions, step))


def _steps(source: str, step: Callable[[ast.Module], Iterator[ast.Module]]) -> Iterator[str]:
    for tree in step(ast.parse(source)):
        yield ast.unparse(ast.fix_missing_locations(tree))


def _changed(tree: ast.Module, place: int, change: Callable[[ast.AST], None]) -> ast.Module:
    """A copy of the tree in which the node at `place` of the walk is changed."""
    other = copy.deepcopy(tree)
    change(list(ast.walk(other))[place])
    return other


def _places(tree: ast.Module, *kinds: type[ast.AST]) -> list[tuple[int, ast.AST]]:
    return [(place, node) for place, node in enumerate(ast.walk(tree)) if isinstance(node, kinds)]


def _fewer_rows(tree: ast.Module) -> Iterator[ast.Module]:
    """Without the same rows of all literal arrays of the same length: examples of x, y and weights at once."""
    arrays = [(place, node) for place, node in _places(tree, ast.List) if _in_array(tree, node)]
    for n in sorted({len(node.elts) for _, node in arrays if isinstance(node, ast.List)}, reverse=True):
        kept = [range(1), range(2), range(n // 2), range(n // 2, n), *([i for i in range(n) if i != out] for out in reversed(range(n)))]
        for indices in [list(one) for one in kept if 0 < len(one) < n]:
            other = copy.deepcopy(tree)
            nodes = list(ast.walk(other))
            for place, node in arrays:
                found = nodes[place]
                if isinstance(node, ast.List) and isinstance(found, ast.List) and len(node.elts) == n:
                    found.elts = [found.elts[i] for i in indices]
            yield other


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
                yield _changed(tree, place, lambda found, index=index: found.body.pop(index))


def _fewer_entries(tree: ast.Module) -> Iterator[ast.Module]:
    for place, node in _places(tree, ast.Dict):
        n = len(node.keys) if isinstance(node, ast.Dict) else 0
        for index in range(n if n > 1 else 0):
            def without(found: ast.AST, index: int = index) -> None:
                if isinstance(found, ast.Dict):
                    del found.keys[index], found.values[index]

            yield _changed(tree, place, without)
    for place, node in _places(tree, ast.List, ast.Tuple, ast.Set):
        n = len(getattr(node, "elts", ()))
        if n < 2 or isinstance(getattr(node, "ctx", ast.Load()), ast.Store):  # noqa: PLR2004 - one entry stays
            continue
        if n > 4:  # noqa: PLR2004 - below, single entries are as good as halves
            for part in (slice(n // 2, None), slice(None, n // 2)):
                yield _changed(tree, place, lambda found, part=part: found.elts.__delitem__(part))
        for index in reversed(range(n)):
            yield _changed(tree, place, lambda found, index=index: found.elts.pop(index))


def _fewer_columns(tree: ast.Module) -> Iterator[ast.Module]:
    for place, node in _places(tree, ast.List):
        rows = node.elts if isinstance(node, ast.List) else []
        widths = {len(row.elts) if isinstance(row, ast.List) else 0 for row in rows}
        if len(rows) > 1 and len(widths) == 1 and (width := widths.pop()) > 1:
            for column in reversed(range(width)):
                def without(found: ast.AST, column: int = column) -> None:
                    for row in getattr(found, "elts", ()):
                        del row.elts[column]

                yield _changed(tree, place, without)


def _fewer_keywords(tree: ast.Module) -> Iterator[ast.Module]:
    for place, node in _places(tree, ast.Call):
        for index in range(len(node.keywords) if isinstance(node, ast.Call) else 0):
            yield _changed(tree, place, lambda found, index=index: found.keywords.pop(index))


def _simpler_constants(tree: ast.Module) -> Iterator[ast.Module]:
    for place, node in _places(tree, ast.Constant):
        value = getattr(node, "value", None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        simpler = [type(value)(0), type(value)(1), *(round(value, digits) for digits in (1, 2) if isinstance(value, float))]
        for one in simpler:
            if len(repr(one)) < len(repr(value)) or (len(repr(one)) == len(repr(value)) and abs(one) < abs(value)):
                yield _changed(tree, place, lambda found, one=one: setattr(found, "value", one))
