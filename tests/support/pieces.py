"""Legs and shards on disk, as sessions on several machines would have left them; no backend is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import make

from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.vocabulary.shards import Shard

CASES = tuple(f"labels/case_{n}" for n in range(8))
SELECTION = {
    "paths": ["cases"], "keyword": "", "marks": "", "device": "cpu", "oracles": ["agreement", "paths", "order", "reference"],
}  # fmt: skip


def write_leg(
    path: Path, backend: str, cases: Sequence[str] = CASES, values: Mapping[str, Mapping[str, Any]] | None = None,
    selection: Mapping[str, Any] | None = None, **fields: Any,
) -> Path:  # fmt: skip
    """A leg of `cases` in the directory `path`.

    `values` has by case what its recording is made of, `fields` are those of the environment.
    """
    run = fields.setdefault("run", f"run of {path}")
    usual = {"loss": 0.5, "file": "cases/labels.py", "file_digest": "f" * 64, "run": run}
    recordings = [make.recording(case, backend, **(usual | dict((values or {}).get(case, {})))) for case in cases]
    digests = {one.case: write_recording(path, one) for one in recordings}
    environment = {"digests": digests, "selection": SELECTION | dict(selection or {}), "sources": {"cases/labels.py": "f" * 64}}
    write_environment(path, make.environment(backend, tuple(cases), **(environment | fields)))
    return path


def write_shard(path: Path, backend: str, number: int, of: int, **more: Any) -> Path:
    """One shard of `CASES` (or of those in `all_cases`) in the directory `path`."""
    every = more.pop("all_cases", CASES)
    shard = Shard(number=number, of=of)
    selection = {"shard": str(shard)} | dict(more.pop("selection", {}))
    cases = more.pop("cases", [case for case in every if shard.holds(case)])
    return write_leg(path, backend, cases, selection=selection, all_cases=tuple(every), **more)


def write_shards(folder: Path, of: int = 3, backends: Sequence[str] = make.BACKENDS, **more: Any) -> list[Path]:
    """All shards of all backends, each where a download of artifacts would put it: ``<name of the artifact>/<backend>``."""
    return [
        write_shard(folder / f"recordings-{backend}-{number}-of-{of}" / backend, backend, number, of, **more)
        for backend in backends
        for number in range(1, of + 1)
    ]
