"""Which layer is a cause and which has inherited it: from recordings of layers alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import make
import numpy as np
import pytest

from backendcheck.compare.layers import LayerResult, Location, locate
from backendcheck.recordings.files import read_recording, write_recording
from backendcheck.recordings.layer_calls import (
    AGAIN,
    INPUT,
    LOSS,
    OUTPUT,
    REPLAYED_BY_INPUT,
    REPLAYED_BY_WEIGHT,
    REPLAYED_OUTPUT,
    UPSTREAM,
    LayerCall,
    LayerTrace,
    named,
)
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.recording import Recording
from backendcheck.report.formats import layers as locate_report
from backendcheck.report.formats.layers import sentences

GOOD = np.array([[1.0, -2.0, 3.0]], np.float32)
BAD = GOOD * np.float32(1.5)
CALLS = (("m", ""), ("a", "m"), ("b", "m"), ("b/inner", "b"), ("c", "m"), (LOSS, ""))


def recording(backend: str, changed: dict[tuple[str, str], Any] | None = None, calls: Any = CALLS, **fields: Any) -> Recording:
    """A model ``m`` of the layers a, b (which holds b/inner) and c: everywhere `GOOD`, but for `changed` by call and part."""
    seen = {}
    parts = (INPUT, OUTPUT, AGAIN, UPSTREAM, REPLAYED_OUTPUT, REPLAYED_BY_INPUT)
    for key, _ in calls:
        for part in parts:
            value = (changed or {}).get((key, part), GOOD)
            if value is not None:
                seen[named(key, part, 0)] = make.observation(value)
    replays = fields.pop("replays", {})
    own = fields.pop("own", {})
    of_trace = {name: fields.pop(name, ()) for name in ("unseen", "raised_in_replay")}
    made = tuple(LayerCall(key=key, path=key, type="Layer", within=within, **own.get(key, {})) for key, within in calls)
    done = {key: "" for key, _ in calls} | replays
    trace = LayerTrace(calls=made, source="torch", replays=done, **of_trace)
    return make.recording("a/b", backend, observations=seen, layers=trace, **fields)


def located(changed: dict[tuple[str, str], Any] | None = None, source: Recording | None = None, **fields: Any) -> Location:
    return locate(source or recording("torch"), recording("jax", changed, **fields))


def by_name(location: Location) -> dict[str, LayerResult]:
    return {layer.name: layer for layer in location.layers}


def verdicts(location: Location) -> dict[str, str]:
    return {name: layer.verdict for name, layer in by_name(location).items()}


def downstream(*keys: str) -> dict[tuple[str, str], Any]:
    """Outputs that differ as recorded and not when replayed; played again on their own backend they are what was recorded."""
    return {(key, part): BAD for key in keys for part in (OUTPUT, AGAIN)}


def test_nothing_differs() -> None:
    found = located()
    assert set(verdicts(found).values()) == {"same"}
    assert (found.forward, found.backward, found.differs) == (None, None, False)
    assert sentences(found) == ["nothing differs: the layers of jax and torch return the same, and so do their gradients"]


def test_a_replay_that_differs_is_the_cause_and_those_after_it_have_inherited_it() -> None:
    everything = downstream("m", "b", "b/inner", "c", LOSS)
    replayed = {(key, REPLAYED_OUTPUT): BAD for key in ("m", "b", "b/inner")}
    found = located(everything | replayed)
    assert verdicts(found) == {
        "m": "encloses", "a": "same", "b": "encloses", "b/inner": "local", "c": "inherited", "loss": "inherited",
    }  # fmt: skip
    assert found.forward is not None
    assert found.forward.key == "b/inner"
    (sentence,) = sentences(found)
    assert sentence.startswith("first difference: layer `b/inner` (Layer), output; given the same inputs, ")
    assert sentence.endswith("confirmed by replay")
    assert "on torch" in sentence
    assert "on jax" in sentence


def test_two_causes_are_both_local_and_the_earlier_one_is_first() -> None:
    found = located(downstream("a", "c") | {("a", REPLAYED_OUTPUT): BAD, ("c", REPLAYED_OUTPUT): BAD})
    assert (verdicts(found)["a"], verdicts(found)["c"]) == ("local", "local")
    assert found.forward is not None
    assert found.forward.key == "a"


def test_a_difference_that_cancels_as_recorded_is_still_a_cause() -> None:
    assert verdicts(located({("a", REPLAYED_OUTPUT): BAD}))["a"] == "local"


def test_a_call_whose_inner_calls_are_all_fine_is_the_cause_itself() -> None:
    found = located(downstream("b") | {("b", REPLAYED_OUTPUT): BAD})
    assert verdicts(found)["b"] == "local"
    assert "no layer inside it differs by itself" in sentences(found)[0]


def test_a_gradient_alone_is_found_from_the_loss_backwards() -> None:
    wrong = {(key, REPLAYED_BY_INPUT): BAD for key in ("m", "b", "b/inner")} | {("a", UPSTREAM): BAD}
    found = located(wrong)
    assert {name: layer.backward for name, layer in by_name(found).items()} == {
        "m": "encloses", "a": "inherited", "b": "encloses", "b/inner": "local", "c": "same", "loss": "same",
    }  # fmt: skip
    assert found.forward is None
    assert found.backward is not None
    assert found.backward.key == "b/inner"
    assert sentences(found)[0].startswith("first difference: layer `b/inner` (Layer), gradient; given the same inputs and ")


def test_of_two_gradients_the_one_nearer_to_the_loss_is_first() -> None:
    found = located({("a", REPLAYED_BY_INPUT): BAD, ("c", REPLAYED_BY_INPUT): BAD})
    assert found.backward is not None
    assert found.backward.key == "c"


def test_a_gradient_by_a_weight_counts_and_is_named() -> None:
    sides = []
    for backend, value in (("torch", GOOD), ("jax", BAD)):
        one = recording(backend)
        name = named("a", REPLAYED_BY_WEIGHT, "a/kernel")
        sides.append(make.recording(
            "a/b", backend, observations={**one.observations, name: make.observation(value)}, layers=one.layers,
        ))  # fmt: skip
    found = locate(*sides)
    assert by_name(found)["a"].backward == "local"
    assert "by a/kernel: " in sentences(found)[0]


def test_a_layer_that_does_not_repeat_itself_is_stateful_and_no_cause() -> None:
    found = located({("a", OUTPUT): BAD, ("a", REPLAYED_OUTPUT): BAD})  # and GOOD the second time
    assert verdicts(found)["a"] == "stateful"
    assert found.forward is None
    source = recording("torch", {("a", AGAIN): BAD})
    assert verdicts(located(source=source))["a"] == "stateful"


def test_what_cannot_be_replayed_is_judged_by_its_inputs() -> None:
    silent = {("a", part): None for part in (AGAIN, REPLAYED_OUTPUT, REPLAYED_BY_INPUT)}
    trouble = {"a": "it takes a function, which cannot be passed to another process"}
    same_inputs = located({**silent, ("a", OUTPUT): BAD}, replays=trouble)
    assert verdicts(same_inputs)["a"] == "local"
    assert "not replayed: it takes a function" in sentences(same_inputs)[0]
    other_inputs = located({**silent, ("a", OUTPUT): BAD, ("a", INPUT): BAD}, replays=trouble)
    assert verdicts(other_inputs)["a"] == "not comparable"
    assert other_inputs.forward is None


def test_one_that_raises_on_one_side_is_the_first_difference() -> None:
    gone = {(key, part): None for key in ("b", "b/inner", "m") for part in (OUTPUT, AGAIN, REPLAYED_OUTPUT)}
    raised = {key: {"raised": "ValueError: no"} for key in ("m", "b", "b/inner")}
    found = located(gone, own=raised)
    assert (verdicts(found)["b/inner"], verdicts(found)["b"]) == ("raised", "encloses")
    assert sentences(found)[0] == "first difference: layer `b/inner` (Layer); raised on jax: ValueError: no"


def test_raising_on_the_inputs_of_the_other_is_one_too() -> None:
    found = located({("a", REPLAYED_OUTPUT): None}, replays={"a": "raised ValueError: no"}, raised_in_replay=("a",))
    assert verdicts(found)["a"] == "raised"
    assert "given the same inputs, jax raised ValueError: no" in sentences(found)[0]


def test_a_call_that_only_one_backend_made_is_not_comparable() -> None:
    found = located(calls=tuple(call for call in CALLS if call[0] != "c"))
    assert (verdicts(found)["c"], by_name(found)["c"].note) == ("not comparable", "called on torch, not on jax")
    assert "`c` could not be compared" in sentences(found)[0]


def test_traced_calls_are_noted_and_not_listed() -> None:
    found = located(calls=tuple(call for call in CALLS if call[0] != "b/inner"), unseen=("b/inner",))
    assert "b/inner" not in verdicts(found)
    assert found.unseen == ("b/inner",)


def test_calls_inside_a_layer_on_one_backend_only_are_noted_and_not_listed() -> None:
    found = located(calls=tuple(call for call in CALLS if call[0] != "b/inner"))
    assert "b/inner" not in verdicts(found)
    assert found.unseen == ("b/inner",)
    assert sentences(found)[0].startswith("nothing differs")
    broken = located({("b", REPLAYED_OUTPUT): BAD}, calls=tuple(call for call in CALLS if call[0] != "b/inner"))
    assert broken.forward is not None
    assert broken.forward.key == "b"


def test_rounding_is_no_difference_and_large_sums_are_measured_as_a_whole() -> None:
    large = np.array([[1e4, 1e-3]], np.float32)
    source = recording("torch", {("a", part): large for part in (OUTPUT, AGAIN, REPLAYED_OUTPUT)})
    near = large + np.array([[0.0, 1e-3]], np.float32)  # nothing beside the terms of such a sum
    assert verdicts(located({("a", part): near for part in (OUTPUT, AGAIN, REPLAYED_OUTPUT)}, source=source))["a"] == "same"
    far = large + np.array([[0.0, 1.0]], np.float32)
    assert verdicts(located({("a", part): far for part in (OUTPUT, AGAIN, REPLAYED_OUTPUT)}, source=source))["a"] == "local"


def test_layers_after_one_in_float16_inherit_its_rounding() -> None:
    near = GOOD * np.float32(1.001)
    changed = {("c", part): near for part in (OUTPUT, AGAIN)}
    assert verdicts(located(changed))["c"] == "inherited"
    source = recording("torch", own={"a": {"precision": "float16"}})
    assert verdicts(located(changed, source=source))["c"] == "same"
    replayed = located(changed | {("c", REPLAYED_OUTPUT): near}, source=source)  # c itself computes in float32
    assert verdicts(replayed)["c"] == "local"


def test_nan_on_both_sides_is_no_cause_and_on_one_it_is() -> None:
    nan = np.array([[np.nan, 1.0, 2.0]], np.float32)
    everywhere = {("a", part): nan for part in (INPUT, OUTPUT, AGAIN, REPLAYED_OUTPUT)}
    assert verdicts(located(everywhere, source=recording("torch", everywhere)))["a"] == "same"
    assert verdicts(located(downstream("a") | {("a", REPLAYED_OUTPUT): nan}))["a"] == "local"


def test_recordings_of_layers_survive_the_disk(tmp_path: Path) -> None:
    arguments = {"tuple": [{"tuple": [{"array": 0}]}, {"dict": {"training": {"value": False}}}]}
    before = recording("jax", own={"a": {"arguments": arguments, "precision": "bfloat16"}}, unseen=("rnn/cell",))
    write_recording(tmp_path, before)
    after = read_recording(recording_path(tmp_path, "a/b"))
    assert after.layers is not None
    assert after.layers.calls == before.layers.calls
    assert (after.layers.unseen, after.layers.replays) == (("rnn/cell",), dict(before.layers.replays))
    assert set(verdicts(locate(recording("torch"), after)).values()) == {"same"}


def test_a_recording_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="without layers"):
        locate(recording("torch"), make.recording("a/b", "jax", loss=1.0))


def test_the_report() -> None:
    found = located(downstream("c", LOSS) | {("c", REPLAYED_OUTPUT): BAD})
    lines = list(locate_report.text("a/b", [found], 80))
    assert lines[0] == "a/b   jax against torch"
    rows = {line.split()[0]: line.split()[-1] for line in lines if line.startswith("  ") and "Layer" in line}
    assert rows["loss"] in ("inherited", "same")
    assert any(line.split()[:2] == ["c", "Layer"] and line.endswith("LOCAL") for line in lines)
    read = json.loads(locate_report.as_json("a/b", [found]))
    (one,) = read["comparisons"]
    assert (one["teacher"], one["backend"], one["first_output"], one["first_gradient"]) == ("torch", "jax", "c", None)
    by_layer = {layer["layer"]: layer for layer in one["layers"]}
    assert (by_layer["c"]["verdict"], by_layer["loss"]["verdict"], by_layer["loss"]["is_loss"]) == ("local", "inherited", True)
    assert by_layer["c"]["replayed"]["excess"] > 1
