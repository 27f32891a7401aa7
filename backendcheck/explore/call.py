"""How a target is named and called in source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from backendcheck.explore.numbers import options_of
from backendcheck.explore.situation import Situation
from backendcheck.text.literals import source_of

# Names that scripts and cases have for something else.
_TAKEN: Final = frozenset({
    "Data", "Loss", "array", "batch", "build", "by_hand", "compute", "data", "error", "first", "folder", "inputs", "jax", "keras",
    "labels", "loss", "metric", "model", "name", "nest", "np", "number", "reference", "result", "sample_weight", "second",
    "self", "table", "tape", "tempfile", "tensor", "tf", "torch", "total", "value", "weight", "weights", "x", "y_pred", "y_true",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A target in source.

    imports: the lines that import it, and what every script needs.
    own: the name that its model file has for it; empty for a target of Keras.
    name: the class or the function. made: the same, called with its options.
    """

    imports: str
    own: str
    name: str
    made: str

    @classmethod
    def of(cls, situation: Situation, changes: Mapping[str, Any]) -> Self:
        """`changes` are options in place of those of the situation."""
        module, colon, path = situation.target.partition(":")
        imports, own = "import keras\nimport numpy as np", ""
        name = situation.target
        if colon:
            own, imported = path.rpartition(".")[2], path.partition(".")[0]
            alias = f"own_{imported}" if imported in _TAKEN else imported
            imports += f"\n\nfrom {module} import {imported}" + (f" as {alias}" if alias != imported else "")
            name = alias + path.removeprefix(imported)
        options = {**options_of(situation), **changes}
        arguments = ", ".join(f"{key}={source_of(value)}" for key, value in options.items())
        return cls(imports=imports, own=own, name=name, made=f"{name}({arguments})")
