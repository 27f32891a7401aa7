"""The targets of `backendcheck explore` in the process of a leg: what a name stands for, and what a package defines."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

_BY_POSITION = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def resolve(target: str) -> Any:
    """The object that ``keras.losses.Huber`` or ``package.module:Name`` names."""
    module, colon, path = target.partition(":")
    if not colon:
        module, _, path = target.rpartition(".")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def kind_of(target: Any) -> str:
    """``loss``, ``metric``, ``layer`` or ``loss function``; empty for anything else."""
    import keras

    if inspect.isclass(target) and issubclass(target, keras.losses.Loss):
        return "loss"
    if inspect.isclass(target) and issubclass(target, keras.metrics.Metric):
        return "metric"
    if inspect.isclass(target) and issubclass(target, keras.layers.Layer):
        return "layer"
    if isinstance(target, keras.losses.Loss) or (callable(target) and not inspect.isclass(target)):
        return "loss function"
    return ""


def describe(name: str) -> dict[str, Any]:
    """What the parent has to know of a target: its kind, and what its constructor takes; or what a package defines."""
    try:
        target = importlib.import_module(name) if _is_module(name) else resolve(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - importing a module of a user may raise anything
        return {"kind": "", "why": f"{type(error).__name__}: {error}"}
    try:
        return _described(target)
    except Exception as error:  # noqa: BLE001 - a class without a signature, or an object with attributes that raise
        return {"kind": "", "why": f"it cannot be inspected ({type(error).__name__}: {error})"}


def _described(target: Any) -> dict[str, Any]:
    if inspect.ismodule(target):
        members, notes = _defined_in(target)
        return {"kind": "package", "members": members, "notes": notes}
    parameters = inspect.signature(target).parameters.values() if inspect.isclass(target) else ()
    required = [
        parameter.name for parameter in parameters if parameter.default is parameter.empty and parameter.kind in _BY_POSITION
    ]
    return {"kind": kind_of(target), "parameters": [parameter.name for parameter in parameters], "required": required}


def _is_module(name: str) -> bool:
    if ":" in name:
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # what comes before the last dot is not a package
        return False


def _defined_in(package: ModuleType) -> tuple[list[str], list[str]]:
    """The losses, metrics and functions of ``(y_true, y_pred)`` that a package defines, and what could not be imported of it."""
    members: list[str] = []
    notes: list[str] = []
    for module in _modules(package, notes):
        for name, found in list(vars(module).items()):
            if name.startswith("_") or not issubclass(type(found), type | FunctionType):
                continue  # nothing else is asked, because an object may raise or act on being asked
            if getattr(found, "__module__", "") != module.__name__:
                continue  # imported from elsewhere
            if _can_be_explored(found):
                members.append(f"{module.__name__}:{name}")
    return members, notes


def _modules(package: ModuleType, notes: list[str]) -> Iterator[ModuleType]:
    yield package
    for module in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{package.__name__}."):
        if module.name.endswith(".__main__"):  # it would run
            continue
        try:
            imported = importlib.import_module(module.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - importing a module of a user may raise anything
            notes.append(f"{module.name} cannot be imported ({type(error).__name__}: {error})")
            continue
        yield from _modules(imported, notes)


def _can_be_explored(found: Any) -> bool:
    if inspect.isfunction(found):
        parameters = list(inspect.signature(found).parameters.values())
        names = [parameter.name for parameter in parameters]
        return names[:2] == ["y_true", "y_pred"] and all(each.default is not each.empty for each in parameters[2:])
    return inspect.isclass(found) and not inspect.isabstract(found) and kind_of(found) in ("loss", "metric")
