"""What the cases of a file are about: the losses, metrics and options that each of them names, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.label_targets import ARITHMETIC, keras_label_targets
from backendcheck.reference import canonical_name


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCase:
    """A function of a case file: what it is about.

    `code` is its claim and its body. `text` is its claim and the options that it names. `names` are those that it mentions, also
    by way of the functions of its file. A name that the file imports is there as ``package.module:Name``. `options` are those
    that it gives to what it calls, each as the name and the option. `listed` are names in lists of the file that it uses.
    """

    id: str
    text: str
    names: frozenset[str]
    code: str = ""
    options: frozenset[tuple[str, str]] = frozenset()
    listed: frozenset[str] = frozenset()


def names_of(target: str) -> frozenset[str]:
    """The names by which a case can call a target: the class, and the function of a loss or metric."""
    if not target.startswith("keras."):
        return frozenset({target})
    if target in ARITHMETIC:
        return frozenset({target.removeprefix("keras.")})  # the name alone, such as sum or mean, is an option of losses as well
    name = target.rpartition(".")[2]
    return frozenset({name, canonical_name(name)})


_TARGETS = frozenset(target.name for target in (*keras_targets(), *keras_label_targets()))
# Names that tell what a case is about. Arithmetic does not: cases about a loss use it as well.
NAMES = frozenset().union(*(names_of(target) for target in _TARGETS - ARITHMETIC))
OF_ARITHMETIC = frozenset().union(*(names_of(target) for target in ARITHMETIC))


def code_of(function: ast.stmt) -> str:
    """The claim of a case, which is the first line of its docstring, and its body."""
    if not isinstance(function, ast.FunctionDef):
        return ""
    claim = (ast.get_docstring(function) or "").partition("\n")[0]
    return "\n".join([claim, *map(ast.unparse, function.body[1:])])


def cases_in(path: Path) -> Iterator[KnownCase]:
    """The cases of a file; none if it cannot be read."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    imports = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    names = {**{name: name for name in functions}, **imports}
    mentioned = {name: _mentioned_in(function, names) for name, function in functions.items()}
    lists = {
        target.id: _mentioned_in(node, {})
        for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("case_"):
            calls = [(_called(call), call) for call in ast.walk(node) if isinstance(call, ast.Call)]
            options = {(imports.get(name, name), each.arg) for name, call in calls for each in call.keywords if each.arg}
            used = {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
            claim = ast.get_docstring(node) or ""
            yield KnownCase(
                id=f"{path.stem}/{node.name.removeprefix('case_')}",
                names=_with_helpers(node.name, mentioned),
                text=" ".join([claim, *{option for _, option in options}]), code=code_of(node), options=frozenset(options),
                listed=frozenset(name for each in used & lists.keys() for name in lists[each]),
            )  # fmt: skip


def _called(call: ast.Call) -> str:
    name = ast.unparse(call.func).removeprefix("keras.")
    return name if name in OF_ARITHMETIC else name.rpartition(".")[2]


def _mentioned_in(node: ast.stmt, known: Mapping[str, str]) -> set[str]:
    """The attributes and texts in a statement, and those names that its file defines or imports, as `known` has them."""
    attributes = [child for child in ast.walk(node) if isinstance(child, ast.Attribute)]
    names = {child.attr for child in attributes}
    names |= {f"ops.{child.attr}" for child in attributes if ast.unparse(child.value) in ("keras.ops", "ops")}
    names |= {known[child.id] for child in ast.walk(node) if isinstance(child, ast.Name) and child.id in known}
    return names | {child.value for child in ast.walk(node) if isinstance(child, ast.Constant) and isinstance(child.value, str)}


def _with_helpers(case: str, mentioned: Mapping[str, set[str]]) -> frozenset[str]:
    """What a case mentions, by itself and by way of the functions of its file.

    A function that mentions several losses or metrics uses the one that it is asked for, so it does not tell which.
    """
    names, asked = set(mentioned[case]), {case}
    while coming := (names & mentioned.keys()) - asked:
        asked |= coming
        for function in coming:
            of_targets = {canonical_name(name) for name in mentioned[function] & NAMES}
            names |= mentioned[function] - (NAMES if len(of_targets) > 1 else frozenset())
    return frozenset(names)
