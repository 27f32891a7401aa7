"""The order oracle on losses in another form: repeated, weighted, relabeled or masked, where the value must stay.

Forms are first checked together, with one call on a larger batch. Only if that call does not give the recorded value, each
form is recorded by itself, so that the record says which relation is broken. See `relation_forms` for the forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from backendcheck import reference
from backendcheck.case import LossCase, ModelCase, Tolerance
from backendcheck.compare.tolerances import default_tolerance
from backendcheck.record.backends.masks import with_mask
from backendcheck.record.observe import losses
from backendcheck.record.observe.arrays import as_observation, scalar, to_tensor
from backendcheck.record.observe.trace import Trace
from backendcheck.record.oracles import relation_classes, relation_forms
from backendcheck.record.oracles.relation_forms import Form, NotApplicable
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import DeclaredLoss, declared_loss
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Observation, Quantity, of_output
from backendcheck.vocabulary.relations import Relation, path_of, together
from backendcheck.vocabulary.states import Status

_FULL = ("float32", "float64")
_CLASSES_TOGETHER = 4  # the number of classes in the common call is a multiple of this, so that cases share their shapes
_SURE = 0.5  # of the tolerance: what is farther off is looked at form by form
_OF_EXAMPLES = ("batch twice", "example # with weight 0", "example # twice, weights halved")
_OF_CLASSES = ("label form", "from_logits", "new class")
_MAKERS: Mapping[str, Callable[[Form, int], Form]] = {
    "batch twice": relation_forms.batch_twice,
    "example # with weight 0": relation_forms.weight_zero,
    "example # twice, weights halved": relation_forms.weight_two,
    "label form": relation_classes.label_form,
    "from_logits": relation_classes.from_logits,
    "new class": relation_classes.new_class,
    "masked step": relation_forms.masked_step,
}
_OPT_OUTS: Mapping[str, tuple[Relation, str]] = {
    "batch twice": (Relation.BATCH_TWICE, "examples"),
    "example # with weight 0": (Relation.WEIGHT_ZERO, "examples"),
    "example # twice, weights halved": (Relation.WEIGHT_TWO, "examples"),
    "label form": (Relation.LABEL_FORM, "classes"),
    "from_logits": (Relation.FROM_LOGITS, "classes"),
    "new class": (Relation.NEW_CLASS, "classes"),
    "masked step": (Relation.MASKED_STEP, "examples"),
}


def observe_relations(case: LossCase | ModelCase, loss: Any, output: str, trace: Trace) -> None:
    """Check the loss of an output in every form that applies to it. A note says which do, and why others do not."""
    declared = declared_of(trace, output)
    of = f" of {output}" if output else ""
    try:
        if declared is None or type(loss).__module__.partition(".")[0] != "keras":
            raise NotApplicable("the loss is not one of Keras")
        target = _target(declared, output, trace)
        base = relation_forms.original(declared)
        expected = relation_forms.right_value(base)
    except NotApplicable as reason:
        trace.notes.append(f"the loss{of} is not compared in other forms: {reason}")
        return
    _Relations(case, loss, output, trace, target, base, expected).observe(of)


def declared_of(trace: Trace, output: str, spec: reference.LossSpec | None = None) -> DeclaredLoss | None:
    """The standard loss that an output declares, or `spec`, on what `trace` has recorded; None for another loss."""
    settings = {"epsilon": repr(keras.config.epsilon()), "floatx": keras.config.floatx()}
    recording = Recording(
        case="", backend="", run="", status=Status.RECORDED, observations=trace.observations, labels=trace.labels,
        losses=trace.losses, settings=settings,
    )  # fmt: skip
    return declared_loss(recording, output, spec)


def _target(declared: DeclaredLoss, output: str, trace: Trace) -> str:
    """The observation that a form must give again."""
    name = of_output("loss", output) if output or declared.alone else "per_example_loss"
    observation = trace.observations.get(name)
    if observation is None:
        raise NotApplicable("it is not recorded by itself")
    if observation.precision not in _FULL:
        raise NotApplicable(f"it is computed from {observation.precision}")
    return name


class _Relations:
    """The relations of one loss: what they are compared with, and the forms that apply."""

    def __init__(
        self, case: LossCase | ModelCase, loss: Any, output: str, trace: Trace, target: str, base: Form, expected: float
    ) -> None:  # fmt: skip
        self.loss, self.output, self.trace = loss, output, trace
        self.target, self.base, self.expected = target, base, expected
        self.recorded = trace.observations[target]
        self.tolerance: Tolerance = default_tolerance(Quantity.LOSS, self.recorded.precision)
        self.opt_outs: dict[str, str] = {opt_out.relation: opt_out.reason for opt_out in case.order}
        self.example = relation_forms.largest(base.loss)
        self.forms: dict[str, Form] = {}
        self.reasons: dict[str, str] = {}
        self.differs = False  # whether the loss by itself has another value than the recorded one

    def observe(self, of: str) -> None:
        for name, maker in _MAKERS.items():
            try:
                if reasons := [self.opt_outs[relation] for relation in _OPT_OUTS[name] if relation in self.opt_outs]:
                    raise NotApplicable(f"the case opts out: {reasons[0]}")
                form = maker(self.base, self.example)
                relation_forms.prove(self.base, self.expected, form, self.tolerance)
                self.forms[name] = form
            except NotApplicable as reason:
                self.reasons[name] = str(reason)
            except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
                self.reasons[name] = "labels, predictions and weights do not fit together"
        if self.forms:
            self._observe_together([name for name in (*_OF_CLASSES, *_OF_EXAMPLES) if name in self.forms])
            if "masked step" in self.forms:
                self._observe_together(["masked step"])
        if self.differs:
            why = "called by itself on what is recorded, it has another value"
            self.trace.notes.append(f"the loss{of} is not compared in other forms: {why}")
            return
        applied = "; ".join(self._words(name) for name in self.forms) or "none"
        left_out = "".join(f". Not {self._words(name)}: {reason}" for name, reason in self.reasons.items())
        self.trace.notes.append(f"the loss{of} is compared in other forms: {applied}{left_out}")

    def _words(self, name: str) -> str:
        """The form in the words of its path."""
        if name == "label form":
            is_sparse = self.base.loss.spec.name.startswith("sparse")
            return "one-hot labels" if is_sparse or self.base.loss.spec.name != "categorical_crossentropy" else "integer labels"
        if name == "from_logits":
            return "probabilities" if self.base.loss.spec.options.get("from_logits") else "logits"
        return name.replace("#", str(self.example))

    def _observe_together(self, names: list[str]) -> None:
        """Check these forms with one call; if it does not give the recorded value, one by one."""
        if not names:
            return
        try:
            form = self.forms[names[0]] if len(names) == 1 else self._in_one(names)
            relation_forms.prove(self.base, self.expected, form, self.tolerance)
            observation = self._value(form)
        except Exception:  # noqa: BLE001 - each form by itself shows what raises, or that none does
            observation = None
        if observation is not None and self._is_near(observation):
            words = [self._words(name) for name in names]
            path = path_of(words[0], self.output) if len(names) == 1 else together(words, self.output)
            with self.trace.variant(Oracle.ORDER, path) as variant:
                variant.add(self.target, observation.value, like=self.recorded)
            return
        if self._is_as_recorded():
            for name in names:
                self._observe_alone(name)

    def _is_as_recorded(self) -> bool:
        """Whether the loss has its recorded value when it is called on the recorded arrays. Otherwise no form can have it."""
        try:
            if self._is_near(self._value(self.base)):
                return True
        except Exception:  # noqa: BLE001, S110 - whatever it raises, the recording has it, or the loss depends on more
            pass
        self.forms.clear()
        self.differs = True
        return False

    def _in_one(self, names: list[str]) -> Form:
        form = self.base
        for name in names:
            if name == "new class":
                form = relation_classes.new_class(form, self.example, multiple_of=_CLASSES_TOGETHER)
            elif name in _OF_CLASSES:
                form = _MAKERS[name](form, self.example)
        if {*_OF_EXAMPLES} <= {*names}:
            return relation_forms.stacked(form, self.example)
        for name in names:
            if name in _OF_EXAMPLES:
                form = _MAKERS[name](form, self.example)
        return form

    def _observe_alone(self, name: str) -> None:
        with self.trace.variant(Oracle.ORDER, path_of(self._words(name), self.output)) as variant:
            observation = self._value(self.forms[name])
            variant.add(self.target, observation.value, like=self.recorded)

    def _is_near(self, observation: Observation) -> bool:
        left, right = observation.value.astype(np.float64), self.recorded.value.astype(np.float64)
        allowed = _SURE * (self.tolerance.atol + self.tolerance.rtol * np.maximum(np.abs(left), np.abs(right)))
        return left.shape == right.shape and bool((np.abs(left - right) <= allowed).all())

    def _value(self, form: Form) -> Observation:
        """The value of the loss in a form, brought to what is recorded."""
        declared = form.loss
        loss = _keras_loss(declared, self.loss) if form.changed else self.loss
        y_pred = with_mask(to_tensor(declared.y_pred), to_tensor(declared.mask))
        y_true, weight = to_tensor(declared.y_true), to_tensor(declared.sample_weight)
        if self.target != "per_example_loss":
            value = as_observation(scalar(loss(y_true, y_pred, sample_weight=weight)), where="loss")
            return replace(value, value=np.asarray(value.value * relation_forms.factor(self.base, form), value.value.dtype))
        each = losses.per_example(loss, y_true, y_pred, weight, len(form.rows))
        if each is None:
            raise NotApplicable("the loss in this form has no value for each example")
        by_example = np.zeros(len(self.base.rows))
        n_steps = declared.y_pred.shape[1] / self.base.loss.y_pred.shape[1] if declared.y_pred.ndim > 2 else 1.0  # noqa: PLR2004
        np.add.at(by_example, form.rows, each.value * n_steps / form.times)
        return replace(each, value=by_example.astype(each.value.dtype))


def _keras_loss(declared: DeclaredLoss, like: keras.losses.Loss) -> keras.losses.Loss:
    """The loss of Keras that a form declares."""
    kind = next(kind for name, kind in vars(keras.losses).items() if name[0].isupper() and _names(kind, declared.spec.name))
    without = ("epsilon", "name", "fn", "reduction", "dtype")
    options = {key: value for key, value in declared.spec.options.items() if key not in without}
    loss: keras.losses.Loss = kind(**options, reduction=like.reduction)
    return loss


def _names(kind: Any, name: str) -> bool:
    return isinstance(kind, type) and reference.canonical_name(kind.__name__) == name
