"""`backendcheck merge`: whole legs from pieces, judged as if they had been recorded in one, or refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import make
import pytest
from forked import backendcheck
from front_door import Ended, project
from pieces import CASES, SELECTION, write_leg, write_shard, write_shards

from backendcheck.files import file_sha256
from backendcheck.recordings import merged_legs
from backendcheck.recordings.files import ENVIRONMENT_FILE, read_environment, write_environment
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.recordings.merge import find_parts, merge_parts, read_parts
from backendcheck.recordings.noise import noise_path
from backendcheck.recordings.paths import recording_path
from backendcheck.report.formats import json as json_report
from backendcheck.results.results import analyze
from backendcheck.vocabulary.shards import divided, parse_shard

ALL = ",".join(make.BACKENDS)
DIFFERS = {"labels/case_3": {"loss": 0.7}}


def merge(folder: Path, *arguments: object) -> Ended:
    return backendcheck("merge", *arguments, "--out", "out", "--expect-backends", ALL, cwd=folder)


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


def refused(ended: Ended, *words: str) -> None:
    assert ended.exit_code == 2, ended.words
    for word in words:
        assert word in ended.err, ended.err


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Three shards of three backends, each in a folder of its own, as CI has them; in one case jax differs."""
    folder = tmp_path / "artifacts"
    write_shards(folder, backends=("tensorflow", "torch"))
    write_shards(folder, backends=("jax",), values=DIFFERS)
    return folder


# --- what is joined --------------------------------------------------------------------------------------------


def test_shards_are_judged_as_the_whole_would_have_been(artifacts: Path) -> None:
    place = artifacts.parent
    ended = merge(place, "artifacts")
    whole = place / "whole"
    for backend in make.BACKENDS:
        write_leg(whole / backend, backend, values=DIFFERS if backend == "jax" else None)
    in_one = backendcheck("compare", "whole", "--expect-backends", ALL, cwd=place)
    assert (ended.exit_code, in_one.exit_code) == (1, 1)
    assert report(place / "out")["results"] == report(whole)["results"]
    assert ended.out.splitlines()[-1] == "exit code 1: 1 case differs (FAILED)"
    assert "jax: 8 recordings from 3 parts" in ended.err


def test_a_merged_run_is_a_run_as_any_other(artifacts: Path) -> None:
    place = artifacts.parent
    merge(place, "artifacts")
    legs = read_legs(find_legs([place / "out"]))
    assert [(leg.label, leg.environment.exit_state, sorted(leg.recordings)) for leg in legs] == [
        (backend, "complete", sorted(CASES)) for backend in make.BACKENDS
    ]
    assert ENVIRONMENT_FILE.encode(legs[0].environment.selection) == SELECTION
    assert backendcheck("compare", "out", "--expect-backends", ALL, cwd=place).exit_code == 1
    assert "FAILED labels/case_3" in backendcheck("show", "labels/case_3", "--out", "out", cwd=place).out


def test_recordings_are_copied_byte_for_byte_and_pieces_are_named(artifacts: Path) -> None:
    place = artifacts.parent
    merge(place, "artifacts")
    environment = read_environment(place / "out" / "jax")
    for piece in environment.parts:
        there = read_environment(place / piece.path)
        assert (piece.run, piece.n_recordings) == (there.run, len(there.cases))
        for case in there.cases:
            before = recording_path(place / piece.path, case)
            assert file_sha256(before) == file_sha256(recording_path(place / "out" / "jax", case)) == environment.digests[case]
    assert [piece.shard for piece in environment.parts] == ["1/3", "2/3", "3/3"]
    schema = json.loads((Path(json_report.__file__).parent / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(report(place / "out"), schema)
    told = report(place / "out")["environments"]["jax"]["pieces"]
    assert [piece["path"] for piece in told] == [f"artifacts/recordings-jax-{n}-of-3/jax" for n in (1, 2, 3)]
    assert "shard 2/3 artifacts/recordings-jax-2-of-3/jax" in (place / "out" / "index.html").read_text(encoding="utf-8")
    verbose = backendcheck("compare", "out", "--verbose", cwd=place).out
    assert "part artifacts/recordings-jax-2-of-3/jax, run run of" in " ".join(verbose.split())


@pytest.mark.parametrize("nested", ["jax", "a/jax", "a/b/c/d/jax", "recordings-jax/reports/jax", "ünï <b>&/jax", "jax/jax"])
def test_pieces_are_found_however_deep(tmp_path: Path, nested: str) -> None:
    for number in (1, 2):
        write_shard(tmp_path / "artifacts" / str(number) / nested, "jax", number, 2)
        write_leg(tmp_path / "artifacts" / "whole" / "torch", "torch")
    ended = backendcheck("merge", "artifacts", "--out", "out", cwd=tmp_path)
    assert ended.exit_code == 0, ended.words


def test_whole_legs_and_parts_of_other_files_are_joined_too(tmp_path: Path) -> None:
    for n, part in enumerate((CASES[:3], CASES[3:])):
        write_leg(tmp_path / "pieces" / f"jax-{n}", "jax", part, selection={"paths": [f"cases/{n}.py"]})
    write_leg(tmp_path / "pieces" / "tf" / "tensorflow", "tensorflow")
    write_leg(tmp_path / "pieces" / "t" / "torch", "torch")
    ended = merge(tmp_path, "pieces")
    assert ended.exit_code == 0, ended.words
    assert read_environment(tmp_path / "out" / "jax").selection.paths == ("cases/0.py", "cases/1.py")
    # A leg that was whole keeps its run; one that was joined has one that its pieces make.
    assert read_environment(tmp_path / "out" / "torch").run == read_environment(tmp_path / "pieces" / "t" / "torch").run


def test_the_same_pieces_make_the_same_leg(artifacts: Path) -> None:
    place = artifacts.parent
    merge(place, "artifacts")
    first = (place / "out" / "jax" / "environment.json").read_bytes()
    assert merge(place, "artifacts").exit_code == 1
    assert (place / "out" / "jax" / "environment.json").read_bytes() == first


def test_what_was_merged_can_be_merged_again(artifacts: Path) -> None:
    place = artifacts.parent
    merge(place, "artifacts")
    ended = backendcheck("merge", "out", "--out", "again", cwd=place)
    assert ended.exit_code == 1, ended.words
    assert [piece.shard for piece in read_environment(place / "again" / "jax").parts] == ["1/3", "2/3", "3/3"]
    assert report(place / "again")["results"] == report(place / "out")["results"]


def test_an_empty_shard_is_a_shard(tmp_path: Path) -> None:
    for backend in ("jax", "torch"):
        write_shards(tmp_path / "pieces", of=30, backends=(backend,))
    ended = backendcheck("merge", "pieces", "--out", "out", cwd=tmp_path)
    assert ended.exit_code == 0, ended.words
    assert "2 backends, 8 cases: 8 passed" in ended.out


def test_noise_recordings_are_joined_with_their_legs(tmp_path: Path) -> None:
    for number in (1, 2):
        leg = write_shard(tmp_path / "pieces" / str(number) / "jax", "jax", number, 2)
        run = read_environment(leg).run
        noise = {"noise": "repeat", "noise_of": run, "oracles": ["agreement"]}
        write_shard(noise_path(leg, "repeat"), "jax", number, 2, selection=noise)
    write_leg(tmp_path / "pieces" / "t" / "torch", "torch")
    ended = backendcheck("merge", "pieces", "--out", "out", cwd=tmp_path)
    assert ended.exit_code == 0, ended.words
    (jax,) = (leg for leg in read_legs(find_legs([tmp_path / "out"])) if leg.label == "jax")
    assert sorted(jax.noise["repeat"]) == sorted(CASES)
    assert report(tmp_path / "out")["noise_floor"]["recordings"] == {"jax": ["repeat"]}


# --- what is missing -------------------------------------------------------------------------------------------


def test_a_missing_shard_leaves_the_leg_incomplete_and_names_its_cases(artifacts: Path) -> None:
    shutil.rmtree(artifacts / "recordings-torch-2-of-3")
    place = artifacts.parent
    ended = merge(place, "artifacts")
    assert ended.exit_code == 3
    assert "PROBLEM torch: shard 2/3 is missing; expected recordings of it." in ended.out
    missing = {one["case"] for one in report(place / "out")["results"] if one["verdict"] == "ERROR"}
    assert missing == {*read_environment(artifacts / "recordings-jax-2-of-3" / "jax").cases}
    assert read_environment(place / "out" / "torch").exit_state == "interrupted"
    assert "exit code 3: incomplete" in ended.out.splitlines()[-1]
    # And later, from what was written, the same.
    assert backendcheck("compare", "out", "--expect-backends", ALL, cwd=place).exit_code == 3


def test_shards_by_duration_are_counted_by_duration(tmp_path: Path) -> None:
    seconds = dict.fromkeys(CASES, 1.0) | {CASES[0]: 7.0}
    number_of = divided(CASES, 3, seconds)
    for number in (1, 3):
        mine = [case for case in CASES if number_of[case] == number]
        write_shard(tmp_path / f"parts/{number}/jax", "jax", number, 3, cases=mine, durations=seconds)
    merge(tmp_path, "parts")
    environment = read_environment(tmp_path / "out/jax")
    assert [(part.shard, part.n_cases) for part in environment.parts] == [("1/3", 1), ("3/3", 3), ("2/3", 4)]
    assert {*environment.cases} == {*CASES}


def test_shards_that_were_divided_by_other_durations_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "parts/1/jax", "jax", 1, 2, durations={CASES[0]: 7.0})
    write_shard(tmp_path / "parts/2/jax", "jax", 2, 2)
    refused(merge(tmp_path, "parts"), "the cases were divided by other durations; give each shard the same --durations FILE")


def test_a_missing_leg_is_missing(artifacts: Path) -> None:
    for folder in artifacts.glob("*-jax-*"):
        shutil.rmtree(folder)
    ended = merge(artifacts.parent, "artifacts")
    assert ended.exit_code == 3
    assert "jax: its leg is missing" in ended.out


@pytest.mark.parametrize(("state", "words"), [("running", "was killed or is still running"), ("interrupted", "was interrupted")])
def test_an_unfinished_piece_never_passes(tmp_path: Path, state: str, words: str) -> None:
    write_shards(tmp_path / "artifacts", backends=("tensorflow", "torch"))
    write_shards(tmp_path / "artifacts", of=2, backends=("jax",))
    write_shard(tmp_path / "artifacts" / "recordings-jax-2-of-2" / "jax", "jax", 2, 2, exit_state=state)
    ended = merge(tmp_path, "artifacts")
    assert ended.exit_code == 3
    told = " ".join(ended.out.split())
    assert f"PROBLEM jax: shard 2/2 (artifacts/recordings-jax-2-of-2/jax) {words}" in told


def test_a_piece_that_was_killed_before_it_had_collected_is_no_reason_to_refuse_the_others(tmp_path: Path) -> None:
    write_shards(tmp_path / "artifacts", of=2, backends=("tensorflow", "torch"))
    write_shard(tmp_path / "artifacts" / "recordings-jax-1-of-2" / "jax", "jax", 1, 2)
    write_shard(
        tmp_path / "artifacts" / "recordings-jax-2-of-2" / "jax", "jax", 2, 2, cases=[], all_cases=(), exit_state="running",
        versions={}, settings={}, sources={},
    )  # fmt: skip
    ended = merge(tmp_path, "artifacts")
    assert ended.exit_code == 3
    assert "ERROR" in ended.out
    n_errors = report(tmp_path / "out")["counts"]["ERROR"]
    assert n_errors == len(read_environment(tmp_path / "artifacts" / "recordings-torch-2-of-2" / "torch").cases)


def test_a_case_that_crashed_in_a_piece_is_an_error(tmp_path: Path) -> None:
    write_shards(tmp_path / "artifacts", backends=("tensorflow", "torch"))
    crashed = {"labels/case_3": {"status": "crashed", "problem": "killed by signal 11"}}
    write_shards(tmp_path / "artifacts", backends=("jax",), values=crashed)
    ended = merge(tmp_path, "artifacts")
    assert ended.exit_code == 3
    assert "ERROR labels/case_3   CRASHED: jax crashed: killed by signal 11" in ended.out


def test_a_problem_of_every_shard_is_reported_once(tmp_path: Path) -> None:
    problem = {"file": "cases/broken.py", "line": 3, "message": "does not import: SyntaxError. Correct it"}
    write_shards(tmp_path / "artifacts", problems=(problem,))
    ended = merge(tmp_path, "artifacts")
    assert ended.exit_code == 3
    assert ended.out.count("cases/broken.py:3: does not import") == 1


# --- what is refused -------------------------------------------------------------------------------------------


def other(**fields: Any) -> Callable[[Path], None]:
    """Writes the second shard of jax anew, under other conditions."""
    return lambda folder: write_shard(folder / "recordings-jax-2-of-3" / "jax", "jax", 2, 3, **fields) and None


VERSIONS = {"python": "3.11.7", "keras": "3.14.0", "jax": "0.10.2", "numpy": "2.4.6"}
SETTINGS = {"floatx": "float64", "epsilon": "1e-07", "image_data_format": "channels_last", "dtype_policy": "float32"}
OTHER_FILE = {"file_digest": "0" * 64}
HERE = "artifacts/recordings-jax-2-of-3/jax: contradicts artifacts/recordings-jax-1-of-3/jax: "


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other(versions=VERSIONS), HERE + "keras 3.14.0 here and 3.15.0 there"),
        (other(versions=VERSIONS | {"keras": "3.15.0", "scikit-learn": "1.9"}), "scikit-learn 1.9 here and none there"),
        (other(settings=SETTINGS), HERE + "setting floatx float64 here and float32 there"),
        (other(device="gpu: T4"), HERE + "device gpu: T4 here and cpu there"),
        (other(selection={"device": "auto"}), HERE + "--device auto here and cpu there"),
        (other(selection={"oracles": ["agreement"]}), "--oracles agreement here and agreement,paths,order,reference there"),
        (other(selection={"keyword": "one_hot"}), HERE + "-k one_hot here and none there"),
        (other(selection={"plugins": ["mine"]}), HERE + "-p mine here and none there"),
        (other(determinism={"JAX_ENABLE_X64": "1"}), HERE + "JAX_ENABLE_X64 1 here and none there"),
        (other(sources={"cases/labels.py": "0" * 64}), HERE + "cases/labels.py SHA-256 00000000 here and SHA-256 ffffffff there"),
        (other(sources={}, values=dict.fromkeys(CASES, OTHER_FILE)), "cases/labels.py is another version there"),
        (other(all_cases=(*CASES, "labels/more")), HERE + "one is of a run that has labels/more, the other is not"),
    ],
)  # fmt: skip
def test_pieces_that_contradict_each_other_are_refused_by_name(
    artifacts: Path, change: Callable[[Path], None], words: str
) -> None:
    change(artifacts)
    before = sorted(artifacts.rglob("*"))
    refused(merge(artifacts.parent, "artifacts"), words, "record one of them again, or leave it out")
    assert not (artifacts.parent / "out").exists()
    assert sorted(artifacts.rglob("*")) == before


def test_what_a_machine_may_have_otherwise_contradicts_nothing(artifacts: Path) -> None:
    machine = {"OMP_NUM_THREADS": "64", "compilation_cache": "off"}
    other(platform={"system": "Linux", "cores": "64"}, determinism=machine)(artifacts)
    assert merge(artifacts.parent, "artifacts").exit_code == 1
    assert read_environment(artifacts.parent / "out" / "jax").platform["cores"] == "64"


def test_shards_of_another_number_are_refused(artifacts: Path) -> None:
    write_shard(artifacts / "twice" / "jax", "jax", 4, 5, all_cases=("others/one",), cases=["others/one"])
    words = "artifacts/twice/jax: contradicts artifacts/recordings-jax-1-of-3/jax: shard 4/5 here and 1/3 there"
    refused(merge(artifacts.parent, "artifacts"), words)


def test_a_shard_that_is_there_twice_is_refused(artifacts: Path) -> None:
    write_shard(artifacts / "second-attempt" / "jax", "jax", 2, 3)
    refused(
        merge(artifacts.parent, "artifacts"),
        "artifacts/second-attempt/jax: is shard 2/3, and so is artifacts/recordings-jax-2-of-3/jax. Give one of the two.",
    )


def test_a_case_in_two_pieces_is_refused(artifacts: Path) -> None:
    write_leg(artifacts / "whole" / "jax", "jax")
    refused(merge(artifacts.parent, "artifacts"), "artifacts/whole/jax: has ", "such as labels/case_", "Give one of the two.")


def test_a_copy_is_refused_and_the_same_place_named_twice_is_not(artifacts: Path) -> None:
    place = artifacts.parent
    assert merge(place, "artifacts", "artifacts/recordings-jax-1-of-3", "./artifacts").exit_code == 1
    shutil.copytree(artifacts / "recordings-jax-1-of-3", place / "copy")
    refused(merge(place, "artifacts", "copy"), "copy/jax: is a copy of artifacts/recordings-jax-1-of-3/jax (run run of")


def test_everything_that_is_wrong_is_named_at_once(artifacts: Path) -> None:
    other(device="gpu")(artifacts)
    write_shard(artifacts / "recordings-torch-2-of-3" / "torch", "torch", 2, 3, settings=SETTINGS)
    refused(merge(artifacts.parent, "artifacts"), "device gpu here", "setting floatx float64 here")


@pytest.mark.parametrize(
    ("selection", "words"),
    [({"plants": ["labels-reversed"]}, "was recorded by 'selftest', with faults injected"),
     ({"noise": "repeat", "noise_of": "x"}, "was recorded as a noise recording of another leg")],
)  # fmt: skip
def test_what_is_no_piece_of_a_leg_is_refused(artifacts: Path, selection: dict[str, Any], words: str) -> None:
    write_leg(artifacts / "else" / "jax", "jax", selection=selection)
    refused(merge(artifacts.parent, "artifacts"), f"artifacts/else/jax: {words}")


def test_what_was_merged_and_is_not_whole_is_no_piece(artifacts: Path) -> None:
    place = artifacts.parent
    shutil.move(artifacts / "recordings-torch-2-of-3", place / "late")
    merge(place, "artifacts")
    ended = backendcheck("merge", "out", "late", "--out", "again", cwd=place)
    refused(ended, "out/torch: was merged and is not whole. Give its parts themselves")
    assert backendcheck("merge", "artifacts", "late", "--out", "again", cwd=place).exit_code == 1


def test_damaged_pieces_are_all_named(artifacts: Path) -> None:
    leg = artifacts / "recordings-jax-1-of-3" / "jax"
    file = recording_path(leg, read_environment(leg).cases[0])
    file.write_bytes(file.read_bytes()[:-5])
    (artifacts / "recordings-torch-1-of-3" / "torch" / "environment.json").unlink()
    ended = merge(artifacts.parent, "artifacts")
    refused(ended, f"{file.relative_to(artifacts.parent)}: is damaged", "torch-1-of-3/torch/environment.json: cannot be read")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such directory"),
        (["empty"], "empty: holds no recordings; expected environment.json in it or below"),
        (["artifacts", "empty"], "empty: holds no recordings"),
        (["artifacts/recordings-jax-1-of-3/jax/environment.json"], "no such directory"),
        (["other"], "other/environment.json: has no format version"),
    ],
)
def test_a_directory_without_pieces_is_refused(artifacts: Path, arguments: list[str], words: str) -> None:
    place = project(artifacts.parent, {"empty/x.txt": "", "other/environment.json": "{}"})
    refused(merge(place, *arguments), words)
    refused(backendcheck("merge", "--out", "out", cwd=place), "Missing argument")
    refused(backendcheck("merge", "artifacts", cwd=place), "Missing option '--out'")


# --- where it goes ----------------------------------------------------------------------------------------------


def test_out_may_lie_among_the_pieces_but_not_on_them(artifacts: Path) -> None:
    place = artifacts.parent
    for _ in range(2):  # what the first has written there is no piece for the second
        ended = backendcheck("merge", ".", "--out", "artifacts/merged", cwd=place)
        assert ended.exit_code == 1, ended.words
    refused(backendcheck("merge", "artifacts", "--out", "artifacts", "--overwrite", cwd=place), "lies in --out")
    ended = backendcheck("merge", "artifacts/merged", "--out", "artifacts/merged", cwd=place)
    refused(ended, "holds nothing but what an earlier merge wrote")


def test_another_leg_in_the_way_is_kept_without_overwrite(artifacts: Path) -> None:
    place = artifacts.parent
    write_leg(place / "out" / "jax", "jax", run="of yesterday")
    refused(merge(place, "artifacts"), "out/jax: holds another leg", "use --overwrite")
    assert read_environment(place / "out" / "jax").run == "of yesterday"
    assert merge(place, "artifacts", "--overwrite").exit_code == 1
    # A leg of another backend would be taken for a part of this run.
    write_leg(place / "two" / "jax", "jax")
    write_leg(place / "two" / "tensorflow", "tensorflow")
    write_leg(place / "out" / "tensorflow", "tensorflow", run="of yesterday")
    ended = backendcheck("merge", "two/jax", "--out", "out", cwd=place)
    refused(ended, "holds another leg")
    backendcheck("merge", "two/jax", "--out", "out", "--overwrite", cwd=place)
    assert [leg.label for leg in read_legs(find_legs([place / "out"]))] == ["jax"]


def test_a_report_of_another_run_is_kept_without_overwrite(artifacts: Path) -> None:
    place = project(artifacts.parent, {"out/report.json": '{"environments": {"jax": {"run": "x"}}}'})
    refused(merge(place, "artifacts"), "out: holds the report of another run")
    project(place, {"out/jax/notes.txt": "mine"})
    (place / "out" / "report.json").unlink()
    refused(merge(place, "artifacts"), "out/jax: not a leg")


def test_a_merge_that_is_killed_leaves_nothing_that_passes(artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = artifacts.parent
    joined = merge_parts(read_parts(find_parts([artifacts], place / "out")))
    n_written = 0
    write = merged_legs.write_atomically

    def killed(path: Path, content: bytes) -> None:
        nonlocal n_written
        n_written += 1
        if n_written > 20:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(merged_legs, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        merged_legs.write_legs(place / "out", joined)
    assert backendcheck("compare", "out", "--expect-backends", ALL, cwd=place).exit_code == 3
    assert merge(place, "artifacts").exit_code == 1  # and again it is whole


def test_a_recording_that_changes_meanwhile_is_refused(artifacts: Path) -> None:
    joined = merge_parts(read_parts(find_parts([artifacts], artifacts.parent / "out")))
    file = next(iter(joined[0].files.values()))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(Exception, match="has changed while it was read"):
        merged_legs.write_legs(artifacts.parent / "out", joined)


# --- known divergences, and recordings of before -----------------------------------------------------------------

KNOWN = """
    [[divergence]]
    case = "labels/case_3"
    backends = ["jax"]
    kind = "value"
    reason = "jax rounds the other way."
"""


def test_known_divergences_are_found_beside_the_cases_or_named(artifacts: Path) -> None:
    place = project(artifacts.parent, {"elsewhere/known.toml": KNOWN})
    ended = merge(place, "artifacts")
    assert ended.exit_code == 1
    assert "cases: case files not found, so no known_divergences.toml next to them was read" in ended.err
    ended = merge(place, "artifacts", "--known", "elsewhere/known.toml")
    assert (ended.exit_code, "case files not found" in ended.err) == (0, False)
    project(place, {"cases/known_divergences.toml": KNOWN})
    assert merge(place, "artifacts").exit_code == 0


def test_strictness_and_baseline_are_those_of_compare(artifacts: Path) -> None:
    place = project(artifacts.parent, {"known.toml": KNOWN + KNOWN.replace("case_3", "case_99")})
    ended = merge(place, "artifacts", "--known", "known.toml", "--strict-known")
    assert ended.exit_code == 1
    assert "1 entry of known_divergences.toml expired or unmatched (--strict-known)" in ended.out
    ended = merge(place, "artifacts", "--baseline", "out/report.json")
    assert "1 changed" in ended.out


def test_a_recording_of_before_there_were_shards_is_read_as_it_was(tmp_path: Path) -> None:
    for backend in ("jax", "torch"):
        write_leg(tmp_path / "run" / backend, backend)
        path = tmp_path / "run" / backend / "environment.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        for name in ("all_cases", "sources", "sessions", "pieces", "seconds", "sha256"):
            del body[name]
        from backendcheck.recordings.files import _json_checksum

        path.write_text(json.dumps(body | {"sha256": _json_checksum(body)}), encoding="utf-8")
    assert backendcheck("compare", "run", cwd=tmp_path).exit_code == 0
    assert backendcheck("merge", "run", "--out", "out", cwd=tmp_path).exit_code == 0


def test_a_shard_alone_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    for backend in ("jax", "torch"):
        write_shard(tmp_path / "run" / backend, backend, 2, 3)
    ended = backendcheck("compare", "run", cwd=tmp_path)
    assert ended.exit_code == 3
    assert "jax: is shard 2/3 alone" in ended.out
    assert "Join it with the others: backendcheck merge" in ended.out
    legs = read_legs(find_legs([tmp_path / "run"]))
    assert analyze(legs, shard=parse_shard("2/3")).exit_code == 0  # unless that is what was asked for


def test_the_whole_is_not_taken_for_a_shard() -> None:
    problems = analyze([make.leg("jax", make.recording("a/b", "jax", loss=1.0))], shard=parse_shard("2/3")).problems
    assert "jax: is not a shard; expected shard 2/3 alone. Record it again." in map(str, problems)


def test_an_empty_shard_is_no_error_where_it_was_asked_for(tmp_path: Path) -> None:
    for backend in ("jax", "torch"):
        write_shard(tmp_path / "run" / backend, backend, 3, 3, cases=[])
    legs = read_legs(find_legs([tmp_path / "run"]))
    assert analyze(legs, shard=parse_shard("3/3")).exit_code == 0
    assert analyze(legs, shard=parse_shard("3/3"), expected=["jax", "torch", "tensorflow"]).exit_code == 3
    for backend in ("jax", "torch"):
        environment = read_environment(tmp_path / "run" / backend)
        write_environment(tmp_path / "run" / backend, replace(environment, all_cases=()))
    assert analyze(read_legs(find_legs([tmp_path / "run"])), shard=parse_shard("3/3")).exit_code == 3
