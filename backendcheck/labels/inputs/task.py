"""The task of labels: which head and which loss each output has."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backendcheck.errors import UsageError
from backendcheck.model_file import LOSSES, DeclaredLoss, Head, ModelFile, declared_loss, is_single_loss
from backendcheck.nests import named_leaves

# The activations of Keras 3.15. A name that is almost one of these is a typing error, not a custom function.
ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
    "threshold",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTask:
    """What labels are for.

    Attributes:
        outputs: the names of the outputs; ``""`` for a single unnamed one.
        heads: the heads by output, where known.
        explicit_heads: the outputs whose head the caller gave as units or activation. Such a head has no shape.
        losses: the losses by output, where known.
        unknown_losses: the names of outputs that have a loss and do not exist.
        n_losses: the length of a list of losses, if it differs from the number of outputs.
        loss_notes: what the model file says of losses that fit no output.
    """

    outputs: tuple[str, ...] = ()
    heads: Mapping[str, Head] = field(default_factory=dict)
    explicit_heads: frozenset[str] = frozenset()
    losses: Mapping[str, DeclaredLoss] = field(default_factory=dict)
    unknown_losses: tuple[str, ...] = ()
    n_losses: int | None = None
    loss_notes: tuple[str, ...] = ()


def label_task(model: ModelFile | None, head: Any, loss: Any, labeled_outputs: Sequence[str]) -> LabelTask:
    """The heads and losses by output, from the model or as `head` and `loss` declare them.

    Args:
        model: what the model file says, if there is one.
        head: see `check_labels`. It replaces the heads of the model.
        loss: see `check_labels`. It replaces the losses of the model.
        labeled_outputs: the outputs that have labels. Without a model they are the outputs.

    Raises:
        UsageError: if a loss or a head is invalid.
    """
    heads = {output_head.name: output_head for output_head in model.outputs} if model is not None else {}
    outputs = tuple(heads) or (tuple(labeled_outputs) if labeled_outputs and labeled_outputs != [""] else ("",))
    explicit = {} if head is None else _heads(head, outputs)
    heads |= explicit
    if loss is None and model is not None and model.compiled is not None:
        notes = tuple(note.removeprefix("loss ") for note in model.notes if note.startswith("loss "))
        return LabelTask(
            outputs=outputs, heads=heads, explicit_heads=frozenset(explicit), losses=model.compiled.losses, loss_notes=notes
        )
    by_output = {} if loss is None else _losses_by_output(loss, outputs)
    return LabelTask(
        outputs=outputs, heads=heads, explicit_heads=frozenset(explicit),
        losses={name: _parse_loss(spec) for name, spec in by_output.items() if name in outputs},
        unknown_losses=tuple(name for name in by_output if name not in outputs),
        n_losses=len(loss) if isinstance(loss, list | tuple) and len(loss) != len(outputs) else None,
    )  # fmt: skip


def _losses_by_output(loss: Any, outputs: tuple[str, ...]) -> dict[str, Any]:
    if not is_single_loss(loss):
        named = {name: spec for name, spec in named_leaves(loss, is_leaf=is_single_loss).items() if spec is not None}
        if len(outputs) == len(named) == 1 and "" in (*outputs, *named):
            return {outputs[0]: next(iter(named.values()))}
        return named
    if isinstance(loss, list | tuple):
        return {name: spec for name, spec in zip(outputs, loss, strict=False) if spec is not None}
    return dict.fromkeys(outputs, loss)


def _parse_loss(spec: Any) -> DeclaredLoss:
    return known_loss(spec) if isinstance(spec, str) else declared_loss(spec)


def known_loss(name: str) -> DeclaredLoss:
    """A loss of Keras by its name. A misspelled name is refused, because nothing could be checked for it.

    Raises:
        UsageError: if Keras has no loss of this name; the message has similar names.
    """
    loss = declared_loss(name)
    if loss.custom:
        close = difflib.get_close_matches(loss.name, LOSSES, n=3, cutoff=0.6) or sorted(LOSSES)[:3]
        remedy = "For a custom loss pass the function, on the command line MODULE:NAME"
        message = f"loss={name!r}: unknown loss; expected a loss of Keras, such as {', '.join(close)}. {remedy}."
        raise UsageError(message)
    return loss


def _heads(head: Any, outputs: tuple[str, ...]) -> dict[str, Head]:
    if isinstance(head, Mapping):
        return {str(name): parse_head(value, str(name)) for name, value in head.items()}
    return {name: parse_head(head, name) for name in outputs}


def parse_head(head: Any, name: str = "") -> Head:
    """A head from its units, its activation or both: ``"softmax"``, ``3``, ``(3, "softmax")``, ``"3:softmax"``, or a `Head`.

    Raises:
        UsageError: if it is something else, or if the activation is misspelled.
    """
    if isinstance(head, Head):
        return Head(name=name, shape=head.shape, units=head.units, activation=head.activation)
    units, activation = head if isinstance(head, tuple) and len(head) == 2 else (head, None)  # noqa: PLR2004 - units, activation
    if isinstance(units, str):
        first, colon, rest = units.partition(":")
        if first.isdecimal():
            units, activation = int(first), rest or activation
        elif not colon and activation is None:
            units, activation = None, units
    is_number = units is None or (isinstance(units, int) and not isinstance(units, bool) and units > 0)
    if not is_number or not isinstance(activation, str | None):
        expected = "units, an activation, or both: 3, 'softmax', (3, 'softmax'), '3:softmax'"
        message = f"head={head!r}: invalid head; expected {expected}."
        raise UsageError(message)
    if activation is not None and activation not in ACTIVATIONS:
        for closest in difflib.get_close_matches(activation.lower(), ACTIVATIONS, 1, cutoff=0.9):
            message = f"head={head!r}: unknown activation {activation!r}; expected an activation of Keras, such as {closest!r}."
            raise UsageError(message)
    return Head(name=name, units=units, activation=activation)
