"""One case in the output of a notebook: HTML without scripts, buttons and style sheets, which takes the colors of the theme."""

from __future__ import annotations

import re

from backendcheck.report.html.escaping import environment
from backendcheck.report.views import case as view
from backendcheck.report.views.remedies import what_to_do
from backendcheck.report.views.side_by_side import Sides, sides
from backendcheck.results.results import Results
from backendcheck.results.stages import state_words
from backendcheck.text.words import counted, listed
from backendcheck.verdicts.verdict import Verdict

_COMMAND = re.compile(r"\bbackendcheck [a-z]")  # it needs the files of a run and a shell: no advice in a notebook
# Translucent, so that text in the color of the theme stays readable on a light and on a dark page.
_TINTS = {
    Verdict.PASSED: "40,160,90", Verdict.XFAILED: "110,95,220", Verdict.FAILED: "220,60,45", Verdict.XPASSED: "200,140,0",
    Verdict.ERROR: "200,30,90",
}  # fmt: skip


def output(results: Results, verdict: str, place: str) -> str:
    """The case of a check. `verdict` is that of the check; `place` is the folder of the page, empty if it is not kept."""
    result = results.cases[0] if results.cases else None
    label, sentence = view.split_headline(result.headline) if result is not None else ("", "")
    remedy = what_to_do(result) if result is not None else ""
    text: str = environment().get_template("notebook.html.jinja").render(
        verdict=verdict,
        tint=_TINTS[Verdict(verdict)],
        label=label,
        sentence=sentence or _agreement(results),
        remedy="" if _COMMAND.search(remedy) else remedy.replace("--timeout", "timeout_s"),
        known=list(dict.fromkeys(entry.reason for entry in result.known)) if result is not None else [],
        problems=[*map(str, results.problems), *(view.further_problems(result) if result is not None else [])],
        cells=view.cells(result, results.backends) if result is not None and result.headline else [],
        sides=sides(result, results.backends) if result is not None else Sides(columns=(), rows=(), n_more=0),
        stages=[stage for stage in result.stages if stage.state != "not recorded"] if result is not None else [],
        place=place,
        state_words=state_words,
        counted=counted,
    )  # fmt: skip
    return text


def _agreement(results: Results) -> str:
    """What a case without a difference has shown."""
    if not results.cases or results.problems:
        return ""
    worst = results.cases[0].worst_excess
    largest = f"; the largest difference is {worst:.2g} of the tolerance" if worst else ""
    return f"{listed(results.backends)} agree in {counted(results.n_comparisons, 'comparison')}{largest}"
