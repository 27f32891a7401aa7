"""Imports point one way: the contracts in pyproject.toml hold, and no circle hides in functions."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_import_contracts_hold() -> None:
    pytest.importorskip("importlinter", reason="import-linter is in the dependency group lint")
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command is not None
    ended = subprocess.run([command, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 broken" in ended.stdout


def module_files() -> dict[str, Path]:
    paths = (ROOT / "backendcheck").rglob("*.py")
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Each name that a module imports, wherever the statement stands; ``if TYPE_CHECKING`` is left out."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:  # expressions, which are most of a tree, import nothing
            pending += (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


@cache
def file_imports() -> dict[str, set[str]]:
    """The modules of the package that each module imports, function-level imports counted."""
    files = module_files()
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        targets = (name if name in files else name.rpartition(".")[0] for name in imports_of(ast.parse(path.read_text())))
        graph[module] = {target for target in targets if target in files and target != module}
    return graph


def grouped(graph: Mapping[str, set[str]], name_of: Callable[[str], str]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for module, targets in graph.items():
        group = name_of(module)
        groups.setdefault(group, set()).update(name for target in targets if (name := name_of(target)) != group)
    return groups


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_file_is_part_of_an_import_circle() -> None:
    assert circle_in(file_imports()) == []


def test_no_room_is_part_of_an_import_circle() -> None:
    assert circle_in(grouped(file_imports(), room)) == []


def test_a_circle_through_a_function_is_seen() -> None:
    assert set(imports_of(ast.parse("def f():\n    from backendcheck.a import b\n"))) == {"backendcheck.a.b"}
    assert circle_in({"a": {"b"}, "b": {"a"}}) != []


def test_at_most_a_dozen_modules_lie_flat() -> None:
    assert len(list((ROOT / "backendcheck").glob("*.py"))) <= 12
    assert len(module_files()) > 200, "the modules are found at all"


# --- the page about the rooms ---


PAGE = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")


def test_the_page_has_each_room_in_the_order_of_the_contract_with_its_own_sentence() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == ["backendcheck"])
    names = [name for layer in layers for name in layer.split(" | ")]
    rooms = [name for name in names if (ROOT / "backendcheck" / name).is_dir()]
    rows = re.findall(r"^\| `(\w+)/` \| (.*) \|$", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == rooms
    for name, sentence in rows:
        module = ast.parse((ROOT / "backendcheck" / name / "__init__.py").read_text(encoding="utf-8"))
        assert (ast.get_docstring(module) or "").splitlines()[0] == sentence


def test_the_page_names_files_that_exist() -> None:
    names = {name for name in re.findall(r"`([\w/.]+/[\w/.]*)`", PAGE) if "<" not in name}
    assert len(names) > 20
    missing = [name for name in names if not any((base / name).exists() for base in (ROOT, ROOT / "backendcheck"))]
    assert missing == []
