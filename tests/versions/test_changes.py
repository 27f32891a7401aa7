"""What changes between two versions, from recordings that say what each version does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import make
import pytest

from backendcheck.errors import UsageError
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.report import write_reports
from backendcheck.results.results import Results
from backendcheck.verdicts.verdict import Verdict
from backendcheck.versions.changes import Pair, changes_of
from backendcheck.versions.repeats import node_ids
from backendcheck.versions.requirements import leg_with, legs_that_use, parse_requirement, parse_versions
from backendcheck.versions.text import exit_sentence, upgrade_lines
from backendcheck.versions.upgrade import Upgrade
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.leg_names import PackageVersion, parse_leg, parse_legs

OLD, NEW = "jax/keras-3.14.1", "jax"
PAIR = Pair(backend="jax", before=OLD, after=NEW)


def of(leg: str, case: str, **fields: Any) -> Recording:
    return make.recording(case, leg, **fields)


def legs(cases: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> list[Leg]:
    """The two legs, by what a case does before and after."""
    return [
        make.leg(leg, *(of(leg, case, **sides[place]) for case, sides in cases.items())) for place, leg in enumerate((OLD, NEW))
    ]


def judged(before: dict[str, Any], after: dict[str, Any], **repeats: Any) -> Results:
    return changes_of(PAIR, legs({"a/b": (before, after)}), repeats={"a/b": repeats} if repeats else None)


def upgrade(results: Results, **more: Any) -> Upgrade:
    return Upgrade(package="keras", before="3.14.1", after="3.15.1", results={"jax": results}, **more)


def through(path: str, raised: str | None = None, **observed: float) -> tuple[Variant, ...]:
    observations = {name: make.observation(value) for name, value in observed.items()}
    return (Variant(oracle=Oracle.PATHS, path=path, observations=observations, raised=make.raised(raised) if raised else None),)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({"loss": 0.5}, {"loss": 0.7}, "other value"),
        ({"loss": 0.5}, {"loss": float("nan")}, "NaN or infinity"),
        ({"loss": [0.5, float("nan")]}, {"loss": [0.7, float("nan")]}, "other value"),
        ({"loss": [0.5, float("inf")]}, {"loss": [0.5, float("-inf")]}, "NaN or infinity"),
        ({"raised": "ValueError: no"}, {"loss": 0.5}, "exception gone"),
        ({"loss": 0.5}, {"raised": "ValueError: no"}, "new exception"),
        ({"raised": "ValueError: no"}, {"raised": "TypeError: no"}, "other exception"),
        ({"output_order": ["a", "b"]}, {"output_order": ["b", "a"]}, "other order"),
        ({"loss": [0.5]}, {"loss": [0.5, 0.5]}, "other shape"),
        ({"v": make.observation([1, 2], "int64")}, {"v": make.observation([1, 2], "int32")}, "other dtype"),
        ({"loss": 0.5, "value": 1.0}, {"loss": 0.5}, "observation new or gone"),
        ({"loss": 0.5, "variants": through("evaluate", loss=0.7)}, {"loss": 0.5, "variants": through("evaluate", loss=0.5)},
         "other value"),
        ({"loss": 0.5, "variants": through("fit", "ValueError: no")}, {"loss": 0.5, "variants": through("fit", loss=0.5)},
         "exception gone"),
    ],
)  # fmt: skip
def test_what_changes(before: dict[str, Any], after: dict[str, Any], what: str, tmp_path: Path) -> None:
    found = upgrade(judged(before, after))
    assert [(change.case, change.backend, change.what) for change in found.changes] == [("a/b", "jax", what)]
    assert (found.exit_code, found.not_comparable) == (1, [])
    text = "\n".join(upgrade_lines(found, None))
    assert text.startswith(f"{what.upper()}")
    assert "a/b on jax" in text
    assert json.loads(json.dumps(found.as_json()))["changes"][0]["headline"] == found.changes[0].headline != ""
    pages = {path.name for path in write_reports(found.results["jax"], tmp_path)}
    assert "index.html" in pages


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"loss": 0.5}, {"loss": 0.500001}),
        ({"loss": float("nan")}, {"loss": float("nan")}),
        ({"loss": [0.5, float("inf")]}, {"loss": [0.5, float("inf")]}),
        ({"raised": "ValueError: no"}, {"raised": "ValueError: in other words"}),
        # What the reference or a path contradicts on both versions is not about the upgrade.
        ({"loss": 0.5, "reference": {"loss": 0.7}}, {"loss": 0.5, "reference": {"loss": 0.7}}),
        ({"loss": 0.5, "variants": through("evaluate", loss=0.7)}, {"loss": 0.5, "variants": through("evaluate", loss=0.7)}),
        # A path that one version does not take.
        ({"loss": 0.5, "variants": through("evaluate", loss=0.7)}, {"loss": 0.5}),
    ],
)
def test_what_is_the_same_on_both_versions_is_no_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    same = upgrade(judged(before, after))
    assert (same.changes, same.exit_code, exit_sentence(same)) == ((), 0, "exit code 0: nothing changes")


def test_a_change_of_the_value_is_not_told_again_of_each_path() -> None:
    before = {"loss": 0.5, "variants": through("evaluate", loss=0.5)}
    (change,) = upgrade(judged(before, {"loss": 0.7, "variants": through("evaluate", loss=0.7)})).changes
    assert [(str(finding.left), str(finding.right)) for finding in change.findings] == [(OLD, NEW)]


def test_a_change_on_a_path_alone_is_told_as_one() -> None:
    before = {"loss": 0.5, "variants": through("evaluate", loss=0.7)}
    (change,) = upgrade(judged(before, {"loss": 0.5, "variants": through("evaluate", loss=0.5)})).changes
    assert change.headline.startswith("VALUE: loss: 0.7 on jax/keras-3.14.1:evaluate, 0.5 on jax:evaluate")


def test_random_values_are_declared_and_never_a_change() -> None:
    fields = {"not_compared": {"value/x": "draws random numbers"}}
    results = judged({"observations": {"value/x": 0.1}, **fields}, {"observations": {"value/x": 0.9}, **fields})
    assert [result.verdict for result in results.cases] == [Verdict.PASSED]
    lines = list(upgrade_lines(upgrade(results), None))
    assert lines[:2] == ["not compared in 1 case: a/b", "    draws random numbers"]
    assert upgrade(results).exit_code == 3  # nothing at all was compared


def test_what_is_not_the_same_twice_is_no_change() -> None:
    sides = ({"observations": {"value/x": 0.1, "value/y": 1}}, {"observations": {"value/x": 0.9, "value/y": 1}})
    again = of(NEW, "a/b", observations={"value/x": 0.8, "value/y": 1})
    found = upgrade(judged(*sides, **{OLD: of(OLD, "a/b", **sides[0]), NEW: again}))
    assert (found.changes, found.exit_code) == ((), 0)
    assert [result.headline for _, result in found.not_compared] == [
        "NOT COMPARED: value/x: not the same in two recordings on jax"
    ]
    steady = upgrade(judged(*sides, **{OLD: of(OLD, "a/b", **sides[0]), NEW: of(NEW, "a/b", **sides[1])}))
    assert [change.findings[0].observation for change in steady.changes] == ["value/x"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"loss": 0.5}, {"status": "crashed", "problem": "exit code 139"}, "CRASHED: jax crashed: exit code 139"),
        ({"loss": 0.5, "digests": {"x": "a"}}, {"loss": 0.7, "digests": {"x": "b"}}, "were fed different inputs: x"),
        ({}, {}, "NOTHING COMPARED: nothing could be compared"),
    ],
)
def test_what_cannot_be_compared(before: dict[str, Any], after: dict[str, Any], words: str) -> None:
    found = upgrade(judged(before, after))
    assert (found.changes, found.exit_code) == ((), 3)
    assert words in "\n".join(upgrade_lines(found, None))


def test_a_version_that_was_not_recorded() -> None:
    found = upgrade(changes_of(PAIR, legs({"a/b": ({"loss": 0.5}, {"loss": 0.5})})[:1]))
    assert found.exit_code == 3
    assert "PROBLEM jax: its leg" in "\n".join(upgrade_lines(found, None))


def test_groups_and_known_causes() -> None:
    of_jax = changes_of(PAIR, legs({
        "a/one": ({"loss": 0.5}, {"loss": 0.7}), "a/two": ({"loss": 0.5}, {"loss": 0.7}),
        "a/same": ({"loss": 0.5}, {"loss": 0.5}), "a/error": ({"loss": 0.5}, {"raised": "ValueError: no"}),
    }))  # fmt: skip
    found = upgrade(of_jax, known={"a/two": ("Masks are lost.",)})
    groups = [(group["what"], group["cases"]) for group in found.as_json()["groups"]]
    assert groups == [("other value", ["a/one", "a/two"]), ("new exception", ["a/error"])]
    text = "\n".join(upgrade_lines(found, None))
    assert text.count("known: Masks are lost.") == 1
    assert text.endswith("keras 3.14.1 -> 3.15.1 on jax: 3 of 4 cases change")


def test_versions_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backendcheck.vocabulary.backends.installed_version", {"keras": "3.15.1", "torch": "2.13.0+cpu"}.get)
    old, new = parse_versions("Keras == 3.14.1", None)
    assert (old, new) == (PackageVersion("keras", "3.14.1"), PackageVersion("keras", "3.15.1"))
    assert [leg_with(parse_leg("jax+eager"), version).value for version in (old, new)] == ["jax+eager/keras-3.14.1", "jax+eager"]
    with pytest.raises(UsageError, match=r"leg jax/keras-3\.13\.0: names a version of keras itself"):
        leg_with(parse_leg("jax/keras-3.13.0"), old)
    for text in ("keras", "keras>=3.14", "keras==3.14.*", "keras===3", "keras=3.14.1", ""):
        with pytest.raises(UsageError, match=r"not a package in one version; expected PACKAGE==VERSION, such as keras==3\.14\.1"):
            parse_requirement(text, "--from")
    with pytest.raises(UsageError, match=r"--from scipy: other versions of scipy are not implemented yet; expected keras or jax"):
        parse_requirement("scipy==1.1", "--from")
    with pytest.raises(UsageError, match="are one version"):
        parse_versions("keras==3.15.1", None)


def test_versions_of_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backendcheck.vocabulary.backends.installed_version", {"torch": "2.13.0+cpu"}.get)
    assert parse_versions("torch==2.12.0", None)[1] == PackageVersion("torch", "2.13.0")  # the build is no other version
    assert leg_with(parse_leg("torch"), PackageVersion("torch", "2.13.0")).value == "torch"
    selected = parse_legs("tensorflow,jax,torch")
    assert [leg.value for leg in legs_that_use(selected, "torch", are_named=False)] == ["torch"]
    assert legs_that_use(selected, "numpy", are_named=False) == selected
    named = legs_that_use(selected, "torch", are_named=True)
    with pytest.raises(UsageError, match=r"leg 'jax/torch-2\.12\.0': jax does not use torch; expected a leg of torch"):
        [leg_with(leg, PackageVersion("torch", "2.12.0")) for leg in named[1:]]
    with pytest.raises(UsageError, match="torch: none of jax uses it; expected a leg of torch"):
        legs_that_use(parse_legs("jax"), "torch", are_named=False)


def test_the_node_ids_of_cases(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def case_one(): ...\ndef case_two(): ...\n")
    (tmp_path / "b.py").write_text("def case_one(): ...\n")
    assert list(node_ids(["a/two[x-1]", "b/one"], [str(tmp_path)])) == [
        f"{tmp_path}/a.py::case_two[x-1]", f"{tmp_path}/b.py::case_one"
    ]  # fmt: skip
