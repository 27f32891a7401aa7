"""The case of a finding goes into a file of the project. That it is run and gets its entry is tested with backends."""

import ast
import json

import pytest
from explored import CONTENT, FINDING

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.explore.accept import finding_named, mark_accepted, put_case

_EXPLORED = '''"""Situations in which backends differ, found by `backendcheck explore`."""

import keras
import numpy as np

from own.losses import Focal

from backendcheck import LossCase


def case_focal_value():
    """A claim."""
    return LossCase(loss=Focal(), y_true=np.array([1.0]), y_pred=np.array([0.5]))


def case_other():
    """Another claim."""
    return LossCase(loss=keras.losses.Huber(), y_true=np.array([1.0]), y_pred=np.array([0.5]))
'''


@pytest.fixture
def out(tmp_path):
    names = ("focal_value", "other")
    content = CONTENT | {"findings": [FINDING | {"case": f"cases/explored.py::case_{name}"} for name in names]}
    folder = tmp_path / "out"
    (folder / "cases").mkdir(parents=True)
    (folder / "cases/explored.py").write_text(_EXPLORED)
    (folder / "findings.json").write_text(json.dumps(content))
    return folder


def _cases(path):
    return [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]


def test_the_first_case_makes_the_file(out, tmp_path):
    path = put_case(out, "other", tmp_path / "cases")
    assert path == tmp_path / "cases/explored.py"
    assert _cases(path) == ["case_other"]
    assert "import keras\n" in path.read_text()


def test_a_case_brings_the_imports_that_it_needs_and_no_other(out, tmp_path):
    text = put_case(out, "other", tmp_path / "first").read_text()
    assert text.startswith('"""Situations in which')
    assert "from own" not in text
    assert "from backendcheck import LossCase\n\n\ndef case_other" in text
    (tmp_path / "explored.py").write_text("import keras\n")
    assert "from own" not in put_case(out, "other", tmp_path).read_text()


def test_another_case_goes_behind_those_that_are_there_with_its_imports(out, tmp_path):
    path = tmp_path / "explored.py"
    path.write_text('"""Mine."""\n\nimport keras\n\nLIMIT = 3\n\n\ndef case_mine():\n    return {"n": LIMIT}\n')
    put_case(out, "focal_value", tmp_path)
    text = path.read_text()
    assert _cases(path) == ["case_mine", "case_focal_value"]
    assert text.count("import keras") == 1
    assert text.index("from own.losses import Focal") < text.index("LIMIT = 3")
    assert text.startswith('"""Mine."""\n')


def test_a_file_without_imports_gets_them_behind_its_docstring(out, tmp_path):
    path = tmp_path / "explored.py"
    path.write_text('"""Mine."""\n')
    put_case(out, "other", tmp_path)
    assert ast.get_docstring(ast.parse(path.read_text())) == "Mine."
    assert _cases(path) == ["case_other"]


def test_a_case_of_that_name_is_not_replaced(out, tmp_path):
    path = put_case(out, "other", tmp_path)
    before = path.read_text()
    with pytest.raises(UsageError, match="has a case_other already"):
        put_case(out, "other", tmp_path)
    assert path.read_text() == before


def test_a_file_that_does_not_parse_is_left_alone(out, tmp_path):
    path = tmp_path / "explored.py"
    path.write_text("def broken(:\n")
    with pytest.raises(UsageError, match=r"explored\.py:1: does not parse"):
        put_case(out, "other", tmp_path)
    assert path.read_text() == "def broken(:\n"


def test_a_finding_that_is_not_there_is_refused_with_those_that_are(out):
    with pytest.raises(UsageError, match=r"expected one of focal_value, other. Did you mean focal_value"):
        finding_named(out, "focal_valu")


def test_an_accepted_finding_is_known_from_then_on(out):
    mark_accepted(out, "other", "explored/other")
    findings = json.loads((out / "findings.json").read_text())["findings"]
    assert [finding["known"] for finding in findings] == [None, "explored/other"]
    assert finding_named(out, "other")["known"] == "explored/other"


@pytest.mark.parametrize("source", ["def case_of_another(): pass", "def", "\0"])
def test_a_case_file_without_the_case_is_refused(out, tmp_path, source):
    (out / "cases" / "explored.py").write_text(source)
    with pytest.raises(UnreadableInput, match=r"explored\.py: expected a Python file with the function case_one"):
        put_case(out, "one", tmp_path / "cases")
