"""The settings of a session, from the options of pytest and ``[tool.backendcheck]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from backendcheck.config import Configuration, load_configuration, selected_legs
from backendcheck.errors import UsageError
from backendcheck.in_pytest.names import NONE
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.backends import DEFAULT_NAMES
from backendcheck.vocabulary.findings import Oracle, parse_oracles
from backendcheck.vocabulary.leg_names import LegName, parse_legs
from backendcheck.vocabulary.memory import parse_size

_OPTIONS = ("--backends", "--backendcheck-backends")
_LARGEST = 10_000_000  # seconds or workers, far beyond any use


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one pytest session.

    `cases`: ``case_*`` functions are collected. `explicit`: --backends was on the command line. `out` is the directory of
    recordings and reports, `place` that directory as it was written.
    """

    backends: tuple[LegName, ...]
    cases: bool
    explicit: bool
    out: Path
    place: str
    workers: int
    timeout_s: float
    worker_memory: int | None
    device: str
    oracles: tuple[Oracle, ...]
    plugins: tuple[str, ...]
    configuration: Configuration

    def requests(self, selected_items: Path) -> list[RecordingRequest]:
        """The recording request of each backend."""
        return [
            RecordingRequest(
                backend=backend, out=self.out, workers=self.workers, timeout_s=self.timeout_s, device=self.device,
                oracles=self.oracles, plugins=self.plugins, worker_memory=self.worker_memory, overwrite=True,
                selected_items=selected_items,
            )
            for backend in self.backends
        ]  # fmt: skip


def wants_cases(config: pytest.Config) -> bool:
    """Whether ``--backends`` names backends; ``none`` names no backend."""
    backends: str | None = config.option.backendcheck_backends
    return backends is not None and backends.strip().lower() != NONE


def settings_of(config: pytest.Config) -> Settings:
    """The settings of a session.

    Raises:
        UsageError: if an option or the configuration is not as documented.
    """
    option = config.option
    configuration = load_configuration(config.rootpath)
    cases = wants_cases(config)
    names = option.backendcheck_backends if cases else ",".join(configuration.backends) or DEFAULT_NAMES
    try:
        oracles = parse_oracles(option.backendcheck_oracles)
    except UsageError as error:
        message = f"--backendcheck-oracles: {error}"
        raise UsageError(message) from None
    try:
        size = option.backendcheck_worker_memory
        memory = configuration.worker_memory if size is None else parse_size(size)
    except UsageError as error:
        message = f"--backendcheck-worker-memory: {error}"
        raise UsageError(message) from None
    for name, number in (("timeout", option.backendcheck_timeout), ("workers", option.backendcheck_workers)):
        if not 0 < number <= _LARGEST:  # NaN fails this test too
            message = f"--backendcheck-{name}: {number:g} is out of range; expected more than 0, {_LARGEST} at most."
            raise UsageError(message)
    return Settings(
        backends=selected_legs(",".join(leg.value for leg in parse_legs(names)), configuration),
        cases=cases,
        explicit=cases and any(str(argument).startswith(_OPTIONS) for argument in config.invocation_params.args),
        out=config.invocation_params.dir / option.backendcheck_out,
        place=str(option.backendcheck_out),
        workers=option.backendcheck_workers,
        timeout_s=option.backendcheck_timeout,
        worker_memory=memory,
        device=option.backendcheck_device,
        oracles=oracles,
        plugins=tuple(option.backendcheck_plugins),
        configuration=configuration,
    )  # fmt: skip

