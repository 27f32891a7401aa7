"""A bug report in Markdown: what differs, the script, what it printed, the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backendcheck.diagnose import Diagnosis
from backendcheck.headline import listed
from backendcheck.literals import printable, shortened


def cause_in_words(diagnoses: Sequence[Diagnosis]) -> str:
    """What the first diagnosis says; nothing where that no cause is known, which helps nobody who reads a report."""
    named = [one for one in diagnoses if one.code not in ("unexplained", "undiagnosed")]
    return named[0].message if named else ""


def issue_text(
    *, headline: str, claim: str, message: str, script: str, outputs: Mapping[str, str],
    environment: Sequence[str], data: str | None, details: Sequence[str] = (),
) -> str:  # fmt: skip
    """The report. Nothing in the case can break out of its place: fences are longer than any in what they hold.

    Without a `script`, `details` are the lines that say what was found.
    """
    title = printable(headline.partition(": ")[2] or headline)
    lines = [f"# {_plain(title)}", ""]
    if claim:
        lines += ["**Expected.** " + _plain(printable(" ".join(claim.partition("\n\n")[0].split()))), ""]
    lines += [f"**Seen.** {_plain(title)}", ""]
    if message:
        lines += [_plain(printable(message)), ""]
    if script:
        runs = listed([f"`KERAS_BACKEND={backend}`" for backend in outputs])
        lines += [f"This script shows it; it was run with {runs}.", "", *_fenced(script, "python"), ""]
    if details:
        lines += ["What `backendcheck` found:", "", *_fenced("\n".join(details), "text"), ""]
    if data:
        lines += [f"It reads its arrays from `{data}`, which belongs beside it.", ""]
    for backend, output in outputs.items():
        lines += [f"With `KERAS_BACKEND={backend}`:", "", *_fenced(shortened(output.rstrip("\n")), "text"), ""]
    lines += ["**Environment.**", "", *(f"- {_plain(printable(line))}" for line in environment), ""]
    return "\n".join(lines)


def _fenced(text: str, language: str) -> list[str]:
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}{language}", text, fence]


def _plain(text: str) -> str:
    """Text that Markdown takes as text."""
    for sign in "\\`*_<>[]#|":
        text = text.replace(sign, f"\\{sign}")
    return text
