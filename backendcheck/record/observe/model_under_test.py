"""The model under test: a model case with its data as NumPy arrays, and the state that every observation of it starts from."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import keras
import numpy as np

from backendcheck.case import ModelCase
from backendcheck.record.observe.arrays import as_arrays, as_fed, check_lengths, digests, is_text, leaves, map_nest, to_tensor
from backendcheck.record.observe.declarations import MaterializedCase, with_compiled_options
from backendcheck.record.observe.errors import InvalidCase, NotSupported
from backendcheck.record.observe.fixed_draws import number_generators
from backendcheck.record.observe.gradients import GradientFunction
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.precision import lowest_of_model
from backendcheck.record.observe.state import State, variables_of, variables_within
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import created_trainable
from backendcheck.vocabulary.findings import Oracle

_DEFAULT_LEARNING_RATE = 0.1

# What is not compared if the class of the model overrides the method.
_SKIPPED = {
    "train_step": "what fit reports is not compared with the loss before training",
    "test_step": "what evaluate reports is not compared with the loss, and is recorded as metric/loss",
    "predict_step": "predict is not compared with model(x)",
    "compute_loss": "the loss is not compared with the declared losses called directly",
}


class ModelUnderTest:
    """A model case with its data as arrays, and the model in the state in which observations start.

    case: the case, with options in place of ``"as compiled"``.
    model: its `keras.Model`.
    optimizer: the declared optimizer; once the model is compiled, the one object that all compilations share.
    x, y, sample_weight: nests of NumPy arrays, each (N, …); y and sample_weight may be None.
    n, batch_size: the number of examples, and of examples in a batch.
    dataset, dataset_type: the data set of the case and its type; None and empty without a data set to observe.
    initial: all variables as they were when the model was built.
    changed_state: paths of the variables that a forward pass in inference mode changes, random generators aside if not fixed.
    is_random: whether predictions depend on random numbers.
    """

    def __init__(self, case: ModelCase, trace: Trace, seed: int, noise: Perturbation) -> None:
        model = case.model
        if not isinstance(model, keras.Model):
            message = f"ModelCase: model is {type(model).__name__}; expected a keras.Model."
            raise InvalidCase(message)
        case = with_compiled_options(case)
        self.case = case
        self.model = model
        self.optimizer = case.optimizer
        x, y, sample_weight = _inputs(case, trace)
        self.x = noise.inputs("x", x, trace, seed=seed, precision=lowest_of_model(model, x), codes=True)
        self.y, self.sample_weight = noise.rounded(y), noise.rounded(sample_weight)
        _check_text(case, self.x, self.y)
        self.n = len(next(leaf for _, leaf in leaves(self.x)))
        self.batch_size = int(case.batch_size or self.n)
        self.dataset: Any = None
        self.dataset_type = ""
        if isinstance(case, MaterializedCase) and not case.skip_reason and not noise.source:
            self.dataset, self.dataset_type = case.dataset, case.dataset_type
        self.initial = State(())
        self.changed_state: list[str] = []
        self.is_random = False
        self._untrained_state = State(())  # of what no training step changes: statistics, counters, random generators
        self._loss_state = State(())
        self._initial_optimizer: State | None = None
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
        """Compile the model as the case declares it. `options` are passed to `model.compile`.

        Raises:
            InvalidCase: if the model overrides compile() with other parameters, and is not compiled yet.
        """
        case = self.case
        arguments = {
            "optimizer": self.optimizer if self.optimizer is not None else keras.optimizers.SGD(_DEFAULT_LEARNING_RATE),
            **{name: getattr(case, name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}, **options,
        }  # fmt: skip
        if self.can_recompile:
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
            self._initial_optimizer = State(self.optimizer.variables)
        except Exception:  # noqa: BLE001 - a user's optimizer may build itself differently, when it trains
            self._initial_optimizer = None

    def restore_initial(self) -> bool:
        """Restore what `save_initial` saved. Returns whether that includes the optimizer."""
        self.initial.restore()
        saved = self._initial_optimizer
        if saved is None or not all(variable in saved for variable in self.optimizer.variables):
            return False
        saved.restore()
        return True

    def reset_state(self) -> None:
        """Restore what an observation without training can change: statistics, counters, random generators."""
        self._untrained_state.restore()

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
        return getattr(type(self.model), method) is not getattr(keras.Model, method)

    def skipped_paths(self) -> list[str]:
        """A note for each overridden method. If the model overrides a step, that path is not compared with the others."""
        return [f"{words}: the model overrides {method}" for method, words in _SKIPPED.items() if self.overrides(method)]

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
        return "metric/loss" if self.test_step_loss_name != "loss" or (self.dataset is not None and not self.is_one_batch) else ""

    @property
    def test_step_loss_name(self) -> str:
        """The observation that gets the loss of a test step. Only the test step of Keras returns the loss of the model."""
        return "metric/loss" if self.overrides("test_step") else "loss"

    @property
    def only_predicts(self) -> bool:
        """Whether the case has only predictions: without labels, a declared loss, a loss in the model, or one from its layers."""
        model, case = self.model, self.case
        if case.y is not None or case.loss is not None or self.overrides("compute_loss") or self.overrides("train_step"):
            return False
        n_regularized = sum(getattr(variable, "regularizer", None) is not None for variable in model.trainable_variables)
        return len(model.losses) <= n_regularized

    @property
    def losses_have_state(self) -> bool:
        """Whether a loss has variables, so that each call may change the result of the next one."""
        return bool(self._loss_state)

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
        message = f"ModelCase: {empty[0]} holds no examples; expected an array with at least one example."
        raise InvalidCase(message)
    if case.expect is None:
        check_lengths("ModelCase", {"x": x, "y": y, "sample_weight": sample_weight})
    return x, y, sample_weight


def _check_text(case: ModelCase, x: Any, y: Any) -> None:
    """Check that the backend has text, if the case needs it.

    Text labels need it only for a step or a loss of the model's own. Every loss of Keras refuses them, on each backend.

    Raises:
        NotSupported: naming what holds text.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow" or case.expect is not None:
        return
    cls = type(case.model)
    is_own = any(getattr(cls, method) is not getattr(keras.Model, method) for method in ("train_step", "compute_loss"))
    for nest, name, words in ((x, "x", "inputs"), *([(y, "y", "labels")] if is_own else [])):
        if text := [path for path, leaf in leaves(nest, name) if leaf is not None and is_text(leaf)]:
            message = f"{backend} does not support text {words} ({', '.join(text)})"
            raise NotSupported(message)


def _n_outputs(model: Any) -> int | None:
    structure = getattr(model, "_outputs_struct", None)
    return None if structure is None else len(list(leaves(structure)))
