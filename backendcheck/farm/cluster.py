"""The Dask cluster behind ``--farm``: connect to it, or start one here. `distributed` is imported only when asked for."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backendcheck.errors import UsageError, install_command
from backendcheck.vocabulary.backends import backends_by_name

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local:"
LOOPBACK = "127.0.0.1"
_CONNECT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker of the cluster: its address and host, the legs that it serves, and how many chunks it records at a time."""

    address: str
    host: str
    legs: frozenset[str]
    slots: int


def check_address(address: str) -> None:
    """Check the form of an address, and that `distributed` is installed. Starts nothing.

    Raises:
        UsageError: if it has another form, or `distributed` is missing.
    """
    workers = address.removeprefix(LOCAL)
    if workers != address:
        if not (workers.isascii() and workers.isdigit() and 1 <= int(workers) <= 999):  # noqa: PLR2004 - processes of one machine
            message = f"--farm {address}: expected a number of workers from 1 to 999, such as local:2."
            raise UsageError(message)
    elif ":" not in address:
        message = f"--farm {address}: not an address; expected one of a Dask scheduler such as tcp://HOST:8786, or local:2."
        raise UsageError(message)
    check_distributed()


def check_distributed() -> None:
    """Check that `distributed` is installed.

    Raises:
        UsageError: if it is not.
    """
    if importlib.util.find_spec("distributed") is None:
        message = f"farm: distributed is not installed here. Install with: {install_command('farm')}"
        raise UsageError(message)


def installed_legs() -> list[str]:
    """The backends that are installed here, found without importing them."""
    return [name for name, backend in backends_by_name().items() if not backend.missing_modules()]


@contextlib.contextmanager
def cluster(address: str) -> Iterator[str | Any]:
    """What a client connects to: the address, or workers in this process for ``local:N``, which end with the block.

    What they record is in processes of its own, as everywhere.
    """
    if not address.startswith(LOCAL):
        yield address
        return
    from distributed import LocalCluster

    quiet()
    any_port = f"{LOOPBACK}:0"  # Dask always serves its state
    with LocalCluster(
        n_workers=int(address.removeprefix(LOCAL)), threads_per_worker=1, processes=False, dashboard_address=any_port,
        worker_dashboard_address=any_port, resources=dict.fromkeys(installed_legs(), 1), memory_limit=0, silence_logs=False,
    ) as workers:  # fmt: skip
        yield workers


@contextlib.contextmanager
def connected(where: str | Any) -> Iterator[Client]:
    """A client of the cluster. TLS is as the configuration of Dask says.

    Raises:
        UsageError: if nothing answers there.
    """
    from distributed import Client

    quiet()
    try:
        client = Client(where, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        message = f"--farm {where}: no Dask scheduler answers there ({error}). Start one: dask scheduler --host {LOOPBACK}"
        raise UsageError(message) from None
    with contextlib.closing(client):
        yield client


def workers_of(client: Client) -> list[Worker]:
    """The workers that the scheduler knows at this moment."""
    known: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    return [
        Worker(
            address=address, host=str(about.get("host", "")), slots=int(about.get("nthreads", 1)),
            legs=frozenset(name for name, n in about.get("resources", {}).items() if n > 0),
        )
        for address, about in known.items()
    ]  # fmt: skip


def quiet() -> None:
    """Silence the log of Dask, which its import has turned on: what matters of it is told in our own words."""
    import distributed  # noqa: F401 - sets the levels that are set anew here

    for name in [*logging.Logger.manager.loggerDict]:
        if name.partition(".")[0] in ("distributed", "tornado", "bokeh"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
