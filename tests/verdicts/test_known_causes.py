"""Known divergences in a folder, with causes that several entries share."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import make
import pytest

from backendcheck.case_files import builtin_cases
from backendcheck.errors import UsageError
from backendcheck.report.formats import json as json_report
from backendcheck.report.formats import text_case
from backendcheck.report.views.known import known_entries
from backendcheck.verdicts.known_entries import load, load_causes
from backendcheck.verdicts.known_files import file_for, find_known, find_known_of_paths, known_in_force, known_place

CAUSE = """
[cause.clamps]
title = "JAX clamps indices."
explanation = '''
XLA cannot
raise.'''
link = "https://example.org/1"
since = "3.5"
"""


def entry(**changes: str | None) -> str:
    fields = {"case": '"a/b"', "backends": '["jax"]', "kind": '"value"', "reason": '"because"'} | changes
    return "\n[[divergence]]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items() if value is not None)


def written(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def legs(*paths: Path | str) -> list[make.Leg]:
    return [make.leg("jax", selection={"paths": [str(path) for path in paths]})]


# --- causes ----------------------------------------------------------------------------------------------------


def test_an_entry_takes_reason_and_link_from_its_cause(tmp_path: Path) -> None:
    folder = written(tmp_path / "k", a=CAUSE + entry(cause='"clamps"', reason=None))
    (known,) = load(folder)
    assert known.cause is not None
    assert (known.cause.id, known.cause.explanation, known.cause.since) == ("clamps", "XLA cannot raise.", "3.5")
    assert (known.reason, known.link) == ("JAX clamps indices.", "https://example.org/1")


def test_reason_and_link_of_the_entry_come_first(tmp_path: Path) -> None:
    folder = written(tmp_path / "k", a=CAUSE + entry(cause='"clamps"', link='"https://example.org/2"'))
    (known,) = load(folder)
    assert (known.reason, known.link) == ("because", "https://example.org/2")


def test_a_cause_may_be_defined_in_any_file_of_the_folder(tmp_path: Path) -> None:
    folder = written(tmp_path / "k", a=entry(cause='"clamps"', reason=None), zz=CAUSE)
    assert [known.reason for known in load(folder)] == ["JAX clamps indices."]
    assert load_causes(folder)["clamps"].path == folder / "zz.toml"


def test_a_single_file_may_define_causes_too(tmp_path: Path) -> None:
    path = written(tmp_path, known_divergences=CAUSE + entry(cause='"clamps"')) / "known_divergences.toml"
    assert load(path)[0].cause == load_causes(path)["clamps"]


def test_a_cause_that_is_defined_twice_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "k", a=CAUSE, b=CAUSE)
    with pytest.raises(UsageError, match=r"b\.toml: \[cause\.clamps\] is defined in .*a\.toml too"):
        load(folder)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (entry(cause='"clamp"') + "\n" + CAUSE, r"entry 1: names the cause clamp; expected clamps"),
        (entry(cause='"clamp"'), r"entry 1: names the cause clamp; expected one defined as \[cause\.ID\]"),
        (entry(cause="5"), "entry 1: cause = 5; expected a string"),
        ("cause = 5", r"expected \[\[divergence\]\] tables and \[cause\.ID\] tables only"),
        ("[cause]\nclamps = 5", r"\[cause\.clamps\] is not a table"),
        ("[cause.clamps]", r"\[cause\.clamps\] has no title"),
        ('[cause.clamps]\ntitle = " "', r"\[cause\.clamps\] has no title"),
        ("[cause.clamps]\ntitle = 5", r"\[cause\.clamps\] title = 5; expected a string"),
        (CAUSE + 'owner = "x"', r"\[cause\.clamps\] has unknown keys owner; expected some of title, explanation"),
        (CAUSE + 'until = "soon"', r"\[cause\.clamps\] until = 'soon'; expected a version such as '3\.12'"),
        (CAUSE + 'until = "theano 2.1"', r"\[cause\.clamps\] until = 'theano 2\.1'; expected a version"),
        (entry(cases='["a/b"]'), "entry 1: has case and cases; expected one of them"),
        (entry(case=None, cases="[]"), "entry 1: has no case"),
        (entry(case=None, cases='["a/b", ""]'), "entry 1: has an empty pattern in cases"),
        (entry(case=None, cases="[5]"), r"entry 1: cases = \[5\]; expected a string or a list of strings"),
        (entry(outcome='"0.0"'), "entry 1: outcome = '0.0'; expected"),
        (entry(outcome="{}"), r"entry 1: outcome = \{\}; expected"),
        (entry(outcome='{theano = "0.0"}'), r"entry 1: outcome\.theano = '0\.0'; expected"),
        (entry(outcome="{jax = 0.0}"), r"entry 1: outcome\.jax = 0\.0; expected"),
        (entry(outcome='{jax = "fails"}'), r"entry 1: outcome\.jax = 'fails'; expected .*raises TYPE, nan, inf or a number"),
        (entry(observation='"loss"'), "entry 1: names an observation without an outcome"),
    ],
)
def test_what_is_not_as_documented_is_refused_by_file_and_place(tmp_path: Path, text: str, complaint: str) -> None:
    folder = written(tmp_path / "k", a=text)
    with pytest.raises(UsageError, match=complaint) as refused:
        load(folder)
    assert str(refused.value).startswith(f"{folder / 'a.toml'}: ")


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("3.12", "", "since Keras 3.12"),
        ("", "torch 2.14", "until torch 2.14"),
        ("3.4", "3.6.1", "since Keras 3.4, until Keras 3.6.1"),
        ("", "", ""),
    ],
)
def test_a_cause_says_in_words_in_which_versions(tmp_path: Path, since: str, until: str, words: str) -> None:
    bounds = "".join(f'{key} = "{bound}"\n' for key, bound in (("since", since), ("until", until)) if bound)
    folder = written(tmp_path / "k", a=f'[cause.x]\ntitle = "t"\n{bounds}')
    assert load_causes(folder)["x"].versions == words


# --- entries ---------------------------------------------------------------------------------------------------


def test_cases_stand_for_an_entry_each(tmp_path: Path) -> None:
    folder = written(tmp_path / "k", a=entry() + entry(case=None, cases='["a/c", "a/d*"]'))
    assert [(known.case, known.number) for known in load(folder)] == [("a/b", 1), ("a/c", 2), ("a/d*", 2)]
    assert load(folder)[2].name == "k/a.toml, entry 2 (a/d*)"


def test_entries_of_a_folder_are_read_file_by_file(tmp_path: Path) -> None:
    folder = written(tmp_path / "k", b=entry(case='"b/1"'), a=entry(case='"a/1"'))
    written(folder / "deeper", c=entry(case='"c/1"'))
    (folder / "README.md").write_text("not read")
    assert [(known.source, known.in_folder) for known in load(folder)] == [
        ("k/a.toml", True), ("k/b.toml", True), ("k/deeper/c.toml", True),
    ]  # fmt: skip
    assert not load(folder / "a.toml")[0].in_folder


def test_an_outcome_is_read(tmp_path: Path) -> None:
    outcome = '{jax = "0.0", torch = "raises IndexError", tensorflow = "nan"}'
    (known,) = load(written(tmp_path / "k", a=entry(outcome=outcome, observation='"value/x[0]"')))
    assert {backend: str(text) for backend, text in known.outcome.items()} == {
        "jax": "0.0", "torch": "raises IndexError", "tensorflow": "nan",
    }  # fmt: skip
    assert known.outcome["torch"].raises == "IndexError"
    assert known.observation == "value/x[0]"


# --- where they are --------------------------------------------------------------------------------------------


def test_file_and_folder_are_both_in_force(tmp_path: Path) -> None:
    written(tmp_path / "cases", known_divergences=entry(case='"x/1"'))
    folder = written(tmp_path / "cases" / "known_divergences", y=entry(case='"y/1"'))
    assert find_known(legs(tmp_path / "cases"), []) == [tmp_path / "cases" / "known_divergences.toml", folder]
    assert [known.case for known in known_in_force(legs(tmp_path / "cases"), [])] == ["x/1", "y/1"]


def test_a_folder_may_be_configured_or_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "kept", y=entry(case='"y/1"'))
    beside = written(tmp_path / "cases" / "known_divergences", z=entry(case='"z/1"'))
    assert find_known(legs(tmp_path / "cases"), [folder]) == [folder, beside]
    assert [known.case for known in known_in_force(legs(tmp_path / "cases"), [], [folder])] == ["y/1"]


def test_the_folder_above_a_case_file_is_found_up_to_the_root_of_the_project(tmp_path: Path) -> None:
    case_file = tmp_path / "cases" / "topic" / "labels.py"
    case_file.parent.mkdir(parents=True)
    case_file.write_text("")
    folder = written(tmp_path / "cases" / "known_divergences", labels=entry())
    beyond = written(tmp_path / "known_divergences", labels=entry())
    for path in (case_file, case_file.parent, f"{case_file}::case_a[b]"):
        assert find_known(legs(path), []) == []  # nothing says where the project ends
    (tmp_path / "cases" / "pyproject.toml").write_text("")
    for path in (case_file, case_file.parent, f"{case_file}::case_a[b]"):
        assert find_known(legs(path), []) == [folder]
    (tmp_path / "cases" / "pyproject.toml").unlink()
    (tmp_path / ".git").mkdir()
    assert find_known(legs(case_file), []) == [folder, beyond]
    assert find_known(legs(tmp_path), []) == [beyond, folder]


def test_above_the_root_of_the_project_nothing_is_looked_for(tmp_path: Path) -> None:
    written(tmp_path / "known_divergences", labels=entry())
    (tmp_path / ".git").mkdir()
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "pyproject.toml").write_text("")
    assert find_known(legs(tmp_path / "cases"), []) == []


def test_folders_below_a_directory_are_found(tmp_path: Path) -> None:
    folder = written(tmp_path / "cases" / "topic" / "known_divergences", labels=entry())
    written(tmp_path / "cases" / ".hidden" / "known_divergences", labels=entry())
    written(tmp_path / "cases" / "build" / "known_divergences", labels=entry())
    written(tmp_path / "cases" / "env" / "known_divergences", labels=entry())
    (tmp_path / "cases" / "env" / "pyvenv.cfg").write_text("")
    assert find_known(legs(tmp_path / "cases"), []) == [folder]


def test_a_built_in_case_file_by_itself_has_the_built_in_known_divergences() -> None:
    path = next(builtin_cases().rglob("label_range.py"))
    assert find_known_of_paths([str(path)], []) == [builtin_cases() / "known_divergences"]


def test_an_entry_from_above_is_unmatched_only_where_its_case_file_ran(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "cases" / "topic").mkdir(parents=True)
    known = {"a": entry(case='"a/gone"'), "z": entry(case='"z/elsewhere"')}
    written(tmp_path / "cases" / "known_divergences", **known)
    for paths, unmatched in (([tmp_path / "cases" / "topic"], ["a/gone"]), ([tmp_path / "cases"], ["a/gone", "z/elsewhere"])):
        leg = make.leg("jax", make.recording("a/b", "jax", loss=1.0), selection={"paths": [str(path) for path in paths]})
        results = make.analyze([leg], known=known_in_force([leg], []))
        assert [entry.case for entry in results.unmatched] == unmatched


def test_an_entry_goes_into_the_file_of_its_case_file(tmp_path: Path) -> None:
    folder = written(tmp_path / "cases" / "known_divergences")
    assert known_place(legs(tmp_path / "cases")) == folder
    assert file_for(folder, "labels/a[b]") == folder / "labels.toml"
    single = tmp_path / "known_divergences.toml"
    assert file_for(single, "labels/a[b]") == single


def test_case_files_that_differ_in_upper_and_lower_case_share_a_file_of_entries(tmp_path: Path) -> None:
    (tmp_path / "names.toml").touch()
    assert file_for(tmp_path, "Names/a") == file_for(tmp_path, "names/a") == tmp_path / "names.toml"
    assert file_for(tmp_path, "con/a") == tmp_path / "%63on.toml"
    (tmp_path / "aux.toml").touch()
    assert file_for(tmp_path, "aux/a") == tmp_path / "aux.toml"


def test_two_files_of_entries_that_are_one_file_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "names.toml").touch()
    assert load(tmp_path) == []
    (tmp_path / "Names.toml").touch()
    words = r"names\.toml: its name differs from Names\.toml only in upper and lower case"
    with pytest.raises(UsageError, match=words):
        load(tmp_path)


# --- the built-in ones -----------------------------------------------------------------------------------------


def test_the_built_in_known_divergences_are_grouped_into_causes_that_explain() -> None:
    folder = builtin_cases() / "known_divergences"
    entries, causes = load(folder), load_causes(folder)
    assert len(entries) > 400
    assert 60 < len(causes) < len(entries) / 3
    assert all(known.cause is not None for known in entries)
    for cause in causes.values():
        assert cause.title.endswith(".")
        assert len(cause.explanation) > 40


def test_the_wheel_carries_them() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"]["cases"] == "backendcheck/cases"
    assert "exclude" not in wheel


def test_a_cause_that_one_file_uses_is_defined_there_and_others_in_one_place() -> None:
    folder = builtin_cases() / "known_divergences"
    users: dict[str, set[Path]] = {}
    for known in load(folder):
        assert known.cause is not None
        users.setdefault(known.cause.id, set()).add(known.path)
    for name, cause in load_causes(folder).items():
        assert cause.path == (users[name].pop() if len(users[name]) == 1 else folder / "causes.toml"), name


# --- in reports ------------------------------------------------------------------------------------------------


def test_reports_have_cause_and_outcome(tmp_path: Path) -> None:
    outcome = '{jax = "2.0"}'
    place = written(tmp_path / "k", a=CAUSE + entry(cause='"clamps"', reason=None, outcome=outcome, keras='">=3.5"'))
    results = make.results({"a/b": make.everywhere(loss=1.0) | {"jax": {"loss": 2.0}}}, known=load(place))
    report = json.loads(json_report.render(results))
    assert report["known"]["causes"] == {
        "clamps": {
            "title": "JAX clamps indices.", "explanation": "XLA cannot raise.", "link": "https://example.org/1", "since": "3.5",
            "until": None,
        }
    }  # fmt: skip
    (known,) = report["results"][0]["known"]
    assert (known["cause"], known["outcome"]) == ("clamps", {"jax": "2.0"})
    assert (known["backends"], known["versions"]) == (["jax"], {"keras": ">=3.5"})
    assert known_entries(results)[0].conditions == "jax; value; keras >=3.5; jax 2.0"


def test_show_explains_the_cause_only_at_length(tmp_path: Path) -> None:
    place = written(tmp_path / "k", a=CAUSE + entry(cause='"clamps"', reason=None))
    results = make.results({"a/b": make.everywhere(loss=1.0) | {"jax": {"loss": 2.0}}}, known=load(place))
    short, long = ("\n".join(text_case.case(results.cases[0], results, verbose=verbose)) for verbose in (False, True))
    assert "JAX clamps indices." in short
    assert "XLA cannot raise." not in short
    assert "XLA cannot raise." in long
