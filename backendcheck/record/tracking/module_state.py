"""The state that a local module holds between cases, as a digest: a case that changes it decides about the cases behind it.

Containers, arrays, tensors, functions with what they close over, and objects with attributes are looked into. Something else,
an iterator for example, can change unseen, and then `Opaque` is raised.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import pathlib
import random
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_MOST_VALUES = 100_000
_MOST_BYTES = 256 * 2**20
_DEEPEST = 60
_HEAP_TYPE = 1 << 9  # a class that was made by Python code, or, from Python 3.12 on, by much of the standard library in C
_POINTER = 8  # bytes
_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis), type(NotImplemented), datetime.date,
          datetime.time, datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction, pathlib.PurePath, re.Pattern,
          np.dtype, type, types.GenericAlias, types.UnionType)  # fmt: skip
_BY_IDENTITY = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType,
                types.ClassMethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType, types.ModuleType,
                np.ufunc,
                types.CodeType, enum.Enum)  # fmt: skip
_OF_IMPORT = frozenset({"__builtins__", "__spec__", "__loader__", "__cached__", "__file__", "__path__", "__warningregistry__"})
_CACHE = type(functools.lru_cache(len))
_TENSORS = ("torch", "jax", "jaxlib", "tensorflow", "keras")


class Opaque(Exception):
    """A value that can change without a difference that can be seen."""


def state_of(namespace: Mapping[str, Any], is_local: Callable[[str], bool]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A digest of what is in the namespace of a module, and the hits and misses of each ``functools.cache`` in it.

    `is_local` tells the modules, by name, into whose classes and functions to look.

    Raises:
        Opaque: if something in it cannot be looked into.
    """
    visit = _Visit(is_local)
    for name, value in list(namespace.items()):
        if name in _OF_IMPORT or name.startswith("@"):
            continue
        try:
            visit.value(name, 0)
            visit.value(value, 0)
        except Opaque as error:
            message = f"{name}, which holds {error}"
            raise Opaque(message) from None
    return visit.digest.hexdigest(), tuple(visit.caches)


class _Visit:
    def __init__(self, is_local: Callable[[str], bool]) -> None:
        self.is_local = is_local
        self.digest = hashlib.blake2b(digest_size=16)
        self.caches: list[tuple[int, int]] = []
        self.places: dict[int, int] = {}
        self.kept: list[Any] = []  # so that no id is used twice
        self.n_bytes = 0

    def text(self, *parts: object) -> None:
        self.digest.update("\0".join(map(str, parts)).encode("utf-8", "surrogatepass") + b"\1")

    def value(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind in (str, int, float, bool, type(None)):
            self.text(kind.__name__, value)
            return
        if isinstance(value, type):
            self.of_class(value, depth)
            return
        if id(value) in self.places:
            self.text("again", self.places[id(value)])
            return
        self.places[id(value)] = len(self.places)
        self.kept.append(value)
        if len(self.places) > _MOST_VALUES or depth > _DEEPEST:
            message = "more than can be looked into"
            raise Opaque(message)
        self.of_object(value, kind, depth + 1)

    def of_object(self, value: Any, kind: type, depth: int) -> None:
        if isinstance(owner := getattr(value, "__self__", None), list | dict | set | collections.deque) and callable(value):
            self.each((kind.__name__, owner), depth)
        elif isinstance(value, _BY_IDENTITY) or kind.__module__ == "typing":
            self.text(kind.__name__, id(value))
        elif isinstance(value, np.ndarray | np.generic):
            self.array(np.asarray(value), depth)
        elif isinstance(value, _PLAIN):
            self.text(kind.__qualname__, repr(value))
        elif isinstance(value, _CACHE):
            info = value.cache_info()
            self.caches.append((info.hits, info.misses))
            self.value(value.__wrapped__, depth)
        elif isinstance(value, types.FunctionType):
            self.function(value, depth)
        elif isinstance(value, types.MethodType):
            self.each((value.__func__, value.__self__), depth)
        elif isinstance(value, staticmethod | classmethod):
            self.value(value.__func__, depth)
        elif isinstance(value, property):
            self.each((value.fget, value.fset, value.fdel), depth)
        elif isinstance(value, functools.partial):
            self.each((value.func, value.args, value.keywords), depth)
        elif isinstance(value, types.CellType):
            self.cell(value, depth)
        elif isinstance(value, random.Random):
            self.value(value.getstate(), depth)
        elif isinstance(value, np.random.Generator):
            self.value(value.bit_generator.state, depth)
        elif isinstance(value, np.random.RandomState):
            self.value(value.get_state(), depth)
        elif isinstance(value, np.random.BitGenerator):
            self.value(value.state, depth)
        elif _is_tensor(kind):
            self.tensor(value, depth)
        else:
            self.contents(value, kind, depth)

    def contents(self, value: Any, kind: type, depth: int) -> None:
        """A container, an object with attributes, or both."""
        self.text(kind.__module__, kind.__qualname__)
        is_seen = True
        if isinstance(value, dict | types.MappingProxyType):
            for key, entry in list(value.items()):
                self.each((key, entry), depth)
        elif isinstance(value, list | tuple | collections.deque):
            self.each(tuple(value), depth)
        elif isinstance(value, set | frozenset):
            self.each(tuple(sorted(value, key=lambda entry: (type(entry).__qualname__, repr(entry)))), depth)
        elif isinstance(value, bytearray):
            self.digest.update(bytes(value))
        else:
            is_seen = all(base is object or _holds_only_attributes(base) for base in kind.__mro__)
        attributes, is_object = _attributes(value, kind)
        if not is_seen or not (is_object or kind.__module__ in ("builtins", "collections") or isinstance(value, tuple)):
            message = f"a {kind.__module__}.{kind.__qualname__}"
            raise Opaque(message)
        for name, attribute in attributes.items():
            self.each((name, attribute), depth)

    def each(self, values: tuple[Any, ...], depth: int) -> None:
        self.text("each", len(values))
        for value in values:
            self.value(value, depth)

    def cell(self, value: types.CellType, depth: int) -> None:
        try:
            content = value.cell_contents
        except ValueError:
            self.text("empty")
        else:
            self.value(content, depth)

    def of_class(self, value: type, depth: int) -> None:
        self.text("class", value.__module__, value.__qualname__, id(value))
        if id(value) in self.places or not self.is_local(value.__module__):
            return
        self.places[id(value)] = len(self.places)
        for name, attribute in list(vars(value).items()):
            if name not in ("__dict__", "__weakref__", "__abstractmethods__", "_abc_impl", "__doc__", "__module__"):
                self.each((name, attribute), depth + 1)

    def function(self, value: types.FunctionType, depth: int) -> None:
        self.text("function", value.__module__, value.__qualname__, value.__code__.co_firstlineno, len(value.__code__.co_code))
        if not self.is_local(value.__module__ or "") and not self.is_local(value.__globals__.get("__name__", "")):
            self.text(id(value))
            return
        self.each((value.__defaults__, value.__kwdefaults__, value.__closure__ or (), dict(vars(value))), depth)

    def array(self, value: np.ndarray, depth: int) -> None:
        self.text("array", value.dtype.str, value.shape)
        if value.dtype.hasobject:
            self.each(tuple(value.ravel().tolist()), depth)
            return
        self.n_bytes += value.nbytes
        if self.n_bytes > _MOST_BYTES:
            message = "more than can be looked into"
            raise Opaque(message)
        self.digest.update(np.ascontiguousarray(value).tobytes())

    def tensor(self, value: Any, depth: int) -> None:
        try:
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        except Exception:  # noqa: BLE001 - of any library
            message = f"a {type(value).__module__}.{type(value).__qualname__}"
            raise Opaque(message) from None
        self.array(array, depth)


def _is_tensor(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in _TENSORS and hasattr(kind, "__array__")


def _attributes(value: Any, kind: type) -> tuple[dict[str, Any], bool]:
    """The attributes of an object, and whether it is one of a class that was made by Python code."""
    attributes = dict(vars(value)) if hasattr(value, "__dict__") else {}
    for base in kind.__mro__:
        for name in _slots(base):
            if hasattr(value, name) and name != "__dict__":
                attributes[name] = getattr(value, name)
    is_object = _holds_only_attributes(kind) and kind is not typing.Generic
    return attributes, is_object


def _slots(kind: type) -> list[str]:
    slots = kind.__dict__.get("__slots__", ())
    return [slots] if isinstance(slots, str) else list(slots)


def _holds_only_attributes(kind: type) -> bool:
    """Whether a class adds to its objects a dict, weak references and slots only. What C code adds makes them larger."""
    if kind.__base__ is None or not kind.__flags__ & _HEAP_TYPE:
        return False
    of_python = ("__dict__", "__weakref__")
    n_pointers = len({*_slots(kind)}.difference(of_python)) + sum(name in kind.__dict__ for name in of_python)
    n_bytes = kind.__basicsize__ - kind.__base__.__basicsize__
    return n_bytes <= n_pointers * _POINTER and kind.__itemsize__ == kind.__base__.__itemsize__
