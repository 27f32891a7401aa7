"""What a recording session is asked to do: one value, which a parent process writes to a file and its child reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from backendcheck.case_files import BUILT_IN
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import read_text, write_atomically
from backendcheck.recordings.codec import Codec, Form
from backendcheck.recordings.environment import Selection
from backendcheck.recordings.files import INJECTED, SHARD
from backendcheck.vocabulary.findings import ORACLES, Oracle
from backendcheck.vocabulary.leg_names import LegName, parse_leg
from backendcheck.vocabulary.memory import worker_memory_of
from backendcheck.vocabulary.shards import Shard


def _encoded(leg: LegName) -> Any:
    """The name of a leg; one with a name of its own with what pyproject.toml says, because it is not read again."""
    own = {"name": leg.name, "parts": leg.parts, "python": leg.python, "env": dict(leg.env)}
    return own if leg.name else leg.value


def _leg(value: Any) -> LegName:
    try:
        if isinstance(value, dict):
            return replace(
                parse_leg(value["parts"]), name=value["name"], python=value["python"], env=tuple(sorted(value["env"].items()))
            )
        return parse_leg(value)
    except UsageError as error:
        raise ValueError(str(error)) from None


CODEC = Codec({
    Path: Form(encode=lambda path, _: str(path), decode=lambda text, _: Path(text), text="a path"),
    Shard: SHARD,
    LegName: Form(encode=lambda leg, _: _encoded(leg), decode=lambda value, _: _leg(value), text="a leg"),
})  # fmt: skip

_START_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRequest:
    """What to record. `paths` are files, directories or node ids; without any, the built-in cases are recorded.

    A new option of recording is a new field here. It reaches the child process and its workers. An option that decides which
    cases or observations are recorded is a field of `Selection` as well, under the same name.

    `backend` is the leg: its backend, and what its name says beside that.
    `first` has ids of cases, and names of case files without ``.py``, that are recorded before the others.
    `only` is the id of the case to record, if it is a single one. With `layers` the calls of its layers are recorded in place of
    the case. The inputs replayed are those in the leg `source_leg`, or the case's own.
    `injections` maps faults to the cases that each is injected into, ``*`` for all. Those recordings go to their own legs, and
    other cases are not recorded.
    `noise` is the name of a noise recording, made for the leg with the run id `noise_of`.
    `worker_memory` is the number of bytes that a worker may keep between two cases. 0 is no bound, None is that of the backend.
    `shard` records that part of the cases alone. `seconds_before` is how long cases took before; it divides them into shards.
    With `resume` an earlier session in the same directory goes on: what it has
    recorded is kept, with `retry` only what was recorded or raised.
    `selected_items` is the file of the items that a pytest session has selected. Those are recorded, `paths` are their files, and
    `is_subset` is what that file says.
    `pickled` is the file with the objects that a case needs from the process that made the request. It exists for this run only.
    `store` is the store of kept recordings, None to keep none. With `fresh` everything is recorded, and put there.
    `report_events` reports the progress on standard output.
    """

    backend: LegName
    out: Path
    paths: Sequence[str] = ()
    workers: int = 1
    timeout_s: float = 300.0
    worker_memory: int | None = None
    keyword: str = ""
    marks: str = ""
    device: str = "cpu"
    oracles: Sequence[Oracle] = ORACLES
    plugins: Sequence[str] = ()
    shard: Shard | None = None
    seconds_before: Mapping[str, float] = field(default_factory=dict)
    noise: str = ""
    noise_of: str = ""
    overwrite: bool = False
    resume: bool = False
    retry: bool = False
    report_events: bool = False
    injections: Mapping[str, Sequence[str]] = field(default_factory=dict)
    first: Sequence[str] = ()
    only: str = ""
    layers: bool = False
    source_leg: Path | None = None
    selected_items: Path | None = None
    is_subset: bool = False
    pickled: Path | None = None
    store: Path | None = None
    fresh: bool = False

    def injection_leg(self, fault: str) -> Path:
        """Where the recordings with `fault` injected go."""
        return self.out.absolute() / INJECTED / fault / self.backend.folder

    @property
    def start_timeout_s(self) -> float:
        """The time that a worker has to import its backend: that of a case, and two minutes at least."""
        return max(self.timeout_s, _START_S)

    @property
    def worker_memory_bound(self) -> int:
        """The number of bytes that a worker may keep between two cases; 0 without a bound."""
        return worker_memory_of(self.backend.backend) if self.worker_memory is None else self.worker_memory

    @property
    def leg(self) -> Path:
        """The directory of the leg."""
        return self.out.absolute() / self.backend.folder

    @property
    def selection(self) -> Selection:
        """What decides which cases are recorded and what of them, as environment.json has it."""
        names = {field.name for field in fields(Selection)} & {field.name for field in fields(self)}
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        values["paths"] = tuple(self.paths) or (BUILT_IN,)
        values["injections"] = tuple(sorted(self.injections))
        values["is_subset"] = self.is_subset if self.selected_items else None
        return Selection(**values, selected_by="pytest" if self.selected_items else "")

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
            return cls.from_json(read_text(path))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            message = f"{path}: not a recording request ({error}); expected a file that backendcheck wrote."
            raise UnreadableInput(message) from error


def check_expressions(request: RecordingRequest) -> None:
    """Check that -k and -m are expressions, before anything is cleared or started.

    Raises:
        UsageError: if one is not.
    """
    if not (request.keyword or request.marks):
        return
    from _pytest.mark.expression import Expression

    for flag, expression in (("-k", request.keyword), ("-m", request.marks)):
        try:
            if expression:
                Expression.compile(expression)
        except Exception as error:  # noqa: BLE001 - its class changed with pytest's versions
            message = f"{flag} {expression!r}: not an expression ({error}); expected names joined by and, or, not, as in pytest."
            raise UsageError(message) from None
