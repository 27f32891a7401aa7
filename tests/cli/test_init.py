"""`init` writes what a project begins with, adds to pyproject.toml, and overwrites nothing."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from forked import backendcheck
from front_door import project

from backendcheck.case_files import case_functions
from backendcheck.cli.init import RECIPES, recipes
from backendcheck.config import load_configuration

FIRST = "tests/cases/first_labels.py"


def files_in(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}


def test_an_empty_directory_gets_a_case_and_the_settings(tmp_path: Path) -> None:
    ended = backendcheck("init", cwd=tmp_path)
    assert ended.exit_code == 0, ended.words
    assert sorted(files_in(tmp_path)) == ["pyproject.toml", FIRST]
    assert f"written     {FIRST}" in ended.out
    assert "backendcheck run" in ended.out
    configuration = load_configuration(tmp_path)
    assert configuration.paths == (str(tmp_path / "tests/cases"),)
    assert len(configuration.backends) > 1
    assert configuration.cases == ("*",)
    functions = case_functions(tmp_path / FIRST)
    assert [bool(function.claim) for function in functions] == [True, True]
    assert "2 cases in 1 file\n" in backendcheck("list", cwd=tmp_path).out


def test_the_section_is_added_at_the_end_of_pyproject_toml(tmp_path: Path) -> None:
    text = "# mine\n[project]\nname = 'mine'  # kept\n\n[tool.ruff]\nline-length = 100"
    project(tmp_path, {"pyproject.toml": text})
    assert "added to    pyproject.toml: [tool.backendcheck]" in backendcheck("init", cwd=tmp_path).out
    content = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    assert content.startswith(f"{text}\n\n[tool.backendcheck]\n")
    assert tomllib.loads(content)["tool"]["backendcheck"]["paths"] == ["tests/cases"]


def test_nothing_is_overwritten_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    options = ["--tox", "--github", "--gitlab", "--pre-commit"]
    assert backendcheck("init", *options, cwd=tmp_path).exit_code == 0
    before = files_in(tmp_path)
    assert len(before) == 2 + len(RECIPES)
    ended = backendcheck("init", *options, cwd=tmp_path)
    assert (ended.exit_code, files_in(tmp_path)) == (0, before)
    assert ended.out.count("left alone") == len(before)
    assert "To add to" not in ended.out


@pytest.mark.parametrize("option", RECIPES)
def test_a_file_of_the_project_is_left_alone_and_what_to_add_is_printed(tmp_path: Path, option: str) -> None:
    recipe = RECIPES[option]
    mine = "# mine\n"
    project(tmp_path, {recipe.target: mine, FIRST: mine, "pyproject.toml": "[tool.backendcheck]\npaths = ['tests/cases']\n"})
    before = files_in(tmp_path)
    ended = backendcheck("init", f"--{option.replace('_', '-')}", cwd=tmp_path)
    assert (ended.exit_code, files_in(tmp_path)) == (0, before)
    assert f"left alone  {recipe.target}: exists" in ended.out
    assert f"left alone  {FIRST}: exists" in ended.out
    assert "left alone  pyproject.toml: has [tool.backendcheck]" in ended.out
    shown = [line.strip() for line in ended.out.partition(f"To add to {recipe.target}:")[2].splitlines()]
    text = (recipes() / recipe.name).read_text(encoding="utf-8")
    assert {line.strip() for line in text.splitlines()} <= set(shown)


def test_the_paths_of_the_project_are_those_of_the_case_and_of_the_recipes(tmp_path: Path) -> None:
    project(tmp_path, {"pyproject.toml": "[tool.backendcheck]\npaths = ['checks/labels']\n"})
    assert backendcheck("init", "--gitlab", cwd=tmp_path).exit_code == 0
    assert (tmp_path / "checks/labels/first_labels.py").is_file()
    recipe = (tmp_path / ".gitlab-ci.yml").read_text(encoding="utf-8")
    assert "checks/labels" in recipe
    assert "tests/cases" not in recipe


def test_a_pyproject_without_room_for_a_section_is_left_alone(tmp_path: Path) -> None:
    project(tmp_path, {"pyproject.toml": "tool = {ruff = {line-length = 100}}\n"})
    ended = backendcheck("init", cwd=tmp_path)
    assert "left alone  pyproject.toml: has no place for a section" in ended.out
    assert "    [tool.backendcheck]" in ended.out
    assert (tmp_path / "pyproject.toml").read_text(encoding="utf-8") == "tool = {ruff = {line-length = 100}}\n"


@pytest.mark.parametrize(
    ("files", "arguments", "words"),
    [
        ({}, ["nowhere"], "nowhere: no such directory"),
        ({"pyproject.toml": "[tool"}, [], "cannot be read as TOML"),
        ({"pyproject.toml": "[tool.backendcheck]\nlegs = 1\n"}, [], "legs = 1; expected tables"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    tmp_path: Path, files: dict[str, str], arguments: list[str], words: str
) -> None:
    project(tmp_path, files)
    ended = backendcheck("init", *arguments, cwd=tmp_path)
    assert ended.exit_code == 2
    assert words in ended.err
    assert files_in(tmp_path) == files


def test_the_first_case_is_python_in_short_lines() -> None:
    from backendcheck.cli.init import _CASE

    ast.parse(_CASE)
    assert max(map(len, _CASE.splitlines())) <= 130
