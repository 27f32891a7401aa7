"""The paths of recordings: no two cases share one on any system, Windows can hold each, and earlier versions' are read."""

from __future__ import annotations

import itertools
import re
import shutil
from dataclasses import replace
from pathlib import Path

import make
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.errors import UnreadableInput
from backendcheck.recordings.files import find_recording, read_recording, write_environment, write_recording
from backendcheck.recordings.legs import read_leg
from backendcheck.recordings.merge import merge_parts, read_parts
from backendcheck.recordings.merged_legs import write_legs
from backendcheck.recordings.paths import alike, is_alike, recording_path, recording_paths
from backendcheck.recordings.scripts import keep_script, script_path

LEG = Path("leg")
ALIKE = ("Names/a", "names/a", "names/A", "NAMES/b", "names/b[True]", "names/b[true]")
RESERVED = (
    "con/a", "CON/a", "a/con", "a/Con.x", "aux.b/nul", "nul/a", "prn/a", "com1/a", "lpt9.x/a", "a/com0", "conin$/a",
    "con /a", "con. /a", "a./b", "a /b", "a/b.", "a/b ", "a/b..", " /a", "./a", 'a/<>:"|?*\\', "a/\0\x1f\x7f", "a/~", "a/%63on",
)  # fmt: skip
LONG = ("a/" + "x" * 400, "a/" + "x" * 399 + "X", "x" * 400 + "/a", "a/" + "é" * 200, "con." + "x" * 400 + "/a")
NAMES = ("a", "A", "con", "Con", "nul.x", "x.", "x ", "é", "É", "~", "%", "b[True]", "b[true]")
parts = st.sampled_from(NAMES) | st.text(max_size=6)
ids = st.lists(parts, min_size=1, max_size=3).map("/".join)
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com\d|lpt\d) *(\.|$)", re.IGNORECASE)


def below(case: str, cases: tuple[str, ...] = ()) -> Path:
    return recording_path(LEG, case, distinct=is_alike(case, alike(cases))).relative_to(LEG)


def is_legal_on_windows(name: str) -> bool:
    return not (_DEVICE.match(name) or name[-1] in ". " or set(name) & set('<>:"/\\|?*') or min(name) < " " or len(name) > 240)


def check_side_by_side(cases: tuple[str, ...]) -> None:
    """On a disk that does not tell upper from lower case: no shared file, and no folder under two names."""
    paths = [below(case, cases) for case in cases]
    assert len({str(path).lower() for path in paths}) == len(cases)
    for one, other in itertools.combinations(paths, 2):
        assert (one.parent == other.parent) == (str(one.parent).lower() == str(other.parent).lower())
    assert all(is_legal_on_windows(part) for path in paths for part in path.parts)


def test_names_that_differ_in_case_and_names_of_devices_live_side_by_side() -> None:
    check_side_by_side((*ALIKE, *RESERVED, *LONG))


@given(cases=st.lists(ids, unique=True, max_size=8).map(tuple))
def test_any_names_live_side_by_side(cases: tuple[str, ...]) -> None:
    check_side_by_side(cases)


@pytest.mark.parametrize(
    "case", ["labels/one_hot", "a/b[from_logits=True-3]", "Names/a", "a/B", "a.b/c[x-1.5]", "a/b[(1, 2)]", "constant/auxiliary"]
)
def test_ordinary_names_are_their_paths_to_the_letter(case: str) -> None:
    assert below(case, ("labels/other", case)) == Path(f"recordings/{case}.safetensors")
    assert recording_paths(LEG, case)[0] == recording_path(LEG, case)


def test_a_call_in_a_test_is_named_as_its_test() -> None:
    names = alike(("t.a/test_x", "t.a/test_X"))
    assert is_alike("t.a/test_x#2", names)
    assert not is_alike("t.a/test_y#2", names)
    check_side_by_side(("t.a/test_x", "t.a/test_X"))
    assert recording_path(LEG, "t.a/test_x#2", distinct=True) != recording_path(LEG, "t.a/test_x", distinct=True)


def as_before(leg: Path, case: str) -> Path:
    """Record a case where earlier versions have put it."""
    write_recording(leg, make.recording(case, "jax", loss=0.5))
    path = recording_paths(leg, case)[-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(recording_path(leg, case), path)
    return path


@pytest.mark.parametrize("case", ["con/a", "a/aux", "a./b", "a/b "])
def test_what_earlier_versions_have_written_is_read_and_replaced(tmp_path: Path, case: str) -> None:
    leg = tmp_path / "jax"
    before = as_before(leg, case)
    assert before != recording_path(leg, case)
    write_environment(leg, make.environment("jax", [case], exit_state="running"))
    assert list(read_leg(leg).recordings) == [case]
    assert list(read_leg(leg, case).recordings) == [case]
    assert find_recording(leg, case) == before
    write_recording(leg, make.recording(case, "jax", loss=0.75))
    assert list(leg.rglob("*.safetensors")) == [recording_path(leg, case)]


def test_one_case_in_two_files_is_refused_by_name(tmp_path: Path) -> None:
    leg = tmp_path / "jax"
    write_recording(leg, make.recording("a/b", "jax", loss=0.5))
    distinct = recording_path(leg, "a/b", distinct=True)
    distinct.parent.mkdir()
    shutil.copy(recording_path(leg, "a/b"), distinct)
    write_environment(leg, make.environment("jax", ["a/b"], exit_state="running"))
    with pytest.raises(UnreadableInput, match="holds the case 'a/b', and so does") as caught:
        read_leg(leg)
    assert str(distinct) in str(caught.value)


def test_a_file_that_the_disk_gives_for_another_name_is_not_taken_for_the_case(tmp_path: Path) -> None:
    # As a disk that does not tell upper from lower case does it: names/a is there under the name Names/a.
    write_recording(tmp_path, make.recording("names/a", "jax", loss=0.5))
    shutil.copytree(tmp_path / "recordings" / "names", tmp_path / "recordings" / "Names")
    assert find_recording(tmp_path, "Names/a") is None
    write_recording(tmp_path, make.recording("Names/a", "jax", loss=0.75), distinct=True)
    path = find_recording(tmp_path, "names/a")
    assert path is not None
    assert read_recording(path).case == "names/a"


def test_merged_legs_keep_names_apart(tmp_path: Path) -> None:
    for number, case in enumerate(ALIKE, 1):
        leg = tmp_path / "parts" / str(number) / "jax"
        digests = {case: write_recording(leg, make.recording(case, "jax", loss=0.5, run=f"run {number}"))}
        write_environment(leg, make.environment("jax", [case], run=f"run {number}", digests=digests))
    written = write_legs(tmp_path / "out", merge_parts(read_parts(sorted((tmp_path / "parts").glob("*/jax")))))
    files = [str(path.relative_to(written[0])).lower() for path in written[0].rglob("*.safetensors")]
    assert len({*files}) == len(ALIKE)
    assert {*read_leg(written[0]).recordings} == {*ALIKE}
    # One more merge, of what was merged.
    again = write_legs(tmp_path / "again", merge_parts(read_parts(written)))
    assert {*read_leg(again[0]).recordings} == {*ALIKE}


def test_scripts_keep_names_apart(tmp_path: Path) -> None:
    for _ in range(2):
        for case in ALIKE:
            keep_script(tmp_path, replace(make.SCRIPT, case=case))
    files = [str(path.relative_to(tmp_path)).lower() for path in (tmp_path / "scripts").rglob("*.json")]
    assert len({*files}) == len(files) == len(ALIKE)
    assert script_path(tmp_path, "con/a").parent.name == "%63on"
