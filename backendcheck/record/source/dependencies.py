"""The source that a function or class needs, cut out of its module: imports, constants and other functions, in order."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from backendcheck.case_files import builtin_cases
from backendcheck.text.literals import NotWritable, source_of

# Packages that every installation with Keras has.
_PORTABLE = frozenset({"keras", "numpy", "tensorflow", "jax", "torch", "ml_dtypes", "h5py"})
_STAND_INS = {
    "FunctionCase": "def FunctionCase(function, inputs, **_):\n    return dict(function=function, inputs=inputs)",
    "LossCase": "def LossCase(loss, y_true, y_pred, sample_weight=None, **_):\n"
                "    return dict(loss=loss, y_true=y_true, y_pred=y_pred, sample_weight=sample_weight)",
    "ModelCase": "def ModelCase(model, loss, x, y=None, **more):\n    return dict(model=model, loss=loss, x=x, y=y, **more)",
    "ValueCase": "def ValueCase(compute, **_):\n    return compute()",
    "Raises": "def Raises(*_, **__):\n    pass",
    "Tolerance": "def Tolerance(*_, **__):\n    pass",
    "OptOut": "def OptOut(**_):\n    pass",
}  # fmt: skip
STAND_INS = frozenset(_STAND_INS)


class Slice:
    """Collects definitions by name. Definitions that others need come first."""

    def __init__(self) -> None:
        self.imports: dict[str, None] = {}
        self.definitions: list[str] = []
        self.foreign: set[str] = set()
        self._owner: dict[str, object] = {}

    def text(self) -> str:
        """The collected definitions, without the imports."""
        return "\n\n\n".join(self.definitions)

    def define(self, name: str, source: str, owner: object) -> None:
        """Add the definition of `name`, if it is not defined yet.

        Raises:
            NotWritable: if the name already has another definition.
        """
        if name in self._owner:
            if self._owner[name] != owner:
                message = f"two different things are called {name}"
                raise NotWritable(message)
            return
        self._owner[name] = owner
        self.definitions.append(source)

    def bound(self, name: str) -> bool:
        return name in self._owner

    def need_names(self, node: ast.AST | Iterable[ast.AST], module: types.ModuleType, *, without: Iterable[str] = ()) -> None:
        """Collect the definitions of the free names of `node` in `module`."""
        for name in loaded_names(node):
            if name not in without:
                self._need(name, module)

    def _need(self, name: str, module: types.ModuleType) -> None:
        owner = (module.__name__, name)
        if self._owner.get(name) == owner:
            return
        binding = _binding(module, name)
        if binding is None:
            if name in vars(module) and not hasattr(builtins, name):
                self.define(name, f"{name} = {source_of(vars(module)[name])}", owner)
            return
        if isinstance(binding, ast.Import | ast.ImportFrom):
            self._import(name, binding, module)
            return
        if name in self._owner:
            self.define(name, "", owner)  # raises, because something else has this name
        self._owner[name] = owner
        if isinstance(binding, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.need_names(binding, module, without=(name,))
            self.definitions.append(segment(module, binding))
        else:
            self.need_names(binding, module, without=(name,))
            source = segment(module, binding)
            if source not in self.definitions:
                self.definitions.append(source)

    def _import(self, name: str, node: ast.Import | ast.ImportFrom, module: types.ModuleType) -> None:
        alias = next(alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) == name)
        package = alias.name if isinstance(node, ast.Import) else node.module or ""
        root = package.partition(".")[0]
        if root == "backendcheck":
            if isinstance(node, ast.Import) or alias.name not in _STAND_INS:
                message = f"it uses {package}.{alias.name}"
                raise NotWritable(message)
            self.define(name, _STAND_INS[alias.name].replace(f"def {alias.name}(", f"def {name}("), ("backendcheck", alias.name))
            return
        source = sys.modules.get(package)
        if isinstance(node, ast.ImportFrom) and source is not None and _is_local(source):
            self._need(alias.name, source)
            if name != alias.name:
                self.define(name, f"{name} = {alias.name}", (module.__name__, name))
            return
        if isinstance(node, ast.ImportFrom) and node.level:
            message = f"it imports {alias.name} relative to its package"
            raise NotWritable(message)
        if source is not None and _is_local(source):
            message = f"it imports the module {package} from its own directory"
            raise NotWritable(message)
        if root == "pytest":
            message = "it uses pytest in its body"
            raise NotWritable(message)
        if root not in _PORTABLE and root not in sys.stdlib_module_names:
            self.foreign.add(root)
        single = ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], 0)
        self._owner[name] = (module.__name__, name)
        self.imports[ast.unparse(single)] = None

    def origin(self, name: str, module: types.ModuleType) -> str:
        """The origin of a global name of `module`: a package, or ``constant``, ``builtin``, ``unknown`` or ``local``."""
        binding = _binding(module, name)
        if isinstance(binding, ast.Import | ast.ImportFrom):
            alias = next(alias for alias in binding.names if (alias.asname or alias.name.partition(".")[0]) == name)
            root = (alias.name if isinstance(binding, ast.Import) else binding.module or "").partition(".")[0]
            if root in _PORTABLE or root in sys.stdlib_module_names or root == "backendcheck":
                return root
        elif isinstance(binding, ast.Assign):
            return "constant"
        return "local" if binding is not None else "builtin" if hasattr(builtins, name) else "unknown"


def loaded_names(node: ast.AST | Iterable[ast.AST]) -> list[str]:
    """Every name that is read anywhere in `node`, once, in order."""
    nodes = [node] if isinstance(node, ast.AST) else list(node)
    names = (
        inner.id
        for outer in nodes
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)
    )
    return list(dict.fromkeys(names))


def parsed(module: types.ModuleType) -> ast.Module:
    """The syntax tree of a module.

    Raises:
        NotWritable: if its source is not available.
    """
    return ast.parse(_text(module))


def _text(module: types.ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError) as error:
        message = f"the source of {module.__name__} is not available"
        raise NotWritable(message) from error


def segment(module: types.ModuleType, node: ast.stmt) -> str:
    """The source of a statement as it is in its file; of decorated functions, as Python prints it."""
    if getattr(node, "decorator_list", None):
        return ast.unparse(node)
    lines = _text(module).splitlines()[node.lineno - 1 : node.end_lineno]
    return inspect.cleandoc("\n" + "\n".join(lines)) if node.col_offset else "\n".join(lines)


def _binding(module: types.ModuleType, name: str) -> ast.stmt | None:
    """The last statement at the top level of a module that binds `name`."""
    last = None
    for node in _top_level(parsed(module).body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound: Iterable[str] = [node.name]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.For | ast.AugAssign):
            bound = [target.id for target in ast.walk(node) if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store)]
        else:
            continue
        if name in bound:
            last = node
    return last


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _top_level(node.body)


def _is_local(module: types.ModuleType) -> bool:
    """Whether a module is a file of the project, and not an installed library."""
    file = getattr(module, "__file__", None)
    if file is None or module.__name__.partition(".")[0] in _PORTABLE | sys.stdlib_module_names:
        return False
    return Path(file).is_relative_to(builtin_cases()) or not {"site-packages", "dist-packages"} & set(Path(file).parts)


def module_of(thing: Any) -> types.ModuleType:
    """The module in which a function or a class was written.

    Raises:
        NotWritable: if the module was not found.
    """
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    if module is not None:
        return module
    file = getattr(getattr(thing, "__code__", None), "co_filename", None)
    loaded = list(sys.modules.values())
    module = next((module for module in loaded if file and getattr(module, "__file__", None) == file), None)
    if module is None:
        message = f"the module of {getattr(thing, '__name__', thing)!r} was not found"
        raise NotWritable(message)
    return module
