"""A case function as a program of its own: its source, what that needs, and its data as literals."""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.case import FunctionCase, LossCase, ModelCase, ValueCase
from backendcheck.record.source.dependencies import STAND_INS, Slice, loaded_names, module_of, parsed
from backendcheck.text.literals import NotWritable, array_source, source_of

_KEPT = {
    "FunctionCase": ("function", "inputs"),
    "LossCase": ("loss", "y_true", "y_pred", "sample_weight"),
    "ModelCase": ("model", "loss", "x", "y", "sample_weight", "class_weight", "loss_weights", "metrics", "weighted_metrics",
                  "optimizer", "epochs", "batch_size"),
    "ValueCase": ("compute",),
}  # fmt: skip


def locals_of(function: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[Any, BaseException | None, dict[str, Any]]:
    """What a call returned or raised, and the local variables that it had at its end."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    seen: dict[str, Any] = {}

    def look(frame: types.FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            seen.clear()
            seen.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        return function(**arguments), None, seen
    except Exception as error:  # noqa: BLE001 - whatever a case throws is an observation
        return None, error, seen
    finally:
        sys.setprofile(before)


def case_programs(
    function: Any, arguments: Mapping[str, Any], seed: int, made: Any, seen: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Programs with the same effect as the case function, best first: with its data as literals, and as it is written.

    Raises:
        NotWritable: saying why there is none.
    """
    reasons: list[str] = []
    found = False
    for frozen in (True, False):
        try:
            yield _program(function, arguments, seed, made, seen if frozen else {})
            found = True
        except NotWritable as error:
            reasons.append(str(error))
    if not found:
        raise NotWritable("; ".join(dict.fromkeys(reasons)))


def _program(function: Any, arguments: Mapping[str, Any], seed: int, made: Any, seen: Mapping[str, Any]) -> dict[str, Any]:
    function = inspect.unwrap(function)
    module = module_of(function)
    node = function_node(module, function)
    if getattr(function, "__closure__", None):
        message = "the case function is made by another function"
        raise NotWritable(message)
    slice_ = Slice()
    kinds: dict[type, str] = {FunctionCase: "function", LossCase: "loss", ModelCase: "model", ValueCase: "value"}
    kind = kinds.get(type(made), "value")
    body = [one for one in node.body if not _is_docstring(one)]
    body = [_frozen(one, node, seen, slice_, module) for one in body]
    body = [_Returns().visit(one) for one in body]
    body = _without_dead_statements(body)
    given = _given(arguments, seed, {name for one in body for name in loaded_names(one)})
    body = [*given, *body]
    own = _own_names(node) | set(arguments)
    try:
        slice_.need_names(body, module, without=own)
    except RecursionError as error:
        message = "its definitions need each other"
        raise NotWritable(message) from error
    name = "figures" if kind == "value" else "make"
    wrapped = ast.FunctionDef(name=name, args=_NO_ARGUMENTS, body=body, decorator_list=[], returns=None)
    source = ast.unparse(ast.fix_missing_locations(ast.Module([wrapped], [])))
    return {
        "kind": kind, "form": "source", "imports": list(slice_.imports), "definitions": slice_.text(), "body": source,
        "foreign": sorted(slice_.foreign), "seeded": kind == "model" and made.weights == "seeded",
        "options": _options(made) if kind == "model" else {},
        "parameters": differentiated(made) if isinstance(made, FunctionCase) else [],
    }  # fmt: skip


_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def differentiated(made: FunctionCase) -> list[str]:
    """The inputs of a function that a script differentiates it by: floats, if gradients are recorded. Others are empty names."""
    named = {name: np.asarray(one) if not isinstance(one, Mapping) else None for name, one in made.named_inputs.items()}
    floats = {name for name, array in named.items() if array is not None and array.dtype.kind == "f"}
    return [name if made.gradients and name in floats else "" for name in named]


def _options(made: ModelCase) -> dict[str, Any]:
    return {"epochs": int(made.epochs), "batch_size": None if made.batch_size is None else int(made.batch_size)}


def function_node(module: types.ModuleType, function: Any) -> ast.FunctionDef:
    """The definition of a function in its module's syntax tree.

    Raises:
        NotWritable: if it is not there, as that of a partial or a lambda.
    """
    code = getattr(function, "__code__", None)
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.FunctionDef) and code is not None and node.name == code.co_name:
            lines = {node.lineno, *(one.lineno for one in node.decorator_list)}
            if code.co_firstlineno in lines:
                return node
    message = f"the source of {getattr(function, '__name__', 'the case')} is not to be found"
    raise NotWritable(message)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _own_names(node: ast.FunctionDef) -> set[str]:
    """Names that the function binds itself at its own level."""
    bound = {one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    pending: list[ast.AST] = list(node.body)
    while pending:
        inner = pending.pop()
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(inner.name)
            # What it binds inside may be read inside, too; a global of that name is then not needed.
            if not isinstance(inner, ast.ClassDef):
                bound |= _own_names(inner) if isinstance(inner, ast.FunctionDef) else set()
                continue
        if isinstance(inner, ast.Lambda):
            bound |= {one.arg for one in inner.args.args}
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            bound.add(inner.id)
        pending.extend(ast.iter_child_nodes(inner))
    return bound


# --- data as literals ------------------------------------------------------------------------------------------


def _frozen(
    node: ast.stmt, function: ast.FunctionDef, seen: Mapping[str, Any], slice_: Slice, module: types.ModuleType
) -> ast.stmt:
    """An assignment of plain data that came from elsewhere (a generator, a data set, a helper), as literals."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return node
    names = [one.id for one in ast.walk(node.targets[0]) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
    if not names or not all(name in seen and _is_data(seen[name]) and _assigned_once(name, function) for name in names):
        return node
    arguments = {one.arg for one in function.args.args}
    own = _own_names(function)
    reads = loaded_names(node.value)
    elsewhere = [n for n in reads if n in arguments or (n not in own and slice_.origin(n, module) == "local")]
    keras_too = [n for n in reads if n not in own and slice_.origin(n, module) in ("keras", "tensorflow", "jax", "torch")]
    if not elsewhere or keras_too:
        return node
    try:
        values = {name: _literal(seen[name]) for name in names}
    except NotWritable:
        return node
    statements = "\n".join(f"{name} = {values[name]}" for name in names)
    tree = ast.parse(statements)
    if len(tree.body) == 1:
        return tree.body[0]
    return ast.If(test=ast.Constant(value=True), body=tree.body, orelse=[])  # opened by _without_dead_statements


def _literal(value: Any) -> str:
    return array_source(value) if isinstance(value, np.ndarray) else source_of(value)


def _is_data(value: Any) -> bool:
    if isinstance(value, Mapping):
        return type(value) is dict and all(_is_data(one) for one in (*value.keys(), *value.values()))
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(_is_data, value))
    return value is None or isinstance(value, bool | int | float | str | np.generic | np.ndarray)


def _assigned_once(name: str, function: ast.FunctionDef) -> bool:
    stores = 0
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store | ast.Del):
            stores += 1
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            inner = node.value
            if isinstance(inner, ast.Name) and inner.id == name:
                return False
    return stores == 1


def _given(arguments: Mapping[str, Any], seed: int, wanted: set[str]) -> list[ast.stmt]:
    """Assignments in place of the arguments that the case function took."""
    lines = []
    for name, value in arguments.items():
        if name not in wanted:
            continue
        if isinstance(value, np.random.Generator) and name == "rng":
            lines.append(f"rng = np.random.default_rng({seed})")
        elif isinstance(value, Path):
            lines.append(f"import pathlib, tempfile\n{name} = pathlib.Path(tempfile.mkdtemp())")
        else:
            try:
                lines.append(f"{name} = {source_of(value)}")
            except NotWritable as error:
                message = f"its fixture {name!r} gives it a {type(value).__name__}, which only pytest can"
                raise NotWritable(message) from error
    body = ast.parse("\n".join(lines)).body
    return [*([ast.parse("import numpy as np").body[0]] if "rng" in wanted and "rng" in arguments else []), *body]


def _without_dead_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements without assignments of plain names that nobody reads."""
    opened: list[ast.stmt] = []
    for node in body:
        marked = isinstance(node, ast.If) and isinstance(node.test, ast.Constant) and node.test.value is True
        opened += node.body if marked and isinstance(node, ast.If) else [node]
    while True:
        read = set(loaded_names(opened))
        kept = [node for node in opened if not _is_dead(node, read)]
        if len(kept) == len(opened):
            return kept
        opened = kept


def _is_dead(node: ast.stmt, read: set[str]) -> bool:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name not in read
    if not isinstance(node, ast.Assign):
        return False
    if any(not isinstance(one, ast.Name | ast.Tuple | ast.Store) for target in node.targets for one in ast.walk(target)):
        return False
    names = {one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return not names & read


class _Returns(ast.NodeTransformer):
    """``return LossCase(…)`` becomes a dict of what a program needs; ``return ValueCase(compute)`` the call."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node  # the returns of a function inside are its own

    def visit_Return(self, node: ast.Return) -> ast.AST:
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id not in STAND_INS:
            return node
        kept = _KEPT.get(call.func.id)
        if kept is None or any(isinstance(one, ast.Starred) for one in call.args) or any(k.arg is None for k in call.keywords):
            return node
        keywords = [ast.keyword(arg=name, value=value) for name, value in zip(kept, call.args, strict=False)]
        keywords += [one for one in call.keywords if one.arg in kept]
        if call.func.id == "ValueCase":
            compute = keywords[0].value
            plain = isinstance(compute, ast.Lambda) and not compute.args.args
            called = ast.Call(func=compute, args=[], keywords=[])
            node.value = compute.body if plain and isinstance(compute, ast.Lambda) else called
        else:
            node.value = ast.Call(func=ast.Name(id="dict", ctx=ast.Load()), args=[], keywords=keywords)
        return node
