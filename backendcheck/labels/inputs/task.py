"""What was handed to `check_labels`, sorted: for each output its labels, its loss, its head, its names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backendcheck.errors import UsageError
from backendcheck.labels.contract.finding import LabelFinding
from backendcheck.labels.inputs.output_labels import make_finding
from backendcheck.model_file import LOSSES, DeclaredLoss, Head, ModelFile, declared_loss, is_single_loss
from backendcheck.nests import is_no_mapping, named_leaves
from backendcheck.text.escape import decoded

# Of Keras 3.15, by which a misspelt one is told from one of the user's own.
ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
    "threshold",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What labels are for: heads and losses by output, and what is wrong with the names among them.

    `said` are the outputs whose head somebody told in words, which leave out how many axes it has.
    """

    heads: Mapping[str, Head] = field(default_factory=dict)
    said: frozenset[str] = frozenset()
    losses: Mapping[str, DeclaredLoss] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    problems: tuple[LabelFinding, ...] = ()


def arrays_by_output(y: Any, noun: str, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Labels or weights by output: a dict by name, a list by position where there are several outputs, or of the single one.

    Raises:
        UsageError: if they cannot be arrays.
    """
    if isinstance(y, Mapping):
        return {name: as_array(array, f"{noun} of {name}") for name, array in named_leaves(y, is_leaf=is_no_mapping).items()}
    if (
        isinstance(y, list | tuple)
        and len(outputs) > 1
        and len(y) == len(outputs)
        and any(np.ndim(array) for array in _shaped(y))
    ):
        return {name: as_array(array, f"{noun} of {name}") for name, array in zip(outputs, y, strict=True)}
    return {outputs[0] if len(outputs) == 1 else "": as_array(y, noun)}


def _shaped(several: Sequence[Any]) -> Iterator[Any]:
    for value in several:
        try:
            yield np.asarray(value)
        except (ValueError, TypeError):
            yield 0


def as_array(value: Any, noun: str) -> np.ndarray:
    """`value` as an array, wherever it is from: lists, NumPy, pandas, polars, tensors.

    Raises:
        UsageError: if it is none, such as rows of different lengths.
    """
    detached = value.detach().cpu() if hasattr(value, "detach") and hasattr(value, "cpu") else value
    try:
        array = np.asarray(detached)
    except Exception as error:
        message = f"{noun}: cannot become an array ({type(error).__name__}: {str(error)[:120]}). Are its rows of one length?"
        raise UsageError(message) from error
    if array.ndim == 0 and array.dtype == object and value is not None:
        remedy = " Take value.toarray()." if hasattr(value, "toarray") else ""
        message = f"{noun}: is a {type(value).__name__}; expected an array of N examples.{remedy}"
        raise UsageError(message)
    if type(array) is not np.ndarray:  # a masked array or a matrix computes in its own way
        array = np.array(array, copy=True, subok=False)
    return array


def numbers_of(raw: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels as int64 or float64, and the texts among them that are none of `names`; None where they are no numbers.

    Text becomes the index of its name, -1 where there is none.
    """
    kind = raw.dtype.kind
    if kind == "O":
        flat = raw.ravel().tolist()
        if flat and all(isinstance(value, str | bytes) for value in flat):
            return _named([decoded(value) for value in flat], raw.shape, names)
        if not all(isinstance(value, int | float | np.number | np.bool_ | None) for value in flat):
            return None, ()
        try:
            return np.array([np.nan if value is None else float(value) for value in flat], np.float64).reshape(raw.shape), ()
        except (OverflowError, TypeError, ValueError):
            return None, ()
    if kind in "US":
        return _named([decoded(value) for value in raw.ravel().tolist()], raw.shape, names)
    if kind == "c":
        return raw.real.astype(np.float64), ()
    if kind == "V" and raw.dtype.names is None and str(raw.dtype).startswith("bfloat"):
        return raw.astype(np.float64), ()
    if kind in "mMV":
        return None, ()
    if kind == "f":
        with np.errstate(all="ignore"):
            return raw.astype(np.float64), ()
    if kind == "u" and raw.dtype.itemsize == 8 and raw.size and int(raw.max()) > np.iinfo(np.int64).max:  # noqa: PLR2004 - bytes
        return raw.astype(np.float64), ()
    return raw.astype(np.int64), ()


def _named(texts: list[str], shape: tuple[int, ...], names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if not names:
        return None, ()
    index: dict[str, int] = {}
    for number, name in enumerate(names):
        index.setdefault(name, number)
    unnamed = tuple(sorted({text for text in texts if text not in index}))
    return np.array([index.get(text, -1) for text in texts], np.int64).reshape(shape), unnamed


# --- heads and losses ------------------------------------------------------------------------------------------


def purpose_of(model: ModelFile | None, head: Any, loss: Any, labeled_outputs: Sequence[str]) -> Purpose:
    """Heads and losses by output; `given` are the outputs that there are labels for.

    Raises:
        UsageError: if a loss or a head is none.
    """
    heads = {output_head.name: output_head for output_head in model.outputs} if model is not None else {}
    outputs = tuple(heads) or (tuple(labeled_outputs) if labeled_outputs and labeled_outputs != [""] else ("",))
    explicit = {} if head is None else _heads(head, outputs)
    heads |= explicit
    problems: list[LabelFinding] = []
    losses: dict[str, DeclaredLoss] = {}
    if loss is not None:
        for name, spec in _by_output(loss, outputs, problems).items():
            losses[name] = known_loss(spec) if isinstance(spec, str) else declared_loss(spec)
    elif model is not None and model.compiled is not None:
        losses = dict(model.compiled.losses)
        problems += [
            make_finding("L407", "losses of the model", note.removeprefix("loss "), expected="one for each output")
            for note in model.notes if note.startswith("loss ")
        ]  # fmt: skip
    return Purpose(heads=heads, said=frozenset(explicit), losses=losses, outputs=outputs, problems=tuple(problems))


def known_loss(name: str) -> DeclaredLoss:
    """A loss of Keras by its name. A name that is misspelt would be held against nothing, so it is refused.

    Raises:
        UsageError: if Keras has none of this name, with the closest.
    """
    loss = declared_loss(name)
    if loss.custom:
        close = difflib.get_close_matches(loss.name, LOSSES, n=3, cutoff=0.6) or sorted(LOSSES)[:3]
        remedy = "Hand over the function of a loss of your own; on the command line, MODULE:NAME"
        message = f"loss={name!r}: Keras has no such loss; expected one such as {', '.join(close)}. {remedy}."
        raise UsageError(message)
    return loss


def _by_output(loss: Any, outputs: tuple[str, ...], problems: list[LabelFinding]) -> dict[str, Any]:
    if not is_single_loss(loss):
        named = {name: spec for name, spec in named_leaves(loss, is_leaf=is_single_loss).items() if spec is not None}
        if len(outputs) == 1 and len(named) == 1 and "" in (*outputs, *named):
            return {outputs[0]: next(iter(named.values()))}
        problems += [
            make_finding("L407", f"loss of {name}", "there is no such output", expected=_outputs_in_words(outputs), output=name,
                         kind="loss")
            for name in named if name not in outputs
        ]  # fmt: skip
        return {name: spec for name, spec in named.items() if name in outputs}
    if isinstance(loss, list | tuple):
        if len(loss) != len(outputs):
            message = f"there are {len(loss)} for {len(outputs)} outputs"
            problems.append(make_finding("L407", "losses", message, expected=_outputs_in_words(outputs)))
        return {name: spec for name, spec in zip(outputs, loss, strict=False) if spec is not None}
    return dict.fromkeys(outputs, loss)


def _outputs_in_words(outputs: Sequence[str]) -> str:
    named = [repr(name) for name in outputs if name]
    return f"one of {', '.join(named[:10])}" if named else "a single output without a name"


def _heads(head: Any, outputs: tuple[str, ...]) -> dict[str, Head]:
    if isinstance(head, Mapping):
        return {str(name): parse_head(value, str(name)) for name, value in head.items()}
    return {name: parse_head(head, name) for name in outputs}


def parse_head(head: Any, name: str = "") -> Head:
    """A head as one writes it: ``"softmax"``, ``3``, ``(3, "softmax")``, ``"3:softmax"``, or a `Head`.

    Raises:
        UsageError: if it is none of these.
    """
    if isinstance(head, Head):
        return Head(name=name, shape=head.shape, units=head.units, activation=head.activation)
    units, activation = head if isinstance(head, tuple) and len(head) == 2 else (head, None)  # noqa: PLR2004 - units and activation
    if isinstance(units, str):
        first, colon, rest = units.partition(":")
        if first.isdecimal():
            units, activation = int(first), rest or activation
        elif not colon and activation is None:
            units, activation = None, units
    plain = units is None or (isinstance(units, int) and not isinstance(units, bool) and units > 0)
    if not plain or not isinstance(activation, str | None):
        expected = "units, an activation, or both: 3, 'softmax', (3, 'softmax'), '3:softmax'"
        message = f"head={head!r}: is no head; expected {expected}."
        raise UsageError(message)
    if activation is not None and activation not in ACTIVATIONS:
        # Another name may be that of a function of the user's own.
        for closest in difflib.get_close_matches(activation.lower(), ACTIVATIONS, 1, cutoff=0.9):
            message = f"head={head!r}: Keras has no activation {activation!r}; expected {closest!r}."
            raise UsageError(message)
    return Head(name=name, units=units, activation=activation)


def unmatched(purpose: Purpose, labeled_outputs: Sequence[str], where: str, split: str) -> Iterator[LabelFinding]:
    """L407: labels for no output, and outputs with a loss and no labels."""
    if len(purpose.outputs) == 1 and len(labeled_outputs) == 1 and "" in (purpose.outputs[0], labeled_outputs[0]):
        return  # one output, and no name to be wrong
    for name in labeled_outputs:
        if name not in purpose.outputs:
            problem = "there is no such output" if name else f"they are one array for {len(purpose.outputs)} outputs"
            yield make_finding("L407", f"{where}labels{f' of {name}' if name else ''}", problem,
                               expected=_outputs_in_words(purpose.outputs), output=name, kind="labels",
                               split=split)  # fmt: skip
    if list(labeled_outputs) == [""]:
        return
    for name in purpose.losses:
        if name not in labeled_outputs and name in purpose.outputs:
            yield make_finding(
                "L407", f"{where}labels", f"output {name!r} has a loss ({purpose.losses[name].name}) and no labels",
                expected=f"labels of {name!r}, got those of {', '.join(map(repr, labeled_outputs)) or 'none'}", output=name,
                kind="missing", split=split,
            )  # fmt: skip
