"""Which cases are recorded: paths, -k, -m and node ids, as in pytest."""

from __future__ import annotations

from pathlib import Path

import pytest
from front_door import backendcheck, project, record

FINE = """
    def case_fine():
        \"\"\"Nothing is the matter.\"\"\"
        return {"v": 1}
"""

SELECTION = {
    "cases/one.py": """
        import pytest

        @pytest.mark.parametrize("n", [1, 2])
        def case_p(n): return {"v": n}

        @pytest.mark.slow
        def case_slow(rng): return {"v": rng.integers(0, 1000, 3)}
    """,
    "cases/two.py": FINE,
    "conftest.py": "def pytest_configure(config): config.addinivalue_line('markers', 'slow: it is')\n",
}


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (["cases/one.py::case_p[2]"], ["one/p[2]"]),
        (["cases/one.py::case_p", "cases/two.py", "cases"], ["one/p[1]", "one/p[2]", "one/slow", "two/fine"]),
        (["cases", "-k", "fine or slow", "-m", "not slow"], ["two/fine"]),
    ],
)
def test_cases_are_chosen_as_in_pytest(tmp_path: Path, arguments: list[str], cases: list[str]) -> None:
    session = record(project(tmp_path, SELECTION), *arguments)
    assert sorted(session.recordings) == cases
    assert sorted(session.environment.cases) == cases
    assert session.ended.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cases/one.py::case_nothing"], "case_nothing"),
        (["cases", "-k", "nothing_at_all"], "-k 'nothing_at_all': matches none of"),
        (["cases", "-k", "not (("], "-k 'not ((': not an expression"),
        (["cases", "-m", "a b"], "-m 'a b': not an expression"),
    ],
)
def test_a_choice_of_nothing_is_wrong_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    ended = backendcheck("record", *arguments, "--backend", "jax", cwd=project(tmp_path, SELECTION))
    assert ended.exit_code == 2
    assert words in ended.err
