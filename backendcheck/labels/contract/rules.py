"""The rules of the label contract: stable codes, what each looks for, why it hurts, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from backendcheck.errors import UsageError
from backendcheck.labels.contract.finding import LabelFinding, Place, Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

#: What the first digit of a code says.
GROUPS: Mapping[str, str] = MappingProxyType({
    "L1": "Values", "L2": "Shape and dtype", "L3": "Rows of one-hot labels", "L4": "Head and loss",
    "L5": "Class names and class maps", "L6": "Splits", "L7": "Balance",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule; `severities` are those that its findings can have, the usual one first."""

    code: str
    name: str
    severities: tuple[Severity, ...]
    looks_for: str
    hurts: str
    remedy: str

    @property
    def group(self) -> str:
        return GROUPS[self.code[:2]]


def _rule(code: str, name: str, severities: Sequence[Severity], looks_for: str, hurts: str, remedy: str) -> Rule:
    return Rule(code=code, name=name, severities=tuple(severities), looks_for=looks_for, hurts=hurts, remedy=remedy)


_ALL = (
    # values
    _rule("L101", "not-finite", [_E],
          "NaN or Inf among labels or weights. In a column of integers NaN stands for a missing label.",
          "One NaN makes the loss NaN, and after one step every weight.",
          "Leave those examples out, or give them a label and a sample weight of 0."),
    _rule("L102", "sentinel", [_W, _I],
          "A value that elsewhere means *missing*: -1, -100, 255, 999, -9999 and the like, outside the classes. An info "
          "where the loss ignores it (`ignore_class`).",
          "What is not ignored is trained on, each backend in its own way, and counted by every metric.",
          "Say `ignore_class=…` where the loss has it, or give these examples a valid label and a sample weight of 0."),
    _rule("L103", "out-of-range", [_E],
          "An integer label that is no class: below 0, or beyond the columns of the head.",
          "It names no class. A backend that does not raise trains on less data, or on another class.",
          "Correct the labels, or give the head a column for each class."),
    _rule("L104", "starts-at-one", [_E, _W],
          "Labels 1 … C for C classes. A warning where the head has C + 1 units, or where nothing says how many classes "
          "there are.",
          "The last class names no column, and every other one trains its neighbour's.",
          "Subtract 1: `y - 1`."),
    _rule("L105", "gap", [_W],
          "With no head or class names known: integers between 0 and the largest label that never occur.",
          "A class got lost on the way, or the labels are ids, which are no indices.",
          "Number the classes without gaps, `np.unique(y, return_inverse=True)`, or say how many there are."),
    _rule("L106", "class-without-examples", [_W],
          "A class of the head, or of the class names, that has no example in training.",
          "The model cannot learn it; its column learns only to be small.",
          "Look where its examples are; or train without the class."),
    _rule("L107", "constant-column", [_W],
          "A column of multi-hot labels, or a target, that has one value in all examples.",
          "There is nothing to learn in it; its accuracy is 1 and lifts the mean.",
          "Leave the column out, or find out where its other value went."),
    _rule("L108", "fractional", [_E],
          "Labels with a fraction for a loss that takes integers.",
          "They are cut down to an integer without a word: 1.9 becomes class 1.",
          "Round them on purpose, or take a loss for numbers or for soft labels."),
    _rule("L109", "not-binary", [_E, _I],
          "Values outside [0, 1] for binary cross-entropy and other losses that take probabilities: {-1, 1}, 0 and 255. An "
          "info where they are between 0 and 1: soft labels.",
          "The loss has no lower bound any more, and training runs away from the labels.",
          "Bring them to 0 and 1: `(y + 1) / 2`, `y / 255`, `y > 0`."),
    _rule("L110", "text", [_E],
          "Labels that are text or other objects, with no class names that say which is which index.",
          "No loss takes them.",
          "Give the class names in order, or encode them: `np.unique(y, return_inverse=True)`."),
    _rule("L111", "one-class", [_W],
          "All examples are of one class.",
          "The model learns to say so whatever it is shown, with an accuracy of 1.",
          "See whether the data are sorted and cut, or the labels were overwritten."),
    # shape and dtype
    _rule("L201", "dtype", [_E],
          "A dtype that loses labels or cannot hold them: complex, object, uint64, dates; one too narrow for the number of "
          "classes (int8 beyond 127, float16 beyond 2048, bfloat16 beyond 256).",
          "Labels wrap around, or are rounded to a neighbour; some backends refuse the type.",
          "Take int32 or int64 for classes, float32 for numbers."),
    _rule("L202", "length", [_E],
          "As many labels as examples and weights; one or more.",
          "Every label after the place where one is missing belongs to another example.",
          "Find where they parted: never cut to the shorter."),
    _rule("L203", "column-or-not", [_E],
          "Labels (N,) or (N, 1) for an output of several columns, or for a loss of your own that subtracts them from (N, "
          "1) as they are.",
          "They broadcast: each label meets every column, or every example.",
          "Bring labels to the shape of the output."),
    _rule("L204", "width", [_E],
          "Labels whose last axis, or another, is not as long as that of the output.",
          "Where a loss broadcasts it trains without a word; otherwise it raises, after the data are loaded.",
          "One column of labels for each column of the head."),
    _rule("L205", "integer-for-one-hot", [_E],
          "Class indices for a loss that takes one-hot rows.",
          "They raise, or are taken for probabilities.",
          "Take sparse_categorical_crossentropy, or `keras.utils.to_categorical(y, C)`."),
    _rule("L206", "one-hot-for-integer", [_E],
          "One-hot rows for a loss that takes class indices.",
          "They raise; or each 0 and 1 is taken for a class.",
          "Take categorical_crossentropy, or `y.argmax(-1)`."),
    # rows
    _rule("L301", "row-of-zeros", [_E],
          "A one-hot row without a 1.",
          "Such an example has no loss and no gradient: it trains nothing, and the mean counts it.",
          "Find its label, or give it a sample weight of 0."),
    _rule("L302", "row-of-several", [_E],
          "A row that sums to 2 or more, for classes that exclude each other.",
          "Softmax cannot give two classes 1: the loss keeps a floor, and the example weighs double.",
          "Correct it; or, if several classes can hold, take a sigmoid head and binary cross-entropy."),
    _rule("L303", "row-sum", [_W],
          "A soft row that does not sum to 1.",
          "The example weighs as much as its row sums to.",
          "Divide each row by its sum: `y / y.sum(-1, keepdims=True)`."),
    # head and loss
    _rule("L401", "softmax-on-multi-hot", [_E],
          "A softmax head, or categorical cross-entropy, for rows that often have several 1s.",
          "Softmax shares 1 out among the classes, so no two of them can hold at once.",
          "Take a sigmoid head and binary cross-entropy."),
    _rule("L402", "sigmoid-on-exclusive", [_W],
          "Binary cross-entropy over several columns where every row is one-hot.",
          "That exactly one class holds is not used: predictions need not sum to 1.",
          "Take a softmax head and categorical cross-entropy, unless several classes can hold."),
    _rule("L403", "activation-and-from-logits", [_E],
          "A softmax or sigmoid head with `from_logits=True`; a linear one, or one of another activation that gives no "
          "probabilities, with `from_logits=False`.",
          "The activation is applied twice, and gradients are flat; or never, and the loss takes logits for probabilities.",
          "An activation in the head, or from_logits=True, never both and never neither."),
    _rule("L404", "softmax-of-one", [_E],
          "Softmax, or categorical cross-entropy, over one unit.",
          "Softmax over one unit is 1 whatever comes in; nothing is learnt.",
          "Take sigmoid and binary cross-entropy, or two units."),
    _rule("L405", "head-width", [_E, _W],
          "A head with fewer units than there are classes or class names; a warning where it has more.",
          "A class without a column cannot be predicted, and names beyond it are those of other columns.",
          "One unit for each class."),
    _rule("L406", "sign-labels", [_W, _I],
          "Labels -1 and 1 for cross-entropy; 0 and 1, or -1, 0 and 1, for hinge.",
          "Cross-entropy takes -1 for a probability. Hinge losses turn 0 into -1, in each batch that has no other value "
          "than 0 and 1.",
          "`(y + 1) / 2` for cross-entropy, `2 * y - 1` for hinge."),
    _rule("L407", "unknown-output", [_E],
          "Labels or losses for an output that the model has not; no labels for one that has a loss.",
          "Keras raises, or, in lists, pairs labels with the wrong output.",
          "Name labels and losses as the outputs are named."),
    _rule("L408", "beyond-activation", [_W],
          "Numbers that the activation of the head cannot give: 200 for a sigmoid, -3 for a relu.",
          "The prediction runs to the edge of what it can be, where the gradient is gone, and never arrives.",
          "Take a linear head, or bring the labels into its range."),
    # names and maps
    _rule("L501", "name-count", [_E],
          "Not as many class names as classes.",
          "Every name after the missing one stands for another class.",
          "One name for each class, in the order of the indices."),
    _rule("L502", "name-twice", [_E, _W],
          "A class name that is there twice; a warning where case or spaces alone tell two apart.",
          "Two columns of one class: each gets a part of its examples.",
          "Rename one, or merge the classes."),
    _rule("L503", "name-order", [_W],
          "Class names in another order than that of the labels' indices; numbers sorted as text (1, 10, 2).",
          "Every prediction is reported under the wrong name, with every figure looking right.",
          "Take the order in which the labels were numbered: the encoder's, or that of the folders."),
    _rule("L504", "map-differs", [_E],
          "Class names that are not those of the class map they are held against.",
          "A model trained with one map and served with another calls its classes by the wrong names.",
          "Use the map of training; write a new one only with a new model."),
    _rule("L505", "unknown-name", [_E],
          "A text label that is none of the class names.",
          "It has no index. Lookups give it to *unknown*, or to -1.",
          "Correct the label, or add the name."),
    # splits
    _rule("L601", "leakage", [_E, _I],
          "Identical rows in training and in validation or test data, more often than rows repeat within the training data; "
          "an info where they repeat by themselves.",
          "The model is tested on what it has learnt by heart.",
          "Remove the duplicates before splitting."),
    _rule("L602", "contradicting", [_W],
          "Identical rows with different labels.",
          "No model can be right on both.",
          "Look at them: one label is wrong, or an input is missing."),
    _rule("L603", "unseen-in-training", [_E],
          "A class in validation or test data that has no example in training.",
          "The model cannot know it; all its examples count as errors.",
          "Split by class (stratify), or number the classes of all splits together."),
    # balance
    _rule("L701", "imbalance", [_I],
          "The largest class has 10 times as many examples as the smallest, or more.",
          "Saying the largest class whatever comes is a good score.",
          "Consider the class_weight that is given; judge by figures per class."),
)  # fmt: skip

#: Every rule by its code.
RULES: Mapping[str, Rule] = MappingProxyType({rule.code: rule for rule in _ALL})


def find_rule(code: str) -> Rule:
    """The rule with this code or name.

    Raises:
        UsageError: if there is no such rule.
    """
    rule = RULES.get(code.upper()) or next((rule for rule in _ALL if rule.name == code.lower()), None)
    if rule is None:
        message = f"{code}: unknown rule; expected one of {', '.join(RULES)}. See backendcheck labels --list."
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
            message = f"{option}: unknown rule {code}; expected a prefix, L1 … L7, or one of {', '.join(RULES)}."
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
    kind: str | None = "", evidence: Mapping[str, Any] | None = None,
) -> LabelFinding:  # fmt: skip
    """Make a finding. Its message is *where: problem; expected X, got Y. What to do.*.

    Args:
        code: the code of the rule.
        place: which labels, head or loss.
        problem: what is wrong, to follow the place and a colon.
        expected: what is expected, and after ", got" what is there instead.
        remedy: what to do; default: the remedy of the rule.
        severity: default: the usual severity of the rule.
        kind: see `LabelFinding`.
        evidence: see `LabelFinding`.
    """
    rule = RULES[code]
    middle = f"; expected {expected}" if expected else ""
    return LabelFinding(
        code=code, name=rule.name, severity=severity or rule.severities[0], where=place.where, output=place.output,
        message=f"{place.where}: {problem}{middle}. {remedy or rule.remedy}".strip(), split=place.split, loss=place.loss,
        kind=kind, evidence=evidence or {},
    )  # fmt: skip
