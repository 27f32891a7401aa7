"""Cases are found by reading source, and no source is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendcheck.case_files import (
    builtin_cases,
    case_functions,
    case_names,
    defined_twice,
    file_digest,
    find_case_files,
    holds_cases,
    split_node_id,
)
from backendcheck.errors import UsageError
from backendcheck.vocabulary.case_ids import case_id

CASE = "def case_a():\n    return {'x': 1}\n"


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


# --- files -----------------------------------------------------------------------------------------------------


def test_a_directory_gives_the_files_with_cases_in_order_and_no_others(tmp_path: Path) -> None:
    written(
        tmp_path,
        {
            "b.py": CASE, "a.py": CASE, "sub/c.py": CASE, "helper.py": "def prepare(): ...\n", "notes.txt": CASE,
            ".hidden.py": CASE, ".git/d.py": CASE, "build/d.py": CASE, "env/pyvenv.cfg": "", "env/d.py": CASE,
            "node_modules/x/d.py": CASE,
            "__pycache__/d.py": CASE, "comment.py": "# case_a is elsewhere\n", "empty.py": "",
        },
    )  # fmt: skip
    assert find_case_files([str(tmp_path)]) == [tmp_path / name for name in ("a.py", "b.py", "sub/c.py")]


def test_a_file_named_twice_is_there_once(tmp_path: Path) -> None:
    written(tmp_path, {"a.py": CASE, "b.py": CASE})
    given = [f"{tmp_path}/b.py", str(tmp_path), f"{tmp_path}/a.py::case_a", f"{tmp_path}/./a.py"]
    assert find_case_files(given) == [tmp_path / "b.py", tmp_path / "a.py"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("gone.py", "gone.py: no such file or directory"),
        ("gone", "gone: no such file or directory"),
        ("gone.py::case_a", "gone.py: no such file or directory"),
        ("notes.txt", "notes.txt: not a Python file"),
        ("helper.py", "helper.py: has no cases"),
        ("folder", "folder: no case found"),
    ],
)
def test_a_path_that_gives_no_case_is_refused_by_name(tmp_path: Path, given: str, complaint: str) -> None:
    written(tmp_path, {"notes.txt": CASE, "helper.py": "x = 1\n", "folder/helper.py": "x = 1\n"})
    with pytest.raises(UsageError) as refused:
        find_case_files([str(tmp_path / given)])
    assert str(refused.value).startswith(f"{tmp_path}/{complaint}")


def test_a_file_that_does_not_parse_counts_if_it_mentions_a_case(tmp_path: Path) -> None:
    written(tmp_path, {"broken.py": "def case_a(:\n", "nul.py": b"def case_a(): ...\n\0", "other.py": "def f(:\n"})
    assert [holds_cases(tmp_path / name) for name in ("broken.py", "nul.py", "other.py")] == [True, True, False]


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("async def case_a(): ...", True),
        ("if True:\n    def case_a(): ...", True),
        ("try:\n    def case_a(): ...\nexcept ImportError: ...", True),
        ("with open('x'):\n    def case_a(): ...", True),
        ("case_a = make()", True),
        ("case_a: object = make()", True),
        ("class Case:\n    def case_a(self): ...", False),
        ("def f():\n    def case_a(): ...", False),
        ("import case_a", False),
        ("x = 'case_a'", False),
        ("def _case_a(): ...", False),
    ],
)
def test_a_case_is_a_name_bound_at_the_top_level(tmp_path: Path, source: str, holds: bool) -> None:
    written(tmp_path, {"a.py": source})
    assert holds_cases(tmp_path / "a.py") is holds


# --- functions -------------------------------------------------------------------------------------------------


def test_a_case_function_is_read_with_id_line_and_claim(tmp_path: Path) -> None:
    source = (
        'import keras\n\n@pytest.mark.parametrize("x", [1])\ndef case_one_hot(x):\n    """Claims this.\n\n    More.\n    """\n'
        "def case_bare(): ...\nmade = 1\ncase_made = make()\n"
    )
    written(tmp_path, {"labels.py": source})
    first, second, third = case_functions(tmp_path / "labels.py")
    assert (first.id, first.line, first.parametrized) == ("labels/one_hot", 4, True)
    assert first.claim == "Claims this.\n\nMore."
    assert (second.id, second.claim, second.parametrized) == ("labels/bare", "", False)
    assert (third.id, third.claim) == ("labels/made", "")


def test_reading_a_case_file_runs_nothing_of_it(tmp_path: Path) -> None:
    written(tmp_path, {"a.py": f"raise SystemExit(open({str(tmp_path / 'ran')!r}, 'w'))\n{CASE}"})
    assert holds_cases(tmp_path / "a.py")
    assert [one.id for one in case_functions(tmp_path / "a.py")] == ["a/a"]
    assert not (tmp_path / "ran").exists()


def test_a_file_that_does_not_parse_is_refused_with_its_line(tmp_path: Path) -> None:
    written(tmp_path, {"a.py": "x = 1\ndef case_a(:\n"})
    with pytest.raises(UsageError, match=r"a\.py:2: does not parse"):
        case_functions(tmp_path / "a.py")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + CASE.encode(),
        f"# -*- coding: latin-1 -*-\n# Gr\xfc\xdfe\n{CASE}".encode("latin-1"),
        CASE.replace("\n", "\r\n").encode(),
    ],
    ids=["byte order mark", "latin-1", "CRLF"],
)  # fmt: skip
def test_a_file_that_python_reads_is_read(tmp_path: Path, content: bytes) -> None:
    written(tmp_path, {"a.py": content})
    assert holds_cases(tmp_path / "a.py")
    assert [one.id for one in case_functions(tmp_path / "a.py")] == ["a/a"]
    assert case_names(tmp_path / "a.py") == {"case_a"}


def test_a_backslash_that_python_warns_of_is_no_matter_for_listing(tmp_path: Path) -> None:
    written(tmp_path, {"a.py": f"PATTERN = '\\d'\n{CASE}"})
    assert holds_cases(tmp_path / "a.py")
    assert [one.id for one in case_functions(tmp_path / "a.py")] == ["a/a"]


def test_names_that_a_file_binds_itself_are_known_and_imported_ones_are_not(tmp_path: Path) -> None:
    written(tmp_path, {"a.py": f"from b import case_b\n{CASE}", "broken.py": "def case_a(:\n"})
    assert case_names(tmp_path / "a.py") == {"case_a"}
    assert case_names(tmp_path / "broken.py") == frozenset()


def test_a_case_defined_twice_is_found_with_both_lines(tmp_path: Path) -> None:
    written(tmp_path, {"a.py": f"{CASE}\ndef case_b(): ...\n{CASE}", "b.py": CASE, "broken.py": "def case_a(:\n"})
    assert defined_twice(tmp_path / "a.py") == [("case_a", 1, 5)]
    assert defined_twice(tmp_path / "b.py") == []
    assert defined_twice(tmp_path / "broken.py") == []


def test_two_versions_of_a_file_have_different_digests(tmp_path: Path) -> None:
    written(tmp_path, {"a.py": CASE, "b.py": CASE, "c.py": f"{CASE} "})
    assert file_digest(tmp_path / "a.py") == file_digest(tmp_path / "b.py") != file_digest(tmp_path / "c.py")


# --- ids -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodeid", "case"),
    [
        ("cases/label_range.py::case_one_past", "label_range/one_past"),
        ("label_range.py::case_a[x-1]", "label_range/a[x-1]"),
        ("a/b/c.py::case_a[d/e::f]", "c/a[d/e::f]"),
        ("a.py::case_case_a", "a/case_a"),
        ("two.parts.py::case_a", "two.parts/a"),
    ],
)
def test_a_case_id_is_file_stem_and_function_without_prefix(nodeid: str, case: str) -> None:
    assert case_id(nodeid) == case


@pytest.mark.parametrize(
    ("given", "file", "rest"),
    [("cases/a.py", "cases/a.py", ""), ("cases/a.py::case_b[c::d]", "cases/a.py", "::case_b[c::d]"), ("cases", "cases", "")],
)
def test_a_node_id_is_split_at_its_first_colons(given: str, file: str, rest: str) -> None:
    assert split_node_id(given) == (Path(file), rest)


# --- the built-in cases ----------------------------------------------------------------------------------------


def test_every_built_in_case_has_a_claim_and_an_id_of_its_own() -> None:
    files = find_case_files([str(builtin_cases())])
    functions = [one for file in files for one in case_functions(file)]
    assert len({one.id for one in functions}) == len(functions) > 50
    assert [one.id for one in functions if not one.claim] == []
    assert [twice for file in files for twice in defined_twice(file)] == []


def test_every_built_in_case_file_lies_in_a_folder_that_says_what_its_topic_is() -> None:
    folders = {file.parent for file in find_case_files([str(builtin_cases())])}
    assert {folder.parent for folder in folders} == {builtin_cases()}
    assert [folder.name for folder in folders if not (folder / "README.md").read_text(encoding="utf-8").startswith("# ")] == []
