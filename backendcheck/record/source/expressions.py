"""Keras objects as expressions that create them: ``keras.losses.BinaryCrossentropy(from_logits=True)``."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.arrays import as_observation
from backendcheck.record.source.dependencies import Slice, module_of, parsed, segment
from backendcheck.text.literals import NotWritable, source_of

_PUBLIC = (
    "losses", "metrics", "layers", "optimizers", "optimizers.schedules", "activations", "initializers", "regularizers",
    "constraints", "ops", "utils", "random",
)  # fmt: skip


def public_name(thing: Any) -> str | None:
    """The public name of a Keras class or function, such as ``keras.layers.Dense``; None if it has none."""
    name = getattr(thing, "__name__", "")
    for path in _PUBLIC:
        module: Any = keras
        for part in path.split("."):
            module = getattr(module, part, None)
        if name and getattr(module, name, None) is thing:
            return f"keras.{path}.{name}"
    return None


def expression(value: Any, slice_: Slice) -> str:
    """`value` as source: plain data, arrays, Keras objects, and functions and classes of the user, which `slice_` collects.

    Raises:
        NotWritable: naming the part without a source.
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{source_of(key)}: {expression(item, slice_)}" for key, item in value.items()) + "}"
    if type(value) in (list, tuple):
        inner = ", ".join(expression(item, slice_) for item in value)
        return f"[{inner}]" if type(value) is list else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, keras.Variable) or keras.ops.is_tensor(value):
        return f"keras.ops.convert_to_tensor({source_of(as_observation(value, where='a tensor').value)})"
    if inspect.isclass(value) or inspect.isfunction(value):
        return public_name(value) or _own(value, slice_)
    if type(value).__module__.startswith("keras.") or hasattr(value, "get_config"):
        return _instance(value, slice_)
    return source_of(value)


# --- objects with a configuration ------------------------------------------------------------------------------


def _instance(value: Any, slice_: Slice) -> str:
    cls = _of_every_backend(type(value))
    name = public_name(cls) or _own(cls, slice_)
    try:
        config = value.get_config()
    except Exception as error:
        message = f"{cls.__name__} has no configuration"
        raise NotWritable(message) from error
    if "fn" in config and cls.__name__ == "LossFunctionWrapper":
        return expression(value.fn, slice_)
    if isinstance(rate := config.get("learning_rate"), float):
        config = {**config, "learning_rate": float(str(np.float32(rate)))}  # 0.1, which a float32 variable holds as 0.1000000015
    return f"{name}({', '.join(f'{key}={value_source}' for key, value_source in arguments_of(cls, config, slice_).items())})"


def _of_every_backend(cls: type) -> type:
    """The public class whose instances are of `cls` on one backend. `keras.optimizers.Adam` gives an Adam of PyTorch there."""
    if not cls.__module__.startswith("keras.src.backend."):
        return cls
    return next((base for base in cls.__mro__ if base.__name__ == cls.__name__ and public_name(base)), cls)


def arguments_of(cls: Any, config: Mapping[str, Any], slice_: Slice) -> dict[str, str]:
    """The arguments, as source, that create a `cls` with this configuration. Arguments with default values are left out.

    Raises:
        NotWritable: if the configuration does not have them.
    """
    parameters = inspect.signature(cls.__init__).parameters
    required = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name != "self"
    ]
    if missing := [name for name in required if name not in config]:
        message = f"the configuration of {cls.__name__} has no {missing[0]}"
        raise NotWritable(message)
    arguments: dict[str, Any] = {}
    usual: Mapping[str, Any] = {}
    try:
        plain = {name: _restored(config[name]) for name in required}
        usual = cls(**plain).get_config()
    except Exception:  # noqa: BLE001 - then its defaults are those of the signature
        usual = {name: parameter.default for name, parameter in parameters.items() if parameter.default is not parameter.empty}
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name, value in config.items():
        known = name in parameters or (takes_any and name in ("name", "dtype", "trainable", "reduction", "axis"))
        automatic = name == "name" and re.fullmatch(rf"{re.escape(snake(cls.__name__))}(_\d+)?", str(value))
        if name in required or (known and not automatic and not _same(value, usual.get(name))):
            arguments[name] = expression(_restored(value), slice_)
    return arguments


def _same(left: Any, right: Any) -> bool:
    try:
        return bool(left == right) and type(left) is type(right)
    except Exception:  # noqa: BLE001 - arrays, for example, have no single answer
        return False


def _restored(value: Any) -> Any:
    """The value with serialized objects replaced by the objects."""
    if isinstance(value, Mapping) and "class_name" in value and "config" in value:
        if value["class_name"] == "__tuple__":
            return tuple(value.get("items", ()))
        if value["class_name"] == "DTypePolicy":
            return value["config"].get("name")
        return keras.saving.deserialize_keras_object(dict(value))
    if type(value) in (list, tuple):
        return type(value)(_restored(item) for item in value)
    return value


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


# --- functions and classes of the user's -----------------------------------------------------------------------


def _own(thing: Any, slice_: Slice) -> str:
    """The name of a function or class of the user's, whose source `slice_` collects."""
    if getattr(thing, "__module__", "").startswith(("keras.", "tensorflow.", "torch.", "jax.")):
        message = f"{thing.__name__} is not public in {thing.__module__.partition('.')[0]}"
        raise NotWritable(message)
    module = module_of(thing)
    name = str(thing.__name__)
    if vars(module).get(name) is thing:
        slice_.need_names(ast.Name(id=name, ctx=ast.Load()), module)
        return name
    node = _local_node(module, thing)
    name = name if name.isidentifier() else "function"
    owner = (module.__name__, getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
    if slice_.bound(name) and isinstance(node, ast.Lambda):
        name = f"{name}_{owner[1]}"
    cells = _cells(thing)
    for free, value in cells.items():
        if free != name:
            slice_.define(free, f"{free} = {expression(value, slice_)}" if _own_name(value) != free else "", ("cell", id(value)))
    slice_.need_names(node, module, without=(*cells, name))
    source = f"{name} = {ast.unparse(node)}" if isinstance(node, ast.Lambda) else segment(module, node)
    slice_.define(name, source, owner)
    return name


def _own_name(value: Any) -> str:
    return getattr(value, "__name__", "") if inspect.isfunction(value) or inspect.isclass(value) else ""


def _cells(thing: Any) -> dict[str, Any]:
    """The variables that a function, or the methods of a class, close over."""
    attributes = [thing] if inspect.isfunction(thing) else vars(thing).values()
    functions = [attribute for attribute in attributes if inspect.isfunction(attribute)]
    cells: dict[str, Any] = {}
    for function in functions:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name != "__class__":
                cells[name] = cell.cell_contents
    return cells


def _local_node(module: Any, thing: Any) -> Any:
    code = getattr(thing, "__code__", None)
    tree = parsed(module)
    if code is not None and code.co_name == "<lambda>":
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
        if len(nodes) == 1:
            return nodes[0]
    elif code is not None:
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            if code.co_firstlineno in {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}:
                return node
    else:
        classes = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == thing.__name__]
        if len(classes) == 1:
            return classes[0]
    message = f"the source of {thing.__name__} was not found"
    raise NotWritable(message)


_WRAPPER = '''class LossOfFunction(keras.losses.Loss):
    """What model.compile makes of a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)'''


def loss_expression(loss: Any, slice_: Slice) -> str:
    """The loss of one output as an expression that creates a `keras.losses.Loss`."""
    if isinstance(loss, str):
        resolved = keras.losses.get(loss)
        camel = "".join(part.capitalize() for part in getattr(resolved, "__name__", "").split("_"))
        cls = next((name for name in dir(keras.losses) if name.lower() == camel.lower()), None)
        if cls is not None and inspect.isclass(getattr(keras.losses, cls)):
            return f"keras.losses.{cls}()"
        loss = resolved
    if inspect.isclass(loss):
        return f"{expression(loss, slice_)}()"
    if isinstance(loss, keras.losses.Loss) and type(loss).__name__ != "LossFunctionWrapper":
        return expression(loss, slice_)
    function = expression(loss, slice_)
    slice_.define("LossOfFunction", _WRAPPER, "LossOfFunction")
    return f"LossOfFunction({function})"


