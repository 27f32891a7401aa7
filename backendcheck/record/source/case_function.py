"""A case function as an independent program: its source, the definitions that the source needs, and its data as literals."""

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
    """What a call returned or raised, and its local variables at the end."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    variables: dict[str, Any] = {}

    def observe_return(frame: types.FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            variables.clear()
            variables.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(observe_return)
    try:
        return function(**arguments), None, variables
    except Exception as error:  # noqa: BLE001 - every exception of a case is an observation
        return None, error, variables
    finally:
        sys.setprofile(before)


def case_programs(
    function: Any, arguments: Mapping[str, Any], seed: int, case: Any, variables: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Programs with the same effect as the case function, best first: with its data as literals, and as it is written.

    Raises:
        NotWritable: with the reasons, if there is not a single program.
    """
    reasons: list[str] = []
    has_program = False
    for frozen in (True, False):
        try:
            yield _program(function, arguments, seed, case, variables if frozen else {})
            has_program = True
        except NotWritable as error:
            reasons.append(str(error))
    if not has_program:
        raise NotWritable("; ".join(dict.fromkeys(reasons)))


def _program(function: Any, arguments: Mapping[str, Any], seed: int, case: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    function = inspect.unwrap(function)
    module = module_of(function)
    node = function_node(module, function)
    if getattr(function, "__closure__", None):
        message = "the case function is created by another function"
        raise NotWritable(message)
    slice_ = Slice()
    kinds: dict[type, str] = {FunctionCase: "function", LossCase: "loss", ModelCase: "model", ValueCase: "value"}
    case_type = kinds.get(type(case), "value")
    body = [statement for statement in node.body if not _is_docstring(statement)]
    body = [_frozen(statement, node, variables, slice_, module) for statement in body]
    body = [_Returns().visit(statement) for statement in body]
    body = _without_dead_statements(body)
    assignments = _assignments(arguments, seed, {name for statement in body for name in loaded_names(statement)})
    body = [*assignments, *body]
    bound = _bound_names(node) | set(arguments)
    try:
        slice_.need_names(body, module, without=bound)
    except RecursionError as error:
        message = "its definitions need each other"
        raise NotWritable(message) from error
    name = "compute_values" if case_type == "value" else "make"
    wrapped = ast.FunctionDef(name=name, args=_NO_ARGUMENTS, body=body, decorator_list=[], returns=None)
    source = ast.unparse(ast.fix_missing_locations(ast.Module([wrapped], [])))
    return {
        "kind": case_type, "form": "source", "imports": list(slice_.imports), "definitions": slice_.text(), "body": source,
        "foreign": sorted(slice_.foreign), "seeded": case_type == "model" and case.weights == "seeded",
        "options": options_of_fit(case) if case_type == "model" else {},
        "parameters": differentiated(case) if isinstance(case, FunctionCase) else [],
    }  # fmt: skip


_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def differentiated(case: FunctionCase) -> list[str]:
    """The names of the float inputs that a script differentiates by, if gradients are recorded; an empty string for others."""
    named = {name: np.asarray(value) if not isinstance(value, Mapping) else None for name, value in case.named_inputs.items()}
    floats = {name for name, array in named.items() if array is not None and array.dtype.kind == "f"}
    return [name if case.gradients and name in floats else "" for name in named]


def options_of_fit(case: ModelCase) -> dict[str, Any]:
    """Epochs and size of the batches.

    Raises:
        NotWritable: if the case trains in another way than by one call without validation.
    """
    if case.fits or case.validation is not None:
        message = "the case trains with several calls of fit, or with validation data"
        raise NotWritable(message)
    return {"epochs": int(case.epochs), "batch_size": None if case.batch_size is None else int(case.batch_size)}


def function_node(module: types.ModuleType, function: Any) -> ast.FunctionDef:
    """The definition of a function in its module's syntax tree.

    Raises:
        NotWritable: if it is not found, such as that of a partial or a lambda.
    """
    code = getattr(function, "__code__", None)
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.FunctionDef) and code is not None and node.name == code.co_name:
            lines = {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}
            if code.co_firstlineno in lines:
                return node
    message = f"the source of {getattr(function, '__name__', 'the case')} was not found"
    raise NotWritable(message)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _bound_names(node: ast.FunctionDef) -> set[str]:
    """The names that the function binds."""
    bound = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    pending: list[ast.AST] = list(node.body)
    while pending:
        inner = pending.pop()
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(inner.name)
            # Names bound inside it may be read inside it. A global of that name is then not needed.
            if not isinstance(inner, ast.ClassDef):
                bound |= _bound_names(inner) if isinstance(inner, ast.FunctionDef) else set()
                continue
        if isinstance(inner, ast.Lambda):
            bound |= {argument.arg for argument in inner.args.args}
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            bound.add(inner.id)
        pending.extend(ast.iter_child_nodes(inner))
    return bound


# --- data as literals ------------------------------------------------------------------------------------------


def _frozen(
    node: ast.stmt, function: ast.FunctionDef, variables: Mapping[str, Any], slice_: Slice, module: types.ModuleType
) -> ast.stmt:
    """An assignment of plain data that comes from outside the function (a generator, a data set, a helper), as literals."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return node
    targets = ast.walk(node.targets[0])
    names = [target.id for target in targets if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store)]
    if not names or not all(name in variables and _is_data(variables[name]) and _assigned_once(name, function) for name in names):
        return node
    arguments = {argument.arg for argument in function.args.args}
    bound = _bound_names(function)
    reads = loaded_names(node.value)
    from_outside = [n for n in reads if n in arguments or (n not in bound and slice_.origin(n, module) == "local")]
    from_keras = [n for n in reads if n not in bound and slice_.origin(n, module) in ("keras", "tensorflow", "jax", "torch")]
    if not from_outside or from_keras:
        return node
    try:
        values = {name: _literal(variables[name]) for name in names}
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
        return type(value) is dict and all(_is_data(item) for item in (*value.keys(), *value.values()))
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


def _assignments(arguments: Mapping[str, Any], seed: int, used: set[str]) -> list[ast.stmt]:
    """Assignments in place of the arguments of the case function."""
    lines = []
    for name, value in arguments.items():
        if name not in used:
            continue
        if isinstance(value, np.random.Generator) and name == "rng":
            lines.append(f"rng = np.random.default_rng({seed})")
        elif isinstance(value, Path):
            lines.append(f"import pathlib, tempfile\n{name} = pathlib.Path(tempfile.mkdtemp())")
        else:
            try:
                lines.append(f"{name} = {source_of(value)}")
            except NotWritable as error:
                message = f"its fixture {name!r} returns a {type(value).__name__}, which only pytest can provide"
                raise NotWritable(message) from error
    body = ast.parse("\n".join(lines)).body
    return [*([ast.parse("import numpy as np").body[0]] if "rng" in used and "rng" in arguments else []), *body]


def _without_dead_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements without assignments to names that are never read."""
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
    if any(not isinstance(inner, ast.Name | ast.Tuple | ast.Store) for target in node.targets for inner in ast.walk(target)):
        return False
    names = {inner.id for target in node.targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
    return not names & read


class _Returns(ast.NodeTransformer):
    """``return LossCase(…)`` becomes a dict of what a program needs, and ``return ValueCase(compute)`` becomes the call."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node  # returns of a nested function do not belong to the case

    def visit_Return(self, node: ast.Return) -> ast.AST:
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id not in STAND_INS:
            return node
        kept = _KEPT.get(call.func.id)
        starred = any(isinstance(argument, ast.Starred) for argument in call.args) or any(k.arg is None for k in call.keywords)
        if kept is None or starred:
            return node
        keywords = [ast.keyword(arg=name, value=value) for name, value in zip(kept, call.args, strict=False)]
        keywords += [argument for argument in call.keywords if argument.arg in kept]
        if call.func.id == "ValueCase":
            compute = keywords[0].value
            plain = isinstance(compute, ast.Lambda) and not compute.args.args
            called = ast.Call(func=compute, args=[], keywords=[])
            node.value = compute.body if plain and isinstance(compute, ast.Lambda) else called
        else:
            node.value = ast.Call(func=ast.Name(id="dict", ctx=ast.Load()), args=[], keywords=keywords)
        return node
