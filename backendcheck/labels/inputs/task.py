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
from backendcheck.model_file import LOSSES, DeclaredLoss, Head, ModelFile, declared_loss
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


def flattened(nest: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Name and array of each leaf of a dict of dicts."""
    for key, one in nest.items():
        name = f"{path}/{key}" if path else str(key)
        if isinstance(one, Mapping):
            yield from flattened(one, name)
        else:
            yield name, one


def arrays_by_output(y: Any, what: str, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Labels or weights by output: a dict by name, a list by position where there are several outputs, or of the single one.

    Raises:
        UsageError: if they cannot be arrays.
    """
    if isinstance(y, Mapping):
        return {name: as_array(one, f"{what} of {name}") for name, one in flattened(y)}
    if isinstance(y, list | tuple) and len(outputs) > 1 and len(y) == len(outputs) and any(np.ndim(one) for one in _shaped(y)):
        return {name: as_array(one, f"{what} of {name}") for name, one in zip(outputs, y, strict=True)}
    return {outputs[0] if len(outputs) == 1 else "": as_array(y, what)}


def _shaped(several: Sequence[Any]) -> Iterator[Any]:
    for one in several:
        try:
            yield np.asarray(one)
        except (ValueError, TypeError):
            yield 0


def as_array(value: Any, what: str) -> np.ndarray:
    """`value` as an array, wherever it is from: lists, NumPy, pandas, polars, tensors.

    Raises:
        UsageError: if it is none, such as rows of different lengths.
    """
    detached = value.detach().cpu() if hasattr(value, "detach") and hasattr(value, "cpu") else value
    try:
        array = np.asarray(detached)
    except Exception as error:
        message = f"{what}: cannot become an array ({type(error).__name__}: {str(error)[:120]}). Are its rows of one length?"
        raise UsageError(message) from error
    if array.ndim == 0 and array.dtype == object and value is not None:
        remedy = " Take value.toarray()." if hasattr(value, "toarray") else ""
        message = f"{what}: is a {type(value).__name__}; expected an array of N examples.{remedy}"
        raise UsageError(message)
    if type(array) is not np.ndarray:  # a masked array or a matrix computes in its own way
        array = np.array(array, copy=True, subok=False)
    return array


def numbers_of(given: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels as int64 or float64, and the texts among them that are none of `names`; None where they are no numbers.

    Text becomes the index of its name, -1 where there is none.
    """
    kind = given.dtype.kind
    if kind == "O":
        flat = given.ravel().tolist()
        if flat and all(isinstance(one, str | bytes) for one in flat):
            return _named([decoded(one) for one in flat], given.shape, names)
        if not all(isinstance(one, int | float | np.number | np.bool_ | None) for one in flat):
            return None, ()
        try:
            return np.array([np.nan if one is None else float(one) for one in flat], np.float64).reshape(given.shape), ()
        except (OverflowError, TypeError, ValueError):
            return None, ()
    if kind in "US":
        return _named([decoded(one) for one in given.ravel().tolist()], given.shape, names)
    if kind == "c":
        return given.real.astype(np.float64), ()
    if kind == "V" and given.dtype.names is None and str(given.dtype).startswith("bfloat"):
        return given.astype(np.float64), ()
    if kind in "mMV":
        return None, ()
    if kind == "f":
        with np.errstate(all="ignore"):
            return given.astype(np.float64), ()
    if kind == "u" and given.dtype.itemsize == 8 and given.size and int(given.max()) > np.iinfo(np.int64).max:  # noqa: PLR2004 - bytes
        return given.astype(np.float64), ()
    return given.astype(np.int64), ()


def _named(texts: list[str], shape: tuple[int, ...], names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if not names:
        return None, ()
    index: dict[str, int] = {}
    for number, name in enumerate(names):
        index.setdefault(name, number)
    unnamed = tuple(sorted({text for text in texts if text not in index}))
    return np.array([index.get(text, -1) for text in texts], np.int64).reshape(shape), unnamed


# --- heads and losses ------------------------------------------------------------------------------------------


def purpose_of(model: ModelFile | None, head: Any, loss: Any, given: Sequence[str]) -> Purpose:
    """Heads and losses by output; `given` are the outputs that there are labels for.

    Raises:
        UsageError: if a loss or a head is none.
    """
    heads = {one.name: one for one in model.outputs} if model is not None else {}
    outputs = tuple(heads) or (tuple(given) if given and given != [""] else ("",))
    told = {} if head is None else _heads(head, outputs)
    heads |= told
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
    return Purpose(heads=heads, said=frozenset(told), losses=losses, outputs=outputs, problems=tuple(problems))


def known_loss(name: str) -> DeclaredLoss:
    """A loss of Keras by its name. A name that is misspelt would be held against nothing, so it is refused.

    Raises:
        UsageError: if Keras has none of this name, with the closest.
    """
    found = declared_loss(name)
    if found.custom:
        close = difflib.get_close_matches(found.name, LOSSES, n=3, cutoff=0.6) or sorted(LOSSES)[:3]
        own = "Hand over the function of a loss of your own; on the command line, MODULE:NAME"
        message = f"loss={name!r}: Keras has no such loss; expected one such as {', '.join(close)}. {own}."
        raise UsageError(message)
    return found


def _by_output(loss: Any, outputs: tuple[str, ...], problems: list[LabelFinding]) -> dict[str, Any]:
    if isinstance(loss, Mapping) and "class_name" not in loss:
        named = {name: one for name, one in flattened_losses(loss) if one is not None}
        if len(outputs) == 1 and len(named) == 1 and "" in (*outputs, *named):
            return {outputs[0]: next(iter(named.values()))}
        problems += [
            make_finding("L407", f"loss of {name}", "there is no such output", expected=_outputs_in_words(outputs), output=name,
                         kind="loss")
            for name in named if name not in outputs
        ]  # fmt: skip
        return {name: one for name, one in named.items() if name in outputs}
    if isinstance(loss, list | tuple):
        if len(loss) != len(outputs):
            message = f"there are {len(loss)} for {len(outputs)} outputs"
            problems.append(make_finding("L407", "losses", message, expected=_outputs_in_words(outputs)))
        return {name: one for name, one in zip(outputs, loss, strict=False) if one is not None}
    return dict.fromkeys(outputs, loss)


def flattened_losses(nest: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """As `flattened`, but a serialized loss is a leaf."""
    for key, one in nest.items():
        name = f"{path}/{key}" if path else str(key)
        if isinstance(one, Mapping) and "class_name" not in one:
            yield from flattened_losses(one, name)
        else:
            yield name, one


def _outputs_in_words(outputs: Sequence[str]) -> str:
    named = [repr(name) for name in outputs if name]
    return f"one of {', '.join(named[:10])}" if named else "a single output without a name"


def _heads(head: Any, outputs: tuple[str, ...]) -> dict[str, Head]:
    if isinstance(head, Mapping):
        return {str(name): parse_head(one, str(name)) for name, one in head.items()}
    return {name: parse_head(head, name) for name in outputs}


def parse_head(given: Any, name: str = "") -> Head:
    """A head as one writes it: ``"softmax"``, ``3``, ``(3, "softmax")``, ``"3:softmax"``, or a `Head`.

    Raises:
        UsageError: if it is none of these.
    """
    if isinstance(given, Head):
        return Head(name=name, shape=given.shape, units=given.units, activation=given.activation)
    units, activation = given if isinstance(given, tuple) and len(given) == 2 else (given, None)  # noqa: PLR2004 - units and activation
    if isinstance(units, str):
        first, colon, rest = units.partition(":")
        if first.isdecimal():
            units, activation = int(first), rest or activation
        elif not colon and activation is None:
            units, activation = None, units
    plain = units is None or (isinstance(units, int) and not isinstance(units, bool) and units > 0)
    if not plain or not isinstance(activation, str | None):
        wanted = "units, an activation, or both: 3, 'softmax', (3, 'softmax'), '3:softmax'"
        message = f"head={given!r}: is no head; expected {wanted}."
        raise UsageError(message)
    if activation is not None and activation not in ACTIVATIONS:
        # Another name may be that of a function of the user's own.
        for meant in difflib.get_close_matches(activation.lower(), ACTIVATIONS, 1, cutoff=0.9):
            message = f"head={given!r}: Keras has no activation {activation!r}; expected {meant!r}."
            raise UsageError(message)
    return Head(name=name, units=units, activation=activation)


def unmatched(purpose: Purpose, given: Sequence[str], where: str, split: str) -> Iterator[LabelFinding]:
    """L407: labels for no output, and outputs with a loss and no labels."""
    if len(purpose.outputs) == 1 and len(given) == 1 and "" in (purpose.outputs[0], given[0]):
        return  # one output, and no name to be wrong
    for name in given:
        if name not in purpose.outputs:
            what = "there is no such output" if name else f"they are one array for {len(purpose.outputs)} outputs"
            yield make_finding("L407", f"{where}labels{f' of {name}' if name else ''}", what,
                               expected=_outputs_in_words(purpose.outputs), output=name, kind="labels",
                               split=split)  # fmt: skip
    if list(given) == [""]:
        return
    for name in purpose.losses:
        if name not in given and name in purpose.outputs:
            yield make_finding(
                "L407", f"{where}labels", f"output {name!r} has a loss ({purpose.losses[name].name}) and no labels",
                expected=f"labels of {name!r}, got those of {', '.join(map(repr, given)) or 'none'}", output=name,
                kind="missing", split=split,
            )  # fmt: skip
