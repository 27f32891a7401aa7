"""`backendcheck labels`: from a file of data to findings and an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from backendcheck.cli import cli
from backendcheck.labels import RULES

X = np.arange(12.0).reshape(6, 2)
SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("good.npz", x=X, y=[0, 1, 2, 0, 1, 2], class_names=["cat", "dog", "fox"])
    np.savez("from_one.npz", x=X, y=[1, 2, 3, 1, 2, 3])
    np.savez("short.npz", x=X, y=[0, 1, 2, 0, 1])
    (tmp_path / "pets.csv").write_text("name,weight,kind\nTom,4,cat\nRex,30,dog\nKit,,cat\n")
    return tmp_path


def labels(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["labels", *map(str, arguments)])


# --- findings and exit codes -----------------------------------------------------------------------------------


def test_good_labels_end_with_zero(folder: Path) -> None:
    done = labels("--data", "good.npz", "--loss", SPARSE, "--head", "3:softmax")
    assert (done.exit_code, done.output) == (0, "no finding in good.npz (6 labels)\n")


def test_an_error_ends_with_one_and_says_what_backends_do_today(folder: Path) -> None:
    done = labels("--data", "from_one.npz", "--loss", SPARSE, "--head", "3:softmax")
    assert done.exit_code == 1
    first, today, last = done.output.splitlines()
    assert first.startswith("error   L104 starts-at-one  labels: start at 1, not at 0; expected 0 … 2 for a head of 3 units")
    assert "got 1 … 3 (3 occurs 2 times and has no column)" in first
    assert today.strip().startswith("today  With Keras 3.")
    assert "jax trains on it" in today
    assert last == "1 error in from_one.npz (6 labels)"
    quiet = labels("--data", "from_one.npz", "--loss", SPARSE, "--head", "3:softmax", "--quiet")
    assert quiet.output.splitlines() == [first, last]


def test_a_warning_counts_when_strict(folder: Path) -> None:
    asked = ("--data", "from_one.npz", "--loss", SPARSE)
    assert labels(*asked).exit_code == 0
    assert labels(*asked, "--strict").exit_code == 1
    assert labels(*asked, "--strict", "--ignore", "L104").exit_code == 0
    assert labels(*asked, "--strict", "--select", "L2,L3").exit_code == 0


def test_lengths_that_differ_are_a_finding_here(folder: Path) -> None:
    done = labels("--data", "short.npz", "--loss", SPARSE)
    assert done.exit_code == 1
    assert "L202 length  inputs: have 6 examples, labels have 5" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nothing.npz"], "nothing.npz: file or directory not found"),
        ([], "Missing option '--data'"),
        (["--data", "good.npz", "--loss", "sparse_crossentropy"], "unknown loss; expected a loss of Keras, such as"),
        (["--data", "good.npz", "--loss", "mse(3)"], "invalid options"),
        (["--data", "good.npz", "--loss", "a=mse,mse"], "mixes losses with and without an output"),
        (["--data", "good.npz", "--head", "3:"], None),
        (["--data", "good.npz", "--head", "0"], "invalid head"),
        (["--data", "good.npz", "--loss", "mse(from_logit=True)"], "an option 'from_logit'; expected one such as from_logits"),
        (["--data", "good.npz", "--loss", "mse("], "invalid options"),
        (["--data", "good.npz", "--select", "L8"], "--select: unknown rule L8"),
        (["--data", "good.npz", "--against", "map.json"], "map.json: file not found; expected a class map"),
        (["--data", "from_one.npz", "--write-class-map", "map.json"], "no class names in from_one.npz"),
        (["--explain", "L999"], "L999: unknown rule"),
        (["--explain", "start-at-one"], "Did you mean starts-at-one?"),
    ],
)
def test_what_cannot_be_done_is_refused_with_two(folder: Path, arguments: list[str], said: str | None) -> None:
    done = labels(*arguments)
    assert done.exit_code == (0 if said is None else 2), done.output
    assert said is None or said in done.output


# --- data ------------------------------------------------------------------------------------------------------


def test_an_npy_alone_holds_labels(folder: Path) -> None:
    np.save("y.npy", np.array([0, 1, 2, 3]))
    np.save("x.npy", X[:4])
    assert labels("--data", "y.npy", "--loss", SPARSE, "--head", "3:softmax").exit_code == 1
    assert labels("--data", "x.npy", "--labels", "y.npy", "--loss", SPARSE, "--head", "4:softmax").exit_code == 0


def test_a_table_may_hold_text_and_empty_cells_beside_its_labels(folder: Path) -> None:
    pytest.importorskip("polars")
    done = labels("--data", "pets.csv", "--label-column", "kind", "--class-names", "cat,dog")
    assert (done.exit_code, done.output) == (0, "no finding in pets.csv (3 labels)\n")
    assert "L110 text" in labels("--data", "pets.csv", "--label-column", "kind").output
    assert "L505 unknown-name" in labels("--data", "pets.csv", "--label-column", "kind", "--class-names", "dog,fox").output
    alone = folder / "alone.csv"
    alone.write_text("kind\ncat\n\ndog\n")
    assert "L505" in labels("--data", alone, "--label-column", "kind", "--class-names", "cat,dog").output


def test_folders_of_pictures_are_read_without_decoding_them(folder: Path) -> None:
    for name, n in (("1", 2), ("10", 2), ("2", 2)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(n):
            (folder / "photos" / name / f"{number}.png").write_bytes(f"{name} {number}".encode())
    (folder / "others" / "1").mkdir(parents=True)
    (folder / "others" / "1" / "copy.png").write_bytes(b"10 1")
    done = labels("--data", "photos", "--validation", "others")
    assert "L503 name-order" in done.output
    assert "L601 leakage  validation data: 1 of 1 rows is also in the training data" in done.output
    assert done.exit_code == 1
    assert "L503" not in labels("--data", "photos", "--class-names", "1,10,2", "--select", "L1").output


def test_splits_are_compared_with_the_first(folder: Path) -> None:
    np.savez("other.npz", x=X[:2] + 100, y=[3, 0])
    done = labels("--data", "good.npz", "--validation", "other.npz", "--loss", SPARSE)
    assert "validation labels: 1 of 2 is outside the classes; expected 0 … 2 for 3 class names, got 3" in done.output
    done = labels("--data", "good.npz", "--validation", "other.npz", "--loss", SPARSE, "--head", "4:softmax")
    assert "validation labels: 1 of 2 is of classes without examples in training: '3'" in done.output


# --- forms -----------------------------------------------------------------------------------------------------


def test_json_is_one_document(folder: Path) -> None:
    done = labels("--data", "from_one.npz", "--loss", SPARSE, "--head", "3:softmax", "--json")
    document = json.loads(done.output)
    assert (document["schema"], document["exit_code"], done.exit_code) == (1, 1, 1)
    assert document["counts"] == {"error": 1, "warning": 0, "info": 0}
    (finding,) = document["findings"]
    assert finding["code"] == "L104"
    assert finding["evidence"]["highest"] == 3
    assert set(finding["today"]["backends"]) == {"tensorflow", "jax", "torch"}
    named = json.loads(labels("--data", "good.npz", "--json").output)
    assert named["class_map"]["classes"] == ["cat", "dog", "fox"]


def test_github_gets_workflow_commands(folder: Path) -> None:
    done = labels("--data", "from_one.npz", "--loss", SPARSE, "--head", "3:softmax", "--format", "github")
    assert done.output.startswith("::error title=backendcheck L104 starts-at-one::labels: start at 1, not at 0;")
    assert done.exit_code == 1


def test_every_rule_is_listed_and_explained(folder: Path) -> None:
    listed = labels("--list").output
    for code, rule in RULES.items():
        assert f"  {code}  {rule.name}" in listed
        told = labels("--explain", code).output
        assert rule.hurts in told
        assert f"{code} {rule.name}  " in told
    assert labels("--explain", "starts-at-one").output == labels("--explain", "l104").output


# --- the project -----------------------------------------------------------------------------------------------


def test_a_project_ignores_rules_in_its_pyproject(folder: Path) -> None:
    asked = ("--data", "from_one.npz", "--loss", SPARSE, "--head", "3:softmax")
    (folder / "pyproject.toml").write_text('[tool.backendcheck.labels]\nignore = ["L104"]\n')
    assert labels(*asked).exit_code == 0
    (folder / "pyproject.toml").write_text('[tool.backendcheck.labels]\nselect = ["L7"]\nimbalance = 2\n')
    np.savez("uneven.npz", x=X, y=[0, 0, 0, 0, 1, 1])
    assert "L701" in labels("--data", "uneven.npz").output
    assert "L701" not in labels("--data", "uneven.npz", "--imbalance", "3").output
    for wrong in ('ignore = "L1"', "imbalance = 1", "what = 1", 'ignore = ["E501"]'):
        (folder / "pyproject.toml").write_text(f"[tool.backendcheck.labels]\n{wrong}\n")
        assert labels(*asked).exit_code == 2


# --- class maps ------------------------------------------------------------------------------------------------


def test_a_class_map_is_written_and_compared(folder: Path) -> None:
    done = labels("--data", "good.npz", "--write-class-map", "map.json")
    assert done.exit_code == 0
    content = json.loads((folder / "map.json").read_text())
    assert (content["schema"], content["classes"], len(content["sha256"])) == (1, ["cat", "dog", "fox"], 64)
    assert labels("--data", "good.npz", "--against", "map.json").exit_code == 0
    swapped = labels("--data", "good.npz", "--class-names", "cat,fox,dog", "--against", "map.json")
    assert swapped.exit_code == 1
    assert "L503 name-order" in swapped.output
    np.savez("serving.npz", x=X, y=[0, 1, 2, 0, 1, 2], class_names=["cat", "fox", "dog"])
    serving = labels("--data", "serving.npz", "--against", "map.json")
    assert "L504 map-differs" in serving.output
    assert "'dog' moved from 1 to 2" in serving.output
    assert labels("--data", "good.npz", "--class-names", "map.json").exit_code == 0


def test_text_labels_get_a_map_in_the_order_of_their_text(folder: Path) -> None:
    pytest.importorskip("polars")
    assert labels("--data", "pets.csv", "--label-column", "kind", "--write-class-map", "map.json").exit_code == 0
    assert json.loads((folder / "map.json").read_text())["classes"] == ["cat", "dog"]
    assert labels("--data", "pets.csv", "--label-column", "kind", "--against", "map.json").exit_code == 0
    (folder / "more.csv").write_text("weight,kind\n4,cat\n30,wolf\n7,dog\n")
    more = labels("--data", "more.csv", "--label-column", "kind", "--against", "map.json")
    assert "L505 unknown-name" in more.output
    assert more.exit_code == 1


def test_no_map_is_written_of_labels_with_an_error(folder: Path) -> None:
    np.savez("bad.npz", x=X, y=[0, 1, 2, 3, 1, 2], class_names=["cat", "dog", "fox"])
    done = labels("--data", "bad.npz", "--loss", SPARSE, "--write-class-map", "map.json")
    assert done.exit_code == 1
    assert "map.json: not written" in done.output
    assert not (folder / "map.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one | {"classes": ["cat", "fox", "dog"]}, "edited or damaged"),
        (lambda one: one | {"classes": []}, "lists by output, got []"),
        (lambda one: one | {"classes": ["cat", 3]}, "invalid classes; expected a list of names"),
        (lambda one: one | {"schema": 2}, "unknown schema; expected 1, got 2"),
        (lambda one: {"classes": one["classes"]}, "not a class map"),
        (lambda one: [one], "not a class map"),
        (lambda one: "{", "invalid JSON"),
    ],
)
def test_a_map_that_was_edited_or_damaged_is_refused(folder: Path, change: Any, said: str) -> None:
    assert labels("--data", "good.npz", "--write-class-map", "map.json").exit_code == 0
    changed = change(json.loads((folder / "map.json").read_text()))
    (folder / "map.json").write_text(changed if isinstance(changed, str) else json.dumps(changed))
    done = labels("--data", "good.npz", "--against", "map.json")
    assert done.exit_code == 2
    assert said in done.output
    content = (folder / "map.json").read_bytes()
    for cut in (0, 1, len(content) // 2, len(content) - 2):
        (folder / "map.json").write_bytes(content[:cut])
        assert labels("--data", "good.npz", "--against", "map.json").exit_code == 2
