"""Class names and losses from their text on the command line."""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backendcheck.errors import UsageError
from backendcheck.files import read_text

if TYPE_CHECKING:
    from backendcheck.model_file import DeclaredLoss

# Arguments of the losses of Keras 3.15, besides labels and predictions.
_LOSS_OPTIONS = frozenset({
    "alpha", "apply_class_balancing", "axis", "beta", "delta", "dtype", "from_logits", "gamma", "ignore_class", "label_smoothing",
    "margin", "name", "q", "reduction", "remove_diagonal",
})  # fmt: skip


def parse_class_names(text: str | None) -> Any:
    """Class names from ``cat,dog``, a .txt file (one name per line), or a .json file (a list, lists by output, a class map).

    Raises:
        UsageError: if the file is missing or contains something else.
        UnreadableInput: if it is a class map that was edited or damaged.
    """
    if text is None:
        return None
    path = Path(text)
    if path.suffix not in (".txt", ".json"):
        return [name.strip() for name in text.split(",")]
    try:
        content = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        message = f"--class-names {path}: cannot be read ({reason}). Give a file with one name per line, or the names themselves."
        raise UsageError(message) from error
    if path.suffix == ".txt":
        return [line.strip() for line in content.splitlines() if line.strip()]
    try:
        names = json.loads(content)
    except (ValueError, RecursionError) as error:
        message = f"--class-names {path}: invalid JSON ({error}); expected a list of names, or lists of names by output."
        raise UsageError(message) from error
    if isinstance(names, dict) and {"schema", "classes"} <= set(names):
        from backendcheck.labels import ClassMap

        by_output = {output: list(listed) for output, listed in ClassMap.read(path).classes.items()}
        return by_output[""] if set(by_output) == {""} else by_output
    lists = list(names.values()) if isinstance(names, dict) else [names]
    if not all(isinstance(listed, list) and all(isinstance(name, str) for name in listed) for listed in lists):
        message = f"--class-names {path}: expected a list of names, or lists of names by output."
        raise UsageError(message)
    return names


def parse_losses(text: str | None, *, registered: bool = False) -> Any:
    """Losses from ``mse``, ``binary_crossentropy(from_logits=True)``, or by output ``tumor=binary_crossentropy,age=mse``.

    ``MODULE:NAME`` is the user's own loss. It is not imported, so nothing else is known of it. With `registered`, names unknown
    to Keras are accepted, because an imported module may register them.

    Raises:
        UsageError: if the text has another form.
    """
    return map_losses(lambda loss: _parse_loss(loss, registered=registered), text)


def map_losses(function: Callable[[str], Any], text: str | None) -> Any:
    """`function` applied to the text of each loss: one result, a list of them, or a dict by output.

    Raises:
        UsageError: if only some of the losses name an output.
    """
    if text is None:
        return None
    parts = _split(text)
    pairs = [re.match(r"\s*([^=()]+?)\s*=\s*(.+)$", part, re.DOTALL) for part in parts]
    if any(pairs):
        if not all(pairs):
            message = f"--loss {text}: mixes losses with and without an output; expected OUTPUT=LOSS for each."
            raise UsageError(message)
        return {pair[1]: function(pair[2]) for pair in pairs if pair is not None}
    losses = [function(part) for part in parts]
    return losses[0] if len(losses) == 1 else losses


def _split(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    if not re.fullmatch(r"(?:[^()]|\([^()]*\))*", text):
        return [text]  # unbalanced parentheses
    return [part.strip() for part in re.findall(r"(?:[^,()]|\([^()]*\))+", text)] or [text]


def _parse_loss(text: str, *, registered: bool) -> DeclaredLoss:
    from backendcheck.labels.inputs.task import known_loss
    from backendcheck.model_file import DeclaredLoss, declared_loss

    text = text.strip()
    name, parenthesis, rest = text.partition("(")
    if ":" in name:
        return DeclaredLoss(name=name.rpartition(":")[2], custom=True)
    options: dict[str, Any] = {}
    if parenthesis:
        try:
            call = ast.parse(f"loss({rest}", mode="eval").body
            if not isinstance(call, ast.Call) or call.args:
                raise SyntaxError
            options = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
        except (SyntaxError, ValueError) as error:
            message = f"--loss {text}: invalid options; expected NAME(from_logits=True, ignore_class=-1)."
            raise UsageError(message) from error
    for unknown in sorted(options.keys() - _LOSS_OPTIONS):
        close = difflib.get_close_matches(unknown, _LOSS_OPTIONS, n=1) or ["from_logits"]
        message = f"--loss {text}: no loss of Keras has an option {unknown!r}; expected one such as {close[0]}."
        raise UsageError(message)
    loss = declared_loss(name.strip()) if registered else known_loss(name.strip())
    return DeclaredLoss(name=loss.name, options=options, custom=loss.custom)
