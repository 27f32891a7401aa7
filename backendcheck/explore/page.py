"""index.html of an exploration: the findings by target, new ones first, each with its script. It opens offline."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from backendcheck.explore.case_file import situation_words
from backendcheck.explore.confirm import N_ROUNDS
from backendcheck.explore.explore import Found
from backendcheck.files import read_text
from backendcheck.report.html.escaping import environment
from backendcheck.report.html.page import style_sheet
from backendcheck.text.words import counted


def exploration_page(content: Mapping[str, Any], found: Sequence[Found], out: Path) -> str:
    """The whole page. `content` is that of findings.json, whose findings are `found`, in the same order.

    Raises:
        OSError: if a script cannot be read.
    """
    findings = [_view(entry, finding, out) for entry, finding in zip(content["findings"], found, strict=True)]
    findings.sort(key=lambda finding: (finding["target"], finding["known"] is not None))
    targets = []
    for name, group in groupby(findings, key=lambda finding: finding["target"]):
        of_target = list(group)
        targets.append({"name": name, "findings": of_target, "n_new": sum(finding["known"] is None for finding in of_target)})
    targets.sort(key=lambda target: not target["n_new"])
    n_new = sum(target["n_new"] for target in targets)
    n_known = len(findings) - n_new
    parts = [f"{counted(n_new, 'new finding')}" if n_new else "", f"{n_known} known" if n_known else ""]
    text: str = environment().get_template("explore.html.jinja").render(
        content=content, targets=targets, n_new=n_new, title=", ".join(filter(None, parts)) or "No finding",
        out=shlex.quote(str(out)), css=style_sheet(), n_rounds=N_ROUNDS,
        versions=[(leg, _versions(content["environments"].get(leg, {}))) for leg in content["legs"]],
    )  # fmt: skip
    return text


def _versions(of_leg: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in of_leg.get("versions", {}).items())


def _view(entry: Mapping[str, Any], finding: Found, out: Path) -> dict[str, Any]:
    situation = finding.sighting.situation
    options = ", ".join(f"{name}={value!r}" for name, value in situation.to_json()["options"].items())
    return {
        **entry, "words": situation_words(situation), "options": options, "id": Path(finding.script).stem,
        "seen": counted(finding.hits, "situation"), "source": read_text(out / finding.script) if finding.script else "",
    }  # fmt: skip
