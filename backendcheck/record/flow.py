"""The order in which a case is observed: its kind, then stage by stage, then the oracles that need the backend."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backendcheck.case import FunctionCase, LossCase, ModelCase, Tolerance, ValueCase
from backendcheck.record.backends import backend_module
from backendcheck.record.observe import losses
from backendcheck.record.observe.arrays import as_arrays, observed, or_zeros, scalar, to_tensor
from backendcheck.record.observe.dataset_case import DrawnCase
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.model import built, evaluation, see_losses_and_gradients, see_metrics, see_predictions, train
from backendcheck.record.observe.model_under_test import Subject
from backendcheck.record.observe.overridden_steps import shut_doors
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.randomness import random_state
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.values import loss_arrays, see_values
from backendcheck.vocabulary.findings import Oracle

_EXPECTED = "expected a dict of arrays, a ValueCase, a FunctionCase, a LossCase or a ModelCase"


def observe(
    case: Any, trace: Trace, *, seed: int, oracles: frozenset[Oracle], noise: Perturbation, last: str = "train"
) -> None:
    """Fill `trace` with everything that is to be seen of `case`; `oracles` may ask for ``paths`` and ``order`` as well.

    `noise` is done to what the case feeds to its loss or its model. Of a model, the stages after `last` may be left out.

    Raises:
        InvalidCase: if the case is not one.
        NotRecordable: if it yields something that is no array.
    """
    if isinstance(case, ModelCase):

        observe_model(case, trace, seed=seed, oracles=oracles, noise=noise, last=last)
    elif isinstance(case, LossCase):
        _observe_loss(case, trace, seed=seed, oracles=oracles, noise=noise)
    elif isinstance(case, FunctionCase):
        from backendcheck.record.observe.function import observe_function

        observe_function(case, trace, seed=seed, oracles=oracles, noise=noise)
    elif isinstance(case, ValueCase):
        with trace.stage("compute"):
            see_values(case.compute(), trace, "ValueCase: compute")
    elif isinstance(case, Mapping):
        see_values(case, trace, "the case")
    else:
        hint = " Did it forget its return statement?" if case is None else ""
        message = f"returned {type(case).__name__}; {_EXPECTED}.{hint}"
        raise InvalidCase(message)


def _observe_loss(case: LossCase, trace: Trace, *, seed: int, oracles: frozenset[Oracle], noise: Perturbation) -> None:
    y_true, y_pred, sample_weight = loss_arrays(case, trace)
    arrays = (noise.rounded(y_true), noise.inputs("y_pred", y_pred, trace, seed=seed), noise.rounded(sample_weight))
    loss: Any = None
    with trace.stage("loss"):
        loss = losses.resolve(case.loss)
        trace.losses[""] = losses.description(loss)
    if loss is None:
        return
    gradients = backend_module().gradient_function(
        lambda data: data["y_pred"],
        lambda tensor, data: scalar(loss(data["y_true"], tensor, sample_weight=data["sample_weight"])),
        (),
    )

    def see(arrays: tuple[Any, Any, Any], trace: Trace) -> None:
        with trace.stage("loss"):
            labels, predictions, weight = (to_tensor(array) for array in arrays)
            n = len(arrays[1]) if arrays[1].ndim else 1
            if (each := losses.per_example(loss, labels, predictions, weight, n)) is not None:
                trace.see("per_example_loss", each)
            trace.see("loss", scalar(loss(labels, predictions, sample_weight=weight)))
        if "loss" in trace.observations:
            with trace.stage("gradient"):
                _, by_pred, _ = gradients(dict(zip(("y_true", "y_pred", "sample_weight"), map(to_tensor, arrays), strict=True)))
                trace.see("gradient/y_pred", or_zeros(by_pred[0], arrays[1]))

    see(arrays, trace)
    if Oracle.ORDER in oracles:
        from backendcheck.record.oracles.order import see_loss_relations

        see_loss_relations(case, loss, arrays, see, trace)


def reference_of(case: Any) -> dict[str, np.ndarray]:
    """The case's own reference values in float64, by observation.

    Raises:
        InvalidCase: if the function asks for a parameter that the case does not have, or raises, or returns no dict.
    """
    reference = getattr(case, "reference", None)
    if reference is None:
        return {}
    if callable(reference):
        reference = _call_reference(reference, case)
    if not isinstance(reference, Mapping):
        message = f"reference is {type(reference).__name__}; expected a dict of observation to array, or a function of one."
        raise InvalidCase(message)
    values = {}
    for name, value in reference.items():
        seen = observed(value, where=f"reference for {name}")
        values[str(name)] = seen.value if seen.is_text or seen.value.dtype == bool else seen.value.astype(np.float64)
    return values


def _call_reference(reference: Callable[..., Any], case: Any) -> Any:
    given = {name: as_arrays(value) for name, value in case.named_inputs.items()} if isinstance(case, FunctionCase) else {}
    for name in ("x", "y", "y_true", "y_pred", "sample_weight", "class_weight"):
        if hasattr(case, name):
            given[name] = getattr(case, name) if name == "class_weight" else as_arrays(getattr(case, name))
    wanted = inspect.signature(reference).parameters
    unknown = [
        name
        for name, parameter in wanted.items()
        if name not in given and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if unknown:
        message = f"reference takes {', '.join(unknown)}; expected parameters out of {', '.join(given) or 'none'}."
        raise InvalidCase(message)
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in wanted.values())
    try:
        return reference(**{name: value for name, value in given.items() if takes_all or name in wanted})
    except Exception as error:
        message = f"reference raised {type(error).__name__}: {error}. It must work on NumPy arrays alone."
        raise InvalidCase(message) from error


def tolerances_of(case: Any) -> dict[str, Tolerance]:
    """The case's own tolerances by observation pattern; a single one stands for all (``*``).

    Raises:
        InvalidCase: if it is neither.
    """
    tolerance = getattr(case, "tolerance", None)
    if tolerance is None:
        return {}
    if isinstance(tolerance, Tolerance):
        return {"*": tolerance}
    if isinstance(tolerance, Mapping) and all(isinstance(one, Tolerance) for one in tolerance.values()):
        return {str(name): one for name, one in tolerance.items()}
    message = f"tolerance is {tolerance!r}; expected a Tolerance, or a dict of observation pattern to Tolerance."
    raise InvalidCase(message)


STAGES = ("build", "forward", "loss", "gradient", "metrics", "train")


def observe_model(
    case: ModelCase, trace: Trace, *, seed: int, oracles: frozenset[Oracle], noise: Perturbation, last: str = "train"
) -> None:
    """Fill `trace` with the observations of a model, its labels and its training, and with the variants of `oracles`.

    `last` is the last of `STAGES` that is wanted; what comes after it may be left out.
    """
    wanted = STAGES[: STAGES.index(last) + 1]
    subject = built(case, trace, seed, noise)
    if subject is None:
        return
    model = subject.model
    trace.notes += shut_doors(model)
    before = random_state(model)
    with trace.stage("forward"):
        see_predictions(subject, model.predict(subject.x, batch_size=subject.batch_size, verbose=0), trace)
    if not trace.raised:
        subject.note_moves()
        subject.draws = random_state(model) != before
    if subject.moves:
        trace.notes.append(f"batches of other sizes are not held against these: inference changes {', '.join(subject.moves)}")
    if isinstance(subject.case, DrawnCase) and subject.case.shut:
        trace.notes.append(f"the {subject.case.kind} is not held against its examples as arrays: {subject.case.shut}")
    only_predicts = not trace.raised and subject.only_predicts
    if only_predicts:
        trace.notes.append("predictions only: no labels were given, and no loss")
    elif "loss" in wanted:
        see_losses_and_gradients(subject, subject.arrays, trace)
    if subject.draws:
        trace.not_compared["*"] = "random numbers are drawn outside training, and each backend draws its own"
    if only_predicts:
        see_other_predictions(subject, trace, oracles)
    if only_predicts or "metrics" not in wanted:
        return
    subject.settle()
    with trace.stage("metrics"):
        figures = model.evaluate(*subject.arrays[:2], **evaluation(subject))
        see_metrics(figures, trace, loss=subject.evaluated_loss)
    if any(raised.stage == "metrics" for raised in trace.raised):
        # An exception inside a compiled step may leave the variables of a JAX model empty.
        subject.restore()
        subject.compile()
    subject.settle()
    if Oracle.REFERENCE in oracles and not trace.not_compared:
        from backendcheck.record.oracles.weight_reference import expect_weight_gradients

        expect_weight_gradients(subject, trace, seed)
    variants = not trace.not_compared and oracles
    if variants and Oracle.ORDER in oracles:
        from backendcheck.record.oracles.order import see_relations

        see_relations(subject, trace)
    if variants and Oracle.PATHS in oracles:
        from backendcheck.record.oracles.paths import see_doors

        see_doors(subject, trace)
    elif "train" in wanted:
        subject.settle()
        train(subject, trace)


def see_other_predictions(subject: Subject, trace: Trace, oracles: frozenset[Oracle]) -> None:
    """Predictions once more, through every door and in another order."""
    if trace.not_compared:
        return
    if Oracle.ORDER in oracles:
        from backendcheck.record.oracles.order import permute_predictions

        permute_predictions(subject, trace)
    if Oracle.PATHS in oracles:
        from backendcheck.record.oracles.paths import see_prediction_doors

        see_prediction_doors(subject, trace)
