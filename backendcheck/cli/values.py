"""Class names and losses as one writes them on the command line."""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backendcheck.errors import UsageError

if TYPE_CHECKING:
    from backendcheck.model_file import DeclaredLoss

# What the losses of Keras 3.15 take beside labels and predictions.
_OPTIONS = frozenset({
    "alpha", "apply_class_balancing", "axis", "beta", "delta", "dtype", "from_logits", "gamma", "ignore_class", "label_smoothing",
    "margin", "name", "q", "reduction", "remove_diagonal",
})  # fmt: skip


def parse_class_names(given: str | None) -> Any:
    """``cat,dog``, or what is in a .txt file (a name a line) or a .json file: a list, lists by output, or a class map.

    Raises:
        UsageError: if the file is not there or holds something else.
        UnreadableInput: if it is a class map that was edited or damaged.
    """
    if given is None:
        return None
    path = Path(given)
    if path.suffix not in (".txt", ".json"):
        return [name.strip() for name in given.split(",")]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"--class-names {path}: cannot be read ({error}). Give a file of names, one a line, or the names themselves."
        raise UsageError(message) from error
    if path.suffix == ".txt":
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        names = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"--class-names {path}: is no JSON ({error}); expected a list of names, or lists of names by output."
        raise UsageError(message) from error
    if isinstance(names, dict) and {"schema", "classes"} <= set(names):
        from backendcheck.labels import ClassMap

        by_output = {output: list(listed) for output, listed in ClassMap.read(path).classes.items()}
        return by_output[""] if set(by_output) == {""} else by_output
    lists = list(names.values()) if isinstance(names, dict) else [names]
    if not all(isinstance(one, list) and all(isinstance(name, str) for name in one) for one in lists):
        message = f"--class-names {path}: expected a list of names, or lists of names by output."
        raise UsageError(message)
    return names


def parse_losses(given: str | None, *, registered: bool = False) -> Any:
    """``mse``, ``binary_crossentropy(from_logits=True)``, or several by output: ``tumor=binary_crossentropy,age=mse``.

    ``MODULE:NAME`` is a loss of the user's own, which is not imported: nothing is known of it. `registered` says that Keras may
    know other names than its own, for something is imported that registers them.

    Raises:
        UsageError: if it is none of these.
    """
    return map_losses(lambda one: _loss(one, registered=registered), given)


def map_losses(function: Callable[[str], Any], given: str | None) -> Any:
    """`function` of each loss as it is written: of the only one, of a list of them, or of a dict by output.

    Raises:
        UsageError: if some losses have an output and others have none.
    """
    if given is None:
        return None
    parts = _split(given)
    pairs = [re.match(r"\s*([^=()]+?)\s*=\s*(.+)$", part, re.DOTALL) for part in parts]
    if any(pairs):
        if not all(pairs):
            message = f"--loss {given}: mixes losses with and without an output; expected OUTPUT=LOSS for each."
            raise UsageError(message)
        return {pair[1]: function(pair[2]) for pair in pairs if pair is not None}
    losses = [function(part) for part in parts]
    return losses[0] if len(losses) == 1 else losses


def _split(text: str) -> list[str]:
    """At the commas that stand outside parentheses."""
    if not re.fullmatch(r"(?:[^()]|\([^()]*\))*", text):
        return [text]  # a parenthesis without the other
    return [part.strip() for part in re.findall(r"(?:[^,()]|\([^()]*\))+", text)] or [text]


def _loss(text: str, *, registered: bool) -> DeclaredLoss:
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
            options = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords if one.arg}
        except (SyntaxError, ValueError) as error:
            message = f"--loss {text}: its options cannot be read; expected NAME(from_logits=True, ignore_class=-1)."
            raise UsageError(message) from error
    for unknown in sorted(options.keys() - _OPTIONS):
        close = difflib.get_close_matches(unknown, _OPTIONS, n=1) or ["from_logits"]
        message = f"--loss {text}: no loss of Keras has an option {unknown!r}; expected one such as {close[0]}."
        raise UsageError(message)
    found = declared_loss(name.strip()) if registered else known_loss(name.strip())
    return DeclaredLoss(name=found.name, options=options, custom=found.custom)
