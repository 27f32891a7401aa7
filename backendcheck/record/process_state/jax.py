"""State of JAX: all of its configuration."""

from __future__ import annotations

from typing import Any

import jax

from backendcheck.record.process_state.interpreter import functions_of
from backendcheck.record.process_state.item import Item


def items() -> list[Item]:
    return [
        Item("jax configuration", _read, _restore),
        *(functions_of(owner) for owner in (jax, jax.numpy, jax.nn, jax.lax, jax.random)),
    ]  # fmt: skip


def _read() -> dict[str, Any]:
    """Every setting, as it is in this thread: contexts that were entered and not left count as well."""
    return {name: getattr(jax.config, name, None) for name in jax.config.values}


def _restore(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if getattr(jax.config, name, None) != value:
            jax.config.update(name, value)
