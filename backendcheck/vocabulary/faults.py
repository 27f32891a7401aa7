"""The faults that `selftest` can inject: the effect of each, the diagnosis it should get, the built-in cases it is tried on.

Data only. The code that injects a fault into a live backend is in `backendcheck.record.faults`, under the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backendcheck.errors import UsageError
from backendcheck.text.close_names import did_you_mean
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS, JAX, TENSORFLOW, TORCH, Backend
from backendcheck.vocabulary.leg_names import LegName

_TRAINED_INTEGERS = "exclusive_classes/training_on_labels_of_any_type[uint8]"
_TRAINED_COLUMN = "exclusive_classes/training_on_labels_of_any_type[int64_column]"
_LOGITS = "exclusive_classes/integer_labels_of_any_type[int64-flat]"
_LOGITS_COLUMN = "exclusive_classes/integer_labels_of_any_type[uint8-column]"
_ONE_LOSS = "exclusive_classes/one_hot_and_integers_give_one_loss"
_TEXT = "text_pipeline/labels_that_count_from_zero"
_CONFIDENCE = "confidence_labels/cross_entropy_of_a_confidence"
_TRAINED_CONFIDENCE = "confidence_labels/training_on_confidences[binary_crossentropy]"
_SQUARED = "confidence_labels/training_on_confidences[mean_squared_error]"
_YES_OR_NO = "exclusive_classes/yes_or_no_as_bool[column]"
_FINDINGS = "multi_label/findings_are_independent"
_STUDENT = "pseudo_labels/a_student_learns_from_soft_labels"
_SOFT = "pseudo_labels/soft_labels_have_the_gradient_of_their_mixture"
_TWO_TASKS = "two_objectives/a_weight_per_objective[outputs_by_dict-weights_by_dict]"
_THREE_HEADS = "several_outputs/losses_and_labels_by_name[dict-as_declared]"
_LABEL_WEIGHTS = "partial_labels/a_loss_by_label_takes_the_mask_as_sample_weight"
_MISSING = "missing_as_minus_one/training_without_the_missing_labels"
_PADDING = "masked_steps/padding_counts_neither_in_loss_nor_in_accuracy"
_CERTAIN = "exact_zeros_and_ones/a_confident_mistake_among_classes"
_CERTAIN_YES = "exact_zeros_and_ones/a_confident_mistake_of_a_yes_or_no"
_SINGLE_LOSSES = (_LOGITS, _LOGITS_COLUMN, _CONFIDENCE, _YES_OR_NO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault by name. `codes` are the diagnoses of which one should name it, the fittest first; `cases` are ids of built-in
    cases; `backends` are those on which it can be injected.
    """

    name: str
    what: str
    codes: tuple[str, ...]
    cases: tuple[str, ...]
    backends: tuple[Backend, ...] = DEFAULT_BACKENDS


def _fault(name: str, what: str, codes: str, *cases: str, backends: tuple[Backend, ...] = DEFAULT_BACKENDS) -> Fault:
    return Fault(name=name, what=what, codes=tuple(codes.split()), cases=cases, backends=backends)


# What a backend does by itself cannot be injected there: its clean recordings have it, as a known divergence. TensorFlow returns
# a dict of outputs in another order than the others, and counts a short batch as much as the others in the losses of single
# outputs. JAX accepts labels out of range, counts padding in the accuracy of fit, and
# gives the absolute value a slope at 0.
_NOT_JAX = (TENSORFLOW, TORCH)
_NOT_TENSORFLOW = (JAX, TORCH)

FAULTS: tuple[Fault, ...] = (
    # Order: classes, examples, outputs.
    _fault("softmax-classes-swapped", "the first two columns of every softmax are exchanged", "class-order",
           _TRAINED_INTEGERS, _TEXT, "class_position/training_with_costs_by_position"),
    _fault("labels-reversed", "class c of C becomes class C-1-c in both categorical cross-entropies", "class-order",
           _TRAINED_INTEGERS, _LOGITS, f"{_ONE_LOSS}[one_hot]", _SOFT),
    _fault("labels-one-on", "class c becomes class c+1, the last one the first, in sparse cross-entropy", "off-by-one",
           _TRAINED_COLUMN, _LOGITS, f"{_ONE_LOSS}[integers]", "exclusive_classes/class_200_in_eight_bits"),
    _fault("one-hot-one-on", "one_hot sets the place after the label's", "off-by-one",
           "encoders/valid_labels", "encoders/whole_floats_for_one_hot"),
    _fault("predictions-of-other-examples", "predict returns the examples back to front", "example-order",
           _TRAINED_INTEGERS, "example_order/predictions_stay_with_their_example", _SQUARED),
    _fault("examples-of-a-batch-reversed", "predict returns the examples of each of several batches back to front",
           "example-order",
           _TRAINED_INTEGERS, "example_order/predictions_stay_with_their_example", _SQUARED),
    _fault("losses-of-other-examples", "each example is given the loss of the one before it", "example-order",
           _LOGITS, _YES_OR_NO, _CONFIDENCE, _TRAINED_INTEGERS),
    _fault("labels-of-other-examples", "each example is given the label of the one before it", "example-order",
           _LOGITS, _TRAINED_INTEGERS, _CONFIDENCE),
    _fault("outputs-reordered", "predict returns its dict in the opposite order", "output-order",
           _TWO_TASKS, _THREE_HEADS, "named_outputs/several_metrics_per_output[by_name]",
           backends=(JAX, TORCH)),
    _fault("outputs-exchanged", "predict exchanges the values of two named outputs of one shape", "output-swap",
           _THREE_HEADS, "several_outputs/an_output_without_a_loss"),
    _fault("labels-of-outputs-exchanged", "the compiled loss exchanges the labels of two named outputs", "output-swap",
           _THREE_HEADS, "several_outputs/an_output_with_several_metrics"),
    # Labels.
    _fault("range-clipped", "sparse cross-entropy takes a label out of range for the nearest class",
           "silent-acceptance never-rejected",  # the latter where no backend is left that rejects it
           "label_range/one_past_the_last_class", "label_range/a_negative_class[minus_one]",
           "text_pipeline/labels_that_count_from_one",
           backends=_NOT_JAX),
    _fault("last-class-dropped", "examples of the last class have no loss", "dropped-label",
           _LOGITS, _TRAINED_INTEGERS, f"{_ONE_LOSS}[one_hot]"),
    _fault("ignored-class-counted", "a label that is to be ignored counts as class 0", "missing-label-counted",
           "missing_as_minus_one/ignore_class_leaves_minus_one_out"),
    _fault("minus-one-counted", "one_hot takes -1 for class 0", "missing-label-counted",
           "missing_as_minus_one/one_hot_of_minus_one"),
    _fault("labels-truncated", "labels lose what is behind the decimal point", "label-truncated",
           _CONFIDENCE, _TRAINED_CONFIDENCE, _SOFT),
    _fault("labels-in-seven-bits", "integer labels lose their eighth bit", "label-wrapped",
           "exclusive_classes/class_200_in_eight_bits"),
    _fault("labels-smoothed", "cross-entropies smooth their labels by 0.1", "label-smoothing",
           f"{_ONE_LOSS}[one_hot]", _SOFT, _STUDENT, _YES_OR_NO, _FINDINGS),
    # Masks and weights.
    _fault("mask-dropped", "losses do not look at the mask", "mask-ignored reduction",
           _PADDING, "missing_as_minus_one/ignore_class_leaves_minus_one_out", backends=_NOT_JAX),
    _fault("mask-inverted", "losses leave out what is not masked, and count what is", "mask-ignored",
           _PADDING, backends=_NOT_JAX),
    _fault("padding-in-metrics", "metrics do not look at the mask", "mask-ignored",
           _PADDING, backends=_NOT_JAX),
    _fault("weights-dropped", "losses do not look at sample_weight", "sample-weight-ignored",
           _MISSING, _LABEL_WEIGHTS, _STUDENT, "partial_labels/every_example_has_weight_zero"),
    _fault("weights-normalised", "losses divide sample_weight by its mean", "sample-weight-misapplied reduction",
           _MISSING, _LABEL_WEIGHTS, _STUDENT),
    _fault("weights-squared", "losses apply sample_weight twice", "sample-weight-misapplied", _STUDENT),
    _fault("weights-of-other-examples", "each example is given the weight of the one before it", "sample-weight-misapplied",
           _MISSING, _LABEL_WEIGHTS, _STUDENT),
    # Metrics, training, saving.
    _fault("metrics-count-twice", "metrics that are means divide by twice the number of examples", "reduction", _TEXT,
           "several_outputs/losses_and_labels_by_list"),
    _fault("metrics-kept-between-batches", "test_on_batch and train_on_batch go on with the metrics of the batch before",
           "stale-metrics", "example_order/predictions_stay_with_their_example"),
    _fault("losses-by-batch", "the mean of the loss of one output counts a short batch as much as the others", "batch-means",
           "several_outputs/losses_by_output_with_a_short_last_batch", backends=_NOT_TENSORFLOW),
    _fault("steps-doubled", "optimizers take the step of twice the gradient", "scale wrong-update",
           _TRAINED_INTEGERS, _SQUARED, _TEXT),
    _fault("optimizer-forgets", "optimizers keep nothing of a step", "wrong-update",
           "optimizers/one_step[nesterov]", "optimizers/one_step[adadelta]"),
    _fault("loaded-classes-reversed", "a loaded Dense layer has its classes in reverse order", "class-order",
           "saved_models/loaded_heads_keep_their_weights"),
    # Reduction, shape, axis.
    _fault("mean-became-sum", "losses are summed where their mean is asked for", "reduction",
           _LOGITS, _CONFIDENCE, _TRAINED_INTEGERS, _SQUARED),
    _fault("mean-divided-twice", "the mean of losses is divided by N once more", "reduction",
           _LOGITS, _YES_OR_NO, _TRAINED_CONFIDENCE),
    _fault("labels-of-a-row-summed", "squared error and binary cross-entropy sum over a row instead of averaging", "reduction",
           _CONFIDENCE, _FINDINGS, _SQUARED),
    _fault("column-broadcast", "squared and absolute error compare labels (N,) with predictions (N, 1)", "broadcast",
           _THREE_HEADS, "several_outputs/losses_and_labels_by_list",
           "named_outputs/several_metrics_per_output[by_name]"),
    _fault("softmax-over-examples", "softmax runs along the examples", "axis", _TRAINED_INTEGERS, _TEXT, _STUDENT),
    # Numbers.
    _fault("softmax-twice", "softmax is applied once more", "logits-as-probabilities", _TRAINED_INTEGERS, _TEXT, _STUDENT),
    _fault("logits-taken-for-probabilities", "losses do not look at from_logits", "logits-as-probabilities",
           _LOGITS, f"{_ONE_LOSS}[one_hot]", _SOFT, "multi_label/findings_on_an_image"),
    _fault("ties-reversed", "of equal scores argmax takes the last", "tie-order",
           "ties_and_exact_hits/the_first_of_equal_scores"),
    _fault("clipped-at-a-thousandth", "probabilities are clipped at 1e-3, not at epsilon", "saturation",
           _CERTAIN, _CERTAIN_YES),
    _fault("slope-at-an-exact-hit", "the absolute value has slope 1 at 0", "edge-gradient",
           "ties_and_exact_hits/an_exact_hit_under_absolute_error", backends=_NOT_JAX),
    _fault("relu-kink", "relu has gradient 1 at 0", "edge-gradient",
           "exact_zeros_and_ones/a_black_image_teaches_hidden_units_nothing"),
    _fault("nan-at-zero-probability", "a probability of exactly 0 or 1 gives a loss of NaN", "nan saturation",
           _CERTAIN, _CERTAIN_YES),
    _fault("nan-in-the-gradient", "losses are right, their gradients are NaN", "nan", _LOGITS, _TRAINED_INTEGERS, _CONFIDENCE),
    _fault("gradient-reversed", "losses are right, their gradients point the other way", "sign",
           _LOGITS, _TRAINED_INTEGERS, _CONFIDENCE, _SQUARED),
    _fault("gradient-doubled", "losses are right, their gradients are twice as large", "scale",
           _LOGITS, _TRAINED_INTEGERS, _CONFIDENCE, _SQUARED),
    _fault("loss-negated", "losses have the opposite sign", "sign", _LOGITS, _CONFIDENCE, _YES_OR_NO),
    _fault("loss-scaled", "losses are 1.1 times as large", "scale", _LOGITS, _CONFIDENCE, _SQUARED),
    _fault("products-in-half", "matrix products are taken in float16", "precision", _TRAINED_INTEGERS, _SQUARED, _TEXT),
    _fault("losses-in-half", "the losses of the examples are rounded to float16", "precision", *_SINGLE_LOSSES),
    _fault("softmax-rounded", "every other probability is off by 3e-5 of it", "rounding precision",
           _TRAINED_INTEGERS, _TEXT, _STUDENT),
)  # fmt: skip

NO_FAULT = "unplanted"  # the name of the leg that holds a second recording without a fault

_BY_NAME = {fault.name: fault for fault in FAULTS}


def faults_named(names: Sequence[str]) -> tuple[Fault, ...]:
    """These faults, or all of them if none is named.

    Raises:
        UsageError: if a fault of that name does not exist.
    """
    if unknown := [name for name in names if name not in _BY_NAME]:
        close = did_you_mean(unknown[0], _BY_NAME)
        message = f"{', '.join(unknown)}: no such fault; expected some of 'backendcheck selftest --list'. {close}".rstrip()
        raise UsageError(message)
    return tuple(_BY_NAME[name] for name in dict.fromkeys(names)) if names else FAULTS


def leg_of(fault: Fault, legs: Sequence[LegName]) -> LegName | None:
    """The one of `legs` on which `fault` is injected: they take turns, by the place of the fault in the table."""
    possible = [leg for leg in legs if leg.backend in fault.backends]
    return possible[FAULTS.index(fault) % len(possible)] if possible else None
