"""The matrix of cases and backends: a row for each case, the first in HTML, the rest as data that the page makes into rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backendcheck.report.views import case as view
from backendcheck.report.views.findings import excess_of_verdict, excess_words
from backendcheck.results.results import CaseResult
from backendcheck.text.escape import block
from backendcheck.verdicts.verdict import Verdict

# So many rows of a table are HTML. With all of 10,000 the page would be larger by half and laid out for seconds.
N_WRITTEN = 100
_LONGEST_ANCHOR = 160


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Row:
    """A case in the matrix. `change` is ``new`` or ``changed`` since a baseline, or empty."""

    result: CaseResult
    anchor: str
    claim: str
    cells: tuple[view.Cell, ...]
    change: str

    @property
    def topic(self) -> str:
        """The case file, which is what its cases are about."""
        return self.result.case.partition("/")[0]

    @property
    def codes(self) -> str:
        """The diagnoses, for the filter."""
        return " ".join(dict.fromkeys(one.code for one in self.result.diagnoses))

    @property
    def concerned(self) -> str:
        """The legs that do not do what the others do, for the filter."""
        return " ".join(one.leg for one in self.cells if one.tone == "bad" or one.odd)

    @property
    def text(self) -> str:
        """What it says under its name: what is wrong, or what is claimed."""
        return self.claim if self.result.verdict is Verdict.PASSED else self.result.headline


def row(result: CaseResult, legs: Sequence[str], change: str = "") -> Row:
    """The row of a case."""
    claim = view.shown_claim(result)[0]
    return Row(result=result, anchor=anchor(result.case), claim=claim, cells=view.cells(result, legs), change=change)


def anchor(case: str) -> str:
    """The id of a case on the page: its own, with what a link could trip over written as ``~5B~``. Never the same for two."""
    written = re.sub(r"[^A-Za-z0-9_./-]", lambda match: f"~{ord(match.group()):X}~", case)
    if len(written) > _LONGEST_ANCHOR:
        digest = hashlib.sha256(case.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        written = f"{written[:_LONGEST_ANCHOR]}~~{digest}"
    return f"case/{written}"


def stored(rows: Sequence[Row], glyphs: dict[str, str]) -> dict[str, Any]:
    """Rows as data: each ``[case, anchor, verdict, text, cells, codes, concerned, change, excess, over]``.

    `text` and each of `cells` are places in the lists beside them, for most rows say the same. The anchor is empty where it is
    the case id behind ``case/``.
    """
    texts: dict[str, int] = {}
    cells: dict[tuple[str, str, str, bool], int] = {}
    written = []
    for one in rows:
        case, excess = block(one.result.case), excess_of_verdict(one.result)
        written.append(
            [
                case,
                "" if one.anchor == f"case/{case}" else one.anchor,
                one.result.verdict.value,
                texts.setdefault(block(one.text), len(texts)),
                [cells.setdefault((c.tone, glyphs[c.tone], block(c.text), c.odd), len(cells)) for c in one.cells],
                one.codes,
                one.concerned,
                one.change,
                excess_words(excess),
                excess is not None and excess > 1,
            ]
        )
    return {"texts": list(texts), "cells": list(cells), "rows": written}
