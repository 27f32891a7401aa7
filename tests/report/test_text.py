"""Terminal text: the message form, laid out, harmless."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import make
import pytest

from backendcheck.report.formats import text
from backendcheck.text.escape import block, one_line, visible
from backendcheck.text.lines import labeled, quoted, table, wrapped

AS_DESIGNED = """\
FAILED multi_output/dict_labels   \
OUTPUT ORDER: predict returns tumor, age, Stage on tensorflow; Stage, age, tumor on jax and torch
  evidence    by position  max|d| 61.3      by name  max|d| 4e-06 (within tolerance)
  odd one out tensorflow (2 of 3 agree)
  tolerance   rtol 1e-05 atol 1e-06, default float32 predictions; excess 1.2e+07
  next        backendcheck show multi_output/dict_labels      known? add it to known_divergences.toml
"""


def printed(results, width=None, **options) -> str:
    return "\n".join(text.summary(results, width, **options)) + "\n"


def shown(case, results=None, width=100, **options) -> str:
    results = results or make.everything()
    return "\n".join(text.case(results.result(case), results, width, **options)) + "\n"


def only(case):
    """The results of everything, of which only `case` is left."""
    results = make.everything()
    return replace(results, cases=(results.result(case),), known=(), unmatched=(), expired=())


def test_a_failing_case_reads_as_designed():
    results = only("multi_output/dict_labels")
    result = results.cases[0]
    measured = {**result.diagnoses[0].evidence, "excess": 1.2e7}
    measured = replace(result, diagnoses=(replace(result.diagnoses[0], evidence=measured),))
    assert printed(replace(results, cases=(measured,))).startswith(AS_DESIGNED)


def test_the_summary_of_everything():
    make.assert_golden("summary.txt", printed(make.everything()))
    make.assert_golden("summary_80.txt", printed(make.everything(), width=80))
    make.assert_golden("summary_200.txt", printed(make.everything(), width=200))
    make.assert_golden("summary_quiet.txt", printed(make.everything(), width=80, quiet=True))
    make.assert_golden("summary_verbose.txt", printed(make.everything(), width=80, verbose=True))


@pytest.mark.parametrize("name", ["classes/wrong_class", "label_range/past_the_end", "losses/crashes", "known/changed"])
def test_everything_about_a_case(name):
    make.assert_golden(f"case_{name.partition('/')[2]}.txt", shown(name, verbose=True))


def test_lines_keep_to_the_width_unless_something_cannot_be_broken():
    for line in [*text.summary(make.everything(), width=80), *text.last_line(make.everything(), width=80)]:
        assert len(line) <= 80 or "backendcheck show" in line or len(max(line.split(), key=len)) > 60, line


def test_a_command_is_never_broken():
    commands = [line for line in text.summary(make.everything(), width=40) if "backendcheck" in line and "next" in line]
    assert len(commands) == sum(result.verdict.value in ("FAILED", "ERROR", "XPASSED") for result in make.everything().cases)
    assert all(re.search(r"backendcheck show \S+", command) for command in commands)


def test_a_command_is_quoted_for_the_shell():
    results = make.results({"a/b[x y]": {"jax": {"loss": 1.0}, "torch": {"loss": 2.0}}})
    assert "backendcheck show 'a/b[x y]'" in printed(results)


def test_passed_cases_are_only_counted():
    assert "healthy" not in printed(make.everything())
    results = make.results({"a/b": make.everywhere(loss=1.0)})
    assert printed(results) == "3 backends, 1 case: 1 passed\n"


def test_known_divergences_take_a_line_each_with_their_reason():
    lines = [line for line in text.summary(make.everything(), None) if line.startswith("XFAILED")]
    assert lines == ["XFAILED known/there   jax folds the mask into the sum https://github.com/keras-team/keras/issues/1"]


def test_the_last_line_counts():
    last = list(text.summary(make.everything(), None))[-1]
    assert last.startswith("3 backends, 16 cases: 2 passed, 8 failed, 4 errors, 1 known")
    assert list(text.summary(make.results({})))[-1] == "0 backends, 0 cases: nothing was compared"


def test_problems_of_the_run_and_stale_entries_are_reported():
    results = make.results({"a/b": {"jax": {"loss": 1.0}, "torch": {"loss": 1.0}}}, expected=make.BACKENDS)
    assert "PROBLEM tensorflow: its leg is missing" in printed(results)
    everything = printed(make.everything())
    assert "EXPIRED known_divergences.toml, entry 5 (losses/*): expired on 2026-01-31" in everything
    assert "UNMATCHED known_divergences.toml, entry 4 (nowhere/*)" in everything


def test_lines_that_do_not_apply_are_left_out():
    lines = printed(only("losses/left_out"))
    assert "ERROR losses/left_out   MISSING: torch has no recording of it\n" in lines
    for label in ("evidence", "odd one out", "tolerance", "known?"):
        assert label not in lines


def test_the_odd_one_out_that_is_right_is_not_left_to_stand_alone():
    assert "odd one out torch (2 of 3 agree, but the reference confirms torch)" in printed(only("losses/against_the_reference"))
    assert "odd one out jax (2 of 3 agree and raise as expected)" in printed(only("label_range/past_the_end"))


def test_the_worst_element_and_the_tolerance_that_would_pass_are_shown():
    lines = shown("classes/wrong_class")
    assert "worst at [1, 0]: 0.1 on tensorflow, 0.8 on jax" in lines
    assert "the smallest that passes: rtol 0.78 atol 0.078" in " ".join(lines.split())
    assert re.search(r"jax +2 fox +0 cat\*", lines)


def test_no_tolerance_is_advised_where_a_cause_is_named():
    differing = {"y_true": [0, 1], "predictions": [[0.9, 0.1], [0.2, 0.8]]}
    swapped = {"y_true": [0, 1], "predictions": [[0.1, 0.9], [0.8, 0.2]]}
    results = make.results({"a/b": {"tensorflow": differing, "jax": swapped, "torch": differing}})
    assert [diagnosis.code for diagnosis in results.cases[0].diagnoses] == ["class-order"]
    lines = "\n".join(text.case(results.cases[0], results, None))
    assert "tolerance rtol" in lines
    assert "smallest that passes" not in lines


def test_passes_show_only_when_asked_for():
    assert "3 comparisons passed, the worst with excess 0.17; --verbose shows them" in shown("healthy/rounding")
    assert "passed (3), least headroom first" in shown("healthy/rounding", verbose=True)
    assert "seconds by stage" in shown("healthy/loss", verbose=True)


def test_large_arrays_are_not_printed():
    results = make.results({"a/b": {b: {"predictions": [[float(b == "jax")] * 7] * 3} for b in make.BACKENDS}})
    assert "values" not in shown("a/b", results)


def test_nothing_hostile_reaches_the_terminal():
    results = make.everything()
    everything = printed(results, 80) + "".join(
        "\n".join(text.case(result, results, width, verbose=True)) for result in results.cases for width in (20, 80, None)
    )
    assert not [character for character in everything if character != "\n" and not character.isprintable()]
    assert "\\x1b[31m" in everything
    everything.encode()


def test_text_is_made_visible():
    assert visible("a\x1b[2J\n\x9b\u202e\ud800é·…") == "a\\x1b[2J\\n\\x9b\\u202e\\ud800é·…"
    assert visible("age\u200b \U000e0041 क्\u200dष") == "age\\u200b \\U000e0041 क्\u200dष"
    assert block("a\r\nb\tc\x00") == "a\nb\tc\\x00"
    assert one_line(" a\n  b\tc ") == "a b c"


def test_layout():
    assert list(labeled("label", ["one", "two"], 80)) == ["  label       one      two"]
    assert list(labeled("label", ["one", "two"], 20)) == ["  label       one", "              two"]
    assert list(labeled("label", [], 80)) == []
    assert list(labeled("label", ["a b c"], 16, whole=True)) == ["  label       a b c"]
    assert wrapped("aa bb cc dd", 24, first="> ", hang="  ") == ["> aa bb cc dd"]
    assert list(table([["a", "bb"], ["cc", "d"]], "", right=True)) == ["a   bb", "cc   d"]
    assert list(quoted("\na\n b\n", 80, " ")) == [" | a", " |  b"]


def test_importing_the_reports_loads_no_renderer():
    code = (
        "import sys, backendcheck.report; "
        "print([name for name in ('jinja2', 'junitparser', 'numpy', 'safetensors', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_finding_says_where_its_reference_comes_from():
    results = make.everything()
    result = results.result("losses/against_the_reference")
    noted = tuple(
        replace(one, evidence={"reference": "the case"}) if one.oracle == "reference" else one for one in result.comparisons
    )
    result = replace(result, comparisons=noted)
    assert "    reference: the case\n" in "\n".join(text.case(result, results))


def test_a_reference_confirms_only_legs_with_what_it_contradicts():
    reference = {"metric/r2": 0.5}
    of_the_loss = {"loss": 1.0, "reference": {"loss": 1.0, **reference}}
    by_backend = {
        "tensorflow": {**of_the_loss, "raised": make.raised("TypeError: no tracing", stage="metrics")},
        "jax": {**of_the_loss, "raised": make.raised("TypeError: no tracing", stage="metrics")},
        "torch": {**of_the_loss, "observations": {"metric/r2": 0.7}},
    }
    assert "odd one out torch (2 of 3 agree)" in printed(make.results({"a/b": by_backend}))
