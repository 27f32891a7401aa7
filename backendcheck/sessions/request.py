"""What a recording session is asked to do: one value, which a parent process writes to a file and its child reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from backendcheck.case_files import BUILT_IN
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import write_atomically
from backendcheck.recordings.codec import Codec, Form
from backendcheck.recordings.files import INJECTED
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.findings import ORACLES, Oracle
from backendcheck.vocabulary.shards import Shard, parse_shard

# Metadata of fields that are part of the selection in environment.json: a session with another value records another run.
SELECTS: Final[Mapping[str, Any]] = {"selects": "always"}
SELECTS_IF_SET: Final[Mapping[str, Any]] = {"selects": "if set"}


CODEC = Codec({
    Path: Form(encode=lambda path, _: str(path), decode=lambda text, _: Path(text), text="a path"),
    Shard: Form(encode=lambda shard, _: str(shard), decode=lambda text, _: parse_shard(text), text="K/N"),
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRequest:
    """What to record. `paths` are files, directories or node ids; without any, the built-in cases are recorded.

    A new option of recording is a new field here. It reaches the child process and its workers, and with `SELECTS` or
    `SELECTS_IF_SET` the selection as well.

    `only` is the id of the case to record, if it is a single one. With `layers` the calls of its layers are recorded in place of
    the case. The inputs replayed are those in the leg `source_leg`, or the case's own.
    `injections` maps faults to the cases that each is injected into, ``*`` for all. Those recordings go to their own legs, and
    other cases are not recorded.
    `noise` is the name of a noise recording, made for the leg with the run id `noise_of`.
    `shard` records that part of the cases alone. With `resume` an earlier session in the same directory goes on: what it has
    recorded is kept, with `retry` only what was recorded or raised.
    `selected_items` is the file of the items that a pytest session has selected. Those are recorded, `paths` are their files, and
    `is_subset` is what that file says.
    `report_events` reports the progress on standard output.
    """

    backend: Backend
    out: Path
    paths: Sequence[str] = ()
    workers: int = 1
    timeout_s: float = 300.0
    keyword: str = field(default="", metadata=SELECTS)
    marks: str = field(default="", metadata=SELECTS)
    device: str = field(default="cpu", metadata=SELECTS)
    oracles: Sequence[Oracle] = field(default=ORACLES, metadata=SELECTS)
    plugins: Sequence[str] = field(default=(), metadata=SELECTS_IF_SET)
    shard: Shard | None = field(default=None, metadata=SELECTS_IF_SET)
    noise: str = field(default="", metadata=SELECTS_IF_SET)
    noise_of: str = field(default="", metadata=SELECTS_IF_SET)
    overwrite: bool = False
    resume: bool = False
    retry: bool = False
    report_events: bool = False
    injections: Mapping[str, Sequence[str]] = field(default_factory=dict)
    only: str = ""
    layers: bool = False
    source_leg: Path | None = None
    selected_items: Path | None = None
    is_subset: bool = False

    def injection_leg(self, fault: str) -> Path:
        """Where the recordings with `fault` injected go."""
        return self.out.absolute() / INJECTED / fault / self.backend.value

    @property
    def leg(self) -> Path:
        """The directory of the leg."""
        return self.out.absolute() / self.backend.value

    @property
    def selection(self) -> dict[str, Any]:
        """What decides which cases are recorded and what of them, as environment.json has it."""
        values = {field.name: (field.metadata.get("selects"), getattr(self, field.name)) for field in fields(self)}
        return {
            "paths": list(self.paths) or [BUILT_IN],
            **{name: CODEC.encode(value) for name, (when, value) in values.items() if when == "always" or (when and value)},
            **({"plants": sorted(self.injections)} if self.injections else {}),
            **({"chosen_by": "pytest", "narrowed": self.is_subset} if self.selected_items else {}),
        }

    def to_json(self) -> str:
        """The request as a file holds it."""
        return json.dumps(CODEC.encode(self))

    @classmethod
    def from_json(cls, text: str) -> RecordingRequest:
        """What `to_json` wrote."""
        return CODEC.decode(cls, json.loads(text))

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            OutputInTheWay: if it cannot be written.
        """
        write_atomically(path, self.to_json().encode())

    @classmethod
    def load(cls, path: Path) -> RecordingRequest:
        """Read the file.

        Raises:
            UnreadableInput: if it cannot be read or holds anything else.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            message = f"{path}: not a recording request ({error}); expected a file that backendcheck wrote."
            raise UnreadableInput(message) from error


def check_expressions(request: RecordingRequest) -> None:
    """Check that -k and -m are expressions, before anything is cleared or started.

    Raises:
        UsageError: if one is not.
    """
    from _pytest.mark.expression import Expression

    for flag, expression in (("-k", request.keyword), ("-m", request.marks)):
        try:
            if expression:
                Expression.compile(expression)
        except Exception as error:  # noqa: BLE001 - its class changed with pytest's versions
            message = f"{flag} {expression!r}: not an expression ({error}); expected names joined by and, or, not, as in pytest."
            raise UsageError(message) from None
