"""The rules of the label contract: their stable codes, what they look for, why it hurts, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from backendcheck.errors import UsageError
from backendcheck.labels.contract.finding import LabelFinding, Place, Severity
from backendcheck.text.close_names import did_you_mean

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

#: The groups of rules, by the start of their codes.
GROUPS: Mapping[str, str] = MappingProxyType({
    "L1": "Values", "L2": "Shape and dtype", "L3": "Rows of one-hot labels", "L4": "Head and loss",
    "L5": "Class names and class maps", "L6": "Splits", "L7": "Balance",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule. `severities` are all severities that its findings can have, the usual one first."""

    code: str
    name: str
    severities: tuple[Severity, ...]
    looks_for: str
    hurts: str
    remedy: str

    @property
    def group(self) -> str:
        return GROUPS[self.code[:2]]

    @property
    def anchor(self) -> str:
        """Its heading in the page of the rules, as a link names it."""
        return f"{self.code} {self.name}".lower().replace(" ", "-")


def _rule(code: str, name: str, severities: Sequence[Severity], looks_for: str, hurts: str, remedy: str) -> Rule:
    return Rule(code=code, name=name, severities=tuple(severities), looks_for=looks_for, hurts=hurts, remedy=remedy)


_ALL = (
    # values
    _rule("L101", "not-finite", [_E],
          "NaN or Inf among labels or sample weights. Among integers, NaN is a missing label.",
          "A single NaN makes the loss NaN, and after one step every weight.",
          "Remove these examples, or give them a valid label and a sample weight of 0."),
    _rule("L102", "sentinel", [_W, _I],
          "A value outside the classes that often means *missing*: -1, -100, 255, 999, -9999 and similar. An info "
          "if the loss ignores it (`ignore_class`).",
          "Unless ignored, it is trained on, differently on each backend, and counted by every metric.",
          "Pass `ignore_class=…` if the loss has it, or give these examples a valid label and a sample weight of 0."),
    _rule("L103", "out-of-range", [_E],
          "An integer label outside the classes: below 0, or without a column in the head.",
          "A backend that does not raise trains on less data, or on another class.",
          "Correct the labels, or give the head a column for each class."),
    _rule("L104", "starts-at-one", [_E, _W],
          "Labels 1 … C for C classes. A warning if the head has C + 1 units, or if the number of classes is not "
          "known.",
          "The last class has no column, and each other class trains the column of its neighbor.",
          "Subtract 1: `y - 1`."),
    _rule("L105", "gap", [_W],
          "Integers between 0 and the largest label that never occur, if neither head nor class names are known.",
          "A class was lost on the way, or the labels are ids and not class indices.",
          "Number the classes without gaps, `np.unique(y, return_inverse=True)`, or pass n_classes."),
    _rule("L106", "class-without-examples", [_W],
          "A class of the head, or of the class names, that has no example in training.",
          "The model cannot learn this class; its column only learns to be small.",
          "Find its examples, or train without the class."),
    _rule("L107", "constant-column", [_W],
          "A column of multi-hot labels, or a target, that has one value in all examples.",
          "There is nothing to learn in it. Its accuracy is 1 and raises the mean.",
          "Remove the column, or find its lost values."),
    _rule("L108", "fractional", [_E],
          "Labels with a fraction for a loss that takes integers.",
          "They are truncated to integers silently: 1.9 becomes class 1.",
          "Round them explicitly, or use a loss for numbers or for soft labels."),
    _rule("L109", "not-binary", [_E, _I],
          "Values outside [0, 1] for binary cross-entropy and other losses that take probabilities: {-1, 1}, 0 and 255. An "
          "info if they are between 0 and 1: soft labels.",
          "The loss has no lower bound any more, and training diverges.",
          "Convert them to 0 and 1: `(y + 1) / 2`, `y / 255`, `y > 0`."),
    _rule("L110", "text", [_E],
          "Labels that are text or other objects, without class names that give them an index.",
          "No loss accepts them.",
          "Pass the class names in order, or encode the labels: `np.unique(y, return_inverse=True)`."),
    _rule("L111", "one-class", [_W],
          "All examples are of one class.",
          "The model learns to predict this class for every input, with an accuracy of 1.",
          "Check whether the data are sorted and cut off, or the labels were overwritten."),
    # shape and dtype
    _rule("L201", "dtype", [_E],
          "A dtype that loses labels or cannot hold them: complex, object, uint64, dates; one too narrow for the number of "
          "classes (int8 beyond 127, float16 beyond 2048, bfloat16 beyond 256).",
          "Labels wrap around, or are rounded to another class. Some backends refuse the type.",
          "Use int32 or int64 for classes, float32 for numbers."),
    _rule("L202", "length", [_E],
          "Labels, inputs and weights of different numbers of examples, or none at all; images that cannot be read.",
          "Every label after a missing one belongs to another example.",
          "Find the place where they diverge. Never cut to the shorter one."),
    _rule("L203", "column-or-not", [_E],
          "Labels (N,) or (N, 1) for an output of several columns, or for a custom loss that subtracts them from (N, 1) "
          "as they are.",
          "They broadcast: each label is compared with every column, or with every example.",
          "Reshape the labels to the shape of the output."),
    _rule("L204", "width", [_E],
          "Labels whose last axis, or another axis, has another length than that of the output.",
          "A loss that broadcasts trains silently on wrong labels; others raise, after the data are loaded.",
          "Give labels one column for each column of the head."),
    _rule("L205", "integer-for-one-hot", [_E],
          "Class indices for a loss that takes one-hot rows.",
          "The backend raises, or takes them for probabilities.",
          "Use sparse_categorical_crossentropy, or `keras.utils.to_categorical(y, C)`."),
    _rule("L206", "one-hot-for-integer", [_E],
          "One-hot rows for a loss that takes class indices.",
          "The backend raises, or takes each 0 and 1 for a class.",
          "Use categorical_crossentropy, or `y.argmax(-1)`."),
    # rows
    _rule("L301", "row-of-zeros", [_E],
          "A one-hot row without a 1.",
          "Such an example has no loss and no gradient. It trains nothing, but the mean counts it.",
          "Find its label, or give it a sample weight of 0."),
    _rule("L302", "row-of-several", [_E],
          "A row that sums to 2 or more, for exclusive classes.",
          "Softmax cannot give 1 to two classes, so the loss cannot reach 0, and the example counts double.",
          "Correct it; or, if several classes can hold, use a sigmoid head and binary cross-entropy."),
    _rule("L303", "row-sum", [_W],
          "A soft row that does not sum to 1.",
          "The weight of the example is the sum of its row.",
          "Divide each row by its sum: `y / y.sum(-1, keepdims=True)`."),
    # head and loss
    _rule("L401", "softmax-on-multi-hot", [_E],
          "A softmax head, or categorical cross-entropy, for rows that often have several 1s.",
          "Softmax divides 1 among the classes, so two classes cannot hold at once.",
          "Use a sigmoid head and binary cross-entropy."),
    _rule("L402", "sigmoid-on-exclusive", [_W],
          "Binary cross-entropy over several columns, if every row is one-hot.",
          "The model does not use that exactly one class holds: predictions need not sum to 1.",
          "Use a softmax head and categorical cross-entropy, unless several classes can hold."),
    _rule("L403", "activation-and-from-logits", [_E],
          "A softmax or sigmoid head with `from_logits=True`; a linear one, or one of another activation that gives no "
          "probabilities, with `from_logits=False`.",
          "The activation is applied twice, and gradients vanish; or never, and the loss takes logits for probabilities.",
          "Use either an activation in the head or from_logits=True, not both."),
    _rule("L404", "softmax-of-one", [_E],
          "Softmax, or categorical cross-entropy, over one unit.",
          "Softmax over one unit is always 1; nothing is learned.",
          "Use sigmoid and binary cross-entropy, or two units."),
    _rule("L405", "head-width", [_E, _W],
          "A head with fewer units than there are classes or class names; a warning if it has more.",
          "A class without a column cannot be predicted, and names do not match the columns.",
          "Give the head one unit for each class."),
    _rule("L406", "sign-labels", [_W, _I],
          "Labels -1 and 1 for cross-entropy; 0 and 1, or -1, 0 and 1, for hinge.",
          "Cross-entropy takes -1 for a probability. Hinge losses convert 0 to -1 only in batches of 0 and 1 "
          "alone.",
          "`(y + 1) / 2` for cross-entropy, `2 * y - 1` for hinge."),
    _rule("L407", "unknown-output", [_E],
          "Labels or losses for an output that the model does not have; no labels for an output with a loss.",
          "Keras raises, or, with lists, pairs labels with the wrong output.",
          "Use the names of the outputs for labels and losses."),
    _rule("L408", "beyond-activation", [_W],
          "Targets that the activation of the head cannot reach: 200 for sigmoid, -3 for relu.",
          "Predictions move to the limit of the activation, where the gradient vanishes, and never reach the target.",
          "Use a linear head, or scale the labels into its range."),
    # names and maps
    _rule("L501", "name-count", [_E],
          "More or fewer class names than classes.",
          "Every name after a missing one stands for another class.",
          "Give one name for each class, in the order of the indices."),
    _rule("L502", "name-twice", [_E, _W],
          "A class name that occurs twice; a warning if two names differ only in case or spaces.",
          "One class has two columns, and each gets a part of its examples.",
          "Rename one, or merge the classes."),
    _rule("L503", "name-order", [_W],
          "Class names in another order than that of the labels' indices; numbers sorted as text (1, 10, 2).",
          "Predictions are reported under wrong names, while all numbers look right.",
          "Use the order in which the labels were numbered: that of the encoder or of the folders."),
    _rule("L504", "map-differs", [_E],
          "Class names that differ from those of the class map.",
          "A model that is trained with one map and served with another reports wrong names.",
          "Use the map of training. Write a new one only for a new model."),
    _rule("L505", "unknown-name", [_E],
          "A text label that is not a class name.",
          "It has no index. Lookups map it to *unknown* or to -1.",
          "Correct the label, or add the name."),
    # splits
    _rule("L601", "leakage", [_E, _I],
          "Identical rows in training and in validation or test data, more often than rows repeat within the training data; "
          "an info if they repeat as often within the training data.",
          "The model is tested on examples that it has memorized.",
          "Remove the duplicates before splitting."),
    _rule("L602", "contradicting", [_W],
          "Equal inputs with different labels.",
          "No model can be right on both.",
          "Check them: a label is wrong, or an input is missing."),
    _rule("L603", "unseen-in-training", [_E],
          "A class in validation or test data that has no example in training.",
          "The model cannot know this class; all its examples count as errors.",
          "Split by class (stratify), or number the classes of all splits together."),
    # balance
    _rule("L701", "imbalance", [_I],
          "The largest class has 10 times as many examples as the smallest, or more.",
          "Always predicting the largest class gets a good score.",
          "Consider the class_weight in the message; evaluate each class by itself."),
)  # fmt: skip

#: Every rule by its code.
RULES: Mapping[str, Rule] = MappingProxyType({rule.code: rule for rule in _ALL})


def find_rule(code: str) -> Rule:
    """The rule with this code or name.

    Raises:
        UsageError: if no rule has it.
    """
    rule = RULES.get(code.upper()) or next((rule for rule in _ALL if rule.name == code.lower()), None)
    if rule is None:
        close = did_you_mean(code, [*RULES, *(rule.name for rule in _ALL)])
        message = f"{code}: unknown rule; expected a code such as L104, or a name. {close} See 'backendcheck labels --list'."
        message = message.replace("  ", " ")
        raise UsageError(message)
    return rule


def parse_codes(codes: Iterable[str], option: str) -> tuple[str, ...]:
    """Rule codes and prefixes of them (``L1``, ``L40``), from a list or from text with commas, in capitals.

    Raises:
        UsageError: if one of them is not a code or a prefix; `option` is where they came from.
    """
    if isinstance(codes, str):
        codes = codes.split(",")
    parsed = tuple(code.strip().upper() for code in codes if code.strip())
    for code in parsed:
        if not any(rule_code.startswith(code) for rule_code in RULES):
            close = did_you_mean(code, RULES, "See 'backendcheck labels --list'.")
            message = f"{option}: unknown rule {code}; expected codes such as L104, or prefixes of them, L1 … L7. {close}"
            raise UsageError(message)
    return parsed


def filter_findings(findings: Iterable[LabelFinding], select: Sequence[str], ignore: Sequence[str]) -> list[LabelFinding]:
    """The findings whose rules are selected and not ignored; without `select` all rules are selected.

    If a rule is both selected and ignored, the longer code decides.
    """
    kept = []
    for finding in findings:
        selected = max((len(code) for code in select if finding.code.startswith(code)), default=-1 if select else 0)
        ignored = max((len(code) for code in ignore if finding.code.startswith(code)), default=-1)
        if selected > ignored or (selected >= 0 and ignored < 0):
            kept.append(finding)
    return kept


def make_finding(
    code: str, place: Place, problem: str, *, expected: str = "", remedy: str = "", severity: Severity | None = None,
    variant: str | None = "", evidence: Mapping[str, Any] | None = None,
) -> LabelFinding:  # fmt: skip
    """Make a finding. Its message is *where: problem; expected X, got Y. What to do.*.

    Args:
        code: the code of the rule.
        place: which labels, head or loss.
        problem: what is wrong, to follow the place and a colon.
        expected: what is expected, and after ", got" what is there instead.
        remedy: what to do; default: the remedy of the rule.
        severity: default: the usual severity of the rule.
        variant: see `LabelFinding`.
        evidence: see `LabelFinding`.
    """
    rule = RULES[code]
    middle = f"; expected {expected}" if expected else ""
    return LabelFinding(
        code=code, name=rule.name, severity=severity or rule.severities[0], where=place.where, output=place.output,
        message=f"{place.where}: {problem}{middle}. {remedy or rule.remedy}".strip(), split=place.split, loss=place.loss,
        variant=variant, evidence=evidence or {},
    )  # fmt: skip
