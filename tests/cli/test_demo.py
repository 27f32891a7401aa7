"""The demo: its cases exist, what it prints is for a newcomer, and it overwrites nothing but an earlier demo."""

from __future__ import annotations

from pathlib import Path

import make
import pytest
from fine_case import FINE
from forked import backendcheck
from front_door import project

from backendcheck.case_files import builtin_cases, case_functions
from backendcheck.cli.demo import CASES
from backendcheck.errors import install_command
from backendcheck.recordings.environment import Selection
from backendcheck.recordings.files import write_environment
from backendcheck.report.formats import demo as demo_report
from backendcheck.verdicts.known_files import known_of_paths
from backendcheck.vocabulary.backends import Backend


def test_every_case_of_the_demo_is_built_in_and_all_but_one_are_known_to_differ() -> None:
    known = known_of_paths([str(builtin_cases())], ())
    assert len(CASES) == 12
    differing = 0
    for case in CASES:
        functions = {function.id for function in case_functions(builtin_cases() / case.file)}
        assert case.id.partition("[")[0] in functions
        differing += any(entry.matches_case(case.id) for entry in known)
    assert differing == 11


def test_the_demo_shows_every_kind_of_difference_that_keras_has() -> None:
    known = known_of_paths([str(builtin_cases())], ())
    entries = [entry for entry in known if any(entry.matches_case(case.id) for case in CASES)]
    kinds = {kind.value for entry in entries for kind in entry.kinds}
    assert kinds >= {"raised", "shape", "dtype", "non-finite", "order", "value"}


def summary(width: int | None = 80) -> list[str]:
    observed = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}
    results = make.results({"a/differs": observed, "a/agrees": make.everywhere(loss=0.5)})
    return list(demo_report.summary(results, {"a/differs": "A title", "a/agrees": "Another"}, Path("out"), width))


def test_each_case_has_its_title_and_the_next_commands_name_the_directory() -> None:
    lines = summary()
    assert lines[0] == " 1  A title   a/differs"
    text = "\n".join(lines)
    assert " 2  Another   a/agrees\n    PASSED: nothing differs" in text
    assert "the report          out/index.html" in text
    assert "backendcheck show a/differs --run out" in text
    assert "exit code 1: 1 case differs (FAILED)" in text
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("backends", "words"),
    [
        ((Backend("jax"),), "Without tensorflow and torch backends cannot be compared."),
        ((Backend("jax"), Backend("torch")), "Without tensorflow, some differences do not show."),
    ],
)
def test_what_does_not_show_without_a_backend_is_said(backends: tuple[Backend, ...], words: str) -> None:
    assert words in " ".join(demo_report.beginning(backends, 12, None))


@pytest.mark.parametrize("path", ["fine.py", str(builtin_cases() / CASES[0].node_id)])
def test_another_run_in_the_directory_is_left_alone(tmp_path: Path, path: str) -> None:
    project(tmp_path, {"fine.py": FINE})
    selection = Selection(paths=(path,))
    write_environment(tmp_path / "out" / "jax", make.environment("jax", ("fine/fine",), selection=selection))
    ended = backendcheck("demo", "--out", "out", "--backends", "jax", cwd=tmp_path)
    assert ended.exit_code == 2
    assert "Choose another --out, or use --overwrite." in ended.err


def test_without_any_backend_a_command_says_so_in_a_line(tmp_path: Path) -> None:
    hide = """
        import importlib.util
        find = importlib.util.find_spec
        hidden = ("keras", "tensorflow", "jax", "torch")
        importlib.util.find_spec = lambda name, package=None: None if name in hidden else find(name, package)
    """
    project(tmp_path, {"site/sitecustomize.py": hide, "fine.py": FINE})
    env = {"PYTHONPATH": str(tmp_path / "site")}
    for arguments in (["demo"], ["run"], ["run", "fine.py", "--backends", "jax,torch"], ["demo", "--backends", "torch"]):
        ended = backendcheck(*arguments, cwd=tmp_path, env=env)
        assert (ended.exit_code, ended.out) == (2, "")
        assert ended.err == (
            "backendcheck: no backend is installed here; expected keras and at least one of tensorflow, jax and torch. "
            f"For example: {install_command('jax')}\n"
        )
        assert not (tmp_path / "reports").exists()


def test_what_to_install_are_packages_that_any_index_has() -> None:
    assert install_command("jax") in ("pip install 'jax>=0.4.28' 'keras>=3.4'", "pip install 'keras>=3.4' 'jax>=0.4.28'")
    assert install_command("tables") == "pip install 'polars>=1'"
