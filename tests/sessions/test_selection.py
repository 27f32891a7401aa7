"""A selection that certainly matches nothing is refused from the source; one that may match is left to the recording."""

from __future__ import annotations

from pathlib import Path

import pytest
from front_door import project

from backendcheck.errors import UsageError
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.selection import check_selection
from backendcheck.vocabulary.leg_names import parse_leg

LABELS = """
    import keras
    import pytest

    SHAPES = {"flat": (2,), "column": (2, 1)}

    def case_integer_labels():
        return {"v": 1}

    @pytest.mark.slow
    @pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
    def case_shapes(shape):
        return {"v": 1}

    @pytest.mark.parametrize("loss", [keras.losses.MeanSquaredError(), "huber"])
    def case_losses(loss):
        return {"v": 1}
"""
COMPUTED = """
    import keras
    import pytest

    @pytest.mark.parametrize("name", [name for name in dir(keras.losses) if name[0].isupper()])
    def case_every_loss(name):
        return {"v": 1}
"""
IMPORTED = """
    import pytest
    from elsewhere import NAMES

    @pytest.mark.parametrize("name", NAMES)
    def case_every_name(name):
        return {"v": 1}
"""
FILES = {"cases/labels.py": LABELS, "computed/computed.py": COMPUTED, "imported/imported.py": IMPORTED}


def request(folder: Path, *paths: str, keyword: str = "", plugins: tuple[str, ...] = ()) -> RecordingRequest:
    where = [str(project(folder, FILES) / path) for path in paths]
    return RecordingRequest(backend=parse_leg("jax"), out=folder / "out", paths=where, keyword=keyword, plugins=plugins)


@pytest.mark.parametrize("name", ["case_integer_lables", "integer_labels", "case_shape[flat]", "case_integer"])
def test_a_node_id_that_names_no_case_of_its_file_is_refused_with_a_similar_one(tmp_path: Path, name: str) -> None:
    complaint = r"has no case .*; expected one of its 3 cases\. Did you mean case_(integer_labels|shapes)\b"
    with pytest.raises(UsageError, match=complaint):
        check_selection(request(tmp_path, f"cases/labels.py::{name}"))


@pytest.mark.parametrize("name", ["case_integer_labels", "case_shapes", "case_shapes[flat]", "case_shapes[computed elsewhere]"])
def test_a_node_id_that_may_name_a_case_is_left_to_the_recording(tmp_path: Path, name: str) -> None:
    check_selection(request(tmp_path, f"cases/labels.py::{name}"))


@pytest.mark.parametrize(
    "keyword",
    ["integer_lables", "integer and shapes_of", "huber and mse", "zzzz or yyyy"],
)
def test_an_expression_that_no_case_can_match_is_refused(tmp_path: Path, keyword: str) -> None:
    with pytest.raises(UsageError, match=r"matches none of the 3 cases in 1 file\."):
        check_selection(request(tmp_path, "cases/labels.py", keyword=keyword))


def test_similar_cases_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Similar cases: labels/integer_labels\."):
        check_selection(request(tmp_path, "cases", keyword="integer_lables"))


@pytest.mark.parametrize(
    "keyword",
    [
        "integer", "INTEGER", "slow", "column", "labels", "huber", "loss0", "not integer", "integer and not zzzz",
        "cases",  # a folder
        "2", "1-2", "x",  # what parameters are called cannot be excluded
    ],
)  # fmt: skip
def test_an_expression_that_may_match_is_left_to_the_recording(tmp_path: Path, keyword: str) -> None:
    check_selection(request(tmp_path, "cases/labels.py", keyword=keyword))


@pytest.mark.parametrize("file", ["computed/computed.py", "imported/imported.py"])
def test_names_of_parameters_that_are_computed_or_imported_are_not_guessed(tmp_path: Path, file: str) -> None:
    check_selection(request(tmp_path, file, keyword="MeanSquaredError"))


@pytest.mark.parametrize(
    "conftest",
    [
        "def pytest_collection_modifyitems(items):\n    items[0].extra_keyword_matches.add('mine')\n",
        "def pytest_generate_tests(metafunc):\n    metafunc.parametrize('label', ['mine'])\n",
        "import pytest\n@pytest.fixture(params=['mine'], autouse=True)\ndef label(request):\n    return request.param\n",
        "def (",
    ],
)
def test_names_that_a_conftest_may_give_are_not_guessed(tmp_path: Path, conftest: str) -> None:
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    check_selection(request(tmp_path, "cases/labels.py", keyword="mine"))


def test_names_that_a_plugin_may_give_are_not_guessed(tmp_path: Path) -> None:
    check_selection(request(tmp_path, "cases/labels.py", keyword="mine", plugins=("a_plugin",)))
