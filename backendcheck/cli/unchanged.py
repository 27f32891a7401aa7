"""`run` where nothing has changed: what the earlier run has shown is shown once more, and nothing is read or judged again."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backendcheck.cli.results import directory_of, show, terminal_width
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import file_sha256

if TYPE_CHECKING:
    from backendcheck.cli.terminal import OutputOptions
    from backendcheck.recordings.environment import Environment
    from backendcheck.report.kept import Frames
    from backendcheck.results.results import Results
    from backendcheck.vocabulary.shards import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a run is to show, by the options of its command. `cache` is the folder for what is kept."""

    cache: Path
    out: Path
    legs: Sequence[Path]
    expected: Sequence[str]
    known_files: Sequence[Path]
    strict_known: bool
    baseline: Path | None
    shard: Shard | None
    output: OutputOptions

    def key(self) -> str:
        """The key of what is shown; empty if it cannot be kept."""
        return self._key(self._environments())

    def again(self) -> int | None:
        """Show what a run of the same recordings has shown; returns the exit code, or None if that is not kept."""
        from backendcheck.recordings.legs import is_as_listed
        from backendcheck.report.kept import read_frames
        from backendcheck.report.views.moment import Moment
        from backendcheck.vocabulary.leg_names import folder_of

        environments = self._environments()
        key = "" if self._has_more() else self._key(environments)
        if not key or not all(environment.n_kept == len(environment.digests) > 0 for environment in environments.values()):
            return None
        frames = read_frames(self.cache, key, _now().date())
        by_folder = {leg.name: leg for leg in self.legs}
        if frames is None or not all(
            is_as_listed(by_folder[folder_of(name)], environment) for name, environment in environments.items()
        ):
            return None
        moment = Moment(
            created=_now().isoformat(timespec="seconds"),
            environments=environments,
            n_recordings={name: len(environment.digests) for name, environment in environments.items()},
        )
        return show(frames, dict(frames.files), moment, self.out, self.output)

    def keep(self, key: str, results: Results, frames: Frames) -> None:
        """Keep what was shown of a run that has ended. `key` is that from before, so that nothing has changed meanwhile."""
        from backendcheck.report.kept import write_frames
        from backendcheck.vocabulary.states import ExitState

        whole = all(leg.environment.exit_state is ExitState.COMPLETE for leg in results.legs)
        if whole and not self._has_more() and key and key == self.key():
            # On the day of the verdicts, although another may have begun.
            write_frames(self.cache, key, frames, datetime.datetime.fromisoformat(results.created).date(), results.known)

    def _has_more(self) -> bool:
        """Whether something lies beside the run that a report shows, and that the key says nothing of."""
        from backendcheck.recordings import kept_layers, noise, scripts

        return any((self.out / folder).exists() for folder in (kept_layers.FOLDER, noise.FOLDER, scripts.FOLDER))

    def _environments(self) -> dict[str, Environment]:
        """The environments by leg, in the order of the backends as reports have them; empty if one cannot be read."""
        from backendcheck.recordings.files import read_environment
        from backendcheck.vocabulary.leg_names import leg_order

        with contextlib.suppress(UnreadableInput):
            environments = sorted(map(read_environment, self.legs), key=lambda environment: leg_order(environment.backend))
            return {environment.backend: environment for environment in environments}
        return {}

    def _key(self, environments: Mapping[str, Environment]) -> str:
        from backendcheck.config import load_configuration
        from backendcheck.report.kept import key_of
        from backendcheck.verdicts.known_entries import files_of
        from backendcheck.verdicts.known_files import find_known_of_paths

        if not environments:
            return ""
        configuration = load_configuration(Path.cwd())
        paths = list(dict.fromkeys(path for leg in environments.values() for path in leg.selection.paths))
        settings = {
            "out": directory_of(self.legs), "expected": self.expected, "configuration": configuration, "width": terminal_width(),
            "known": self.known_files, "strict_known": self.strict_known, "shard": self.shard, "output": self.output,
            "annotations": os.environ.get("GITHUB_ACTIONS") == "true",
        }  # fmt: skip
        try:
            known = self.known_files or find_known_of_paths(paths, configuration.known)
            settings["baseline"] = self.baseline and file_sha256(self.baseline)
            return key_of(environments, [file for path in known for file in files_of(path)], settings)
        except (OSError, UsageError):  # judging says what is wrong
            return ""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
