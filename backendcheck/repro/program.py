"""A case as a program: its parts and its source.

The source binds names that the rest of a script and the program server use:

    kind of case   names
    value          compute_values()             returns the dict of values
    function       function, inputs             inputs are a list or a dict
    loss           loss, y_true, y_pred         and, if present, sample_weight
    model          build(), loss, x, y          and, if present, sample_weight, class_weight, loss_weights, metrics, optimizer()
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from backendcheck.nests import leaves
from backendcheck.text.literals import NotWritable, array_source, source_of

_DATA = ("x", "y", "y_true", "y_pred", "sample_weight")
_RULES = {
    "random": (
        "for number, variable in enumerate(model.weights):  # the same on every backend\n"
        "    variable.assign(np.random.default_rng(number).uniform(-1, 1, variable.shape))"
    ),
    "ones": "for variable in model.weights:\n    variable.assign(np.ones(variable.shape))",
    "zeros": "for variable in model.weights:\n    variable.assign(np.zeros(variable.shape))",
}
RULES = tuple(_RULES)
_LARGEST_SOURCE = 20_000_000  # characters, which a process reads in a second or two
_LONGEST_ARRAY = 600  # numbers; larger arrays go into a file next to the script


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Program:
    """One way to write a case.

    `form` is ``objects`` or ``source``. An ``objects`` program is written from the return value of the case: `code` holds
    expressions, `arrays` the data, `model` the layers, `weights` their values or the name of a rule. In a ``source`` program
    `body` is the case function itself. `parameters` are the inputs by which a function is differentiated, by position.
    """

    case_type: str
    form: str
    imports: tuple[str, ...] = ()
    definitions: str = ""
    body: str = ""
    code: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] | None = None
    weights: Sequence[np.ndarray] | str = ()
    epochs: int = 1
    batch_size: int | None = None
    seeded: bool = False
    foreign: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()

    @property
    def n_examples(self) -> int | None:
        """The number of examples; None if it is unknown."""
        for name in ("x", "y_pred"):
            arrays = [leaf for _, leaf in leaves(self.arrays.get(name)) if leaf is not None and np.ndim(leaf)]
            if arrays:
                return len(arrays[0])
        return None


def program_from(content: Mapping[str, Any]) -> Program:
    """The program described by a program server."""
    options = content.get("options", {})
    return Program(
        case_type=content["kind"], form=content["form"], imports=tuple(content["imports"]), definitions=content["definitions"],
        body=content.get("body", ""), code=content.get("code", {}), arrays=content.get("arrays", {}),
        model=content.get("model"), weights=tuple(content.get("weights", ())), seeded=content.get("seeded", False),
        epochs=options.get("epochs", 1), batch_size=options.get("batch_size"), foreign=tuple(content.get("foreign", ())),
        parameters=tuple(content.get("parameters", ())),
    )  # fmt: skip


# --- source ----------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class ProgramSource:
    """The source of a program, and the arrays that it reads from a file, by name."""

    source: str
    stored: dict[str, np.ndarray]


def write_program(program: Program, data_file: str | None = None) -> ProgramSource:
    """The source of `program`. With a `data_file`, large arrays are read from it.

    Raises:
        NotWritable: if a part of the program cannot be written as source.
    """
    stored: dict[str, np.ndarray] = {}

    def nest_source(nest: Any, name: str) -> str:
        if isinstance(nest, Mapping):
            items = enumerate(nest.items())
            inner = [f"{source_of(key)}: {nest_source(part, f'{name}_{number}')}" for number, (key, part) in items]
            text = "{" + ", ".join(inner) + "}"
            return text if len(text) < 110 and "\n" not in text else "{\n    " + ",\n    ".join(inner) + ",\n}"  # noqa: PLR2004
        if isinstance(nest, list | tuple):
            inner = [nest_source(part, f"{name}_{number}") for number, part in enumerate(nest)]
            return f"[{', '.join(inner)}]"
        array = np.asarray(nest)
        if data_file is not None and array.size > _LONGEST_ARRAY and array.dtype.kind in "biuf":
            stored[name] = array
            return f'data["{name}"]'
        return array_source(array, largest=_LARGEST_SOURCE)

    parts = [program.definitions] if program.definitions else []
    if program.form == "source":
        parts += [program.body, *_unpack_case(program)]
    else:
        if program.case_type == "model":
            parts.append(_build(program, stored, data_file))
        parts.append("\n".join(f"{name} = {code}" for name, code in program.code.items() if code != name))
        parts.append("\n".join(f"{name} = {nest_source(nest, name)}" for name, nest in program.arrays.items()))
        parts = [part for part in parts if part]
    if stored:
        parts.insert(0, f"data = np.load({_path_source(data_file or '')})")
    text = "".join(part + ("\n\n\n" if _is_definition(part) or _is_definition(after) else "\n\n")
                   for part, after in pairwise([*parts, ""]))  # fmt: skip
    return ProgramSource(source="\n".join([*_imports(program, bool(stored)), ""]) + text.rstrip() + "\n", stored=stored)


def _is_definition(part: str) -> bool:
    """Whether a part ends in a function or a class, which two blank lines follow."""
    return part.rpartition("\n")[2].startswith(" ") or part.startswith(("def ", "class "))


def _path_source(name: str) -> str:
    return f"os.path.join(os.path.dirname(os.path.abspath(__file__)), {name!r})"


def _imports(program: Program, stored: bool) -> list[str]:
    lines = [*(["import os"] if stored else []), *program.imports, "import keras", "import numpy as np"]
    return sorted(dict.fromkeys(lines), key=lambda line: (not line.startswith("import "), line))


def _unpack_case(program: Program) -> list[str]:
    """Source that binds the names of a program from the return value of the case function."""
    if program.case_type == "value":
        return []
    by_type = {"function": ("function", "inputs"), "loss": ("loss", "y_true", "y_pred"), "model": ("loss", "x", "y")}
    names = by_type[program.case_type]
    returned = returned_names(program.body)
    optional = [
        name
        for name in ("sample_weight", "class_weight", "loss_weights", "metrics", "weighted_metrics")
        if name in returned and (program.case_type == "model" or name == "sample_weight")
    ]
    lines = ["case = make()", *(f"{name} = case[{name!r}]" for name in names)]
    lines += [f"{name} = case.get({name!r})" for name in optional]
    if program.case_type == "model":
        if "optimizer" in returned:
            lines.append('optimizer = lambda: make()["optimizer"]')
        rule = _indented(_RULES["random"]) + "\n" if program.seeded else ""
        lines.append(f'\n\ndef build():\n    model = make()["model"]\n{rule}    return model')
    return ["\n".join(lines)]


def returned_names(body: str) -> list[str]:
    """The names of the parts of the case that the function `body` returns."""
    returned = [node.value for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Return)]
    return [keyword.arg for call in returned if isinstance(call, ast.Call) for keyword in call.keywords if keyword.arg]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _build(program: Program, stored: dict[str, np.ndarray], data_file: str | None) -> str:
    model: Mapping[str, Any] = program.model or {}
    lines = []
    for declared in model["inputs"]:
        options = [str(tuple(declared["shape"]))]
        options += [f'dtype="{declared["dtype"]}"'] if declared["dtype"] else []
        options += [f"name={declared['label']!r}"] if declared["label"] else []
        lines.append(f"{declared['name']} = keras.Input({', '.join(options)})")
    for step in model["steps"]:
        options = _positional(step)
        options += [f"name={step['label']!r}"] if step["label"] else []
        lines.append(f"{step['name']} = {step['constructor']}({', '.join(options)})({_structure(step['takes'])})")
    name = f", name={model['label']}" if model["label"] else ""
    lines.append(f"model = keras.Model({_structure(model['takes'])}, {_structure(model['outputs'])}{name})")
    if isinstance(program.weights, str):
        lines.append(_RULES[program.weights])
    elif program.weights:
        sources = []
        for number, value in enumerate(program.weights):
            if data_file is not None and value.size > _LONGEST_ARRAY:
                stored[f"weight_{number}"] = value
                sources.append(f'data["weight_{number}"]')
            else:
                sources.append(array_source(value, largest=_LARGEST_SOURCE))
        lines.append("model.set_weights([\n" + "".join(f"    {_deeper(source)},\n" for source in sources) + "])")
    return "def build():\n" + _indented("\n".join([*lines, "return model"]))


def _deeper(text: str) -> str:
    return text.replace("\n", "\n    ")


_FIRST_ARGUMENT = ("units", "filters", "input_dim", "target_shape", "activation", "rate", "scale", "num_tokens")


def _positional(step: Mapping[str, Any]) -> list[str]:
    """The arguments of a layer as usually written: ``Dense(3, activation="softmax")``."""
    arguments = dict(step["arguments"])
    positional = []
    if step["constructor"].rpartition(".")[2] != "Activation" or "activation" not in arguments:
        first = next(iter(arguments), "")
        if first in _FIRST_ARGUMENT and first != "activation":
            positional.append(arguments.pop(first))
    else:
        positional.append(arguments.pop("activation"))
    return [*positional, *(f"{key}={value}" for key, value in arguments.items())]


def _structure(nest: Any) -> str:
    if isinstance(nest, Mapping):
        return "{" + ", ".join(f"{source_of(key)}: {_structure(part)}" for key, part in nest.items()) + "}"
    if isinstance(nest, list | tuple):
        return f"[{', '.join(_structure(part) for part in nest)}]"
    return str(nest)


__all__ = ["RULES", "NotWritable", "Program", "ProgramSource", "program_from", "write_program"]
