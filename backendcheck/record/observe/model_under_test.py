"""The model under test: a model case with its data as NumPy arrays, and the state that every observation of it starts from."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import keras
import numpy as np

from backendcheck.case import Fit, ModelCase
from backendcheck.record.observe.arrays import as_fed, is_text, leaves, map_nest, to_tensor
from backendcheck.record.observe.declarations import MaterializedCase, overrides, with_compiled_options
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.fixed_draws import number_generators
from backendcheck.record.observe.gradients import GradientFunction
from backendcheck.record.observe.inputs import check_text, inputs_of, validation_of
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.precision import lowest_of_model
from backendcheck.record.observe.state import State, variables_of, variables_within
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import created_trainable
from backendcheck.vocabulary.findings import Oracle

_DEFAULT_LEARNING_RATE = 0.1


class ModelUnderTest:
    """A model case with its data as arrays, and the model in the state in which observations start.

    case: the case, with options in place of ``"as compiled"``.
    model: its `keras.Model`.
    optimizer: the declared optimizer; once the model is compiled, the one object that all compilations share.
    x, y, sample_weight: nests of NumPy arrays, each (N, …); y and sample_weight may be None.
    n, batch_size: the number of examples, and of examples in a batch.
    validation: the validation data of the case as a tuple of such nests, or None.
    fits: the calls of `fit`.
    dataset, dataset_type: the data set of the case and its type; None and empty without a data set to observe.
    initial: all variables as they were when the model was built.
    initial_optimizer: those of the optimizer, or None if it could not be built before it trains.
    changed_state: paths of the variables that a forward pass in inference mode changes, random generators aside if not fixed.
    is_random: whether predictions depend on random numbers.
    metrics_of_any_batch: the metrics that are the same over one batch as over those of the case; None if the case has one batch.
    evaluated: what `evaluate` has returned in the stage metrics; empty if it raised.
    masks: the masks that layers compute, by observation; empty for a model without. masks_by_path: those that arrive, by path.
    """

    def __init__(self, case: ModelCase, trace: Trace, seed: int, noise: Perturbation) -> None:
        model = case.model
        if not isinstance(model, keras.Model):
            message = f"ModelCase: model is {type(model).__name__}; expected a keras.Model."
            raise InvalidCase(message)
        case = with_compiled_options(case)
        self.case = case
        self.model = model
        self.optimizer: Any = case.optimizer
        x, y, sample_weight = inputs_of(case, trace)
        self.x = noise.inputs("x", x, trace, seed=seed, precision=lowest_of_model(model, x), codes=True)
        self.y, self.sample_weight = noise.rounded(y), noise.rounded(sample_weight)
        check_text(case, self.x, self.y)
        self.validation = noise.rounded_each(validation_of(case, trace))
        self.fits = tuple(case.fits) or (Fit(epochs=int(case.epochs)),)
        self.n = len(next(leaf for _, leaf in leaves(self.x)))
        self.batch_size = int(case.batch_size or self.n)
        self.dataset: Any = None
        self.dataset_type = ""
        if isinstance(case, MaterializedCase) and not case.skip_reason and not noise.source:
            self.dataset, self.dataset_type = case.dataset, case.dataset_type
        self.initial = State(())
        self.changed_state: list[str] = []
        self.is_random = False
        self.metrics_of_any_batch: frozenset[str] | None = None
        self.evaluated: Mapping[str, Any] = {}
        self.masks: dict[str, np.ndarray] = {}
        self.masks_by_path: dict[str, dict[str, Any]] = {}
        self._untrained_state = State(())  # of what no training step changes: statistics, counters, random generators
        self._loss_state = State(())
        self.initial_optimizer: State | None = None
        self._gradients: GradientFunction | None = None

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        return self.x, self.y, self.sample_weight

    @cached_property
    def fed(self) -> tuple[Any, Any, Any]:
        """The same as `fit`, `evaluate` and `predict` take them; see `as_fed`."""
        return as_fed(self.x), as_fed(self.y), self.sample_weight

    @property
    def has_text(self) -> bool:
        """Whether inputs or labels are text."""
        return any(leaf is not None and is_text(leaf) for nest in (self.x, self.y) for _, leaf in leaves(nest))

    # --- compiling ------------------------------------------------------------------------------------------------

    def compile(self, **options: Any) -> None:
        """Compile the model as the case declares it, with its metrics reset. `options` are passed to `model.compile`.

        Raises:
            InvalidCase: if the model overrides compile() with other parameters, and is not compiled yet.
        """
        case = self.case
        arguments = {
            "optimizer": self.optimizer if self.optimizer is not None else keras.optimizers.SGD(_DEFAULT_LEARNING_RATE),
            **{name: getattr(case, name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}, **options,
        }  # fmt: skip
        if self.can_recompile:
            # Metric objects keep their state, and until the first step the compiled model does not know them to reset them.
            self.reset_metrics()
            self.model.compile(**arguments)
        elif not self.model.compiled:
            message = (
                f"ModelCase: the compile() of {type(self.model).__name__} has other parameters than that of Keras; expected a "
                "compiled model. Compile it in the case, and give loss='as compiled'."
            )
            raise InvalidCase(message)

    @property
    def can_recompile(self) -> bool:
        """Whether `model.compile` takes the arguments of `keras.Model.compile`."""
        try:
            inspect.signature(self.model.compile).bind(
                optimizer=None, loss=None, loss_weights=None, metrics=None, weighted_metrics=None, run_eagerly=False
            )
        except TypeError:
            return False
        return True

    # --- state ----------------------------------------------------------------------------------------------------

    def save_initial(self) -> None:
        """Save all state that an observation can change, and that of the optimizer, which a saved model may already have."""
        model = self.model
        loss_variables = variables_within(self.case.loss)
        variables = variables_of(model)
        if self.has_fixed_draws:
            number_generators([*variables, *loss_variables])
        self.initial = State([*variables, *loss_variables])
        trained = created_trainable(model)
        self._untrained_state = State([*(variable for variable in variables if id(variable) not in trained), *loss_variables])
        self._loss_state = State(loss_variables)
        self.optimizer = model.optimizer  # one object from now on: a second compile() keeps the state that is restored
        try:
            if not self.optimizer.built:
                self.optimizer.build(model.trainable_variables)
            self.initial_optimizer = State(self.optimizer.variables)
        except Exception:  # noqa: BLE001 - a user's optimizer may build itself differently, when it trains
            self.initial_optimizer = None

    def restore_initial(self) -> bool:
        """Restore what `save_initial` saved. Returns whether that includes the optimizer."""
        self.initial.restore()
        saved = self.initial_optimizer
        if saved is None or not all(variable in saved for variable in self.optimizer.variables):
            return False
        saved.restore()
        return True

    def reset_state(self) -> None:
        """Restore what an observation without training can change: statistics, counters, random generators."""
        self._untrained_state.restore()

    @property
    def losses_have_state(self) -> bool:
        """Whether a loss has variables, so that each call may change the result of the next one."""
        return bool(self._loss_state)

    def reset_loss_state(self) -> None:
        """Restore the variables inside the losses, before a loss is called again."""
        self._loss_state.restore()

    def reset_metrics(self) -> None:
        """Reset metrics. A metric that fails to reset raises again, and is recorded, in fit or evaluate."""
        with suppress(Exception):
            self.model.reset_metrics()

    @contextmanager
    def variant(self, trace: Trace, oracle: Oracle, path: str) -> Iterator[Trace]:
        """A variant of `trace` (see `Trace.variant`) that starts from the same state as the recording."""
        self.reset_state()
        with trace.variant(oracle, path) as variant:
            yield variant
        if variant.raised:
            self.restore_initial()  # an exception inside a compiled step may leave the variables of a JAX model empty

    def note_changed_state(self) -> None:
        """Note which state an observation has changed: random generators only if they draw what is compared."""
        changed = self._untrained_state.changed()
        self.changed_state = [path for path in changed if self.has_fixed_draws or "seed_generator" not in path]

    # --- what may be compared -------------------------------------------------------------------------------------

    @property
    def has_fixed_draws(self) -> bool:
        """Whether the ops of `keras.random` draw the same numbers on every backend."""
        return self.case.random == "fixed"

    @property
    def draws_in_inference(self) -> bool:
        """Whether predictions depend on fixed random numbers, each of which belongs to a place in the batch."""
        return self.has_fixed_draws and any("seed_generator" in path for path in self.changed_state)

    def overrides(self, method: str) -> bool:
        """Whether the class of the model overrides this method of `keras.Model`."""
        return overrides(self.model, method)

    @property
    def has_fixed_batch_size(self) -> bool:
        """Whether the model is declared for batches of one size."""
        return any(tensor.shape and tensor.shape[0] is not None for tensor in getattr(self.model, "inputs", None) or ())

    @property
    def is_one_batch(self) -> bool:
        """Whether the examples are one batch. Several batches give a mean of means, which is another number."""
        return self.n <= self.batch_size

    @property
    def predict_differs(self) -> bool:
        """Whether `predict` differs from `model(x)` by design."""
        return self.is_random or self.overrides("predict_step") or (bool(self.changed_state) and not self.is_one_batch)

    @property
    def evaluate_loss_name(self) -> str:
        """The observation that gets the loss of `evaluate`; empty if that loss is not an observation besides the metrics."""
        return "metric/loss" if self.test_step_loss_name != "loss" or not self.is_one_batch else ""

    @property
    def test_step_loss_name(self) -> str:
        """The observation that gets the loss of a test step. Only the test step of Keras returns the loss of the model."""
        return "metric/loss" if self.overrides("test_step") else "loss"

    @property
    def only_predicts(self) -> bool:
        """Whether the case has only predictions: without labels, a declared loss, a loss in the model, or one from its layers."""
        return self.case.y is None and not self._computes_loss and not self.overrides("train_step")

    @property
    def trains_on_own_loss(self) -> bool:
        """Whether only the `train_step` of the model has a loss: none is declared, computed by the model, or added by a layer."""
        return self.overrides("train_step") and not self._computes_loss and not self._was_compiled_with_loss

    @property
    def evaluates(self) -> bool:
        """Whether `evaluate` has a loss to report."""
        return not self.trains_on_own_loss or self.overrides("test_step")

    @property
    def _was_compiled_with_loss(self) -> bool:
        """Whether the case has compiled the model with a loss. Another `compile` without one leaves it in force."""
        return getattr(self.model, "_compile_loss", None) is not None

    @property
    def _computes_loss(self) -> bool:
        """Whether `compute_loss` has a loss, once the model has been called: a declared one, its own, or that of a layer."""
        model = self.model
        if self.case.loss is not None or self.overrides("compute_loss"):
            return True
        n_regularized = sum(getattr(variable, "regularizer", None) is not None for variable in model.trainable_variables)
        return len(model.losses) > n_regularized

    def check_labels_have_loss(self) -> None:
        """Check that something takes the labels.

        Raises:
            InvalidCase: if there are labels, and nothing is trained with them.
        """
        has_loss = self._computes_loss or self._was_compiled_with_loss or self.overrides("train_step")
        if self.case.y is None or self.case.expect is not None or has_loss:
            return
        expected = "expected a declared loss, or a compute_loss or train_step of the model's own. Give a loss, or leave y out."
        message = f"ModelCase: there are labels (y), but {type(self.model).__name__} has no loss; {expected}"
        raise InvalidCase(message)

    # --- data, loss, gradients ------------------------------------------------------------------------------------

    def tensors(self, arrays: tuple[Any, Any, Any]) -> dict[str, Any]:
        """``x``, ``y`` and ``sample_weight`` as `fit` passes them to the model. One array of weights applies to all outputs."""
        x, y, sample_weight = (map_nest(to_tensor, nest) if nest is not None else None for nest in arrays)
        nests = (Mapping, list, tuple)
        if sample_weight is not None and isinstance(y, nests) and not isinstance(sample_weight, nests):
            sample_weight = map_nest(lambda _: sample_weight, y)
        return {"x": x, "y": y, "sample_weight": sample_weight}

    def total_loss(self, y_pred: Any, data: Mapping[str, Any]) -> Any:
        """The loss that Keras trains with, a scalar: `compute_loss` on `y_pred` and `data`."""
        self.reset_loss_state()
        return self.model.compute_loss(x=data["x"], y=data["y"], y_pred=y_pred, sample_weight=data["sample_weight"])

    def gradients(self, data: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """The gradients of `total_loss` by each prediction and by each trainable variable."""
        if self._gradients is None:  # made once, so that a backend that compiles does so once
            self._gradients = GradientFunction(
                lambda data: self.model(data["x"], training=False), self.total_loss, self.model.trainable_variables
            )
        return self._gradients(data)

    @property
    def has_sliced_gradients(self) -> bool:
        """Whether the backend returned a gradient as slices (some rows), as TensorFlow does for an embedding."""
        return self._gradients is not None and self._gradients.in_slices
