"""`backendcheck known`: list, check, add, refresh and prune, by what a run has shown."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from pathlib import Path

import make
import pytest
from forked import backendcheck
from front_door import Ended, project
from make import everywhere
from pieces import SELECTION

from backendcheck.case_files import builtin_cases, case_functions, find_case_files
from backendcheck.errors import UsageError
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.results.known_add import add, entries_for
from backendcheck.results.known_check import EntryProblem, KnownProblem, check_known
from backendcheck.results.known_edit import entries_of, toml_list, toml_string
from backendcheck.results.known_refresh import prune, refresh
from backendcheck.results.results import Results
from backendcheck.verdicts.known_entries import load, load_causes
from backendcheck.verdicts.verdict import Verdict

TODAY = dt.date(2026, 3, 1)
JAX_DIFFERS = everywhere(loss=1.0) | {"jax": {"loss": 2.0}}
JAX_IS_SILENT = everywhere(raised="IndexError: Target 3 is out of bounds.") | {"jax": {"loss": 0.0}}
ALIKE = everywhere(loss=1.0)
CAUSES = """# Causes.

[cause.clamps]
title = "JAX clamps indices."
link = "https://example.org/1"

[cause.drops]
title = "JAX drops labels."
"""


def entry(case: str, *lines: str, kind: str = "value") -> str:
    name = f"cases = {case}" if case.startswith("[") else f'case = "{case}"'
    return "\n".join(["[[divergence]]", name, 'backends = ["jax"]', f'kind = "{kind}"', *(lines or ['reason = "r"'])]) + "\n"


def folder(tmp_path: Path, **files: str) -> Path:
    place = tmp_path / "known_divergences"
    project(place, {f"{name}.toml": text for name, text in files.items()})
    for name, text in files.items():
        (place / f"{name}.toml").write_text(text, encoding="utf-8")
    return place


def analyzed(place: Path, cases: dict[str, dict[str, dict[str, object]]], **analysis: object) -> Results:
    return make.results(cases, known=load(place), today=TODAY, **analysis)


def at_keras(place: Path, version: str, cases: dict[str, dict[str, dict[str, object]]]) -> Results:
    legs = make.legs(cases)
    moved = [
        make.leg(leg.label, *leg.recordings.values(), versions={**leg.environment.versions, "keras": version}) for leg in legs
    ]  # fmt: skip
    return make.analyze(moved, known=load(place), today=TODAY)


# --- check -----------------------------------------------------------------------------------------------------


def problems(place: Path, results: Results | None = None, functions: tuple[str, ...] = ()) -> list[tuple[EntryProblem, str]]:
    found = check_known(load(place), load_causes(place), today=TODAY, results=results, functions=functions)
    return [(problem.code, problem.where) for problem in found]


def errors(place: Path, results: Results | None = None, functions: tuple[str, ...] = ()) -> list[tuple[EntryProblem, str]]:
    return [problem for problem in problems(place, results, functions) if problem[0].is_error]


def test_what_is_as_it_should_be_has_no_problem(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b", 'cause = "clamps"'), causes=CAUSES.partition("[cause.drops]")[0])
    assert problems(place, analyzed(place, {"a/b": JAX_DIFFERS}), ("a/b",)) == []


def test_a_divergence_that_is_gone_is_stale_and_one_that_changed_is_changed(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/gone") + entry("a/changed", kind="shape"))
    assert errors(place, analyzed(place, {"a/gone": ALIKE, "a/changed": JAX_DIFFERS})) == [
        (EntryProblem.STALE, "known_divergences/a.toml, entry 1 (a/gone)"),
        (EntryProblem.CHANGED, "known_divergences/a.toml, entry 2 (a/changed)"),
    ]


def test_a_failed_case_without_an_entry_is_no_matter_of_entries(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b"))
    assert errors(place, analyzed(place, {"a/b": JAX_DIFFERS, "a/new": JAX_DIFFERS})) == []


def test_a_pattern_that_matches_no_case_of_the_run_is_unmatched(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry('["a/b", "a/typo"]'))
    expected = [(EntryProblem.UNMATCHED, "known_divergences/a.toml, entry 1 (a/typo)")]
    assert errors(place, analyzed(place, {"a/b": JAX_DIFFERS})) == expected


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("a/b", True), ("a/b[x]", True), ("a/b[[]*", True), ("a/*", True), ("a/[bc]", True), ("a/bb", False), ("b/b", False)],
)
def test_without_a_run_patterns_are_compared_with_the_case_functions(tmp_path: Path, pattern: str, matches: bool) -> None:
    place = folder(tmp_path, **{pattern[0]: entry(pattern)})
    assert (errors(place, functions=("a/b", "a/c")) == []) is matches


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        (entry("a/b"), entry("a/b"), True),
        (entry("a/b"), entry("a/*"), True),
        (entry("a/*"), entry("a/b"), True),
        (entry("a/b[c]"), entry("a/b[[]*"), True),
        (entry("a/b[c]"), entry("a/b[c]"), True),
        (entry("a/b"), entry("a/c"), False),
        (entry("a/b"), entry("a/b", kind="shape"), False),
        (entry("a/b"), entry("a/b").replace("jax", "torch"), False),
        (entry("a/b", 'reason = "r"', 'oracle = "order"'), entry("a/b", 'reason = "r"', 'oracle = "paths"'), False),
        (entry("a/b", 'reason = "r"', 'keras = ">=3.14"'), entry("a/b", 'reason = "r"', 'keras = ">=3.5,<3.14"'), False),
        (entry("a/b", 'reason = "r"', 'keras = ">=3.14"'), entry("a/b", 'reason = "r"', 'keras = "<=3.14"'), True),
        (entry("a/b", 'reason = "r"', 'keras = "<3.14"'), entry("a/b", 'reason = "r"', 'keras = "<3.12"'), True),
        (entry("a/b", 'reason = "r"', 'keras = "==3.14.*"'), entry("a/b", 'reason = "r"', 'keras = ">3.14.0"'), True),
        (entry("a/b", 'reason = "r"', 'keras = ">=3.14"'), entry("a/b", 'reason = "r"', 'jax = "<0.9"'), True),
        (entry("a/b", 'reason = "r"', 'installed = "tensorflow"'), entry("a/b", 'reason = "r"', 'missing = "tensorflow"'), False),
        (entry("a/b", 'reason = "r"', 'missing = "tensorflow"'), entry("a/b", 'reason = "r"', 'installed = "tensorflow"'), False),
        (entry("a/b", 'reason = "r"', 'device = "cpu"'), entry("a/b", 'reason = "r"', 'device = "gpu"'), False),
        (entry("a/b", 'reason = "r"', 'device = "cpu"'), entry("a/b"), True),
        (entry("a/b"), entry("a/b", 'reason = "r"', 'device = "cpu"'), True),
        (entry("a/b", 'reason = "r"', 'installed = "tensorflow"'), entry("a/b"), True),
        (entry("a/b"), entry("a/b", 'reason = "r"', 'installed = "tensorflow"'), True),
        (entry("a/b", 'reason = "r"', 'missing = "tensorflow"'), entry("a/b"), True),
    ],
)
def test_entries_that_excuse_the_same_finding_overlap(tmp_path: Path, first: str, second: str, overlap: bool) -> None:
    place = folder(tmp_path, a=f"{first}\n{second}")
    expected = [(EntryProblem.OVERLAPPING, load(place)[0].name)] if overlap else []
    assert errors(place) == expected


def test_an_entry_for_any_case_file_overlaps_with_those_of_each(tmp_path: Path) -> None:
    place = tmp_path / "known.toml"
    place.write_text(entry("*/b") + entry("a/b") + entry("c/b"))
    assert [code for code, _ in errors(place)] == [EntryProblem.OVERLAPPING] * 2
    place.write_text(entry("*/b") + entry("*"))
    assert [code for code, _ in errors(place)] == [EntryProblem.OVERLAPPING]


def test_an_entry_that_has_expired_is_reported(tmp_path: Path) -> None:
    yesterday, today = ("expires = 2026-02-28", "expires = 2026-03-01")
    place = folder(tmp_path, a=entry("a/b", 'reason = "r"', yesterday) + entry("a/c", 'reason = "r"', today))
    assert errors(place) == [(EntryProblem.EXPIRED, "known_divergences/a.toml, entry 1 (a/b)")]


def test_an_entry_in_the_file_of_another_case_file_is_misplaced(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b") + entry("b/c") + entry("*/d"))
    assert errors(place) == [(EntryProblem.MISPLACED, "known_divergences/a.toml, entry 2 (b/c)")]
    assert errors(place / "a.toml") == []


def test_a_cause_of_nothing_is_unused(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b", 'cause = "clamps"'), causes=CAUSES)
    assert problems(place) == [(EntryProblem.UNUSED, "known_divergences/causes.toml, cause drops")]


def test_what_has_no_link_is_a_note(tmp_path: Path) -> None:
    with_causes = entry("a/b", 'cause = "drops"') + entry("a/c", 'cause = "clamps"')
    place = folder(tmp_path, a=with_causes + entry("a/d") + entry("a/e", 'reason = "r"', 'link = "l"'), causes=CAUSES)
    assert errors(place) == []
    assert problems(place) == [
        (EntryProblem.NO_LINK, "known_divergences/a.toml, entry 3 (a/d)"),
        (EntryProblem.NO_LINK, "known_divergences/causes.toml, cause drops"),
    ]


def test_entries_with_links_of_their_own_are_enough(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b", 'cause = "drops"', 'link = "l"'), causes='[cause.drops]\ntitle = "t"\n')
    assert problems(place) == []


def test_a_problem_is_one_line_with_what_to_do() -> None:
    problem = KnownProblem(code=EntryProblem.EXPIRED, where="a.toml, entry 1 (a/b)", what="expired on 2026-01-01. Look again.")
    assert str(problem) == "expired: a.toml, entry 1 (a/b): expired on 2026-01-01. Look again."


def test_the_built_in_known_divergences_are_in_order() -> None:
    place = builtin_cases() / "known_divergences"
    functions = tuple(function.id for file in find_case_files([str(builtin_cases())]) for function in case_functions(file))
    assert errors(place, functions=functions) == []


# --- prune -----------------------------------------------------------------------------------------------------

PRUNED = f"""# Kept, as it is.
{entry("a/stays", 'cause = "drops"')}
# About the one that goes.
{entry("a/gone", 'cause = "clamps"')}
# --- A section ---

{entry('["a/gone_too", "a/stays_too", "a/no_case"]')}"""


def test_what_is_stale_is_removed_and_the_rest_stays_byte_for_byte(tmp_path: Path) -> None:
    place = folder(tmp_path, a=PRUNED, causes=CAUSES)
    cases = {"a/stays": JAX_DIFFERS, "a/gone": ALIKE, "a/gone_too": ALIKE, "a/stays_too": JAX_DIFFERS}
    edits = prune(load(place), load_causes(place), analyzed(place, cases))
    assert (place / "a.toml").read_text() == PRUNED  # nothing is written yet
    edits.write()
    removed = entry("a/gone", 'cause = "clamps"')
    expected = PRUNED.replace(f"# About the one that goes.\n{removed}\n", "")
    expected = expected.replace('["a/gone_too", "a/stays_too", "a/no_case"]', '["a/stays_too"]')
    assert (place / "a.toml").read_text() == expected
    assert "clamps" not in (place / "causes.toml").read_text()
    assert (place / "causes.toml").read_text().startswith("# Causes.\n\n[cause.drops]")
    assert edits.messages == [
        "known_divergences/a.toml, entry 2: removed; a/gone does not diverge any more",
        "known_divergences/a.toml, entry 3: narrowed; a/gone_too does not diverge any more; a/no_case matches no case",
        "causes.toml: cause clamps removed; no entry names it any more",
    ]


def test_what_has_expired_is_removed(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b", 'reason = "r"', "expires = 2026-02-28"), b=entry("b/c"))
    prune(load(place), {}, analyzed(place, {"a/b": JAX_DIFFERS, "b/c": JAX_DIFFERS})).write()
    assert not (place / "a.toml").exists()
    assert (place / "b.toml").exists()


def test_a_pattern_of_which_some_cases_diverge_stays(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/*"))
    edits = prune(load(place), {}, analyzed(place, {"a/1": JAX_DIFFERS, "a/2": ALIKE}))
    assert edits.edits == {}
    assert "kept; some of its cases diverge" in edits.messages[0]


def test_an_entry_that_the_run_says_nothing_about_stays(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b", 'reason = "r"', 'keras = "<3"'))
    assert prune(load(place), {}, analyzed(place, {"a/b": ALIKE})).edits == {}


def test_entries_in_another_form_are_left_to_be_edited_by_hand(tmp_path: Path) -> None:
    inline = '[x]\n[[divergence]]\ncase = "a/b"\n'
    path = tmp_path / "known.toml"
    path.write_text(f'divergence = [{{case = "a/b", backends = "jax", kind = "value", reason = "r"}}]\n{inline[:0]}')
    with pytest.raises(UsageError, match="expected tables under a"):
        entries_of(load(path))


def test_a_file_that_cannot_be_edited_safely_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    dotted = entry("a/b", 'reason = "r"', 'outcome.jax = "5.0"', 'outcome.torch = "1.0"')
    path.write_text(dotted)
    edits = refresh(load(path), analyzed(path, {"a/b": JAX_DIFFERS}))
    with pytest.raises(UsageError, match=r"known\.toml: cannot be edited in place"):
        edits.write()
    assert path.read_text() == dotted


# --- refresh ---------------------------------------------------------------------------------------------------


def refreshed(place: Path, results: Results, **options: object) -> str:
    refresh(load(place), results, **options).write()
    return (place / "a.toml").read_text()


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        ('keras = ">=3.5"', "3.16.0", 'keras = ">=3.5,<3.16"'),
        ('keras = ">=3.5,<3.20"', "3.16.1", 'keras = ">=3.5,<3.16.1"'),
        (None, "3.16.0", 'keras = "<3.16"'),
    ],
)
def test_what_is_gone_ends_before_the_version_of_the_run(tmp_path: Path, before: str | None, version: str, after: str) -> None:
    lines = ['reason = "r"', *([before] if before else [])]
    place = folder(tmp_path, a=entry("a/b", *lines))
    changed = refreshed(place, at_keras(place, version, {"a/b": ALIKE}))
    assert changed == entry("a/b", 'reason = "r"', after)
    assert at_keras(place, version, {"a/b": ALIKE}).cases[0].verdict is Verdict.PASSED


def test_what_is_gone_in_the_first_version_that_it_names_is_left_to_prune(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b", 'reason = "r"', 'keras = ">=3.16"'))
    edits = refresh(load(place), at_keras(place, "3.16.0", {"a/b": ALIKE}))
    assert edits.edits == {}
    assert edits.messages[0].endswith("a.toml, entry 1: gone in keras 3.16.0, the first version that it names. Prune it.")


def test_of_several_cases_those_that_are_gone_become_an_entry_of_their_own(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry('["a/b", "a/c"]', 'reason = "r"', 'keras = ">=3.5"  # seen') + "\n# The end.\n")
    changed = refreshed(place, at_keras(place, "3.16.0", {"a/b": ALIKE, "a/c": JAX_DIFFERS}))
    kept = entry('["a/c"]', 'reason = "r"', 'keras = ">=3.5"  # seen')
    ended = entry('["a/b"]', 'reason = "r"', 'keras = ">=3.5,<3.16"')
    assert changed == f"{kept}\n{ended}\n# The end.\n"


def test_another_package_may_have_made_the_difference(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b"))
    assert refreshed(place, analyzed(place, {"a/b": ALIKE}), package="jax") == entry("a/b", 'reason = "r"', 'jax = "<0.10.2"')


def test_what_an_earlier_version_shows_already_begins_there(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b", 'reason = "r"', 'keras = ">=3.15,<4"'))
    changed = refreshed(place, at_keras(place, "3.14.0", {"a/b": JAX_DIFFERS}))
    assert changed == entry("a/b", 'reason = "r"', 'keras = ">=3.14,<4"')


@pytest.mark.parametrize("cases", [{"a/b": ALIKE}, {"a/b": JAX_IS_SILENT}], ids=["nothing", "something else"])
def test_an_earlier_version_that_shows_anything_else_changes_nothing(tmp_path: Path, cases: dict[str, object]) -> None:
    text = entry("a/b", 'reason = "r"', 'keras = ">=3.15"')
    place = folder(tmp_path, a=text)
    assert refreshed(place, at_keras(place, "3.14.0", cases)) == text


def test_what_another_entry_excuses_already_does_not_begin_earlier(tmp_path: Path) -> None:
    text = entry("a/b", 'reason = "r"', 'keras = "<3.15"') + entry("a/b", 'reason = "r"', 'keras = ">=3.15"')
    place = folder(tmp_path, a=text)
    assert refreshed(place, at_keras(place, "3.14.0", {"a/b": JAX_DIFFERS})) == text


def test_an_entry_about_other_versions_of_another_package_does_not_begin_earlier(tmp_path: Path) -> None:
    text = entry("a/b", 'reason = "r"', 'keras = ">=3.15"', 'jax = ">=99"')
    place = folder(tmp_path, a=text)
    assert refreshed(place, at_keras(place, "3.14.0", {"a/b": JAX_DIFFERS})) == text


def test_a_later_version_does_not_begin_an_entry_that_has_ended(tmp_path: Path) -> None:
    text = entry("a/b", 'reason = "r"', 'keras = ">=3.5,<3.14"')
    place = folder(tmp_path, a=text)
    assert refreshed(place, at_keras(place, "3.14.0", {"a/b": JAX_DIFFERS})) == text


def test_an_outcome_becomes_that_of_the_run(tmp_path: Path) -> None:
    before = 'outcome = {jax = "7.0", torch = "raises TypeError"}'
    after = 'outcome = {jax = "2.0", torch = "1.0"}'
    place = folder(tmp_path, a=entry("a/b", 'reason = "r"', before))
    results = analyzed(place, {"a/b": JAX_DIFFERS})
    assert results.cases[0].verdict is Verdict.FAILED
    assert refreshed(place, results) == entry("a/b", 'reason = "r"', after)
    assert analyzed(place, {"a/b": JAX_DIFFERS}).cases[0].verdict is Verdict.XFAILED
    assert refresh(load(place), analyzed(place, {"a/b": JAX_DIFFERS})).edits == {}


def test_an_outcome_that_is_the_same_within_its_tolerance_stays_with_its_comment(tmp_path: Path) -> None:
    text = entry("a/b", 'reason = "r"', 'outcome = {jax = "2.000001"}  # of the loss')
    place = folder(tmp_path, a=text)
    assert refreshed(place, analyzed(place, {"a/b": JAX_DIFFERS})) == text


def test_an_outcome_of_another_observation_becomes_that_of_the_run(tmp_path: Path) -> None:
    by_leg = {leg: {"loss": 1.0, "observations": {"metric/auc": 0.5 if leg == "jax" else 0.25}} for leg in make.BACKENDS}
    place = folder(tmp_path, a=entry("a/b", 'reason = "r"', 'outcome = {jax = "7.0"}', 'observation = "metric/auc"'))
    changed = refreshed(place, analyzed(place, {"a/b": by_leg}))
    assert changed == entry("a/b", 'reason = "r"', 'outcome = {jax = "0.5"}', 'observation = "metric/auc"')


def test_an_outcome_of_what_is_gone_or_did_not_run_stays(tmp_path: Path) -> None:
    lines = ['reason = "r"', 'outcome = {jax = "7.0"}']
    place = folder(tmp_path, a=entry("a/b", *lines) + entry("a/elsewhere", *lines))
    changed = refreshed(place, at_keras(place, "3.16.0", {"a/b": ALIKE}))
    assert changed == entry("a/b", *lines, 'keras = "<3.16"') + entry("a/elsewhere", *lines)


def test_a_package_that_the_run_does_not_have_ends_nothing(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b"))
    two = everywhere(("jax", "torch"), loss=1.0)
    assert refreshed(place, analyzed(place, {"a/b": two}), package="tensorflow") == entry("a/b")


def test_an_outcome_beside_another_finding_stays(tmp_path: Path) -> None:
    text = entry("a/b", 'reason = "r"', 'outcome = {jax = "7.0"}', kind="raised")
    place = folder(tmp_path, a=text)
    assert refreshed(place, analyzed(place, {"a/b": JAX_DIFFERS})) == text


def test_outcomes_are_added_where_asked_to(tmp_path: Path) -> None:
    text = entry("a/b", kind="raised")
    place = folder(tmp_path, a=text)
    results = analyzed(place, {"a/b": JAX_IS_SILENT})
    assert refreshed(place, results) == text
    outcome = 'outcome = {tensorflow = "raises IndexError", jax = "0.0", torch = "raises IndexError"}'
    assert refreshed(place, results, add_outcomes=True) == entry("a/b", 'reason = "r"', outcome, kind="raised")


def test_an_added_outcome_names_the_element_that_differs_most(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b"))
    alike = {"loss": 1.0, "observations": {"gradient/y_pred": [0.0, 0.0, 0.0]}}
    by_leg = everywhere(**alike) | {"jax": {"loss": 1.0, "observations": {"gradient/y_pred": [0.0, 0.25, 0.5]}}}
    outcome = ['outcome = {tensorflow = "0.0", jax = "0.5", torch = "0.0"}', 'observation = "gradient/y_pred[2]"']
    added = refreshed(place, analyzed(place, {"a/b": by_leg}), add_outcomes=True)
    assert added == entry("a/b", 'reason = "r"', *outcome)
    assert analyzed(place, {"a/b": by_leg}).cases[0].verdict is Verdict.XFAILED


def test_an_added_outcome_names_a_single_number_that_differs(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/b"))
    by_leg = {leg: {"loss": 1.0, "observations": {"metric/auc": 0.5 if leg == "jax" else 0.25}} for leg in make.BACKENDS}
    assert 'observation = "metric/auc"\n' in refreshed(place, analyzed(place, {"a/b": by_leg}), add_outcomes=True)


def test_a_case_gets_one_outcome_only(tmp_path: Path) -> None:
    text = entry("a/b", 'reason = "r"', 'oracle = "agreement"') + entry("a/b", 'reason = "r"', 'oracle = "reference"')
    place = folder(tmp_path, a=text)
    by_leg = {leg: values | {"reference": {"loss": 1.0}} for leg, values in JAX_DIFFERS.items()}
    results = analyzed(place, {"a/b": by_leg})
    assert results.cases[0].verdict is Verdict.XFAILED
    assert [bool(known.outcome) for known in load(place)] == [False, False]
    refreshed(place, results, add_outcomes=True)
    assert [bool(known.outcome) for known in load(place)] == [True, False]
    assert refresh(load(place), analyzed(place, {"a/b": by_leg}), add_outcomes=True).edits == {}


def test_cases_with_different_outcomes_get_none_together(tmp_path: Path) -> None:
    text = entry('["a/b", "a/c"]')
    place = folder(tmp_path, a=text)
    other = everywhere(loss=1.0) | {"jax": {"loss": 3.0}}
    results = analyzed(place, {"a/b": JAX_DIFFERS, "a/c": other})
    assert refresh(load(place), results, add_outcomes=True).messages == []
    assert refreshed(place, results, add_outcomes=True) == text
    place = folder(tmp_path, a=entry('["a/b", "a/c"]', 'reason = "r"', 'outcome = {jax = "7.0"}'))
    edits = refresh(load(place), analyzed(place, {"a/b": JAX_DIFFERS, "a/c": other}))
    assert edits.edits == {}
    assert "outcome kept; its cases differ in theirs" in edits.messages[0]


def test_text_and_orders_get_no_outcome(tmp_path: Path) -> None:
    text = entry("a/b", kind="order")
    place = folder(tmp_path, a=text)
    by_leg = everywhere(output_order=["b", "a"], loss=1.0) | {"jax": {"output_order": ["a", "b"], "loss": 1.0}}
    results = analyzed(place, {"a/b": by_leg})
    assert results.cases[0].verdict is Verdict.XFAILED
    assert refreshed(place, results, add_outcomes=True) == text


# --- add -------------------------------------------------------------------------------------------------------


def failed(cases: dict[str, dict[str, dict[str, object]]]) -> Results:
    return make.results(cases, today=TODAY)


def test_an_entry_that_is_added_excuses_the_case(tmp_path: Path) -> None:
    (text,) = entries_for(failed({"a/b": JAX_DIFFERS}).cases[0], reason='It "differs".', since={"keras": "3.15"})
    assert text == (
        '[[divergence]]\ncase = "a/b"\nbackends = ["jax"]\nkeras = ">=3.15"\noracle = "agreement"\nkind = "value"\n'
        'reason = "It \\"differs\\"."\n'
    )  # fmt: skip
    path = tmp_path / "known_divergences.toml"
    add(path, [text])
    assert analyzed(path, {"a/b": JAX_DIFFERS}).cases[0].verdict is Verdict.XFAILED


def test_an_entry_may_name_a_cause_of_the_folder_instead_of_a_reason(tmp_path: Path) -> None:
    place = folder(tmp_path, causes=CAUSES)
    entries = entries_for(failed({"a/b": JAX_DIFFERS}).cases[0], reason="", cause="clamps")
    add(place / "a.toml", entries, place=place)
    assert (place / "a.toml").read_text().startswith('[[divergence]]\ncause = "clamps"\ncase = "a/b"\n')
    assert [known.reason for known in load(place)] == ["JAX clamps indices."]


def test_a_cause_that_is_not_defined_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    place = folder(tmp_path, a=entry("a/x"), causes=CAUSES)
    entries = entries_for(failed({"a/b": JAX_DIFFERS}).cases[0], reason="", cause="clamp")
    for name in ("a", "b"):
        with pytest.raises(UsageError, match="names the cause clamp; expected clamps, drops"):
            add(place / f"{name}.toml", entries, place=place)
    assert (place / "a.toml").read_text() == entry("a/x")
    assert not (place / "b.toml").exists()


@pytest.mark.parametrize(
    ("cases", "complaint"),
    [({"a/b": ALIKE}, "expected a FAILED case"), ({"a/b": ALIKE | {"jax": {"status": "crashed"}}}, "is an ERROR")],
    ids=["passed", "error"],
)
def test_what_has_not_failed_gets_no_entry(cases: dict[str, dict[str, dict[str, object]]], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        entries_for(failed(cases).cases[0], reason="r")


# --- TOML ------------------------------------------------------------------------------------------------------


def test_strings_are_quoted_so_that_they_are_read_back() -> None:
    assert toml_string("plain") == '"plain"'
    assert toml_string('an "accuracy"') == "'an \"accuracy\"'"
    assert toml_string('it\'s "x"') == '"it\'s \\"x\\""'
    assert toml_string('a "\\n"') == '"a \\"\\\\n\\""'
    assert toml_list(["a"]) == '["a"]'
    assert toml_list(["a" * 60, "b" * 60]) == f'[\n    "{"a" * 60}",\n    "{"b" * 60}",\n]'


# --- at the front door -----------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A project with a run of two cases, one of which is known."""
    files = {
        "pyproject.toml": '[tool.backendcheck]\npaths = ["cases"]\n',
        "cases/labels.py": "def case_silent():\n    '''Raises.'''\n\n\ndef case_new():\n    '''Agrees.'''\n",
    }
    project(tmp_path, files)
    folder(tmp_path / "cases", labels=entry("labels/silent", 'cause = "drops"', 'keras = ">=3.5"', kind="raised"), causes=CAUSES)
    (tmp_path / "cases/known_divergences/causes.toml").write_text(CAUSES + 'explanation = "Rows of zeros."\nsince = "3.5"\n')
    for backend in make.BACKENDS:
        observed = {"labels/silent": JAX_IS_SILENT[backend], "labels/new": JAX_DIFFERS[backend]}
        recordings = [make.recording(case, backend, run="1", **values) for case, values in observed.items()]
        leg = tmp_path / "reports/latest" / backend
        digests = {recording.case: write_recording(leg, recording) for recording in recordings}
        write_environment(leg, make.environment(backend, tuple(observed), run="1", digests=digests, selection=SELECTION))
    return tmp_path


def known_command(world: Path, *arguments: object) -> Ended:
    return backendcheck("known", *arguments, cwd=world)


def test_list_shows_causes_with_cases_backends_versions_and_link(world: Path) -> None:
    ended = known_command(world, "list")
    assert ended.exit_code == 0
    assert "drops\n  JAX drops labels.\n  since Keras 3.5\n    labels/silent  jax; keras >=3.5\n" in ended.out
    assert "clamps" not in ended.out
    assert "1 entries, 2 causes, 0 of them with a link" in ended.out
    assert "Rows of zeros." not in ended.out
    assert "Rows of zeros." in known_command(world, "list", "--cause", "drops").out
    wrong = known_command(world, "list", "--cause", "drop")
    assert (wrong.exit_code, "no such cause; expected the ID of a [cause.ID]." in wrong.err) == (2, True)


def test_check_ends_with_one_where_something_is_wrong(world: Path) -> None:
    unused = known_command(world, "check")
    assert (unused.exit_code, "unused: known_divergences/causes.toml, cause clamps" in unused.out) == (1, True)
    causes = world / "cases/known_divergences/causes.toml"
    causes.write_text('[cause.drops]\ntitle = "JAX drops labels."\n')
    clean = known_command(world, "check", "--run", "reports/latest")
    assert (clean.exit_code, "0 errors, 1 note" in clean.out) == (0, True)
    assert known_command(world, "check", "--require-links").exit_code == 1
    (world / "cases/labels.py").write_text("def case_renamed():\n    '''Raises.'''\n")
    assert "unmatched: known_divergences/labels.toml, entry 1 (labels/silent)" in known_command(world, "check").out
    (world / "cases/known_divergences/labels.toml").write_text("[[divergence")
    assert known_command(world, "check").exit_code == 2


def test_add_writes_into_the_file_of_the_case_file(world: Path) -> None:
    neither = known_command(world, "add", "labels/new")
    assert (neither.exit_code, "expected --reason TEXT, or --cause ID" in neither.err) == (2, True)
    ended = known_command(world, "add", "labels/new", "--cause", "clamps")
    assert ended.exit_code == 0, ended.err
    path = world / "cases/known_divergences/labels.toml"
    assert path.read_text().endswith(
        '\n[[divergence]]\ncause = "clamps"\ncase = "labels/new"\nbackends = ["jax"]\n'
        'keras = ">=3.15"\noracle = "agreement"\nkind = "value"\n'
    )
    assert known_command(world, "check", "--run", "reports/latest").exit_code == 0


def bisect_json(world: Path, **changed: object) -> None:
    """What a bisect of the value that JAX has otherwise writes."""
    found = {
        "case": "labels/new", "package": "keras", "appears": True, "first": "3.14.0", "release": "3.14.0",
        "link": "https://x/v3.14.0", "target": ["agreement", "tensorflow", "jax", "loss", "value"],
    }  # fmt: skip
    (world / "reports/bisect").mkdir(exist_ok=True)
    (world / "reports/bisect/bisect.json").write_text(json.dumps(found | changed))


def test_add_writes_since_when_as_a_bisect_has_found(world: Path) -> None:
    bisect_json(world)
    ended = known_command(world, "add", "labels/new", "--cause", "clamps", "--bisect")
    assert ended.exit_code == 0, ended.err
    folder = world / "cases/known_divergences"
    text = (folder / "labels.toml").read_text()
    assert 'cause = "clamps"\ncase = "labels/new"\nbackends = ["jax"]\nkeras = ">=3.14.0"\n' in text
    assert "link" not in text
    causes = tomllib.loads((folder / "causes.toml").read_text())["cause"]
    assert causes["clamps"] == {"title": "JAX clamps indices.", "link": "https://example.org/1", "since": "3.14.0"}
    assert 'cause clamps has since = "3.14.0".' in ended.out


def test_add_writes_the_link_into_a_cause_without_one(world: Path) -> None:
    bisect_json(world)
    ended = known_command(world, "add", "labels/new", "--cause", "drops", "--bisect")
    assert ended.exit_code == 0, ended.err
    cause = tomllib.loads((world / "cases/known_divergences/causes.toml").read_text())["cause"]["drops"]
    assert (cause["link"], cause["since"], cause["explanation"]) == ("https://x/v3.14.0", "3.5", "Rows of zeros.")


def test_add_of_an_entry_without_a_cause_has_the_link_itself(world: Path) -> None:
    bisect_json(world, package="jax", first="abc", release="0.10.0")
    ended = known_command(world, "add", "labels/new", "--reason", "JAX clamps the index.", "--bisect", "reports/bisect")
    assert ended.exit_code == 0, ended.err
    text = (world / "cases/known_divergences/labels.toml").read_text()
    assert 'keras = ">=3.15"\njax = ">=0.10.0"\n' in text
    assert 'link = "https://x/v3.14.0"\n' in text


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"case": "labels/other"}, "is about labels/other; expected labels/new"),
        ({"appears": False}, "a finding that disappears in keras 3.14.0; expected one that appears"),
        ({"target": ["agreement", "jax", "torch", "gradient/a", "value"]}, "is about gradient/a (value, agreement), which"),
        ({"release": None}, "names commit 3.14.0, which is in no release yet"),
        ({"package": "numpy-extras"}, "entries have no versions of numpy-extras"),
    ],
)  # fmt: skip
def test_a_bisect_of_something_else_is_refused(world: Path, changed: dict[str, object], complaint: str) -> None:
    before = (world / "cases/known_divergences/labels.toml").read_text()
    missing = known_command(world, "add", "labels/new", "--cause", "clamps", "--bisect")
    assert (missing.exit_code, "Run `backendcheck bisect labels/new` first" in missing.err) == (2, True)
    bisect_json(world, **changed)
    ended = known_command(world, "add", "labels/new", "--cause", "clamps", "--bisect")
    assert (ended.exit_code, complaint in ended.err) == (2, True), ended.err
    assert (world / "cases/known_divergences/labels.toml").read_text() == before


def test_refresh_and_prune_say_first_what_they_would_do(world: Path) -> None:
    path = world / "cases/known_divergences/labels.toml"
    before = path.read_text()
    dry = known_command(world, "refresh", "--add-outcomes", "--dry-run")
    assert (dry.exit_code, path.read_text()) == (0, before)
    assert "1 file would change" in dry.out
    assert "1 file changed" in known_command(world, "refresh", "--add-outcomes").out
    assert path.read_text() == before + 'outcome = {tensorflow = "raises IndexError", jax = "0.0", torch = "raises IndexError"}\n'
    path.write_text(path.read_text().replace("labels/silent", "labels/gone"))
    assert "entry 1: removed; labels/gone matches no case" in known_command(world, "prune", "--dry-run").out
    assert path.exists()
    assert "2 files changed" in known_command(world, "prune").out
    assert not path.exists()


def test_a_folder_without_known_divergences_is_reported(tmp_path: Path) -> None:
    project(tmp_path, {"pyproject.toml": '[tool.backendcheck]\npaths = ["cases"]\n', "cases/labels.py": "def case_a(): ...\n"})
    ended = known_command(tmp_path, "list")
    assert (ended.exit_code, "Name a file or folder: --known PATH" in ended.err) == (2, True)
