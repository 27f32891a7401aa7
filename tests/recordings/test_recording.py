"""What is written is read again as it was, or refused by name."""

from __future__ import annotations

import json
import operator
import string
from collections.abc import Mapping
from pathlib import Path

import make
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backendcheck.case import Tolerance
from backendcheck.errors import OutputInTheWay, UnreadableInput
from backendcheck.files import file_sha256, write_atomically
from backendcheck.recordings import files as recording_files
from backendcheck.recordings.environment import CaseFileProblem, EarlierSession, Environment, MergedPart, Selection
from backendcheck.recordings.files import read_environment, read_recording, write_environment, write_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.recording import Frame, Raised, Recording, Variant
from backendcheck.vocabulary.findings import ORACLES, Oracle
from backendcheck.vocabulary.observations import Observation, ReferenceValue
from backendcheck.vocabulary.shards import Shard
from backendcheck.vocabulary.states import ExitState, Status

in_one_directory = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# High surrogates are left out: one followed by a low one is how JSON spells a single character.
characters = st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
text = st.text(characters, max_size=12)
HOSTILE = (
    "a/b",
    "a/B",
    "A/b",
    "a",
    "a/",
    "/a",
    "/",
    "",
    "..",
    "../..",
    "../../etc/passwd",
    "a/../b",
    "a/./b",
    "a/.",
    "a/..",
    "a/...",
    "a/b/c",
    "a/b%2Fc",
    "a//b",
    "a\\b",
    "a/b[c/d]",
    "a/b[\0]",
    "a/b[\n]",
    "a/b[\udcff]",
    "a/b[\ud800]",
    "a/b[é]",
    "a/b[e\u0301]",
    "a/b[🦊]",
    "a/<script>alert(1)</script>",
    'a/b[:|?*"<>]',
    "a/~",
    "~/a",
    "~",
    "a/" + 5000 * "x",
    "a/" + 4999 * "x" + "y",
    5000 * "x" + "/a",
    "a/" + 5000 * "é",
    "x.safetensors/a",
    "x/a.safetensors",
    "a/ b",
    "a/b ",
    "-/--out",
)
case_ids = st.sampled_from(HOSTILE) | st.text(characters, max_size=300) | st.from_regex(r"[a.%/~E2]{0,6}", fullmatch=True)
arrays = hnp.arrays(
    dtype=st.sampled_from(["bool", "int8", "uint16", "int32", "int64", "uint64", "float16", "float32", "float64", ">f4", ">i8"]),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
texts = hnp.arrays(dtype=object, shape=hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3), elements=text)
observations = st.builds(lambda value, dtype: Observation(value=value, dtype=dtype, precision="float32"), arrays | texts, text)
figures = st.floats(allow_nan=False, allow_infinity=False)
few_lines = st.lists(text, max_size=2).map(tuple)
frame = st.builds(Frame, file=text, line=st.integers(0, 9), function=text, source=text, before=few_lines)
raised = st.builds(
    Raised, stage=text, type=text, type_names=st.lists(text, max_size=2).map(tuple), message=text, frame=st.none() | frame,
    by_author=st.booleans(), traceback=text,
)  # fmt: skip
recordings = st.builds(
    Recording,
    case=case_ids,
    backend=text,
    run=text,
    status=st.sampled_from(Status),
    claim=text,
    file=text,
    line=st.integers(0, 10**6),
    observations=st.dictionaries(text, observations, max_size=3),
    reference=st.dictionaries(text, arrays | texts, max_size=2),
    labels=st.dictionaries(text, arrays | texts, max_size=2),
    losses=st.dictionaries(text, st.dictionaries(text, text, max_size=2), max_size=2),
    variants=st.lists(
        st.builds(
            Variant,
            oracle=st.sampled_from(ORACLES),
            path=text,
            observations=st.dictionaries(text, observations, max_size=2),
            raised=st.none() | raised,
        ),
        max_size=2,
    ).map(tuple),
    raised=st.lists(raised, max_size=2).map(tuple),
    failure=st.none() | raised,
    problem=text,
    stderr_tail=text,
    expect=st.none() | st.fixed_dictionaries({"type_names": st.none() | st.lists(text, max_size=2), "match": text}),
    class_names=st.none() | st.lists(text, max_size=3) | st.dictionaries(text, st.lists(text, max_size=2), max_size=2),
    tolerance=st.dictionaries(text, st.builds(Tolerance, rtol=st.floats(0, 1), atol=st.floats(0, 1)), max_size=2),
    digests=st.dictionaries(text, text, max_size=2),
    state=st.dictionaries(text, st.tuples(figures, figures), max_size=2),
    settings=st.dictionaries(text, text, max_size=2),
    not_compared=st.dictionaries(text, text, max_size=2),
    oracles=st.lists(st.sampled_from(ORACLES), max_size=2).map(tuple),
    notes=st.lists(text, max_size=2).map(tuple),
    timings_s=st.dictionaries(text, figures, max_size=2),
)


def assert_same_array(left: np.ndarray, right: np.ndarray) -> None:
    assert left.shape == right.shape
    assert left.dtype.newbyteorder("=") == right.dtype.newbyteorder("=")
    np.testing.assert_array_equal(left, right)  # NaN equals NaN here, as it should


def assert_same_observations(left: Mapping[str, Observation], right: Mapping[str, Observation]) -> None:
    assert list(left) == list(right)
    for name, seen in left.items():
        assert (seen.dtype, seen.precision) == (right[name].dtype, right[name].precision)
        assert_same_array(seen.value, right[name].value)


def assert_same_recording(left: Recording, right: Recording) -> None:
    with_arrays = ("observations", "variants", "reference", "labels")
    for name in set(Recording.__slots__) - set(with_arrays):
        assert getattr(left, name) == getattr(right, name), name
    assert_same_observations(left.observations, right.observations)
    for one, other in zip(left.variants, right.variants, strict=True):
        assert (one.oracle, one.path, one.raised) == (other.oracle, other.path, other.raised)
        assert_same_observations(one.observations, other.observations)
    for name in ("reference", "labels"):
        assert list(getattr(left, name)) == list(getattr(right, name)), name
        for key, value in getattr(left, name).items():
            assert_same_array(value, getattr(right, name)[key])


def a_small_recording() -> Recording:
    return make.recording(
        "a/b[c]", "jax", loss=0.5, predictions=[[0.25, 0.75]], output_order=["cat", "dog"],
        tolerance={"loss": (1e-3, 0.0)}, digests={"y": "ab12"}, expect={"match": "range"}, raised="ValueError: out of range",
    )  # fmt: skip


# --- round trip ------------------------------------------------------------------------------------------------


@in_one_directory
@given(written=recordings)
def test_any_recording_is_read_as_it_was_written(tmp_path: Path, written: Recording) -> None:
    digest = write_recording(tmp_path, written)
    path = recording_path(tmp_path, written.case)
    assert file_sha256(path) == digest
    assert_same_recording(read_recording(path), written)


@pytest.mark.parametrize("dtype", [">f4", ">i4", ">u2", ">f8"])
def test_an_array_of_the_other_byte_order_is_read_as_the_same_numbers(tmp_path: Path, dtype: str) -> None:
    value = np.arange(5).astype(dtype)  # as files of digits and spectra hold them
    write_recording(tmp_path, make.recording("a/b", labels={"y_true": value}, x=make.observation(value)))
    read = read_recording(recording_path(tmp_path, "a/b"))
    np.testing.assert_array_equal(read.labels["y_true"], np.arange(5))
    np.testing.assert_array_equal(read.observations["x"].value, np.arange(5))


def test_an_array_that_is_a_view_is_read_in_its_own_order(tmp_path: Path) -> None:
    value = np.arange(12.0).reshape(3, 4).T[::-1]
    write_recording(tmp_path, make.recording("a/b", x=make.observation(value)))
    np.testing.assert_array_equal(read_recording(recording_path(tmp_path, "a/b")).observations["x"].value, value)


def test_equal_arrays_of_different_dtype_or_shape_are_kept_apart(tmp_path: Path) -> None:
    arrays = [np.zeros(4, np.int32), np.zeros(4, np.float32), np.zeros((2, 2), np.int32), np.zeros(4, np.int32), np.full(4, -0.0)]
    write_recording(tmp_path, make.recording("a/b", observations={str(n): make.observation(one) for n, one in enumerate(arrays)}))
    read = read_recording(recording_path(tmp_path, "a/b")).observations
    for n, one in enumerate(arrays):
        assert (read[str(n)].value.dtype, read[str(n)].value.shape) == (one.dtype, one.shape)
    assert np.signbit(read["4"].value).all()


def test_expected_values_are_read_with_their_masks_and_directions(tmp_path: Path) -> None:
    expected = {
        "loss": ReferenceValue(value=np.float64(0.5)),
        "gradient/y_pred": ReferenceValue(value=np.zeros((2, 3)), defined=np.eye(2, 3, dtype=bool)),
        "gradient/dense/kernel": ReferenceValue(value=np.ones(2), directions=np.arange(8, dtype=np.int8).reshape(2, 2, 2)),
    }
    written = make.recording("a/b", "jax", loss=1.0, reference_values=expected)
    write_recording(tmp_path, written)
    read = read_recording(recording_path(tmp_path, "a/b")).reference_values
    for name, one in expected.items():
        for field in ("value", "defined", "directions"):
            given, found = getattr(one, field), getattr(read[name], field)
            assert (given is None) == (found is None), (name, field)
            if given is not None:
                np.testing.assert_array_equal(found, given, strict=True)


def test_nan_and_infinity_survive_the_disk(tmp_path: Path) -> None:
    write_recording(tmp_path, make.recording("a/b", loss=np.array([np.nan, np.inf, -np.inf, -0.0])))
    value = read_recording(recording_path(tmp_path, "a/b")).observations["loss"].value
    assert np.isnan(value[0])
    assert value[1:3].tolist() == [np.inf, -np.inf]
    assert np.signbit(value[3])


extra = st.dictionaries(text, text | st.none() | st.lists(st.integers(), max_size=2), max_size=2).map(
    lambda keys: {f"later {key}": value for key, value in keys.items()}
)
strings, counts, exit_states = st.lists(text, max_size=2).map(tuple), st.integers(0, 9), st.sampled_from(ExitState)
shards = st.integers(1, 99).flatmap(lambda of: st.builds(Shard, number=st.integers(1, of), of=st.just(of)))
selections = st.builds(
    Selection,
    paths=strings,
    keyword=text,
    marks=text,
    device=text,
    oracles=st.lists(st.sampled_from(Oracle), unique=True).map(tuple),
    plugins=strings,
    shard=st.none() | shards,
    noise=text,
    noise_of=text,
    injections=strings,
    selected_by=text,
    is_subset=st.none() | st.booleans(),
    extra=extra,
)
problems = st.builds(CaseFileProblem, file=text, line=counts, message=text, extra=extra)
sessions = st.builds(EarlierSession, started=text, exit_state=exit_states, n_recordings=counts, resumed=text, extra=extra)
parts = st.builds(
    MergedPart,
    path=text,
    run=text,
    shard=text,
    exit_state=exit_states,
    n_cases=counts,
    n_recordings=counts,
    started=st.none() | text,
    duration_s=st.none() | st.floats(0, 1e6),
    platform=st.none() | st.dictionaries(text, text, max_size=2),
    extra=extra,
)
environments = st.builds(
    Environment,
    backend=text,
    run=text,
    exit_state=st.sampled_from(["running", "complete", "interrupted"]),
    versions=st.dictionaries(text, text, max_size=2),
    device=text,
    settings=st.dictionaries(text, text, max_size=2),
    selection=selections,
    cases=st.lists(case_ids, max_size=3).map(tuple),
    problems=st.lists(problems, max_size=2).map(tuple),
    sessions=st.lists(sessions, max_size=2).map(tuple),
    parts=st.lists(parts, max_size=2).map(tuple),
    digests=st.dictionaries(case_ids, text, max_size=2),
    duration_s=st.floats(0, 1e6),
)


@in_one_directory
@given(written=environments)
def test_any_environment_is_read_as_it_was_written(tmp_path: Path, written: Environment) -> None:
    write_environment(tmp_path, written)
    assert read_environment(tmp_path) == written


# --- names -----------------------------------------------------------------------------------------------------


def is_safe(path: Path, leg: Path) -> bool:
    below = path.relative_to(leg / "recordings")
    return (
        len(below.parts) == 2
        and ".." not in below.parts
        and all(len(part.encode()) <= 240 for part in below.parts)
        and str(below).isprintable()
        and not set('\\:|?*"<>') & set(str(below))
    )


@given(case=case_ids)
def test_no_case_id_leaves_the_directory_of_its_leg(case: str) -> None:
    assert is_safe(recording_path(Path("leg"), case), Path("leg"))


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_case_id_can_be_written_and_read(tmp_path: Path, case: str) -> None:
    write_recording(tmp_path, make.recording(case, loss=1.0))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [recording_path(tmp_path, case)]
    assert read_recording(files[0]).case == case


def test_all_hostile_case_ids_live_side_by_side(tmp_path: Path) -> None:
    for case in HOSTILE:
        write_recording(tmp_path, make.recording(case, loss=1.0))
    read = [read_recording(path).case for path in tmp_path.rglob("*.safetensors") if path.is_file()]
    assert sorted(read) == sorted(HOSTILE)


@given(one=case_ids, other=case_ids)
def test_two_case_ids_never_share_a_path(one: str, other: str) -> None:
    assert (recording_path(Path(), one) == recording_path(Path(), other)) == (one == other)


@given(rest=st.text(string.ascii_letters, min_size=181, max_size=260))
def test_a_case_named_like_the_short_form_of_another_has_its_own_path(rest: str) -> None:
    short = recording_path(Path(), f"a/{rest}").name.removesuffix(".safetensors")
    assert recording_path(Path(), f"a/{short}") != recording_path(Path(), f"a/{rest}")


def test_an_ordinary_case_id_is_the_name_of_its_file() -> None:
    case = "label_range/one_past_the_last_class[from_logits=True-3]"
    assert recording_path(Path("jax"), case) == Path("jax/recordings") / f"{case}.safetensors"


def test_files_share_their_short_texts(tmp_path: Path) -> None:
    """Ten thousand recordings have the same few names, which would take a third of the memory."""
    recordings = []
    for leg in ("jax", "torch"):
        write_recording(tmp_path / leg, make.recording("a/b", leg, loss=0.5))
        recordings.append(read_recording(recording_path(tmp_path / leg, "a/b")))
    first, second = ((read.case, next(iter(read.observations)), read.observations["loss"].dtype) for read in recordings)
    assert all(map(operator.is_, first, second))


# --- damage ----------------------------------------------------------------------------------------------------


def test_every_flipped_bit_in_a_recording_is_refused(tmp_path: Path) -> None:
    write_recording(tmp_path, a_small_recording())
    path = recording_path(tmp_path, "a/b[c]")
    content = path.read_bytes()
    for index in range(len(content)):
        for bit in (0x01, 0x20, 0x80):  # another digit, another case, no ASCII any more
            damaged = bytearray(content)
            damaged[index] ^= bit
            path.write_bytes(damaged)
            with pytest.raises(UnreadableInput, match=r"b\[c\]"):
                read_recording(path)


def test_every_truncation_of_a_recording_is_refused(tmp_path: Path) -> None:
    write_recording(tmp_path, a_small_recording())
    path = recording_path(tmp_path, "a/b[c]")
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UnreadableInput):
            read_recording(path)


def test_every_flipped_bit_in_an_environment_is_refused(tmp_path: Path) -> None:
    problem = CaseFileProblem(file="x", line=3, message="does not import")
    write_environment(tmp_path, make.environment("jax", ["a/b"], digests={"a/b": "ab12"}, problems=(problem,)))
    path = tmp_path / "environment.json"
    content = path.read_bytes()
    for index in range(len(content)):
        for bit in (0x01, 0x20, 0x80):
            damaged = bytearray(content)
            damaged[index] ^= bit
            path.write_bytes(damaged)
            with pytest.raises(UnreadableInput, match=r"environment\.json"):
                read_environment(tmp_path)


def test_every_truncation_of_an_environment_is_refused(tmp_path: Path) -> None:
    write_environment(tmp_path, make.environment("jax", ["a/b"]))
    path = tmp_path / "environment.json"
    content = path.read_bytes().rstrip()  # the last line feed says nothing
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UnreadableInput):
            read_environment(tmp_path)


def test_bytes_behind_a_recording_are_refused(tmp_path: Path) -> None:
    write_recording(tmp_path, a_small_recording())
    path = recording_path(tmp_path, "a/b[c]")
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UnreadableInput):
        read_recording(path)


def test_a_foreign_safetensors_file_is_refused_as_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.numpy.save({"w": np.zeros(3)}))
    with pytest.raises(UnreadableInput, match="not a recording"):
        read_recording(path)


def test_a_missing_recording_is_unreadable_input(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match=r"gone\.safetensors"):
        read_recording(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_an_environment_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "environment.json").write_bytes(content)
    with pytest.raises(UnreadableInput, match=r"environment\.json"):
        read_environment(tmp_path)


def test_a_missing_environment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match=r"environment\.json: cannot be read.*Record this backend again"):
        read_environment(tmp_path)


# --- versions --------------------------------------------------------------------------------------------------


def test_a_recording_of_a_later_format_is_refused_by_name_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(recording_files, "FORMAT", 2)
        write_recording(tmp_path, a_small_recording())
    path = recording_path(tmp_path, "a/b[c]")
    with pytest.raises(UnreadableInput) as refused:
        read_recording(path)
    assert str(refused.value).startswith(f"{path}: has format 2")
    assert "Upgrade backendcheck" in str(refused.value)


def test_an_environment_of_a_later_format_is_refused_by_name_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(recording_files, "FORMAT", 7)
        write_environment(tmp_path, make.environment("jax"))
    with pytest.raises(UnreadableInput, match=r"environment\.json: has format 7.*Upgrade backendcheck"):
        read_environment(tmp_path)


def test_a_later_format_is_distinguished_from_damage_even_with_other_fields(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text(json.dumps({"format": 9, "legs": []}))
    with pytest.raises(UnreadableInput, match="has format 9"):
        read_environment(tmp_path)


@pytest.mark.parametrize("format_", [0, -1, "1", None, 1.5])
def test_a_recording_without_a_format_version_is_refused(tmp_path: Path, format_: object) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors.numpy.save({"w": np.zeros(1)}, metadata={"backendcheck": json.dumps({"format": format_})}))
    with pytest.raises(UnreadableInput, match="no format version"):
        read_recording(path)


def test_a_recording_with_an_unknown_status_is_refused(tmp_path: Path) -> None:
    write_recording(tmp_path, make.recording("a/b", loss=0.5, status="fine"))
    with pytest.raises(UnreadableInput, match="'fine' is not a valid Status"):
        read_recording(recording_path(tmp_path, "a/b"))


# --- writing ---------------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputInTheWay, match=r"a\.txt: cannot be written \(No space left on device\)"):
        write_atomically(path, b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a.txt", b"old")]


def test_a_file_in_the_place_of_the_output_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputInTheWay, match="cannot be written"):
        write_atomically(tmp_path / "out" / "jax" / "environment.json", b"")


def test_what_is_written_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, b"")
    other = tmp_path / "b.txt"
    other.write_bytes(b"")
    assert path.stat().st_mode == other.stat().st_mode
