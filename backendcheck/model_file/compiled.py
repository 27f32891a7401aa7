"""What a model was compiled with, from the configuration in its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendcheck.model_file.losses import DeclaredLoss, declared_loss, is_single_loss, snake
from backendcheck.nests import named_leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a model was compiled with, by output name; `metrics` are names, `optimizer` is the class with its module.

    `declares_loss` is also True for a loss that fits no output.
    """

    losses: Mapping[str, DeclaredLoss] = field(default_factory=dict)
    loss_weights: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optimizer: str = ""
    declares_loss: bool = False


def compiled_with(config: Any, outputs: list[str], notes: list[str]) -> Compiled | None:
    """Read ``compile_config``. Entries that fit no output are added to `notes`. None if the model is not compiled."""
    if not isinstance(config, Mapping) or not config:
        return None
    losses: dict[str, DeclaredLoss] = {}
    weights: dict[str, float] = {}
    metrics: dict[str, tuple[str, ...]] = {}
    for name, spec in _spread(config.get("loss"), outputs, "loss", notes).items():
        losses[name] = declared_loss(spec)
    for name, spec in _spread(config.get("loss_weights"), outputs, "loss_weights", notes).items():
        weights[name] = float(spec)
    for option in ("metrics", "weighted_metrics"):
        for name, spec in _spread(config.get(option), outputs, option, notes).items():
            listed = spec if isinstance(spec, list) else [spec]
            metrics[name] = (*metrics.get(name, ()), *(_metric_name(metric) for metric in listed))
    optimizer = config.get("optimizer")
    if isinstance(optimizer, Mapping):
        optimizer = ".".join(filter(None, [optimizer.get("module"), optimizer.get("class_name")]))
    return Compiled(
        losses=losses, loss_weights=weights, metrics=metrics, optimizer=str(optimizer or ""),
        declares_loss=config.get("loss") is not None,
    )  # fmt: skip


def _spread(spec: Any, outputs: list[str], option: str, notes: list[str]) -> dict[str, Any]:
    """`spec` (a dict by name, a list by position, or a single entry) by output. What fits no output is left out and noted."""
    if spec is None:
        return {}
    if not is_single_loss(spec):
        by_name = named_leaves(spec, is_leaf=is_single_loss)
        if set(by_name) <= set(outputs):
            return {name: entry for name, entry in by_name.items() if entry is not None}
        if len(outputs) == 1 and len(by_name) == 1:
            return {outputs[0]: next(iter(by_name.values()))}
        notes.append(f"{option} has entries for {', '.join(map(str, by_name))}; the outputs are {', '.join(map(repr, outputs))}")
        return {}
    if isinstance(spec, list) and len(outputs) > 1:
        if len(spec) != len(outputs):
            notes.append(f"{option} has {len(spec)} entries for {len(outputs)} outputs")
            return {}
        return {name: entry for name, entry in zip(outputs, spec, strict=True) if entry is not None}
    if isinstance(spec, list) and option in ("loss", "loss_weights"):
        spec = spec[0] if spec else None
    return dict.fromkeys(outputs, spec) if spec is not None else {}


def _metric_name(spec: Any) -> str:
    if isinstance(spec, Mapping):
        config = spec.get("config")
        if spec.get("class_name") == "function":
            return str(config)
        return str((config or {}).get("name") or snake(str(spec.get("class_name")))) if isinstance(config, Mapping) else ""
    return str(spec)
