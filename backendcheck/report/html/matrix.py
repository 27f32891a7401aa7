"""The matrix of cases and backends: a row for each case, first as HTML, then as data for a script."""

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

# The number of rows in HTML. With all of 10,000, a page would be half as large again and take seconds to lay out.
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
        """The name of the case file."""
        return self.result.case.partition("/")[0]

    @property
    def codes(self) -> str:
        """The diagnoses, for the filter."""
        return " ".join(dict.fromkeys(diagnosis.code for diagnosis in self.result.diagnoses))

    @property
    def concerned(self) -> str:
        """The legs that differ, for the filter."""
        return " ".join(cell.leg for cell in self.cells if cell.tone == "bad" or cell.odd)

    @property
    def text(self) -> str:
        """The text under the name: the headline, or for a case that passed its claim."""
        return self.claim if self.result.verdict is Verdict.PASSED and not self.result.headline else self.result.headline


def row(result: CaseResult, legs: Sequence[str], change: str = "") -> Row:
    """The row of a case."""
    claim = view.shown_claim(result)[0]
    return Row(result=result, anchor=anchor(result.case), claim=claim, cells=view.cells(result, legs), change=change)


def anchor(case: str) -> str:
    """The id of a case on the page, with special characters as ``~5B~``. Two cases never have the same."""
    written = re.sub(r"[^A-Za-z0-9_./-]", lambda match: f"~{ord(match.group()):X}~", case)
    if len(written) > _LONGEST_ANCHOR:
        digest = hashlib.sha256(case.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        written = f"{written[:_LONGEST_ANCHOR]}~~{digest}"
    return f"case/{written}"


def stored(rows: Sequence[Row], glyphs: dict[str, str]) -> dict[str, Any]:
    """Rows as data: each ``[case, anchor, verdict, text, cells, codes, concerned, change, excess, over]``.

    `text` and each of `cells` are indices into lists, because most rows repeat the same texts. The anchor is empty if it is
    ``case/`` and the case id.
    """
    texts: dict[str, int] = {}
    cells: dict[tuple[str, str, str, bool], int] = {}
    written = []
    for entry in rows:
        case, excess = block(entry.result.case), excess_of_verdict(entry.result)
        written.append(
            [
                case,
                "" if entry.anchor == f"case/{case}" else entry.anchor,
                entry.result.verdict.value,
                texts.setdefault(block(entry.text), len(texts)),
                [cells.setdefault((c.tone, glyphs[c.tone], block(c.text), c.odd), len(cells)) for c in entry.cells],
                entry.codes,
                entry.concerned,
                entry.change,
                excess_words(excess),
                excess is not None and excess > 1,
            ]
        )
    return {"texts": list(texts), "cells": list(cells), "rows": written}
