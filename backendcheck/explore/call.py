"""How a target is named and called in source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backendcheck.explore.numbers import options_of
from backendcheck.explore.situation import Situation
from backendcheck.text.literals import source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A target in source.

    imports: the lines that import it, and what every script needs.
    own: the name that is imported; empty for a target of Keras.
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
            own = path.partition(".")[0]
            imports += f"\n\nfrom {module} import {own}"
            name = path
        options = {**options_of(situation), **changes}
        arguments = ", ".join(f"{key}={source_of(value)}" for key, value in options.items())
        return cls(imports=imports, own=own, name=name, made=f"{name}({arguments})")
