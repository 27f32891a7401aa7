"""What a cause is about, for the filter of the site: kinds of findings, backends, versions of Keras, and what its cases use.

Losses, metrics, layers and operations are read from the source of the cases, which is not imported.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping

from backendcheck.case_files import builtin_cases, case_functions, find_case_files
from backendcheck.model_file import LOSSES

_MODULES = {"losses": "loss", "metrics": "metric", "layers": "layer", "ops": "operation"}  # of Keras
_OLDEST = 4  # Keras 3.4
_BACKENDS = ("tensorflow", "jax", "torch")


def facets_of(section: str, newest: int) -> dict[str, list[str]]:
    """The values of each facet of a cause, from its text in what-differs.md. `newest` is the newest minor version of Keras 3."""
    facts = re.search(r"^Deviates: (.*)\.$", section, re.MULTILINE)
    deviates, *rest = (facts[1] if facts else "all").split("; ")
    used: dict[str, set[str]] = {facet: set() for facet in _MODULES.values()}
    for case in re.findall(r"^\*\*`([^`]+)`\*\*", section, re.MULTILINE):
        for facet, names in _used_by(case).items():
            used[facet] |= names
    return {
        "kind": sorted({kind.lower() for kind in re.findall(r"^: ([A-Z][A-Z -]+):", section, re.MULTILINE)}),
        "backend": [name for name in _BACKENDS if deviates == "all" or name in deviates],
        "keras": [f"3.{minor}" for minor in range(_OLDEST, newest + 1) if _applies(" ".join(rest), minor)],
        **{facet: sorted(names, key=str.lower) for facet, names in used.items()},
    }


def _applies(versions: str, minor: int) -> bool:
    """Whether one of the ranges in ``Keras >=3.5,<3.9, since Keras 3.12`` has this version."""
    ranges = re.findall(r"Keras ((?:[<>]=?[0-9.]+,?)+)", versions)
    since, until = (re.search(rf"{word} Keras 3\.([0-9]+)", versions) for word in ("since", "until"))
    if since or until:
        return (not since or minor >= int(since[1])) and (not until or minor < int(until[1]))
    return not ranges or any(all(_holds(*bound, minor) for bound in re.findall(r"([<>]=?)3\.([0-9]+)", text)) for text in ranges)


def _holds(sign: str, bound: str, minor: int) -> bool:
    return {"<": minor < int(bound), "<=": minor <= int(bound), ">": minor > int(bound), ">=": minor >= int(bound)}[sign]


def _used_by(case: str) -> dict[str, set[str]]:
    """The names of Keras in the function of a case, and in its parameters."""
    name, _, parameters = case.partition("[")
    by_case = _names_by_case()
    used = {facet: set(names) for facet, names in by_case.get(name, {}).items()}
    words = set(re.findall(r"\w+", parameters))
    for facet, names in _all_names().items():
        used.setdefault(facet, set()).update(names & words)
    used["loss"] |= {_class_name(word) for word in words & set(LOSSES)}
    return used


@functools.cache
def _names_by_case() -> Mapping[str, Mapping[str, frozenset[str]]]:
    by_case = {}
    for path in find_case_files([str(builtin_cases())]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.lineno: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for case in case_functions(path):
            by_case[case.id] = _by_facet(_names(*functions[case.line].body))
    return by_case


@functools.cache
def _all_names() -> Mapping[str, frozenset[str]]:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in find_case_files([str(builtin_cases())]))
    return _by_facet(name for tree in trees for name in _names(tree))


def _by_facet(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    pairs = {*pairs}
    return {facet: frozenset(name for kind, name in pairs if kind == facet) for facet in _MODULES.values()}


def _names(*nodes: ast.AST) -> Iterator[tuple[str, str]]:
    """``keras.losses.Dice`` as a loss, ``ops.one_hot`` as an operation, and the names of losses in text."""
    for node in itertools.chain.from_iterable(map(ast.walk, nodes)):
        if isinstance(node, ast.Attribute) and (facet := _MODULES.get(_last(node.value))):
            if node.attr[0].isupper() or facet == "operation":
                yield facet, node.attr
            elif node.attr in LOSSES:
                yield "loss", _class_name(node.attr)
        elif isinstance(node, ast.Constant) and node.value in LOSSES:
            yield "loss", _class_name(node.value)


def _class_name(loss: str) -> str:
    return {"ctc": "CTC", "kl_divergence": "KLDivergence"}.get(loss, "".join(part.title() for part in loss.split("_")))


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
