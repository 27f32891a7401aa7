"""The environment file of a leg as a value: what was to be recorded, under which conditions, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendcheck.recordings.codec import IF_SET, LATER, UNKNOWN_KEYS, stored_as
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.shards import Shard
from backendcheck.vocabulary.states import ExitState


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was to be recorded. A session with another selection records another run.

    A field that has the name of a field of `RecordingRequest` has its value. It is also a condition, which the parts of a leg
    share, unless `conditions` excepts it.
    """

    paths: tuple[str, ...] = ()
    """Files, directories or node ids, or `built-in cases`."""
    keyword: str = ""
    """The expression of `-k`."""
    marks: str = ""
    """The expression of `-m`."""
    device: str = ""
    """The device that was requested; empty if unknown."""
    oracles: tuple[Oracle, ...] = ()
    """The oracles that were requested."""
    plugins: tuple[str, ...] = field(default=(), metadata=IF_SET)
    """The pytest plugins of `-p`."""
    shard: Shard | None = field(default=None, metadata=IF_SET)
    """The part of the cases that was recorded, where the leg was divided."""
    noise: str = field(default="", metadata=IF_SET)
    """The name of the noise recording, where it is one."""
    noise_of: str = field(default="", metadata=IF_SET)
    """The run id of the leg that a noise recording belongs to."""
    injections: tuple[str, ...] = field(default=(), metadata={**stored_as("plants"), **IF_SET})
    """The faults that were injected."""
    selected_by: str = field(default="", metadata={**stored_as("chosen_by"), **IF_SET})
    """`pytest`, where a pytest session has selected the items."""
    is_subset: bool | None = field(default=None, metadata={**stored_as("narrowed"), **IF_SET})
    """Whether that session had deselected items; null where there was no such session."""
    extra: Mapping[str, Any] = field(default_factory=dict, metadata=UNKNOWN_KEYS)
    """Keys of a later version. They are kept as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFileProblem:
    """What is wrong with a case file."""

    file: str
    """The path of the file."""
    line: int
    """The line, from 1 on."""
    message: str
    """What is wrong, and what to do."""
    extra: Mapping[str, Any] = field(default_factory=dict, metadata=UNKNOWN_KEYS)
    """Keys of a later version. They are kept as they are."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}."


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierSession:
    """A session that has ended early and was resumed."""

    started: str
    """When it was started, or resumed itself."""
    exit_state: ExitState
    """How it had ended."""
    n_recordings: int
    """The number of its recordings that were kept."""
    resumed: str
    """When the next session resumed it."""
    extra: Mapping[str, Any] = field(default_factory=dict, metadata=UNKNOWN_KEYS)
    """Keys of a later version. They are kept as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """An earlier run of which recordings were kept, because nothing that they depend on has changed."""

    run: str
    """Its run id, which these recordings carry."""
    started: str
    """When its session was started."""
    n_recordings: int
    """The number of its recordings in this leg."""
    extra: Mapping[str, Any] = field(default_factory=dict, metadata=UNKNOWN_KEYS)
    """Keys of a later version. They are kept as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedPart:
    """What a merged leg says of one of its parts. A shard that is missing is listed too."""

    path: str
    """Where the part lay; empty if it is missing."""
    run: str
    """The run id of the part; empty if it is missing."""
    shard: str
    """The shard that the part is, as `K/N`; empty if the leg was not divided."""
    exit_state: ExitState
    """How its recording ended."""
    n_cases: int
    """The number of its cases."""
    n_recordings: int
    """The number of recordings that came from it."""
    started: str | None = field(default=None, metadata=IF_SET)
    """When its session was started."""
    duration_s: float | None = field(default=None, metadata=IF_SET)
    """How long it took."""
    platform: Mapping[str, str] | None = field(default=None, metadata=IF_SET)
    """Operating system, machine and number of cores."""
    extra: Mapping[str, Any] = field(default_factory=dict, metadata=UNKNOWN_KEYS)
    """Keys of a later version. They are kept as they are."""

    @property
    def name(self) -> str:
        """The part in a sentence."""
        return f"shard {self.shard}" if self.shard else "a part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What `environment.json` holds: one backend's leg of a run."""

    backend: str
    """The name of the leg."""
    run: str
    """The id of the recording session."""
    exit_state: ExitState
    """`running` until the leg has ended. A leg whose process was killed stays `running`."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """The versions of Python and of packages."""
    platform: Mapping[str, str] = field(default_factory=dict)
    """Operating system, machine and number of cores."""
    device: str = ""
    """Where tensors live."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The settings of Keras that decide what a number means."""
    determinism: Mapping[str, str] = field(default_factory=dict)
    """Settings and variables that can change a number or its repeatability."""
    selection: Selection = field(default_factory=Selection)
    """What was to be recorded: paths and the options that decide about cases and observations."""
    cases: tuple[str, ...] = ()
    """The ids of the cases that were collected."""
    problems: tuple[CaseFileProblem, ...] = ()
    """What is wrong with case files."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of each recording, by case."""
    started: str = ""
    """When the session was started."""
    duration_s: float = 0.0
    """How long it took, all sessions together."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each case took."""
    n_replaced_for_memory: int = field(default=0, metadata=IF_SET)
    """How many workers were replaced because of the memory that they kept."""
    all_cases: tuple[str, ...] = ()
    """Of a shard: the ids of the cases in all shards."""
    durations: Mapping[str, float] = field(default_factory=dict, metadata=LATER)
    """Of a shard: how long cases took before, if that has divided the cases into shards. All shards have the same."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of the case files, and of local files that they import."""
    sessions: tuple[EarlierSession, ...] = ()
    """The earlier sessions of a leg that was resumed."""
    parts: tuple[MergedPart, ...] = field(default=(), metadata=stored_as("pieces"))
    """The parts of a merged leg."""
    kept: tuple[KeptRun, ...] = field(default=(), metadata=LATER)
    """The earlier runs of which recordings were kept."""
    checkout: Mapping[str, str] = field(default_factory=dict, metadata=IF_SET)
    """What was recorded, as far as known: `commit`, `branch`, `project`, `link` to the CI job, `source` where files are shown."""

    @property
    def runs(self) -> frozenset[str]:
        """The ids that the recordings of this leg may carry: its own, or those of its parts, and those of kept ones."""
        own = frozenset(part.run for part in self.parts if part.run) or frozenset({self.run})
        return own | {earlier.run for earlier in self.kept}

    @property
    def n_kept(self) -> int:
        """The number of recordings that were kept of earlier runs."""
        return sum(earlier.n_recordings for earlier in self.kept)
