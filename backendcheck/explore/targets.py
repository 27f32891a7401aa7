"""What each target takes: forms of labels and heads, and options. Combinations that make no sense are ruled out here, once.

Bad input is wanted: a label above the range, a row of zeros. Nonsense is not: logits for a loss of probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backendcheck.explore.paths import CALL, PREDICT, fits_path, model_choices
from backendcheck.explore.situation import DIMENSIONS, Situation

N_CLASSES: Final = "number of classes"  # stands in an option for the number of classes of the situation
REDUCTION: Final[Mapping[str, tuple[Any, ...]]] = {"reduction": (..., "sum", "none", "mean_with_sample_weight")}

_INTEGERS = ("int32", "int64", "uint8", "int8", "int16", "uint16", "uint32", "uint64")
_FLOATS = ("float32", "float64", "float16")
_SIGNED = tuple(dtype for dtype in (*_INTEGERS, *_FLOATS) if not dtype.startswith("u"))
_WIDE = ("int64", "uint64", "float64")

# What labels of each kind may hold, and in which types.
_VALUES: Mapping[str, tuple[str, ...]] = {
    "integer": (
        "valid", "above-range", "negative", "minus-hundred", "one-class", "fractional", "nan", "inf", "wide", "empty",
    ),
    "binary": ("valid", "above-range", "negative", "minus-hundred", "one-class", "fractional", "nan", "empty"),
    "one-hot": ("valid", "one-class", "zero-row", "row-sum", "negative", "nan", "empty"),
    "multi-hot": ("valid", "one-class", "zero-row", "above-range", "negative", "nan", "empty"),
    "soft": ("valid", "zero-row", "row-sum", "nan", "empty"),
    "signed": ("valid", "one-class", "above-range", "fractional", "nan", "empty"),
    "real": ("valid", "negative", "one-class", "wide", "nan", "inf", "empty"),
    "sequence": ("valid", "one-class", "above-range", "zero-row", "empty"),
    "text": ("valid", "one-class", "above-range", "empty"),
}  # fmt: skip
_DTYPES: Mapping[str, tuple[str, ...]] = {
    "integer": (*_INTEGERS, *_FLOATS),
    "binary": (*_FLOATS, *_INTEGERS, "bool"),
    "one-hot": (*_FLOATS, "int32", "int64", "uint8", "bool"),
    "multi-hot": (*_FLOATS, "int32", "int64", "uint8", "bool"),
    "soft": _FLOATS,
    "signed": (*_FLOATS, "int32", "int64", "int8"),
    "real": (*_FLOATS, "int32", "int64", "uint8"),
    "sequence": ("int32", "int64", "uint8", "float32"),
    "text": ("text",),
}
_SHAPES: Mapping[str, tuple[str, ...]] = {
    "integer": ("(N,)", "(N,1)", "(N,T)", "(N,H,W)"),
    "binary": ("(N,)", "(N,1)"),
    "one-hot": ("(N,C)", "(N,T,C)"),
    "multi-hot": ("(N,C)",),
    "soft": ("(N,C)", "(N,T,C)"),
    "signed": ("(N,1)", "(N,C)"),
    "real": ("(N,)", "(N,1)", "(N,C)", "(N,T,C)"),
    "sequence": ("(N,T)",),
    "text": ("(N,)", "(N,1)"),
}
_PREDICTIONS: Mapping[str, tuple[str, ...]] = {
    "logits": ("ordinary", "zero", "tied", "saturated", "nan", "inf"),
    "softmax": ("ordinary", "tied", "saturated", "nan"),
    "sigmoid": ("ordinary", "tied", "saturated", "nan"),
    "linear": ("ordinary", "zero", "tied", "exact-hit", "saturated", "nan", "inf"),
    "tanh": ("ordinary", "zero", "tied", "exact-hit", "nan"),
    "relu": ("ordinary", "zero", "tied", "exact-hit", "saturated", "nan", "inf"),
    "class": ("ordinary", "exact-hit"),
    "unit": ("ordinary", "tied"),
}
_SHAPES_WITH_ELEMENTS = ("(N,T)", "(N,T,C)", "(N,H,W)")
_DECIDED = ("sigmoid", "bool")  # a head and predictions that go together for a metric of elements
_WEIGHTS = ("none", "per-example", "per-element", "zero", "one-zero", "negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Labels and a head that go together, with the options that this takes and the narrower choices that it has.

    `without` are the values that its labels never have.
    """

    labels: str
    head: str
    options: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def label_shapes(self) -> tuple[str, ...]:
        return self.shapes or _SHAPES[self.labels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A loss, a metric, or a layer or function of labels.

    name: its public name, such as ``keras.losses.Huber``, or ``package.module:Name``.
    kind: ``loss``, ``loss function``, ``metric``, ``labels``, or ``model`` for one that predicts.
    arguments: what it takes.
    options: the choices of each option, the simplest first. ``...`` leaves the option out.
    required: options that are always there.
    given: those of `required` that the user has given with the name.
    of_elements: whether it counts each element by a decision. So each may have a weight of its own, and be decided already.
    """

    name: str
    kind: str
    forms: tuple[Form, ...]
    options: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    required: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("y_true", "y_pred", "sample_weight")
    given: Mapping[str, Any] = field(default_factory=dict)
    of_elements: bool = False

    @property
    def asked(self) -> str:
        """The name with the options that the user has given."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.given.items())
        return f"{self.name}({given})" if given else self.name

    def factors(self, *, of_model: bool = False) -> dict[str, tuple[Any, ...]]:
        """The choices by dimension. A form is one choice: labels, head, and what goes with them.

        With `of_model`, those of a model that has the target as its loss or metric; empty if none can.
        """
        labels = dict.fromkeys(form.labels for form in self.forms)
        heads = dict.fromkeys(form.head for form in self.forms)
        choices: dict[str, tuple[Any, ...]] = {
            "form": tuple(range(len(self.forms))),
            "label_values": _union(_VALUES[kind] for kind in labels),
            "label_dtype": _union(_DTYPES[kind] for kind in labels),
            "label_shape": _union(form.label_shapes for form in self.forms),
            "sample_weight": _WEIGHTS if "sample_weight" in self.arguments else ("none",),
            "predictions": _union(_PREDICTIONS[head] for head in heads) if "y_pred" in self.arguments else ("ordinary",),
        }
        if self.kind == "metric":
            choices["batch"] = DIMENSIONS["batch"]
        if self.of_elements:
            choices["predictions"] = (*choices["predictions"], _DECIDED[1])
        if "ignore_class" in self.options:
            choices["mask"] = ("none", "ignore-class")
        options = {name: values for name, values in self.options.items() if name != "ignore_class"}
        choices |= {f"options.{name}": values for name, values in options.items()}
        if not of_model:
            return choices if self.kind != "model" else {}
        if "y_pred" not in self.arguments:
            return {}  # a model gives each of its metrics its predictions
        takes = [number for number, form in enumerate(self.forms) if fits_path({"path": "", **vars_of_form(form)})]
        return model_choices(self.name, self.kind, {**choices, "form": tuple(takes)}) if takes else {}

    def situation(self, row: Mapping[str, Any], numbers: int = 0) -> Situation:
        """The situation of one choice for each factor."""
        form = self.forms[row["form"]]
        dimensions = {name: value for name, value in row.items() if name != "form" and not name.startswith("options.")}
        chosen = {name.removeprefix("options."): value for name, value in row.items() if name.startswith("options.")}
        options = {**self.required, **form.options, **chosen}
        if row.get("mask") == "ignore-class":
            options["ignore_class"] = -1
        situation = Situation(target=self.name, labels=form.labels, head=form.head, numbers=numbers, **dimensions)
        for name, value in options.items():
            situation = situation.with_option(name, value)
        return situation

    def is_sensible(self, situation: Situation) -> bool:
        """Whether a situation is input that a user could have, good or bad."""
        if situation.path != CALL and situation.option("axis") == 1:
            return False  # the layer of a model has its classes last
        if situation.path != CALL and situation.option("reduction") == "none":
            return False  # there is no loss to train with
        if (self.kind == "model") != (situation.path == PREDICT):
            return False
        return any(
            form.labels == situation.labels and form.head == situation.head
            and all(situation.option(name) == value for name, value in form.options.items())
            and situation.label_shape in form.label_shapes and situation.label_values not in form.without
            for form in self.forms
        ) and fits(situation.labels, situation.head, vars_of(situation), of_elements=self.of_elements)  # fmt: skip


def vars_of(situation: Situation) -> dict[str, str]:
    return {name: getattr(situation, name) for name in (*DIMENSIONS, "optimizer")}


def vars_of_form(form: Form) -> dict[str, str]:
    return {"labels": form.labels, "head": form.head}


def fits(labels: str, head: str, choices: Mapping[str, Any], *, of_elements: bool = False) -> bool:
    """Whether the choices go with labels of this kind and this head, and with each other. Missing dimensions do not matter.

    `of_elements` is as in `Target`.
    """
    values, dtype = choices.get("label_values"), choices.get("label_dtype")
    shape, weight = choices.get("label_shape"), choices.get("sample_weight")
    predictions, mask = choices.get("predictions"), choices.get("mask")
    of_labels = (
        (values is None or values in _VALUES[labels])
        and (dtype is None or dtype in _DTYPES[labels])
        and (predictions is None or predictions in _PREDICTIONS[head] or (of_elements and (head, predictions) == _DECIDED))
        and (weight != "per-element" or shape in (None, *_SHAPES_WITH_ELEMENTS) or (of_elements and shape == "(N,C)"))
        and not (labels == "sequence" and weight == "per-element")
    )
    return bool(of_labels and fits_dtype(values, dtype, mask) and fits_path(choices))


def fits_dtype(values: str | None, dtype: str | None, mask: str | None = None) -> bool:
    """Whether labels of this type can have these values."""
    if dtype is None:
        return True
    allowed = {
        "negative": _SIGNED, "minus-hundred": _SIGNED, "fractional": _FLOATS, "nan": _FLOATS, "inf": _FLOATS, "row-sum": _FLOATS,
        "wide": _WIDE, "above-range": (*_INTEGERS, *_FLOATS),
    }.get(values or "")  # fmt: skip
    if allowed is not None and dtype not in allowed:
        return False
    return not (mask == "ignore-class" and dtype not in _SIGNED)


def _union(groups: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(choice for group in groups for choice in group))


# --- targets of one's own ----------------------------------------------------------------------------------------

# What a loss or a metric of one's own is probed with: it is explored with the forms that it takes.
PROBES = (
    Form(labels="integer", head="softmax"),
    Form(labels="binary", head="sigmoid"),
    Form(labels="one-hot", head="softmax"),
    Form(labels="multi-hot", head="sigmoid"),
    Form(labels="real", head="linear"),
)


def own_target(name: str, kind: str) -> Target:
    """A target of one's own, with every form that it is probed with."""
    options = REDUCTION if kind == "loss" else {}
    return Target(name=name, kind=kind, forms=PROBES, options=options)


def probe(target: Target, form: Form, label_shape: str) -> Situation:
    """The plainest situation of a form: valid labels, ordinary predictions."""
    dtype = "int32" if form.labels == "integer" else "float32"
    row = {"form": target.forms.index(form), "label_dtype": dtype, "label_shape": label_shape}
    return target.situation(row)
