"""Help texts with their commands and options in groups."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import click

COMMANDS = {
    "Begin": ("demo", "init"),
    "Check": ("run", "model", "labels", "explore", "upgrade", "migrate", "certify"),
    "Look into a difference": ("report", "show", "locate", "bisect", "repro", "known"),
    "In CI": ("record", "compare", "merge"),
    "On more machines": ("farm",),
    "More": ("list", "selftest"),
}
# By the name of the parameter. Options without a group come last, under "Options".
_OPTIONS = {
    "Data": ("data", "labels", "label_columns", "weight_column", "validation", "test", "examples"),
    "Model": ("model", "loss", "metrics", "optimizer", "weights", "imports", "batch_size", "epochs", "head"),
    "Classes": ("class_names", "n_classes", "against", "write_class_map"),
    "Rules": ("select", "ignore", "imbalance", "strict", "list_rules", "explain"),
    "Migration": ("source_leg", "target_leg", "source_paths"),
    "Versions": ("before", "after", "package", "versions", "good", "bad"),
    "Which backends and cases": (
        "backends", "legs", "backend", "others", "expect_backends", "keyword", "marks", "shard", "seconds_before", "faults",
        "every",
    ),
    "Recording": ("workers", "timeout_s", "worker_memory", "device", "oracles", "plugins", "noise_floor", "watch"),
    "Farm": ("farm_address", "farm_wait_s", "farm_chunk_s", "farm_files"),
    "Search": ("budget", "n_situations", "seed"),
    "Output directory": ("out", "overwrite", "resume", "retry", "fresh", "kept"),
    "Verdicts": ("known_files", "strict_known", "baseline", "history"),
    "What is printed": ("opens", "serves", "port", "n_scripts", "form", "as_json", "quiet", "verbose"),
}
_GROUP = {name: title for title, names in _OPTIONS.items() for name in names}


class GroupedCommand(click.Command):
    """A command whose help has its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group of options under its title."""
        grouped: dict[str, list[tuple[str, str]]] = {title: [] for title in (*_OPTIONS, "Options")}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)) is not None:
                grouped[_GROUP.get(parameter.name or "", "Options")].append(record)
        _write_sections(formatter, grouped)


class Subcommands(click.Group):
    """A command with commands of its own. Its help has the whole first sentence of each."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their order."""
        write_commands(self, ctx, formatter, {"Commands": tuple(self.commands)})


def write_commands(
    group: click.Group, context: click.Context, formatter: click.HelpFormatter, titles: Mapping[str, Sequence[str]] = COMMANDS
) -> None:
    """Write the commands of `group` under their titles, each with its whole first sentence; those without a title come last."""
    names = group.list_commands(context)
    known = set(itertools.chain.from_iterable(titles.values()))
    sections: dict[str, list[tuple[str, str]]] = {}
    for title, listed in {**titles, "Others": tuple(name for name in names if name not in known)}.items():
        commands = [(name, command) for name in listed if (command := group.get_command(context, name)) and not command.hidden]
        sections[title] = [(name, command.get_short_help_str(limit=200)) for name, command in commands]
    _write_sections(formatter, sections)


def _write_sections(formatter: click.HelpFormatter, sections: dict[str, list[tuple[str, str]]]) -> None:
    widest = max((len(first) for rows in sections.values() for first, _ in rows), default=0)
    for title, rows in sections.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(_aligned(rows, widest))


def _aligned(rows: Sequence[tuple[str, str]], widest: int) -> list[tuple[str, str]]:
    """The rows with a first column as wide as in the other groups, up to the width at which click breaks the line."""
    return [(first.ljust(min(widest, 28)) if len(first) < widest else first, text) for first, text in rows]
