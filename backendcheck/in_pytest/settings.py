"""What the options of pytest and ``[tool.backendcheck]`` ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from backendcheck.config import Configuration, load_configuration
from backendcheck.errors import UsageError
from backendcheck.in_pytest.names import NONE
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.backends import Backend, parse_backends
from backendcheck.vocabulary.findings import Oracle, parse_oracles

_OPTIONS = ("--backends", "--backendcheck-backends")
_LARGEST = 10_000_000  # seconds, or workers: more than anybody waits for or has
_EVERY = ",".join(backend.value for backend in Backend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one pytest session.

    `cases` says whether ``case_*`` functions are collected, `asked` whether that was asked for in so many words, on the command
    line. `out` is where recordings and reports go, `place` how that was put.
    """

    backends: tuple[Backend, ...]
    cases: bool
    asked: bool
    out: Path
    place: str
    workers: int
    timeout_s: float
    device: str
    oracles: tuple[Oracle, ...]
    plugins: tuple[str, ...]
    configuration: Configuration

    def requests(self, selected_items: Path) -> list[RecordingRequest]:
        """One for each backend."""
        return [
            RecordingRequest(
                backend=backend, out=self.out, workers=self.workers, timeout_s=self.timeout_s, device=self.device,
                oracles=self.oracles, plugins=self.plugins, overwrite=True, selected_items=selected_items,
            )
            for backend in self.backends
        ]  # fmt: skip


def wants_cases(config: pytest.Config) -> bool:
    """Whether ``--backends`` was given, and not to say that none is wanted."""
    given: str | None = config.option.backendcheck_backends
    return given is not None and given.strip().lower() != NONE


def settings_of(config: pytest.Config) -> Settings:
    """The settings of a session.

    Raises:
        UsageError: if an option or the configuration is not as documented.
    """
    option = config.option
    configuration = load_configuration(config.rootpath)
    cases = wants_cases(config)
    names = option.backendcheck_backends if cases else ",".join(configuration.backends) or _EVERY
    try:
        oracles = parse_oracles(option.backendcheck_oracles)
    except UsageError as error:
        message = f"--backendcheck-oracles: {error}"
        raise UsageError(message) from None
    for name, number in (("timeout", option.backendcheck_timeout), ("workers", option.backendcheck_workers)):
        if not 0 < number <= _LARGEST:  # NaN fails this test too
            message = f"--backendcheck-{name}: {number:g} is out of range; expected more than 0, {_LARGEST} at most."
            raise UsageError(message)
    return Settings(
        backends=parse_backends(names),
        cases=cases,
        asked=cases and any(str(one).startswith(_OPTIONS) for one in config.invocation_params.args),
        out=config.invocation_params.dir / option.backendcheck_out,
        place=str(option.backendcheck_out),
        workers=option.backendcheck_workers,
        timeout_s=option.backendcheck_timeout,
        device=option.backendcheck_device,
        oracles=oracles,
        plugins=tuple(option.backendcheck_plugins),
        configuration=configuration,
    )  # fmt: skip

