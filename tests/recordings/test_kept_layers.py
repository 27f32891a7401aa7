"""The layers that `locate` has compared, kept beside a run: what a report shows of them, and when it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import make
import pytest

from backendcheck.compare.layers import LOCAL, SAME, Difference, LayerResult, Location
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.kept_layers import clear_layers, find_layers, keep_layers
from backendcheck.recordings.legs import Leg, find_legs, read_legs
from backendcheck.report.formats.layers import as_json
from backendcheck.report.html import page
from backendcheck.results.results import analyze

CASE = "a/b"
HOSTILE = "dense/<script>alert(1)</script>"


def recorded(run: Path, loss: float = 0.7) -> list[Leg]:
    for backend in ("jax", "torch"):
        digest = write_recording(run / backend, make.recording(CASE, backend, loss=loss if backend == "jax" else 0.5))
        write_environment(run / backend, make.environment(backend, [CASE], digests={CASE: digest}))
    return read_legs(find_legs([run]))


def location() -> Location:
    inner = LayerResult(
        key=HOSTILE, type="Dense", within="block", depth=1, shape="(4, 3)", verdict=LOCAL, backward=SAME,
        recorded=Difference(max_abs=0.25, excess=float("inf")),
        replayed=Difference(max_abs=0.25, excess=1234.5, message="differs"),
    )
    outer = LayerResult(key="block", type="Sequential", within="", depth=0, shape="(4, 3)", verdict="encloses")
    return Location(source="jax", backend="torch", layers=(outer, inner), forward=inner, backward=None)


def kept(run: Path, legs: list[Leg]) -> Path:
    return keep_layers(run, CASE, as_json(CASE, [location()]), legs)


def test_the_page_shows_the_layers_and_where_a_difference_begins(tmp_path: Path) -> None:
    legs = recorded(tmp_path)
    kept(tmp_path, legs)
    found = find_layers([tmp_path, tmp_path], legs)
    (comparison,) = found.by_case[CASE]
    outer, inner = comparison.layers
    assert (outer.depth, outer.first, outer.excess) == (0, False, None)
    assert (inner.name, inner.depth, inner.first, inner.excess, inner.same_inputs) == (HOSTILE, 1, True, "Infinity", 1234.5)
    text = page.render(analyze(legs).with_layers(found))
    assert "Layers, torch compared with jax" in text
    assert "begins here" in text
    assert "<script>alert" not in text


def test_layers_of_other_recordings_are_not_shown(tmp_path: Path) -> None:
    kept(tmp_path, recorded(tmp_path))
    legs = recorded(tmp_path, loss=0.8)
    found = find_layers([tmp_path], legs)
    assert (found.by_case, found.stale) == ({}, {CASE})
    assert "they were located in other recordings" in page.render(analyze(legs).with_layers(found))


def _with(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content | changes


def _with_layer(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    def changed(content: dict[str, Any]) -> Any:
        content["located"]["comparisons"][0]["layers"][0] |= changes
        return content

    return changed


@pytest.mark.parametrize(
    "damage",
    [_with(format=2), _with(recordings=3), _with(located=None), _with(recordings={}), lambda _: [], lambda _: "x",
     _with_layer(layer=3), _with_layer(within=["x"]), _with_layer(recorded={"max_abs": []}), _with_layer(verdict=None)],
)  # fmt: skip
def test_what_is_damaged_is_left_out(tmp_path: Path, damage: Callable[[dict[str, Any]], Any]) -> None:
    legs = recorded(tmp_path)
    path = kept(tmp_path, legs)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    assert find_layers([tmp_path], legs).by_case == {}
    path.write_bytes(b"\xff{")
    assert find_layers([tmp_path], legs).by_case == {}


def test_layers_that_enclose_each_other_end(tmp_path: Path) -> None:
    legs = recorded(tmp_path)
    path = kept(tmp_path, legs)
    path.write_text(json.dumps(_with_layer(within="block")(json.loads(path.read_text()))))
    assert find_layers([tmp_path], legs).by_case[CASE][0].layers[0].depth == 20


def test_a_new_run_has_none(tmp_path: Path) -> None:
    legs = recorded(tmp_path)
    kept(tmp_path, legs)
    clear_layers(tmp_path)
    clear_layers(tmp_path)
    assert find_layers([tmp_path], legs).by_case == {}
