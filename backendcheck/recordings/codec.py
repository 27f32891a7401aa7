"""Values as JSON and back, by the types that the fields of a dataclass declare.

A dataclass is written as an object with a key for each field. So a field is declared once, and both directions follow from that.
Types that are not plain JSON, arrays for example, have an entry in the table that a `Codec` is made with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

# Metadata of a field that a format did not have from the beginning. It is left out where it has its default value, so that
# earlier versions still read what does not use it.
LATER: Final[Mapping[str, Any]] = {"later": True}

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
    """Writes and reads values by their types. `forms` is the table of the types that are not plain JSON."""

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
            return {key_of(field): self.encode(getattr(value, field.name), context) for field in _written_fields(value)}
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
        if origin in (Union, UnionType):
            decoders = [self._decoder(argument) for argument in arguments if argument is not NoneType]
            return _optional(decoders[0]) if len(decoders) == 1 else None
        if origin in (tuple, Sequence):
            return _tuple_of(self._decoder(arguments[0]))
        if origin in (dict, Mapping) and (decoder := self._decoder(arguments[1])) is not None:
            return lambda content, context: {key: decoder(entry, context) for key, entry in content.items()}
        return None

    def _dataclass_decoder(self, cls: type) -> Decode:
        hints = get_type_hints(cls)
        decoders = {key_of(field): (field.name, self._decoder(hints[field.name])) for field in fields(cls)}

        def decode(content: Any, context: Any) -> Any:
            values = {}
            for key, entry in content.items():
                if key not in decoders:
                    message = f"unknown field {key!r}"
                    raise TypeError(message)
                name, decoder = decoders[key]
                values[name] = entry if decoder is None else decoder(entry, context)
            return cls(**values)

        return decode


def key_of(field: Field[Any]) -> str:
    """The name of a field in files."""
    return str(field.metadata.get("key", field.name))


def _written_fields(value: Any) -> list[Field[Any]]:
    return [field for field in fields(value) if not field.metadata.get("later") or getattr(value, field.name) != _default(field)]


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _optional(decoder: Decode | None) -> Decode | None:
    return None if decoder is None else lambda content, context: None if content is None else decoder(content, context)


def _tuple_of(decoder: Decode | None) -> Decode:
    if decoder is None:
        return lambda content, _: tuple(content)
    return lambda content, context: tuple(decoder(entry, context) for entry in content)
