"""Scripts kept beside a run: shown with the recordings that they were made from, and with no others."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace

import make
import pytest

from backendcheck.errors import OutputInTheWay, UnreadableInput
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.recordings.scripts import (
    KeptScript,
    clear_scripts,
    digests_of,
    find_scripts,
    keep_script,
    read_script,
    script_path,
)

CASES = ["a/b", "a/b[x-1]", f"hostile/{make.HOSTILE}", "a/" + "x" * 400, "a_b/c", "a/b_c", "a/b.json", "a/../../b"]


def run(folder, cases=CASES, value=0.5):
    """Legs on disk, as a recording session leaves them."""
    for backend in ("jax", "torch"):
        leg = folder / backend
        recordings = [make.recording(case, backend, run=f"run {value}", loss=value) for case in cases]
        digests = {one.case: write_recording(leg, one) for one in recordings}
        write_environment(leg, make.environment(backend, tuple(cases), run=f"run {value}", digests=digests))
    return read_legs(find_legs([folder]))


def script(case, legs, **fields) -> KeptScript:
    usual = {"source": f"print({case!r})\n", "outputs": {"jax": "0.5"}, "shows": True, "recordings": digests_of(case, legs)}
    return KeptScript(case=case, **(usual | fields))


def test_a_script_comes_back_with_its_recordings(tmp_path):
    legs = run(tmp_path)
    kept = {case: script(case, legs, notes=("needs nothing",), headline="VALUE: x") for case in CASES}
    paths = [keep_script(tmp_path, one) for one in kept.values()]
    assert len(set(paths)) == len(CASES)
    assert all(path.is_relative_to(tmp_path / "scripts") for path in paths)
    found = find_scripts([tmp_path, tmp_path], legs)
    assert dict(found.by_case) == kept
    assert (found.stale, found.problems) == (frozenset(), ())
    assert script_path(tmp_path, "a/b").read_text(encoding="utf-8") == "print('a/b')\n"


@pytest.mark.parametrize("what", ["recorded again", "one leg only", "a leg more"])
def test_a_script_of_other_recordings_is_never_shown(tmp_path, what):
    legs = run(tmp_path)
    keep_script(tmp_path, script("a/b", legs))
    if what == "recorded again":
        legs = run(tmp_path, value=0.75)
    elif what == "one leg only":
        legs = legs[:1]
    else:
        legs = [*legs, replace(legs[0], label="tensorflow")]
    found = find_scripts([tmp_path], legs)
    assert (dict(found.by_case), found.stale) == ({}, frozenset({"a/b"}))


def test_a_script_goes_with_copies_of_its_recordings(tmp_path):
    legs = run(tmp_path / "here")
    keep_script(tmp_path / "here", script("a/b", legs))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    shutil.rmtree(tmp_path / "here")
    there = read_legs(find_legs([tmp_path / "there"]))
    assert find_scripts([tmp_path / "there"], there).by_case.keys() == {"a/b"}


def test_of_two_legs_of_a_backend_one_has_to_be_the_one(tmp_path):
    legs = run(tmp_path)
    keep_script(tmp_path, script("a/b", legs))
    twice = [replace(legs[0], label="jax#1"), replace(legs[0], label="jax#2"), legs[1]]
    assert find_scripts([tmp_path], twice).by_case.keys() == {"a/b"}


RUBBISH = {
    "empty": b"",
    "half": b'{"format": 1, "case": "a/b", "sour',
    "list": b"[]",
    "later": b'{"format": 2}',
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "wrong types": json.dumps(
        {"format": 1, "case": 3, "source": [], "outputs": "x", "shows": 1, "recordings": [], "headline": None, "notes": {}}
    ).encode(),
}


@pytest.mark.parametrize("content", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_reported_by_name_and_harms_nothing(tmp_path, content):
    legs = run(tmp_path)
    keep_script(tmp_path, script("a/b", legs))
    path = tmp_path / "scripts" / "a" / "c.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match=r"c\.json: .*Make it again with 'backendcheck repro', or delete it"):
        read_script(path)
    found = find_scripts([tmp_path], legs)
    assert found.by_case.keys() == {"a/b"}
    [problem] = found.problems
    assert str(path) in problem


def test_a_script_that_was_cut_off_while_it_was_written_is_not_there(tmp_path):
    legs = run(tmp_path)
    path = keep_script(tmp_path, script("a/b", legs))
    path.with_suffix(".json").unlink()  # it is written last
    assert find_scripts([tmp_path], legs).by_case == {}


def test_arrays_belong_to_it(tmp_path):
    legs = run(tmp_path)
    arrays = tmp_path / "repro_a_b.npz"
    arrays.write_bytes(b"numbers")
    kept = script("a/b", legs, data=arrays.name, data_sha256=hashlib.sha256(b"numbers").hexdigest())
    path = keep_script(tmp_path, kept, arrays)
    assert (path.parent / arrays.name).read_bytes() == b"numbers"
    assert find_scripts([tmp_path], legs).by_case == {"a/b": kept}
    (path.parent / arrays.name).write_bytes(b"others")
    found = find_scripts([tmp_path], legs)
    assert found.by_case == {}
    assert "is not the file of arrays that the script of a/b reads" in found.problems[0]


def test_why_there_is_none_is_kept_too(tmp_path):
    legs = run(tmp_path)
    path = keep_script(tmp_path, script("a/b", legs, source="", shows=False, notes=("it needs a fixture",)))
    assert not path.exists()
    assert find_scripts([tmp_path], legs).by_case["a/b"].notes == ("it needs a fixture",)


def test_scripts_of_an_earlier_run_are_cleared_and_nothing_else(tmp_path):
    keep_script(tmp_path, script("a/b", run(tmp_path)))
    clear_scripts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jax", "torch"]
    clear_scripts(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_run_is_reported(tmp_path):
    legs = run(tmp_path)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OutputInTheWay, match="cannot be written"):
            keep_script(tmp_path, script("a/b", legs))
    finally:
        tmp_path.chmod(0o755)


def test_a_file_in_the_place_of_the_folder_is_reported(tmp_path):
    legs = run(tmp_path)
    (tmp_path / "scripts").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputInTheWay, match="cannot be written"):
        keep_script(tmp_path, script("a/b", legs))
    assert find_scripts([tmp_path], legs).by_case == {}
