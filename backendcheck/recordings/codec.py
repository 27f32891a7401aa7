"""Values as JSON and back, by the types that the fields of a dataclass declare.

A dataclass is written as an object with a key for each field. So a field is declared once, and both directions follow from that.
Types that are not plain JSON, arrays for example, have an entry in the table that a `Codec` is made with.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

# Metadata of a field that a format did not have from the beginning. It is left out where it has its default value, so that
# earlier versions still read what does not use it.
LATER: Final[Mapping[str, Any]] = {"later": True}
# Metadata of a field that was always left out where it has its default value.
IF_SET = LATER
# Metadata of the field with the keys that no other field has, by key. Without such a field they are refused.
UNKNOWN_KEYS: Final[Mapping[str, Any]] = {"unknown keys": True}

_PLAIN: Final[Mapping[Any, Any]] = {str: str, bool: bool, int: int, float: (int, float)}
_LARGEST_INTEGER: Final = 2**63 - 1
_LONGEST_SHARED: Final = 80  # characters
_T = TypeVar("_T")
Decode = Callable[[Any, Any], Any]  # from JSON and the context of the file


def stored_as(key: str) -> Mapping[str, Any]:
    """Metadata of a field that has another name in files."""
    return {"key": key}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How values of one type are written. Both functions also take the context of the file, its tensors for example.

    `text` describes the JSON, for the page about the format.
    """

    encode: Callable[[Any, Any], Any]
    decode: Decode
    text: str


class Codec:
    """Writes and reads values by their types. `forms` is the table of the types that are not plain JSON.

    Every value that is read is checked for its type. Only fields of type `Any` are taken as they are.
    """

    def __init__(self, forms: Mapping[type, Form]) -> None:
        self.forms = forms
        self._decoders: dict[Any, Decode | None] = {}

    def encode(self, value: Any, context: Any = None) -> Any:
        """What `json.dumps` takes."""
        if (form := self.forms.get(type(value))) is not None:
            return form.encode(value, context)
        if value is None or isinstance(value, str | bool | int | float):
            return value
        if is_dataclass(value):
            written = {key_of(field): self.encode(getattr(value, field.name), context) for field in _written_fields(value)}
            return written | _unknown_keys(value)
        if isinstance(value, Mapping):
            return {key: self.encode(content, context) for key, content in value.items()}
        if isinstance(value, list | tuple):
            return [self.encode(item, context) for item in value]
        if isinstance(value, Enum):
            return value.value
        for base, form in self.forms.items():  # a path is of a class for its platform
            if isinstance(value, base):
                return form.encode(value, context)
        return value

    def decode(self, hint: type[_T], content: Any, context: Any = None) -> _T:
        """The value of type `hint` that `content` stands for.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: if `content` is not the JSON of such a value.
        """
        decoder = self._decoder(hint)
        value: _T = content if decoder is None else decoder(content, context)
        return value

    def _decoder(self, hint: Any) -> Decode | None:
        """The function that reads values of a type; None where they are what `json.loads` returns."""
        if hint not in self._decoders:
            self._decoders[hint] = self._make_decoder(hint)
        return self._decoders[hint]

    def _make_decoder(self, hint: Any) -> Decode | None:
        origin, arguments = get_origin(hint), get_args(hint)
        if isinstance(hint, type) and hint in self.forms:
            return self.forms[hint].decode
        if isinstance(hint, type) and is_dataclass(hint):
            return self._dataclass_decoder(hint)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return lambda content, _: hint(content)
        if hint in _PLAIN:
            return _checked(hint)
        if origin in (Union, UnionType):
            decoders = [self._decoder(argument) for argument in arguments if argument is not NoneType]
            return _optional(decoders[0]) if len(decoders) == 1 else None
        if origin in (tuple, Sequence):
            if len(arguments) > 1 and arguments[1] is not Ellipsis:
                return _tuple_of_each([self._decoder(argument) for argument in arguments])
            return _tuple_of(self._decoder(arguments[0]))
        if origin in (dict, Mapping):
            return _mapping_of(self._decoder(arguments[1]))
        return None

    def _dataclass_decoder(self, cls: type) -> Decode:
        hints = get_type_hints(cls)
        decoders = {
            key_of(field): (field.name, self._decoder(hints[field.name]))
            for field in fields(cls)
            if not _holds_unknown_keys(field)
        }
        extra = next((field.name for field in fields(cls) if _holds_unknown_keys(field)), None)

        def decode(content: Any, context: Any) -> Any:
            if not isinstance(content, dict):
                message = f"expected an object, got {reprlib.repr(content)}"
                raise TypeError(message)
            values: dict[str, Any] = {}
            for key, entry in content.items():
                if key not in decoders and extra is not None:
                    values.setdefault(extra, {})[key] = entry
                    continue
                if key not in decoders:
                    message = f"unknown field {key!r}"
                    raise TypeError(message)
                name, decoder = decoders[key]
                try:
                    values[name] = entry if decoder is None else decoder(entry, context)
                except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
                    problem = f"{error} is missing" if isinstance(error, KeyError) else error
                    message = f"{key}: {problem}"
                    raise ValueError(message) from error
            return cls(**values)

        return decode


def key_of(field: Field[Any]) -> str:
    """The name of a field in files."""
    return str(field.metadata.get("key", field.name))


def shared(text: str) -> str:
    """The text; a short one once for all files. Ten thousand recordings have the same few names."""
    return sys.intern(text) if len(text) <= _LONGEST_SHARED else text


def _holds_unknown_keys(field: Field[Any]) -> bool:
    return bool(field.metadata.get("unknown keys"))


def _unknown_keys(value: Any) -> dict[str, Any]:
    holders = [field for field in fields(value) if _holds_unknown_keys(field)]
    return {key: entry for field in holders for key, entry in getattr(value, field.name).items()}


def _written_fields(value: Any) -> list[Field[Any]]:
    declared = [field for field in fields(value) if not _holds_unknown_keys(field)]
    return [field for field in declared if not field.metadata.get("later") or getattr(value, field.name) != _default(field)]


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _optional(decoder: Decode | None) -> Decode | None:
    return None if decoder is None else lambda content, context: None if content is None else decoder(content, context)


def _tuple_of(decoder: Decode | None) -> Decode:
    def decode(content: Any, context: Any) -> Any:
        if not isinstance(content, list):  # the letters of a text are a sequence as well
            message = f"expected a list, got {reprlib.repr(content)}"
            raise TypeError(message)
        return tuple(content) if decoder is None else tuple(decoder(entry, context) for entry in content)

    return decode


def _tuple_of_each(decoders: Sequence[Decode | None]) -> Decode:
    def decode(content: Any, context: Any) -> Any:
        if not isinstance(content, list) or len(content) != len(decoders):
            message = f"expected a list of {len(decoders)}, got {reprlib.repr(content)}"
            raise TypeError(message)
        pairs = zip(decoders, content, strict=True)
        return tuple(entry if decoder is None else decoder(entry, context) for decoder, entry in pairs)

    return decode


def _mapping_of(decoder: Decode | None) -> Decode:
    def decode(content: Any, context: Any) -> Any:
        if not isinstance(content, dict):
            message = f"expected an object, got {reprlib.repr(content)}"
            raise TypeError(message)
        if decoder is None:
            return content
        return {sys.intern(key): decoder(entry, context) for key, entry in content.items()}

    return decode


def _checked(hint: type) -> Decode:
    def decode(content: Any, _: Any) -> Any:
        if type(content) is str is hint:
            return shared(content)
        # A truth value is an integer for Python, and an integer is a number for JSON.
        if isinstance(content, bool) is not (hint is bool) or not isinstance(content, _PLAIN[hint]):
            message = f"expected {hint.__name__}, got {reprlib.repr(content)}"
            raise TypeError(message)
        if hint is float:
            float(content)  # refuses an integer of hundreds of digits
        elif hint is int and abs(content) > _LARGEST_INTEGER:
            message = f"expected an integer of at most 64 bits, got {reprlib.repr(content)}"
            raise ValueError(message)
        return content

    return decode
