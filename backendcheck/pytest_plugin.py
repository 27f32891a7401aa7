"""The pytest plugin (entry point ``pytest11``): cases and `backends_agree` in a user's own test suite.

pytest loads it into every session where backendcheck is installed. Therefore it imports very little, and does nothing until
``--backends`` is given or a test takes the fixture `backends_agree`. Then `in_pytest` does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backendcheck.in_pytest.names import (
    FIXTURE,
    JUDGING,
    NODEID,
    NONE,
    OWN_OPTIONS,
    SELECTED_FILE,
    exchange_directory,
    session_id,
    takes_fixture,
)

if TYPE_CHECKING:
    from backendcheck.in_pytest.session import JudgingSession


_RECORDING = "backendcheck-worker"  # name of the plugin of a recording session, where a conftest.py may have loaded this one too
_GROUP = "backendcheck"


# --- options -----------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup(_GROUP, "backendcheck: the same under every Keras backend")
    group.addoption("--backendcheck-backends", **_backends("The same as --backends, if another plugin has that option."))
    group.addoption(
        "--backendcheck-out", type=Path, default=Path("reports/pytest"), metavar="DIR",
        help="Directory of recordings and reports, which replace those of an earlier session. Default: reports/pytest",
    )  # fmt: skip
    group.addoption(
        "--backendcheck-timeout", type=float, default=300.0, metavar="S",
        help="Seconds a case may take on a backend before it is stopped. Default: 300",
    )  # fmt: skip
    group.addoption("--backendcheck-workers", type=int, default=1, metavar="N", help="Worker processes per backend. Default: 1")
    group.addoption(
        "--backendcheck-worker-memory", metavar="SIZE",
        help="Replace a worker that keeps more memory than this between two cases, such as 1500M or 2G; 0 for never.",
    )  # fmt: skip
    group.addoption(
        "--backendcheck-device", choices=("cpu", "gpu", "auto"), default="cpu",
        help="cpu hides accelerators from every backend; gpu and auto leave the choice to the backend. Default: cpu",
    )  # fmt: skip
    group.addoption(
        "--backendcheck-oracles", default="agreement,paths,order,reference", metavar="LIST",
        help="Comparisons to make. Default: agreement,paths,order,reference",
    )  # fmt: skip
    group.addoption(
        "--backendcheck-plugin", dest="backendcheck_plugins", action="append", default=[], metavar="NAME",
        help="Load this pytest plugin where cases are recorded, for its fixtures. No others are loaded. May be repeated.",
    )  # fmt: skip


def _backends(text: str) -> dict[str, Any]:
    return {"dest": "backendcheck_backends", "metavar": "LIST", "default": None, "help": text}


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser) -> Generator[None, None, None]:
    """Add ``--backends``, unless a conftest.py or another plugin has it; then ours has its long name only."""
    before = set(vars(early_config.option))
    yield
    early_config.stash[OWN_OPTIONS] = frozenset(vars(early_config.option)) - before
    try:
        _, unknown = parser.parse_known_and_unknown_args(["--backends=jax"])
    except pytest.UsageError:  # another plugin's option, with other values
        return
    if unknown:
        text = "Collect case_* functions too, and judge each under these Keras backends (tensorflow,jax,torch); or none."
        parser.getgroup(_GROUP).addoption("--backends", **_backends(text))


# --- starting the judging session ---------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "backendcheck(seed): the seed of a case's rng fixture and of its initial weights")
    backends: str | None = config.option.backendcheck_backends
    if backends is not None and backends.strip().lower() != NONE and not _records(config):
        _start_judging(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if getattr(config.option, "loadgroup", False):  # pytest-xdist will append the group to the node id of each item
        for item in items:
            item.stash[NODEID] = item.nodeid


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Select the items to record, if the session compares at all."""
    judging = _judging(session.config)
    if judging is None and not _records(session.config) and any(map(takes_fixture, session.items)):
        judging = _start_judging(session.config)
    if judging is not None:
        judging.select(session)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the id of the session to a worker of pytest-xdist."""
    node.workerinput["backendcheck_meeting"] = session_id(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """In the controller of pytest-xdist: record the items that the workers selected."""
    config: pytest.Config = node.config
    judging = _judging(config)
    if judging is None and (exchange_directory(config) / SELECTED_FILE).exists():
        judging = _start_judging(config)
    if judging is not None:
        judging.record()


def _judging(config: pytest.Config) -> JudgingSession | None:
    judging: JudgingSession | None = config.pluginmanager.getplugin(JUDGING)
    return judging


def _start_judging(config: pytest.Config) -> JudgingSession:
    from backendcheck.errors import BackendcheckError
    from backendcheck.in_pytest.session import JudgingSession

    try:
        judging = JudgingSession(config, exchange_directory(config))
    except BackendcheckError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(judging, JUDGING)
    return judging


def _records(config: pytest.Config) -> bool:
    return config.pluginmanager.hasplugin(_RECORDING)


# --- the fixture -------------------------------------------------------------------------------------------------


@pytest.fixture
def backends_agree(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``backends_agree(function, *arrays)``: the result and its gradients by the arrays are the same on every backend.

    `function` takes the arrays as tensors. Each backend's recording session runs the test and calls the function. This session
    judges the results, and returns one of them as NumPy arrays. Options are those of a FunctionCase: `gradients`, `reference`,
    `expect`, `tolerance`.
    """
    judging = _judging(request.config)
    if judging is None:
        message = f"{FIXTURE} was asked for while the test runs; expected it among the test's arguments. Name it there."
        pytest.fail(message, pytrace=False)
    return judging.agreement_of(request.node)


@pytest.fixture
def backends_explored(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``backends_explored(target, situations=200, seconds=60)``: `backendcheck explore` finds nothing new on a loss or metric.

    `target` is a class or a function of a module, or its name: ``package.losses:Focal(gamma=2.0)``. The search ends after that
    many situations or seconds, whichever comes first. Returns the content of findings.json.
    """
    from backendcheck.in_pytest.explored import explore_in_test

    def explored(target: Any, situations: int = 200, seconds: float = 60.0, seed: int = 0) -> dict[str, Any]:
        return explore_in_test(request, target, situations=situations, seconds=seconds, seed=seed)

    return explored
