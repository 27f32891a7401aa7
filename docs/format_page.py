"""The page about the files of a recording, from the declarations of their fields."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields

from backendcheck.recordings.codec import UNKNOWN_KEYS, key_of
from backendcheck.recordings.environment import CaseFileProblem, EarlierSession, Environment, KeptRun, MergedPart, Selection
from backendcheck.recordings.files import ENVIRONMENT, ENVIRONMENT_FILE, FORMAT, RECORDING
from backendcheck.recordings.layer_calls import LayerCall, LayerTrace
from backendcheck.recordings.operation_calls import OperationCall
from backendcheck.recordings.paths import RECORDINGS, SUFFIX
from backendcheck.recordings.recording import Raised, Recording, Variant
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.states import ExitState, Status

_OF_RECORDINGS = (Recording, Variant, Raised, LayerTrace, LayerCall, OperationCall)
_OF_ENVIRONMENTS = (Environment, Selection, CaseFileProblem, EarlierSession, KeptRun, MergedPart)
_TABLES = {cls.__name__: cls for cls in (*_OF_RECORDINGS, *_OF_ENVIRONMENTS)}


def format_page() -> Iterator[str]:
    """The format of recordings and environment files."""
    yield from ("# Files of a recording", "")
    yield f"A leg is a folder `DIR/<backend>` with `{ENVIRONMENT}` and a file `{RECORDINGS}/<case id>{SUFFIX}` for each case."
    yield f"This is format {FORMAT}. What a file system may not take in a case id is percent-encoded, on every system alike:"
    yield "some characters, the first letter of a device of Windows (`con/a` lies in `%63on`), a dot or a blank at the end."
    yield "Ids of one session that differ only in upper and lower case have a digest behind both parts (`names~DIGEST/a~DIGEST`)."
    yield "So no two cases share a file on any system. What earlier versions have written elsewhere is read there."
    yield "All files are written whole: to a temporary name, then renamed. Nothing in them is unpickled."
    yield from ("", "A recording is a [safetensors](https://huggingface.co/docs/safetensors) file. It holds the arrays, and two")
    yield "texts as metadata: `backendcheck`, the JSON object below, and `sha256`, a checksum of that text and of all tensors."
    yield f"`{ENVIRONMENT}` has the checksum of its other fields in `sha256`."
    yield from ("", "A file with a later `format` is refused. So is one with a field that is not listed here,")
    yield "except in objects whose table has the row *any other*."
    yield from ("", "## Arrays and other values", "", "| type | in JSON |", "| --- | --- |")
    for cls, form in {**RECORDING.forms, **ENVIRONMENT_FILE.forms}.items():
        yield f"| `{'array' if cls.__name__ == 'ndarray' else cls.__name__}` | {form.text} |"
    yield "| a list | a JSON array; tuples are written as lists |"
    yield "| an enumeration | its text |"
    for name, cls in _TABLES.items():
        yield from ("", f"## {name}", "", inspect.cleandoc(cls.__doc__ or "").partition("\n")[0], "")
        yield from _table(cls)


def _table(cls: type) -> Iterator[str]:
    described = _descriptions(cls)
    yield from ("| key | type | always | |", "| --- | --- | --- | --- |")
    if cls in (Recording, Environment):
        yield "| `format` | int | yes | The version of the format. |"
    for field in fields(cls):
        if field.metadata == UNKNOWN_KEYS:
            yield f"| *any other* | any | | {described[field.name]} |"
            continue
        always = "" if field.metadata.get("later") else "yes"
        yield f"| `{key_of(field)}` | {_type(str(field.type))} | {always} | {described[field.name]} |"


def _descriptions(cls: type) -> dict[str, str]:
    """The text below the declaration of each field.

    Raises:
        KeyError: if a field has none.
    """
    (definition,) = (node for node in ast.parse(inspect.getsource(cls)).body if isinstance(node, ast.ClassDef))
    pairs = zip(definition.body, definition.body[1:], strict=False)
    described = {
        declared.target.id: str(text.value.value)
        for declared, text in pairs
        if isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name)
        and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }  # fmt: skip
    if missing := [field.name for field in fields(cls) if field.name not in described]:
        message = f"{cls.__name__}: {', '.join(missing)} without a description below the declaration"
        raise KeyError(message)
    return described


def _type(annotation: str) -> str:
    """An annotation as a reader of JSON needs it."""
    annotation = annotation.replace("np.ndarray", "array").replace("None", "null").replace("Any", "any")
    annotation = re.sub(r"tuple\[([^,\[\]]+), \.\.\.\]", r"list of \1", annotation)
    annotation = re.sub(r"tuple\[float, float\]", "two numbers", annotation)
    annotation = re.sub(r"tuple\[(Mapping\[.*\]), \.\.\.\]", r"list of \1", annotation)
    for _ in range(2):
        annotation = re.sub(r"Mapping\[str, ((?:[^\[\]]|\[[^\]]*\])+)\]", r"object of \1 by name", annotation)
    for enum in (Status, ExitState, Oracle):
        annotation = re.sub(rf"\b{enum.__name__}\b", ", ".join(f"`{value}`" for value in enum), annotation)
    annotation = annotation.replace(" | ", " or ").replace("object of object of any by name by name", "object of objects by name")
    words = [f"[{word}](#{word.lower()})" if word in _TABLES else word for word in annotation.split(" ")]
    return " ".join(words)
