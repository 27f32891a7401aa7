"""The values in an environment file: the JSON that they have always been, keys of a later version, and JSON that they are not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import make
import pytest
from forked import backendcheck

from backendcheck.errors import UnreadableInput
from backendcheck.recordings.conditions import Mismatch, condition_mismatches
from backendcheck.recordings.environment import CaseFileProblem, EarlierSession, MergedPart, Selection
from backendcheck.recordings.files import read_environment, write_environment
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.shards import Shard
from backendcheck.vocabulary.states import ExitState

# As earlier versions wrote them.
SELECTION = {
    "paths": ["cases/a.py"], "keyword": "a", "marks": "", "device": "cpu", "oracles": ["agreement", "order"], "plugins": ["mine"],
    "shard": "2/8", "noise": "repeat", "noise_of": "0123", "plants": ["loss-scaled"], "chosen_by": "pytest", "narrowed": False,
}  # fmt: skip
PROBLEM = {"file": "cases/a.py", "line": 3, "message": "does not import. Correct it"}
SESSION = {"started": "Monday", "exit_state": "interrupted", "n_recordings": 2, "resumed": "Tuesday"}
PART = {
    "path": "x/jax", "run": "0123", "shard": "1/2", "exit_state": "complete", "n_cases": 2, "n_recordings": 2,
    "started": "Monday", "duration_s": 1, "platform": {"system": "Linux"},
}  # fmt: skip
MISSING = {"path": "", "run": "", "shard": "2/2", "exit_state": "missing", "n_cases": 3, "n_recordings": 0}
VALUES: dict[str, Any] = {"selection": SELECTION, "problems": [PROBLEM], "sessions": [SESSION], "pieces": [PART, MISSING]}


def write(leg: Path, **values: Any) -> Path:
    """Write an environment file with JSON in place of some of its values, as another program would."""
    write_environment(leg, make.environment("jax", ["a/b"]))
    path = leg / "environment.json"
    body = {key: value for key, value in json.loads(path.read_text()).items() if key != "sha256"} | values
    body["sha256"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(body, indent=2) + "\n")
    return path


def test_what_earlier_versions_wrote_is_read_as_values(tmp_path: Path) -> None:
    write(tmp_path, **VALUES)
    environment = read_environment(tmp_path)
    assert environment.selection == Selection(
        paths=("cases/a.py",), keyword="a", marks="", device="cpu", oracles=(Oracle.AGREEMENT, Oracle.ORDER), plugins=("mine",),
        shard=Shard(number=2, of=8), noise="repeat", noise_of="0123", injections=("loss-scaled",), selected_by="pytest",
        is_subset=False,
    )  # fmt: skip
    assert environment.problems == (CaseFileProblem(file="cases/a.py", line=3, message="does not import. Correct it"),)
    assert str(environment.problems[0]) == "cases/a.py:3: does not import. Correct it."
    assert environment.sessions == (
        EarlierSession(started="Monday", exit_state=ExitState.INTERRUPTED, n_recordings=2, resumed="Tuesday"),
    )
    assert environment.parts == (
        MergedPart(
            path="x/jax", run="0123", shard="1/2", exit_state=ExitState.COMPLETE, n_cases=2, n_recordings=2, started="Monday",
            duration_s=1, platform={"system": "Linux"},
        ),
        MergedPart(path="", run="", shard="2/2", exit_state=ExitState.MISSING, n_cases=3, n_recordings=0),
    )  # fmt: skip
    assert environment.runs == {"0123"}


@pytest.mark.parametrize("later", [{}, {"tempo": "fast", "depth": [1, {"a": None}]}], ids=["as it was", "with later keys"])
def test_what_was_read_is_written_again_as_it_was(tmp_path: Path, later: dict[str, Any]) -> None:
    values = {key: [entry | later for entry in value] for key, value in VALUES.items() if key != "selection"}
    path = write(tmp_path / "before", **values, selection=SELECTION | later)
    write_environment(tmp_path / "after", read_environment(tmp_path / "before"))
    assert (tmp_path / "after" / "environment.json").read_text() == path.read_text()


def test_keys_that_are_not_set_are_left_out(tmp_path: Path) -> None:
    least = {key: SELECTION[key] for key in ("paths", "keyword", "marks", "device", "oracles")}
    path = write(tmp_path, selection=least)
    write_environment(tmp_path, read_environment(tmp_path))
    assert json.loads(path.read_text())["selection"] == least


def test_a_later_key_is_a_condition(tmp_path: Path) -> None:
    write(tmp_path, selection=SELECTION | {"tempo": "fast"})
    later = read_environment(tmp_path)
    assert later.selection.extra == {"tempo": "fast"}
    earlier = replace(later, selection=replace(later.selection, extra={}))
    assert condition_mismatches(later, earlier) == [Mismatch(what="--tempo", left="fast", right="none")]
    assert condition_mismatches(later, later) == []


def test_where_the_cases_come_from_is_not_a_condition(tmp_path: Path) -> None:
    write(tmp_path, selection=SELECTION)
    left = read_environment(tmp_path)
    selection = replace(
        left.selection, paths=("b",), shard=None, noise_of="", injections=(), selected_by="", is_subset=None
    )  # fmt: skip
    assert condition_mismatches(left, replace(left, selection=selection)) == []
    selection = replace(left.selection, oracles=(Oracle.AGREEMENT,), keyword="", noise="")
    assert condition_mismatches(left, replace(left, selection=selection)) == [
        Mismatch(what="-k", left="a", right="none"),
        Mismatch(what="--oracles", left="agreement,order", right="agreement"),
        Mismatch(what="--noise", left="repeat", right="none"),
    ]


ODD: list[tuple[str, Any]] = [
    *(("selection", odd) for odd in (None, [], "all", 3)),
    *(("selection", SELECTION | odd) for odd in (
        {"paths": "cases"}, {"paths": None}, {"paths": {"a": 1}}, {"paths": [1]}, {"paths": [["a"]]}, {"keyword": None},
        {"marks": 3}, {"device": []}, {"oracles": ["oracle"]}, {"oracles": [[]]}, {"oracles": "order"}, {"plugins": [None]},
        {"shard": "9/8"}, {"shard": ""}, {"shard": 3}, {"shard": ["1/2"]}, {"noise": True}, {"noise_of": {}},
        {"plants": {"a": 1}}, {"chosen_by": False}, {"narrowed": "no"}, {"narrowed": 0},
    )),
    *(("problems", odd) for odd in (None, {}, "x", [None], ["x"], [[]], [{}])),
    *(("problems", [PROBLEM | odd]) for odd in ({"file": 3}, {"line": "3"}, {"line": 1.5}, {"line": True}, {"message": None})),
    *(("sessions", odd) for odd in (None, {}, [3], [{"resumed": "now"}])),
    *(("sessions", [SESSION | odd]) for odd in ({"exit_state": "fine"}, {"n_recordings": None}, {"resumed": 3}, {"started": []})),
    *(("pieces", odd) for odd in (None, {"a": PART}, ["x"], [{"run": "0123"}])),
    *(("pieces", [PART | odd]) for odd in (
        {"exit_state": []}, {"run": 3}, {"path": None}, {"shard": 1}, {"n_cases": "2"}, {"n_recordings": 2.5},
        {"duration_s": "1"}, {"started": 3}, {"platform": []}, {"platform": {"system": 3}},
    )),
]  # fmt: skip


@pytest.mark.parametrize(("key", "odd"), ODD, ids=lambda value: json.dumps(value)[-40:])
def test_json_of_another_type_is_refused_as_damage(tmp_path: Path, key: str, odd: Any) -> None:
    path = write(tmp_path, **{key: odd})
    with pytest.raises(UnreadableInput) as refused:
        read_environment(tmp_path)
    assert str(refused.value).startswith(f"{path}: is damaged (")
    assert str(refused.value).endswith("Record this backend again.")


def test_json_of_another_type_is_named_and_what_was_expected(tmp_path: Path) -> None:
    write(tmp_path, selection=SELECTION | {"keyword": 3})
    with pytest.raises(UnreadableInput, match=r"is damaged \(.*selection: keyword: expected str, got 3"):
        read_environment(tmp_path)
    write(tmp_path, selection=SELECTION | {"paths": "cases"})
    with pytest.raises(UnreadableInput, match=r"selection: paths: expected a list, got 'cases'"):
        read_environment(tmp_path)
    write(tmp_path, pieces=[PART, []])
    with pytest.raises(UnreadableInput, match=r"pieces: expected an object, got \[\]"):
        read_environment(tmp_path)


def test_a_command_says_in_one_line_what_is_damaged(tmp_path: Path) -> None:
    write(tmp_path / "run" / "jax", selection=SELECTION | {"shard": "9/8"})
    ended = backendcheck("compare", "run", cwd=tmp_path)
    assert (ended.exit_code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert "run/jax/environment.json: is damaged (" in line
    assert "shard: invalid shard '9/8'" in line
