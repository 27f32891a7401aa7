"""A model case with its data as arrays: what every stage of the observation looks at, and from which state."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import keras
import numpy as np

from backendcheck.case import ModelCase
from backendcheck.record.backends import backend_module
from backendcheck.record.observe.arrays import as_arrays, check_lengths, digests, leaves, map_nest, to_tensor
from backendcheck.record.observe.as_compiled import declared
from backendcheck.record.observe.dataset_case import DrawnCase
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.overridden_steps import has_own
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.variables import State, variables_of, variables_within
from backendcheck.record.observe.weights import created_trainable
from backendcheck.vocabulary.findings import Oracle

_DEFAULT_LEARNING_RATE = 0.1


class Subject:
    """A model case with its data as NumPy arrays: what every stage of the observation looks at."""

    def __init__(self, case: ModelCase, trace: Trace, seed: int, noise: Perturbation) -> None:
        model = case.model
        if not isinstance(model, keras.Model):
            message = f"ModelCase: model is {type(model).__name__}; expected a keras.Model."
            raise InvalidCase(message)
        case = declared(case)
        self.case = case
        self.model = model
        self.optimizer = case.optimizer
        x, y, sample_weight = _inputs(case, trace)
        self.x = noise.inputs("x", x, trace, seed=seed, precision=lowest_precision(model), codes=True)
        self.y, self.sample_weight = noise.rounded(y), noise.rounded(sample_weight)
        self.n = len(next(leaf for _, leaf in leaves(self.x)))
        self.batch_size = int(case.batch_size or self.n)
        self.dataset: Any = None
        self.dataset_kind = ""
        if isinstance(case, DrawnCase) and not case.shut and not noise.kind:
            self.dataset, self.dataset_kind = case.dataset, case.kind
        self.initial = State(())
        self.moves: list[str] = []
        self.draws = False
        self._looked_at = State(())
        self._within_losses = State(())
        self._initial_optimizer: State | None = None
        self._gradients: Callable[[Any], Any] | None = None

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        return self.x, self.y, self.sample_weight

    def compile(self, **options: Any) -> None:
        """Compile the model as the case declares it; `options` go to `model.compile`.

        Raises:
            InvalidCase: if the model has a compile() of its own that does not take this, and is not compiled yet.
        """
        case = self.case
        arguments = {
            "optimizer": self.optimizer if self.optimizer is not None else keras.optimizers.SGD(_DEFAULT_LEARNING_RATE),
            **{name: getattr(case, name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}, **options,
        }  # fmt: skip
        if self.compiles_anew:
            self.model.compile(**arguments)
        elif not self.model.compiled:
            message = (
                f"ModelCase: {type(self.model).__name__} has a compile() that wants other arguments than Keras's; expected it "
                "compiled. Call it in the case, and say loss='as compiled'."
            )
            raise InvalidCase(message)

    @property
    def compiles_anew(self) -> bool:
        """Whether the model can be compiled with the arguments of Keras's own `compile`."""
        try:
            inspect.signature(self.model.compile).bind(
                optimizer=None, loss=None, loss_weights=None, metrics=None, weighted_metrics=None, run_eagerly=False
            )
        except TypeError:
            return False
        return True

    def remember(self) -> None:
        """Keep all that a look at the model can change, and the state of the optimizer, which a saved model may bring along."""
        model = self.model
        within_losses = variables_within(self.case.loss)
        variables = variables_of(model)
        self.initial = State([*variables, *within_losses])
        trained = created_trainable(model)
        self._looked_at = State([*(one for one in variables if id(one) not in trained), *within_losses])
        self._within_losses = State(within_losses)
        self.optimizer = model.optimizer  # one object from now on: compiled anew, it keeps what is restored
        try:
            if not self.optimizer.built:
                self.optimizer.build(model.trainable_variables)
            self._initial_optimizer = State(self.optimizer.variables)
        except Exception:  # noqa: BLE001 - an optimizer of the user's own may build itself in its own way, when it trains
            self._initial_optimizer = None

    def restore(self) -> bool:
        """Put back what `remember` kept; returns whether the optimizer could be, too."""
        self.initial.put_back()
        kept = self._initial_optimizer
        if kept is None or not all(one in kept for one in self.optimizer.variables):
            return False
        kept.put_back()
        return True

    def reset_metrics(self) -> None:
        """Metrics from zero. One that cannot be is met, and recorded, where `fit` and `evaluate` do the same."""
        with suppress(Exception):
            self.model.reset_metrics()

    def settle(self) -> None:
        """Put back what a look can change that does not train: statistics, counters, random generators."""
        self._looked_at.put_back()

    @contextmanager
    def variant(self, trace: Trace, oracle: Oracle, door: str) -> Iterator[Trace]:
        """A variant of `trace`, see there, that begins from the state which the recording began with."""
        self.settle()
        with trace.variant(oracle, door) as other:
            yield other
        if other.raised:
            self.restore()  # what was thrown inside a compiled step may leave the variables of a JAX model empty

    def note_moves(self) -> None:
        """Find out, after a look, what it has changed of the state, random generators aside."""
        self.moves = [path for path in self._looked_at.moved() if "seed_generator" not in path]

    @property
    def fixed_batch(self) -> bool:
        """Whether the model is declared for batches of one size."""
        return any(one.shape and one.shape[0] is not None for one in getattr(self.model, "inputs", None) or ())

    @property
    def whole(self) -> bool:
        """Whether the examples are one batch; several give a mean of means, which is something else."""
        return self.n <= self.batch_size

    @property
    def predicts_apart(self) -> bool:
        """Whether `predict` gives something else than `model(x)`, by design."""
        return self.draws or has_own(self.model, "predict_step") or (bool(self.moves) and not self.whole)

    @property
    def evaluated_loss(self) -> str:
        """The observation that the loss which `evaluate` reports is beside the metrics; empty if it is none of its own."""
        return "metric/loss" if self.tested_loss != "loss" or (self.dataset is not None and not self.whole) else ""

    @property
    def only_predicts(self) -> bool:
        """Whether there is nothing to lose: no labels, no loss, none of the model's own, and none that its layers add."""
        model, case = self.model, self.case
        own = has_own(model, "compute_loss") or has_own(model, "train_step")
        if case.y is not None or case.loss is not None or own:
            return False
        n_regularized = sum(getattr(one, "regularizer", None) is not None for one in model.trainable_variables)
        return len(model.losses) <= n_regularized

    @property
    def losses_hold_state(self) -> bool:
        """Whether a loss has variables, so that each call may change what the next one returns."""
        return bool(self._within_losses)

    @property
    def tested_loss(self) -> str:
        """The observation that the loss of a test step is; only Keras's own test step promises the loss of the model."""
        return "metric/loss" if has_own(self.model, "test_step") else "loss"

    def tensors(self, arrays: tuple[Any, Any, Any]) -> dict[str, Any]:
        """The data as `fit` would hand it to the model; one array of weights is spread over all outputs."""
        x, y, sample_weight = (map_nest(to_tensor, nest) if nest is not None else None for nest in arrays)
        nests = (Mapping, list, tuple)
        if sample_weight is not None and isinstance(y, nests) and not isinstance(sample_weight, nests):
            sample_weight = map_nest(lambda _: sample_weight, y)
        return {"x": x, "y": y, "sample_weight": sample_weight}

    def total(self, y_pred: Any, data: Mapping[str, Any]) -> Any:
        """The loss that Keras trains with."""
        self.settle_losses()
        return self.model.compute_loss(x=data["x"], y=data["y"], y_pred=y_pred, sample_weight=data["sample_weight"])

    def settle_losses(self) -> None:
        """Put back the variables inside the losses, before one is called again."""
        self._within_losses.put_back()

    def gradients(self, data: Mapping[str, Any]) -> Any:
        """Value and gradients of `total`; made once, so that a backend which compiles does so once."""
        if self._gradients is None:
            self._gradients = backend_module().gradient_function(
                lambda data: self.model(data["x"], training=False), self.total, self.model.trainable_variables
            )
        return self._gradients(data)

    @property
    def gradients_in_slices(self) -> bool:
        """Whether the backend gave some gradient as slices, row by row, as TensorFlow does of an embedding."""
        return getattr(self._gradients, "in_slices", False)


def _inputs(case: ModelCase, trace: Trace) -> tuple[Any, Any, Any]:
    n_outputs = None if isinstance(case.y, Mapping) else _n_outputs(case.model)
    x = as_arrays(case.x, 1 if len(getattr(case.model, "inputs", None) or ()) == 1 else None, where="ModelCase: x")
    y = as_arrays(case.y, n_outputs, where="ModelCase: y")
    sample_weight = as_arrays(case.sample_weight, n_outputs, where="ModelCase: sample_weight")
    for name, nest in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        trace.digests |= digests(name, nest)
    if case.class_weight is not None:
        weights = as_arrays(case.class_weight)
        trace.digests |= digests("class_weight", weights)
    empty = [path for path, leaf in leaves(x, "x") if np.ndim(leaf) == 0 or len(leaf) == 0]
    if empty:
        message = f"ModelCase: {empty[0]} holds no examples; expected an array of N of them, N of 1 or more."
        raise InvalidCase(message)
    if case.expect is None:
        check_lengths("ModelCase", {"x": x, "y": y, "sample_weight": sample_weight})
    return x, y, sample_weight


def _n_outputs(model: Any) -> int | None:
    structure = getattr(model, "_outputs_struct", None)
    return None if structure is None else len(list(leaves(structure)))


def lowest_precision(model: Any) -> str | None:
    """The coarsest float type that a layer computes in, where that is below the float type of the session."""
    computed = {getattr(layer, "compute_dtype", None) for layer in model._flatten_layers()}  # noqa: SLF001 - nested ones, too
    return next((dtype for dtype in ("bfloat16", "float16") if dtype in computed and keras.config.floatx() != dtype), None)
