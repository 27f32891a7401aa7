"""What formats other than HTML say of a run alone, for the marks in their frames. It needs neither results nor recordings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from backendcheck.recordings.environment import Environment
from backendcheck.recordings.files import ENVIRONMENT_FILE
from backendcheck.report.formats.strict_json import dumped
from backendcheck.report.views.moment import CREATED, ENVIRONMENTS, KEPT, Moment
from backendcheck.text.escape import block, one_line
from backendcheck.text.lines import wrapped
from backendcheck.text.words import counted


def in_json(moment: Moment) -> Mapping[str, str]:
    """For report.json: the marks are strings there, and their values are not."""
    lines = [
        dumped({label: _environment(leg, moment.n_recordings[label]) for label, leg in moment.environments.items()})
    ]
    if (kept := moment.kept) is not None:
        lines.append(f'"kept": {dumped({"n": kept.n, "of": kept.of, "since": kept.since})}')
    return {f'"{CREATED}"': dumped(moment.created), f'"{ENVIRONMENTS}"': ",\n".join(lines)}


def _environment(environment: Environment, n_recordings: int) -> dict[str, Any]:
    return {
        "backend": environment.backend,
        "run": environment.run,
        "exit_state": environment.exit_state,
        "versions": environment.versions,
        "platform": environment.platform,
        "device": environment.device,
        "settings": environment.settings,
        "determinism": environment.determinism,
        "n_cases": len(environment.cases),
        "n_recordings": n_recordings,
        "started": environment.started,
        "duration_s": environment.duration_s,
        **({"n_replaced_for_memory": n} if (n := environment.n_replaced_for_memory) else {}),
        **({"pieces": ENVIRONMENT_FILE.encode(environment.parts)} if environment.parts else {}),
        **({"sessions": ENVIRONMENT_FILE.encode(environment.sessions)} if environment.sessions else {}),
        **({"checkout": environment.checkout} if environment.checkout else {}),
        **({"kept": ENVIRONMENT_FILE.encode(environment.kept)} if environment.kept else {}),
    }


def in_junit(moment: Moment) -> Mapping[str, str]:
    """For junit.xml: the time is an attribute there."""
    return {CREATED: escape(block(moment.created), {'"': "&quot;"})}


def in_text(lines: Iterable[str], moment: Moment, width: int | None) -> Iterator[str]:
    """The lines of a summary with lines of the run in place of marks."""
    for line in lines:
        if line == KEPT:
            if kept := moment.kept:
                yield from wrapped(str(kept), width, hang="    ")
        elif line == ENVIRONMENTS:
            environments = [*_environments(moment, width)]
            yield from [*environments, ""] if environments else []
        else:
            yield line


def _environments(moment: Moment, width: int | None) -> Iterator[str]:
    """The environment of each leg, and the parts of a merged one."""
    for label, environment in moment.environments.items():
        versions = " ".join(f"{name} {environment.versions[name]}" for name in environment.versions if name != "backendcheck")
        text = f"{label}: {counted(moment.n_recordings[label], 'recording')} in {environment.duration_s:.1f} s; {versions}"
        if n_replaced := environment.n_replaced_for_memory:
            text += f"; {counted(n_replaced, 'worker')} replaced for memory"
        yield from wrapped(one_line(text), width, hang="    ")
        for part in environment.parts:
            shard = f"{part.name}, " if part.shard else ""
            source = f" {part.path}, run {part.run[:8]}" if part.run else ""
            text = f"part{source}: {shard}{part.exit_state}, {counted(part.n_recordings, 'recording')}"
            yield from wrapped(one_line(text), width, first="  ", hang="      ")
