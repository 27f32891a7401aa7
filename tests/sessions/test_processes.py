"""All legs at once: what a run says, how it ends, what it leaves behind, whatever happens to it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from backendcheck.progress.terminal import Bars, Lines

# --- verdicts and exit codes -------------------------------------------------------------------------------------

# --- what needs no backend ------------------------------------------------------------------------------------------


# --- progress ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["[bold]", "[/]", "a\\[/]b", "{x}", "%s", "x" * 300, "new\nline", "\x1b[31m", "ünï", "\udc80"])
def test_a_case_may_be_called_whatever_it_likes(name: str) -> None:
    stream = io.StringIO()
    with Bars(["jax"], Console(file=stream, force_terminal=True, width=200)) as bars:
        bars.collected("jax", 2)
        bars.started("jax", name)
        bars.finished("jax", 1)
        bars.ended("jax", 2, f"jax: {name}")
    with Lines(["jax"], Console(file=stream, width=200)) as lines:
        lines.collected("jax", 2)
        lines.started("jax", name)
        lines.ended("jax", 3, name)
    shown = stream.getvalue()
    assert name in shown or not name.isprintable() or len(name) > 80
    assert "1/2" in shown
    assert "jax: recorded, incomplete" in shown


# --- where it goes ----------------------------------------------------------------------------------------------


# --- ended from outside --------------------------------------------------------------------------------------------
