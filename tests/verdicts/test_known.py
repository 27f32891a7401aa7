"""Known divergences excuse exactly what they describe, and nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import make
import pytest
from make import BACKENDS, divergence, everywhere

from backendcheck.case_files import BUILT_IN, builtin_cases
from backendcheck.errors import UsageError
from backendcheck.results.results import CaseResult, Results
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.known_entries import load
from backendcheck.verdicts.known_files import find_known, known_place
from backendcheck.verdicts.verdict import Verdict

RAISED = "IndexError: Target 3 is out of bounds."
JAX_DIFFERS = everywhere(loss=1.0) | {"jax": {"loss": 2.0}}
JAX_IS_SILENT = everywhere(raised=RAISED) | {"jax": {"loss": 0.0}}
TODAY = dt.date(2026, 3, 1)


def judged(by_leg: dict[str, dict[str, object]], *known: Divergence) -> CaseResult:
    return make.results({"a/b": by_leg}, known=known, today=TODAY).cases[0]


def verdict(by_leg: dict[str, dict[str, object]], *known: Divergence) -> Verdict:
    return judged(by_leg, *known).verdict


# --- XFAILED ---------------------------------------------------------------------------------------------------


def test_the_divergence_as_described_is_expected() -> None:
    entry = divergence("a/b", "jax")
    found = judged(JAX_DIFFERS, entry)
    assert (found.verdict, found.known, found.changed) == (Verdict.XFAILED, (entry,), ())


def test_without_an_entry_it_is_failed() -> None:
    assert verdict(JAX_DIFFERS) is Verdict.FAILED


def test_the_case_may_be_a_pattern() -> None:
    assert verdict(JAX_DIFFERS, divergence("a/*", "jax")) is Verdict.XFAILED
    assert verdict(JAX_DIFFERS, divergence("b/*", "jax")) is Verdict.FAILED


def test_a_case_with_parameters_may_be_named_as_it_is() -> None:
    results = make.results({"a/b[c]": JAX_DIFFERS}, known=[divergence("a/b[c]", "jax")])
    assert results.cases[0].verdict is Verdict.XFAILED


def test_what_differs_by_raising_is_expected_in_two_legs_as_in_three() -> None:
    entry = divergence("a/b", "jax", "raised")
    two = {leg: JAX_IS_SILENT[leg] for leg in ("jax", "torch")}
    assert verdict(JAX_IS_SILENT, entry) is Verdict.XFAILED
    assert verdict(two, entry) is Verdict.XFAILED


def test_the_entry_is_silent_where_its_backend_did_not_run() -> None:
    two = everywhere(("tensorflow", "torch"), loss=1.0)
    results = make.results({"a/b": two}, known=[divergence("a/b", "jax")], expected=["tensorflow", "torch"])
    assert results.cases[0].verdict is Verdict.PASSED
    assert results.unmatched == ()


def test_two_backends_may_deviate_together() -> None:
    by_leg = everywhere(loss=1.0) | {"torch": {"loss": 2.0}}
    assert verdict(by_leg, divergence("a/b", ["tensorflow", "jax"])) is Verdict.XFAILED


def test_two_entries_may_share_a_case() -> None:
    by_leg = everywhere(loss=1.0, predictions=[1.0]) | {"jax": {"loss": 2.0, "predictions": [1.0, 2.0]}}
    assert verdict(by_leg, divergence("a/b", "jax"), divergence("a/b", "jax", "shape")) is Verdict.XFAILED


def test_several_kinds_may_stand_in_one_entry() -> None:
    by_leg = everywhere(loss=1.0, predictions=[1.0]) | {"jax": {"loss": 2.0, "predictions": [1.0, 2.0]}}
    assert verdict(by_leg, divergence("a/b", "jax", ["value", "shape"])) is Verdict.XFAILED


def test_all_backends_wrong_together_may_be_known() -> None:
    by_leg = everywhere(loss=1.0, reference={"loss": 2.0})
    assert verdict(by_leg, divergence("a/b", BACKENDS, oracles=frozenset({"reference"}))) is Verdict.XFAILED


def test_a_case_that_no_backend_rejects_may_be_known() -> None:
    assert verdict(everywhere(loss=1.0, expect={}), divergence("a/b", BACKENDS, "raised")) is Verdict.XFAILED


# --- changed: FAILED again -------------------------------------------------------------------------------------


def test_another_kind_of_finding_is_failed_again() -> None:
    found = judged(JAX_DIFFERS, divergence("a/b", "jax", "raised"))
    assert found.verdict is Verdict.FAILED
    assert "value between tensorflow and jax (loss) is not the known one" in found.changed


def test_one_more_kind_of_finding_is_failed_again() -> None:
    by_leg = everywhere(loss=1.0, predictions=[1.0]) | {"jax": {"loss": 2.0, "predictions": [1.0, 2.0]}}
    assert verdict(by_leg, divergence("a/b", "jax")) is Verdict.FAILED


def test_one_known_kind_less_is_failed_again() -> None:
    found = judged(JAX_DIFFERS, divergence("a/b", "jax", ["value", "shape"]))
    assert (found.verdict, found.changed) == (Verdict.FAILED, ("the known finding of kind shape did not occur",))


@pytest.mark.parametrize("legs", [("jax",), ("jax", "torch")])
def test_some_legs_need_not_show_the_kinds_of_a_comparison_with_others(legs: tuple[str, ...]) -> None:
    entry = divergence("a/b", BACKENDS, ["value", "shape"])
    assert verdict(everywhere(legs, loss=2.0, reference={"loss": 1.0}), entry) is Verdict.XFAILED
    assert verdict(everywhere(loss=2.0, reference={"loss": 1.0}), entry) is Verdict.FAILED


def test_kinds_of_a_pair_are_asked_for_where_both_legs_are_there() -> None:
    """Between JAX and TensorFlow a value, between JAX and PyTorch an exception."""
    entries = [divergence("a/b", "jax", "value"), divergence("a/b", "jax", "raised")]
    both = everywhere(("tensorflow", "jax"), loss=1.0) | {"jax": {"loss": 2.0}}
    assert verdict(both, *entries) is Verdict.XFAILED
    assert verdict(both | {"torch": {"loss": 1.0}}, *entries) is Verdict.FAILED


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_another_backend_that_deviates_is_failed_again(backend: str) -> None:
    assert verdict(everywhere(loss=1.0) | {backend: {"loss": 2.0}}, divergence("a/b", "jax")) is Verdict.FAILED


def test_one_more_backend_that_deviates_is_failed_again() -> None:
    by_leg = {"tensorflow": {"loss": 1.0}, "jax": {"loss": 2.0}, "torch": {"loss": 3.0}}
    assert verdict(by_leg, divergence("a/b", "jax")) is Verdict.FAILED


def test_fewer_pairs_that_differ_are_failed_again() -> None:
    by_leg = {"tensorflow": {"loss": 1.0}, "jax": {"loss": 1.000012}, "torch": {"loss": 1.000006}}
    found = judged(by_leg, divergence("a/b", "jax"))
    assert (found.verdict, found.changed) == (Verdict.FAILED, ("jax and torch are known to differ and agree",))


def test_one_of_two_deviating_backends_that_was_mended_is_failed_again() -> None:
    assert verdict(JAX_DIFFERS, divergence("a/b", ["jax", "torch"])) is Verdict.FAILED


def test_one_of_three_that_now_meets_the_reference_is_failed_again() -> None:
    wrong, right = {"loss": 1.0, "reference": {"loss": 1.000015}}, {"loss": 1.000008, "reference": {"loss": 1.000015}}
    entry = divergence("a/b", BACKENDS, oracles=frozenset({"reference"}))
    assert verdict(everywhere(**wrong), entry) is Verdict.XFAILED
    found = judged(everywhere(**wrong) | {"torch": right}, entry)
    assert (found.verdict, found.changed) == (Verdict.FAILED, ("torch no longer has the known finding (reference)",))


def test_another_oracle_is_failed_again() -> None:
    assert verdict(JAX_DIFFERS, divergence("a/b", "jax", oracles=frozenset({"reference"}))) is Verdict.FAILED


def test_the_headline_says_what_changed() -> None:
    assert "[changed: " in judged(JAX_DIFFERS, divergence("a/b", "jax", "raised")).headline


# --- XPASSED ---------------------------------------------------------------------------------------------------


def test_a_divergence_that_is_gone_is_xpassed() -> None:
    found = judged(everywhere(loss=1.0), divergence("a/b", "jax"))
    assert found.verdict is Verdict.XPASSED
    assert found.headline.startswith("GONE: ")
    assert "entry 1" in found.headline


def test_a_case_that_now_raises_as_asked_is_xpassed() -> None:
    assert verdict(everywhere(raised=RAISED, expect={}), divergence("a/b", "jax", "raised")) is Verdict.XPASSED


def test_xpassed_fails_the_run() -> None:
    assert make.results({"a/b": everywhere(loss=1.0)}, known=[divergence("a/b", "jax")]).exit_code == 1


def test_two_deviating_backends_alone_cannot_show_that_the_divergence_is_gone() -> None:
    entry = divergence("a/b", ["tensorflow", "torch"], "raised")
    assert verdict(JAX_IS_SILENT, entry) is Verdict.XFAILED
    assert verdict(everywhere(("tensorflow", "torch"), loss=1.0), entry) is Verdict.PASSED
    assert verdict(everywhere(("tensorflow", "jax"), loss=1.0), entry) is Verdict.XPASSED


def test_backends_alone_can_show_that_what_differed_from_the_reference_is_gone() -> None:
    right = everywhere(("tensorflow", "torch"), loss=1.0, reference={"loss": 1.0})
    named = divergence("a/b", ["tensorflow", "torch"], oracles=frozenset({"reference"}))
    assert verdict(right, named) is Verdict.XPASSED
    assert verdict(right, divergence("a/b", BACKENDS)) is Verdict.XPASSED  # all wrong together: who else is there to differ from


# --- never an ERROR --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [{"status": "crashed"}, {"status": "timed out"}, {"loss": 2.0, "digests": {"x": "other"}}, {"status": "error"}],
    ids=lambda one: one.get("status", "inputs"),
)
@pytest.mark.parametrize("kind", ["value", "raised", "missing"])
def test_an_error_is_never_excused(broken: dict[str, object], kind: str) -> None:
    by_leg = everywhere(loss=1.0, digests={"x": "1"}) | {"jax": broken}
    assert verdict(by_leg, divergence("*", BACKENDS, kind)) is Verdict.ERROR


def test_a_missing_leg_is_never_excused() -> None:
    results = make.results({"a/b": everywhere(("jax", "torch"), loss=1.0)}, expected=BACKENDS, known=[divergence("*", BACKENDS)])
    assert results.cases[0].verdict is Verdict.ERROR


# --- where an entry holds --------------------------------------------------------------------------------------


def at_versions(entry: Divergence, **versions: str) -> Verdict:
    legs = make.legs({"a/b": JAX_DIFFERS})
    there = {leg.label: dict(leg.environment.versions) for leg in legs}
    for package, version in versions.items():
        for label, found in there.items():
            if package in ("keras", label):
                found[package] = version
    legs = [make.leg(one.label, *one.recordings.values(), versions=there[one.label]) for one in legs]
    return make.analyze(legs, known=[entry]).cases[0].verdict


@pytest.mark.parametrize(
    ("package", "specifier", "version", "holds"),
    [
        ("keras", ">=3.5,<3.12", "3.11.3", True),
        ("keras", ">=3.5,<3.12", "3.12.0", False),
        ("keras", ">=3.12", "3.13.0.dev20260101", True),
        ("jax", "<0.10", "0.9.2", True),
        ("jax", "<0.10", "0.10.0", False),
        ("torch", "==2.13.*", "2.13.0+cpu", True),
        ("tensorflow", ">=2.16", "2.15.0", False),
    ],
)
def test_an_entry_holds_in_its_version_range_only(package: str, specifier: str, version: str, holds: bool) -> None:
    entry = divergence("a/b", "jax", versions={package: specifier})
    assert at_versions(entry, **{package: version}) is (Verdict.XFAILED if holds else Verdict.FAILED)


def test_an_entry_does_not_hold_at_a_version_that_is_none() -> None:
    assert at_versions(divergence("a/b", "jax", versions={"jax": ">=0.4"}), jax="unknown") is Verdict.FAILED


def test_outside_its_version_range_an_entry_expects_nothing() -> None:
    entry = divergence("a/b", "jax", versions={"keras": "<3"})
    assert verdict(everywhere(loss=1.0), entry) is Verdict.PASSED


@pytest.mark.parametrize(
    ("device", "recorded", "holds"),
    [
        ("gpu", "/physical_device:GPU:0", True),
        ("gpu", "gpu: NVIDIA H200", True),
        ("gpu", "cuda: NVIDIA H200", True),
        ("GPU", "cuda: NVIDIA H200", True),
        ("gpu: NVIDIA H200", "gpu: NVIDIA H200", True),
        ("gpu: NVIDIA H200", "gpu: NVIDIA A100", False),
        ("cpu", "cpu", True),
        ("cpu", "cuda: NVIDIA H200", False),
        ("mps", "mps", True),
        ("gpu", "", False),
    ],
)
def test_a_device_is_compared_by_its_type_however_the_backend_names_it(device: str, recorded: str, holds: bool) -> None:
    entry = divergence("a/b", "jax", device=device)
    assert entry.applies({"jax": make.environment("jax", device=recorded)}) is holds


def test_an_entry_holds_on_its_device_only() -> None:
    assert verdict(JAX_DIFFERS, divergence("a/b", "jax", device="cpu")) is Verdict.XFAILED
    assert verdict(JAX_DIFFERS, divergence("a/b", "jax", device="gpu")) is Verdict.FAILED


def test_an_entry_holds_until_the_end_of_the_day_it_expires() -> None:
    assert verdict(JAX_DIFFERS, divergence("a/b", "jax", expires=TODAY)) is Verdict.XFAILED
    assert verdict(JAX_DIFFERS, divergence("a/b", "jax", expires=TODAY - dt.timedelta(days=1))) is Verdict.FAILED


# --- reported --------------------------------------------------------------------------------------------------


def with_known(*known: Divergence) -> Results:
    return make.results({"a/b": JAX_DIFFERS}, known=known, today=TODAY)


def test_an_entry_that_matches_no_case_is_reported() -> None:
    stray, used = divergence("a/c", "jax", number=1), divergence("a/b", "jax", number=2)
    assert with_known(stray, used).unmatched == (stray,)


def test_an_expired_entry_is_reported() -> None:
    old, used = divergence("a/b", "jax", expires=dt.date(2020, 1, 1)), divergence("a/b", "jax")
    results = with_known(old, used)
    assert results.expired == (old,)
    assert results.cases[0].known == (used,)


# --- the file --------------------------------------------------------------------------------------------------

WHOLE = """
[[divergence]]
case = "label_range/*"
backends = ["jax"]
keras = ">=3.5,<4"
jax = ">=0.4"
device = "cpu"
oracle = "agreement"
kind = ["raised", "value"]
reason = "JAX clamps indices."
link = "https://github.com/keras-team/keras/issues/1"
expires = 2027-01-31

[[divergence]]
case = "a/b"
backends = "torch"
kind = "value"
reason = "rounding"
expires = "2027-02-01"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "known_divergences.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_entry_by_entry(tmp_path: Path) -> None:
    first, second = load(written(tmp_path, WHOLE))
    assert (first.backends, first.kinds, first.oracles) == (frozenset({"jax"}), frozenset({"raised", "value"}), {"agreement"})
    assert first.versions == {"keras": ">=3.5,<4", "jax": ">=0.4"}
    assert (first.expires, second.expires) == (dt.date(2027, 1, 31), dt.date(2027, 2, 1))
    assert second.oracles == {"agreement", "paths", "order", "reference", "expectation"}
    assert (first.number, second.number) == (1, 2)
    assert second.name == "known_divergences.toml, entry 2 (a/b)"


def test_an_empty_file_knows_nothing(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == []


def entry(**changes: str | None) -> str:
    fields = {"case": '"a/b"', "backends": '["jax"]', "kind": '"value"', "reason": '"because"'} | changes
    return "[[divergence]]\n" + "\n".join(f"{key} = {value}" for key, value in fields.items() if value is not None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[divergence]", "is not TOML"),
        ("[divergence]\ncase = 'a'", r"expected \[\[divergence\]\] tables"),
        ("[[divergences]]\ncase = 'a'", r"expected \[\[divergence\]\] tables"),
        ("divergence = ['a']", "entry 1: is not a table"),
        (entry(issue='"x"'), "entry 1: has unknown keys issue; expected some of"),
        (entry(case=None), "entry 1: has no case"),
        (entry(backends=None), "entry 1: has no backends"),
        (entry(backends="[]"), "entry 1: has no backends"),
        (entry(kind=None), "entry 1: has no kind"),
        (entry(reason=None), "entry 1: has no reason"),
        (entry(reason='""'), "entry 1: has no reason"),
        (entry(reason='"  "'), "entry 1: has no reason"),
        (entry(case="5"), "entry 1: case"),
        (entry(reason="5"), "entry 1: reason"),
        (entry(link="5"), "entry 1: link"),
        (entry(device="['cpu']"), "entry 1: device"),
        (entry(backends="5"), "entry 1: backends"),
        (entry(kind="{a = 1}"), "entry 1: kind"),
        (entry(oracle="5"), "entry 1: oracle"),
        (entry(oracle="[]"), "entry 1: .*oracle"),
        (entry(backends='["jax", 5]'), "entry 1: backends"),
        (entry(backends='["pytorch"]'), "names the backend pytorch; expected some of tensorflow, jax, torch"),
        (entry(kind='"values"'), "names the kind values; expected some of raised, missing"),
        (entry(oracle='"agree"'), "names the oracle agree; expected some of expectation, agreement"),
        (entry(keras='"3.5 or later"'), "keras = '3.5 or later': invalid version range"),
        (entry(jax='">=x"'), "jax = '>=x': invalid version range"),
        (entry(keras="3.5"), "keras = "),
        (entry(expires='"soon"'), "expires = 'soon': invalid date"),
        (entry(expires="2027"), "expires = 2027: invalid date"),
        (entry(expires="07:32:00"), "expires = .*: invalid date"),
        (entry() + "\n" + entry(kind='"x"'), "entry 2: names the kind x"),
    ],
)
def test_a_file_that_is_not_as_documented_is_refused_by_file_and_entry(tmp_path: Path, text: str, complaint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=complaint) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ")


def test_an_expiry_with_a_time_is_the_date(tmp_path: Path) -> None:
    assert load(written(tmp_path, entry(expires="2027-01-31T10:00:00Z")))[0].expires == dt.date(2027, 1, 31)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.toml: cannot be read"):
        load(tmp_path / "gone.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"binary\.toml: is not TOML"):
        load(tmp_path / "binary.toml")


def test_the_files_beside_the_cases_and_the_configured_ones_are_in_force_once_each(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "labels.py").write_text("")
    beside = written(tmp_path / "cases", "")
    configured = written(tmp_path, "")
    by_path = [make.leg("jax", selection={"paths": [str(tmp_path / "cases")]})]
    by_node = [make.leg("jax", selection={"paths": [f"{tmp_path}/cases/labels.py::case_a[b]"]})]
    assert find_known(by_path, [configured]) == [configured, beside]
    assert find_known(by_node, [beside]) == [beside]
    assert find_known([*by_path, *by_node], []) == [beside]


def test_an_entry_goes_where_it_is_in_force(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    legs = [make.leg("jax", selection={"paths": [str(tmp_path / "cases")]})]
    beside = tmp_path / "cases" / "known_divergences.toml"
    assert known_place(legs) == beside  # which is not there yet
    assert find_known(legs, []) == []
    beside.write_text("", encoding="utf-8")
    assert find_known(legs, []) == [known_place(legs)] == [beside]
    configured = written(tmp_path, "")
    assert known_place(legs, [configured]) == configured


def test_a_run_of_the_built_in_cases_uses_the_folder_beside_them() -> None:
    beside = builtin_cases() / "known_divergences"
    assert find_known([make.leg("jax", selection={"paths": [BUILT_IN]})], []) == [beside]


def test_a_configured_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.toml: no such file"):
        find_known([], [tmp_path / "no.toml"])


def test_an_entry_may_depend_on_what_is_installed_beside_the_backend():
    without = make.divergence("a/1", "jax", missing=frozenset({"tensorflow"}))
    beside = make.divergence("a/1", "jax", installed=frozenset({"tensorflow"}))
    for versions, applies in (({"tensorflow": "2.21.0"}, (False, True)), ({}, (True, False))):
        legs = {"jax": make.environment("jax", versions={"jax": "0.10.2"} | versions)}
        assert (without.applies(legs), beside.applies(legs)) == applies
