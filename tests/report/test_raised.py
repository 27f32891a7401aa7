"""Exceptions in reports: an author's own error and what every backend refuses are told as such, in every format."""

from __future__ import annotations

import json
from dataclasses import replace

import make
import pytest
from make import authors, everywhere

from backendcheck.recordings.recording import Raised
from backendcheck.report.formats import github, junit, sarif, text
from backendcheck.report.formats import json as json_report
from backendcheck.report.html import page
from backendcheck.results.results import CaseResult, Results

TYPO = "AttributeError: module 'keras.losses' has no attribute 'Crossentropi'"
WORDS = f"your case raises at cases/a.py:9: {TYPO}"
REFUSED = "ValueError: Arguments `target` and `output` must have the same shape."


def judged(by_leg: dict[str, dict[str, object]]) -> tuple[Results, CaseResult]:
    results = make.results({"a/b": by_leg})
    return results, results.cases[0]


def raising(**by_leg: Raised) -> dict[str, dict[str, object]]:
    return {leg: {"raised": error} for leg, error in by_leg.items()}


# --- whose error it is -----------------------------------------------------------------------------------------


def test_the_same_line_of_the_author_on_every_backend_is_their_error() -> None:
    results, result = judged(everywhere(raised=authors(TYPO)))
    assert (str(result.verdict), result.headline, result.findings) == ("ERROR", f"ERROR: {WORDS}", ())
    assert results.exit_code == 3


def test_the_folder_of_the_file_and_the_message_may_differ() -> None:
    other = authors("AttributeError: the same in other words", folder="/elsewhere/")
    _, result = judged(raising(tensorflow=authors(TYPO), jax=other, torch=other))
    assert result.headline == f"ERROR: {WORDS}"


@pytest.mark.parametrize(
    "torch",
    [
        authors(TYPO, line=10), authors("TypeError: no"), replace(authors(TYPO), by_author=False), make.raised(TYPO, "case"),
    ],
    ids=["another line", "another type", "of a library", "recorded without a line"],
)  # fmt: skip
def test_what_is_not_proved_on_every_backend_is_as_before(torch: Raised) -> None:
    _, result = judged(raising(tensorflow=authors(TYPO), jax=authors(TYPO), torch=torch))
    assert str(result.verdict) == "FAILED"
    assert result.headline.startswith("RAISED: every backend raises, unasked: AttributeError")


def test_where_one_backend_returns_something_it_is_a_difference() -> None:
    _, result = judged(raising(tensorflow=authors(TYPO), jax=authors(TYPO)) | {"torch": {"loss": 0.5}})
    assert str(result.verdict) == "FAILED"
    assert result.headline.endswith("; torch returns loss 0.5")


def test_what_the_case_expects_is_not_an_error() -> None:
    _, result = judged(everywhere(raised=authors(TYPO), expect={}))
    assert str(result.verdict) == "PASSED"
    _, result = judged(everywhere(raised=authors(TYPO), expect={"type_names": ["IndexError"]}))
    assert str(result.verdict) == "FAILED"


def test_a_backend_without_a_recording_does_not_hide_it() -> None:
    results = make.results({"a/b": raising(jax=authors(TYPO), torch=authors(TYPO))}, expected=make.BACKENDS)
    assert results.cases[0].headline == f"ERROR: {WORDS} (and 1 more)"


def test_what_differs_besides_is_still_told() -> None:
    by_leg = everywhere(loss=0.5, raised=authors(TYPO, "metrics")) | {"jax": {"loss": 0.75, "raised": authors(TYPO, "metrics")}}
    _, result = judged(by_leg)
    assert str(result.verdict) == "ERROR"
    assert {finding.observation for finding in result.findings} == {"loss"}


def test_a_fixture_that_fails_elsewhere_on_one_backend_is_told_by_backend() -> None:
    by_leg = everywhere(status="error", problem="setup failed: OSError: no disk", failure=authors("OSError: no disk", "setup"))
    torch = {"status": "error", "problem": "setup failed: OSError: no", "failure": make.raised("OSError: no", "setup")}
    _, result = judged(by_leg | {"torch": torch})
    assert result.headline == "ERROR: tensorflow could not observe it: setup failed: OSError: no disk (and 2 more)"


# --- in reports ------------------------------------------------------------------------------------------------


def test_the_summary_names_the_line_and_what_to_do() -> None:
    results, result = judged(everywhere(raised=authors(TYPO)))
    lines = list(text.failing(result, None))
    assert lines[0] == f"ERROR a/b   ERROR: {WORDS}"
    assert lines[1] == "  raised at   cases/a.py:9 in case_b: return losses.Crossentropi()"
    assert "Correct that line." in lines[-1]
    assert not any("known?" in line for line in lines)
    assert list(text.last_line(results, None)) == ["exit code 3: incomplete: 1 case raises in its own code (ERROR)"]


def test_a_close_name_is_suggested_with_the_line_and_with_what_to_do() -> None:
    results, result = judged(everywhere(raised=replace(authors(TYPO), suggestion="CategoricalCrossentropy")))
    assert any("Did you mean 'CategoricalCrossentropy'? Correct that line." in line for line in text.failing(result, None))
    lines = list(text.case(result, results, None))
    assert f"  E     {TYPO}. Did you mean 'CategoricalCrossentropy'?" in lines


def test_show_has_the_line_with_an_arrow_and_the_traceback() -> None:
    results, result = judged(everywhere(raised=authors(TYPO)))
    lines = list(text.case(result, results, None))
    at = lines.index("AttributeError at cases/a.py:9 in case_b (tensorflow, jax, torch)")
    assert lines[at + 1 : at + 7] == [
        "        def case_b():",
        "  >         return losses.Crossentropi()",
        f"  E     {TYPO}",
        "  | traceback, most recent call last:",
        '  |   File "cases/a.py", line 9, in case_b',
        f"  | {TYPO}",
    ]


def test_long_tracebacks_are_cut_in_show_unless_asked_for_all() -> None:
    frames = "\n".join(f'  File "keras/{number}.py", line 1, in call\n    call()' for number in range(20))
    error = replace(authors(TYPO), traceback=f"Traceback (most recent call last):\n{frames}\n{TYPO}")
    results, result = judged(everywhere(raised=error))
    brief, full = ("\n".join(text.case(result, results, None, verbose=verbose)) for verbose in (False, True))
    assert "14 frames left out" in brief
    assert 'keras/13.py"' not in brief
    assert 'keras/14.py"' in brief
    assert 'keras/0.py"' in full


def test_each_backend_has_its_own_traceback_where_they_differ() -> None:
    torch = replace(make.raised("ValueError: b"), traceback='Traceback (most recent call last):\n  File "t.py"\nValueError: b')
    jax = replace(make.raised("ValueError: a"), traceback='Traceback (most recent call last):\n  File "j.py"\nValueError: a')
    results, result = judged(raising(jax=jax, torch=torch) | {"tensorflow": {"loss": 0.5}})
    shown = "\n".join(text.case(result, results, None))
    assert shown.index("ValueError (jax)") < shown.index('"j.py"') < shown.index("ValueError (torch)") < shown.index('"t.py"')


def test_every_format_has_it() -> None:
    results, result = judged(everywhere(raised=authors(TYPO)))
    entry = json.loads(json_report.render(results))["results"][0]
    assert entry["raised"]["jax"][0]["frame"] == {
        "file": "cases/a.py", "line": 9, "function": "case_b", "source": "return losses.Crossentropi()",
    }  # fmt: skip
    assert entry["raised"]["jax"][0]["by_author"] is True
    assert entry["raised"]["jax"][0]["traceback"].endswith(TYPO)
    assert "your case raises at cases/a.py:9" in github.render(results)
    assert "file=cases/a.py,line=9" in "\n".join(github.annotation_commands(results))
    location = json.loads(sarif.render(results))["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert (location["artifactLocation"]["uri"], location["region"]["startLine"]) == ("cases/a.py", 9)
    assert "traceback, most recent call last:" in junit.render(results)
    html = page.render(results)
    assert '<summary><h4>AttributeError</h4> <span class="n">at cases/a.py:9 in case_b ' in html
    assert "&gt;         return losses.Crossentropi()" in html
    assert "Copy bug report" not in html
    assert result.diagnoses == ()


def test_what_kept_a_case_from_being_observed_is_told_with_its_line() -> None:
    failure = authors("OSError: no disk", "setup")
    by_leg = everywhere(status="error", problem="setup failed: OSError: no disk", failure=failure)
    results, result = judged(by_leg)
    assert result.headline == "ERROR: your case raises at cases/a.py:9: OSError: no disk"
    assert "  >         return losses.Crossentropi()" in text.case(result, results, None)
    assert json.loads(json_report.render(results))["results"][0]["failures"]["jax"]["frame"]["line"] == 9


# --- refused by every backend ------------------------------------------------------------------------------------


def test_what_every_backend_refuses_is_no_difference() -> None:
    results, result = judged(everywhere(raised=REFUSED))
    assert (str(result.verdict), result.headline) == ("FAILED", f"RAISED: every backend refuses this: {REFUSED}")
    assert [diagnosis.code for diagnosis in result.diagnoses] == ["refused-everywhere"]
    assert list(text.last_line(results, None)) == ["exit code 1: 1 case is refused by every backend (FAILED)"]
    everything = "\n".join([
        *text.summary(results, None), *text.case(result, results, None), page.render(results), junit.render(results),
        github.render(results), json_report.render(results),
    ])  # fmt: skip
    for words in ("Copy bug report", "backendcheck locate", "No cause that", "known? add it", "1 case differs"):
        assert words not in everything
    assert "Correct what the case asks for." in everything


def test_a_refusal_beside_a_difference_is_told_with_it() -> None:
    by_leg = everywhere(loss=0.5, raised=REFUSED) | {"jax": {"loss": 0.75, "raised": REFUSED}}
    results, result = judged(by_leg)
    assert "refused-everywhere" not in [diagnosis.code for diagnosis in result.diagnoses]
    assert "1 case differs (FAILED)" in next(text.last_line(results, None))


def test_where_only_some_raise_there_is_a_bug_report() -> None:
    results, _ = judged(everywhere(raised=REFUSED) | {"jax": {"loss": 0.5}})
    assert "Copy bug report" in page.render(results)


# --- pairs with the same finding -------------------------------------------------------------------------------


def test_nan_on_every_backend_is_one_row_in_show() -> None:
    results, result = judged(everywhere(per_example_loss=[1.0, float("nan")]))
    lines = list(text.case(result, results, None))
    at = lines.index("findings (3)")
    assert lines[at + 1 : at + 4] == [
        "  per_example_loss   agreement, non-finite: tensorflow and jax",
        "    likewise tensorflow and torch; jax and torch",
        "    1 of 2 are NaN on tensorflow and jax",
    ]
    assert lines.count("  per_example_loss   agreement, non-finite: jax and torch") == 0
    assert "per_example_loss: every backend returns NaN for example 1" in result.headline


def test_exceptions_in_other_words_are_rows_of_their_own() -> None:
    by_leg = raising(tensorflow=make.raised("ValueError: a"), torch=make.raised("TypeError: b"))
    results, result = judged({"jax": {"loss": 0.5}} | by_leg)
    shown = "\n".join(text.case(result, results, None))
    assert "ValueError in stage loss on tensorflow: a; loss 0.5 on jax" in shown
    assert "TypeError in stage loss on torch: b; loss 0.5 on jax" in shown
