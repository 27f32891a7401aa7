"""Which parts of a model case draw random numbers: inference, a loss, a metric, training. Each is looked at twice, op by op."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import keras

from backendcheck.record.observe import losses, outputs
from backendcheck.record.observe.arrays import as_observation, map_nest, to_tensor
from backendcheck.record.observe.draws import Draws, depends_on_draws, sentence, watched
from backendcheck.record.observe.generators import is_of_library
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.state import State, variables_of
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.observations import Observation, of_output

_MOST_LAYERS = 3  # that a sentence names


def note_draws_of_inference(under_test: ModelUnderTest, trace: Trace) -> None:
    """Set `under_test.is_random` if predictions depend on random numbers, and note it."""
    draws, differing = _looks_at_model(under_test, training=False)
    under_test.is_random = bool(differing)
    if differing:
        trace.not_compared["*"] = sentence(f"inference{_layers(under_test, draws)}")


def note_draws_of_losses(under_test: ModelUnderTest, trace: Trace) -> None:
    """Note the losses that depend on random numbers, and everything that depends on them."""
    if under_test.is_random or trace.raised:
        return
    if under_test.case.loss is None or under_test.overrides("compute_loss"):
        with _forward(under_test, by_name=False) as y_pred:
            data = under_test.tensors(under_test.arrays)
            total = lambda: {"loss": as_observation(under_test.total_loss(y_pred, data), where="loss")}  # noqa: E731
            if _differs(total, type(under_test.model).compute_loss):
                _note_loss(trace, "", sentence("the loss of the model"))
        return
    with _forward(under_test) as named:
        data = under_test.tensors(under_test.arrays)
        declared = outputs.declared_names(under_test.model, list(named))
        with suppress(Exception):  # what raises here raises in the recording as well, and is noted there
            specs = outputs.matched(under_test.case.loss, declared, what="loss", repeat=True)
            labels = outputs.matched(data["y"], declared, what="y", repeat=True)
            weights = outputs.matched(data["sample_weight"], declared, what="sample_weight", repeat=True)
            for name, spec in specs.items():
                loss = losses.resolve(spec, labels.get(name), named[name])

                def look(name: str = name, loss: Any = loss) -> Mapping[str, Observation]:
                    under_test.reset_loss_state()
                    value = loss(labels[name], named[name], sample_weight=losses.copied(weights.get(name)))
                    return {"loss": as_observation(value, where="loss")}

                if name in labels and _differs(look, loss):
                    _note_loss(trace, name, sentence(f"the loss {losses.name_of(loss)}"))


def _note_loss(trace: Trace, output: str, why: str) -> None:
    suffix = glob.escape(f"/{output}") if output else ""
    names = (f"per_example_loss{suffix}", f"loss{suffix}", "loss", "gradient/*", "metric/loss", "train/*")
    trace.not_compared |= dict.fromkeys(names, why)


def note_draws_of_metrics(under_test: ModelUnderTest, trace: Trace) -> None:
    """Note the metrics that depend on random numbers."""
    model = under_test.model
    case = under_test.case
    if under_test.is_random or trace.raised or not (case.metrics or case.weighted_metrics):
        return
    with _forward(under_test, by_name=False) as y_pred:
        data = under_test.tensors(under_test.arrays)

        def look() -> Mapping[str, Observation]:
            under_test.reset_metrics()
            values = model.compute_metrics(data["x"], data["y"], y_pred, sample_weight=data["sample_weight"])
            return {name: as_observation(value, where=name) for name, value in values.items() if name != "loss"}

        for name in sorted(_differing(look, [case.metrics, case.weighted_metrics])[1]):
            why = sentence(f"the metric {name}")
            trace.not_compared |= {
                glob.escape(f"{prefix}{name}"): why for prefix in ("metric/", "train/metric/", "train/metric/val_")
            }
    under_test.reset_metrics()


def note_draws_of_training(under_test: ModelUnderTest, trace: Trace, *, changed: bool, draws: Draws) -> None:
    """Note that training depends on random numbers: a pass in training mode does, or `fit` has `changed` a seed generator."""
    if "train/*" in trace.not_compared or "*" in trace.not_compared:
        return
    of_pass, differing = _looks_at_model(under_test, training=True)
    if changed or differing:
        of_pass.generators.update(draws.generators)
        trace.not_compared["train/*"] = sentence(f"training{_layers(under_test, of_pass)}")


# --- looks -----------------------------------------------------------------------------------------------------


def _looks_at_model(under_test: ModelUnderTest, *, training: bool) -> tuple[Draws, set[str]]:
    """Two passes over the same data from the same state."""
    model = under_test.model
    before = State(variables_of(model))
    x = map_nest(to_tensor, under_test.x)

    def look() -> Mapping[str, Observation]:
        before.restore()
        named = outputs.by_output(model(x, training=training), model)
        return {of_output("predictions", name): as_observation(tensor, where=name) for name, tensor in named.items()}

    own = [layer for layer in (model, *model._flatten_layers()) if not is_of_library(layer)]  # noqa: SLF001 - nested, too
    try:
        return _differing(look, own)
    finally:
        before.restore()


def _differing(look: Callable[[], Mapping[str, Observation]], holders: Any) -> tuple[Draws, set[str]]:
    first: Mapping[str, Observation] = {}
    with watched(holders) as draws, suppress(Exception):  # what raises here is noted where Keras raises it
        first = look()
    return draws, depends_on_draws(draws, first, look)


def _differs(look: Callable[[], Mapping[str, Observation]], holder: Any) -> bool:
    return bool(_differing(look, holder)[1])


@contextmanager
def _forward(under_test: ModelUnderTest, *, by_name: bool = True) -> Iterator[Any]:
    """The predictions of a pass in inference mode. Afterwards, the state is as before."""
    under_test.reset_state()
    y_pred = under_test.model(under_test.tensors(under_test.arrays)["x"], training=False)
    yield outputs.by_output(y_pred, under_test.model) if by_name else y_pred
    under_test.reset_state()


def _layers(under_test: ModelUnderTest, draws: Draws) -> str:
    """The layers whose seed generators were drawn from, in parentheses; empty without one."""
    names = [
        layer.name
        for layer in under_test.model._flatten_layers(include_self=False)  # noqa: SLF001 - nested, too
        if any(isinstance(value, keras.random.SeedGenerator) and id(value) in draws.generators for value in vars(layer).values())
    ]
    if not names:
        return ""
    more = f" and {len(names) - _MOST_LAYERS} more" if len(names) > _MOST_LAYERS else ""
    return f" (layer {', '.join(names[:_MOST_LAYERS])}{more})"

