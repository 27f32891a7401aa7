"""What pyproject.toml may say, and how it is refused if it says something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendcheck.case import Tolerance
from backendcheck.compare.tolerances import Override
from backendcheck.config import Configuration, load_configuration
from backendcheck.errors import UsageError
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS, Backend, parse_backend, parse_backends

WHOLE = """
[tool.backendcheck]
backends = ["tensorflow", "jax"]
cases = ["labels/*"]
paths = ["tests/cases", "more/a.py::case_b"]
known_divergences = "known.toml"
worker_memory = "1500M"

[[tool.backendcheck.tolerance]]
observation = "gradient/*"
rtol = 1e-3
atol = 0

[[tool.backendcheck.tolerance]]
observation = "loss"
case = "labels/*"
legs = ["jax", "torch@gpu"]
rtol = 0.1
atol = 0.01
"""


def configured(folder: Path, text: str) -> Configuration:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return load_configuration(folder)


def test_everything_that_is_documented_is_read(tmp_path: Path) -> None:
    assert configured(tmp_path, WHOLE) == Configuration(
        backends=("tensorflow", "jax"),
        cases=("labels/*",),
        paths=(f"{tmp_path}/tests/cases", f"{tmp_path}/more/a.py::case_b"),
        known=(tmp_path / "known.toml",),
        worker_memory=1500 << 20,
        tolerances=(
            Override(observation="gradient/*", tolerance=Tolerance(rtol=1e-3, atol=0)),
            Override(observation="loss", case="labels/*", legs=("jax", "torch@gpu"), tolerance=Tolerance(rtol=0.1, atol=0.01)),
        ),
    )


def test_known_divergences_may_be_several_files(tmp_path: Path) -> None:
    found = configured(tmp_path, '[tool.backendcheck]\nknown_divergences = ["a.toml", "b.toml"]')
    assert found.known == (tmp_path / "a.toml", tmp_path / "b.toml")


def test_without_a_file_or_a_table_nothing_is_asked_for(tmp_path: Path) -> None:
    assert load_configuration(tmp_path) == Configuration()
    assert configured(tmp_path, '[project]\nname = "x"') == Configuration()
    assert configured(tmp_path, "[tool.backendcheck]") == Configuration()


def test_the_file_may_lie_above(tmp_path: Path) -> None:
    configured(tmp_path, WHOLE)
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert load_configuration(tmp_path / "a" / "b").backends == ("tensorflow", "jax")


def test_the_nearest_file_that_has_the_table_counts(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    configured(tmp_path, WHOLE)
    configured(tmp_path / "a", '[tool.backendcheck]\nbackends = ["torch"]')
    configured(tmp_path / "a" / "b", '[project]\nname = "x"')
    assert load_configuration(tmp_path / "a" / "b").backends == ("torch",)


def table(line: str) -> str:
    return f"[tool.backendcheck]\n{line}"


def tolerance(**changes: str | None) -> str:
    fields = {"observation": '"loss"', "rtol": "0.1", "atol": "0.1"} | changes
    return "[[tool.backendcheck.tolerance]]\n" + "\n".join(f"{key} = {value}" for key, value in fields.items() if value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[tool.backendcheck", "cannot be read as TOML"),
        ("tool = 5", "tool"),
        ("[tool]\nbackendcheck = 5", "is not a table"),
        (table("backend = ['jax']"), "has unknown keys backend; expected some of backends"),
        (table("backends = 'jax'"), "backends = 'jax'; expected a list of strings"),
        (table("backends = [1]"), r"backends = \[1\]; expected a list of strings"),
        (table("backends = ['pytorch']"), "backend 'pytorch': not a backend"),
        (table("cases = 'a/*'"), "cases = 'a/\\*'; expected a list of strings"),
        (table("paths = {}"), "paths = {}; expected a list of strings"),
        (table("known_divergences = 5"), "known_divergences = 5; expected"),
        (table("known_divergences = [5]"), r"known_divergences = \[5\]; expected"),
        (table("tolerance = 5"), "tolerance = 5; expected"),
        (table("tolerance = [5]"), "tolerance = 5; expected"),
        (table("tolerance = {rtol = 1}"), "tolerance = .*; expected"),
        (tolerance(rtol=None), "expected observation, rtol and atol"),
        (tolerance(observation=None), "expected observation, rtol and atol"),
        (tolerance(observation="5"), "expected observation, rtol and atol"),
        (tolerance(case="5"), "expected observation, rtol and atol"),
        (tolerance(backend='"jax"'), "expected observation, rtol and atol"),
        (tolerance(rtol="-1"), "Tolerance: rtol is out of range"),
        (tolerance(atol="nan"), "Tolerance: atol is out of range"),
        (tolerance(atol='"0.1"'), "Tolerance: atol is out of range"),
        (tolerance(atol="true"), "Tolerance: atol is out of range"),
    ],
)
def test_what_is_not_as_documented_is_refused_by_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        configured(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path}/pyproject.toml: ")


# --- backends --------------------------------------------------------------------------------------------------


def test_the_backends_are_the_three_that_can_train() -> None:
    assert [str(one) for one in DEFAULT_BACKENDS] == ["tensorflow", "jax", "torch"]


def test_backends_are_read_from_a_list_in_its_order() -> None:
    assert parse_backends(" torch, JAX,") == (Backend("torch"), Backend("jax"))


@pytest.mark.parametrize(
    ("names", "complaint"),
    [("", "names none"), (",", "names none"), ("jax,jax", "names one twice"), ("jax,theano", "backend 'theano': not a backend")],
)
def test_a_list_of_backends_that_is_none_is_refused(names: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_backends(names)


def test_pytorch_is_corrected_to_its_name_in_keras() -> None:
    with pytest.raises(UsageError, match="Keras calls PyTorch 'torch'"):
        parse_backend("pytorch")


def test_what_to_install_is_named() -> None:
    assert Backend("torch").install_command == "pip install 'keras>=3.4' 'torch>=2.3'"
