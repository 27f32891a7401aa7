"""A worker of the farm: one of Dask, with the legs that are installed here as its resources."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

from backendcheck.errors import UsageError
from backendcheck.farm.cluster import LOOPBACK, quiet

_AGAIN_S = 2.0
_CONNECT_S = 30.0


def serve(address: str, legs: Mapping[str, int], slots: int, host: str, name: str, tell: Callable[[str], None]) -> None:
    """Serve a scheduler until this process is ended. A process that is killed is started again; so is the search for a scheduler.

    `legs` has the number of chunks of each leg at a time, `slots` the number of chunks of all. `host` is where it listens.

    Raises:
        UsageError: if `host` is the loopback, and the scheduler is elsewhere: it could not answer.
    """
    import dask.config

    if _is_loopback(host) and not _is_loopback(_host_of(address)):
        message = (
            f"{address}: is another machine, and the worker listens at {host} only, where that cannot reach it. Name an address "
            "of this machine with --host, in a network that you trust or with TLS."
        )
        raise UsageError(message)
    quiet()
    logging.disable(logging.CRITICAL)  # what Dask imports later sets levels of its own; nothing else runs here
    # Dask would give each process one thread, and the recordings would have another number than elsewhere.
    with dask.config.set({"distributed.nanny.pre-spawn-environ": {}}), contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(address, legs, slots, host, name, tell))


async def _serve(
    address: str, legs: Mapping[str, int], slots: int, host: str, name: str, tell: Callable[[str], None]
) -> None:
    from distributed import Nanny

    options: dict[str, Any] = {"host": host, "name": name or None, "dashboard_address": f"{host}:0", "memory_limit": 0}
    options["silence_logs"] = logging.CRITICAL  # in the process of the worker
    is_waiting = False
    while True:
        try:
            async with Nanny(address, nthreads=slots, resources=dict(legs), death_timeout=_CONNECT_S, **options) as nanny:
                is_waiting = False
                tell(f"serving {address}: {', '.join(legs)}, {slots} at a time")
                await nanny.finished()
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            if not is_waiting:
                tell(f"no scheduler answers at {address} ({type(error).__name__}); trying again every {_AGAIN_S:g} s")
            is_waiting = True
        await asyncio.sleep(_AGAIN_S)


def _host_of(address: str) -> str:
    return address.rpartition("://")[2].rpartition(":")[0].strip("[]")


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(OSError):
        return all(str(entry[4][0]) in (LOOPBACK, "::1") for entry in socket.getaddrinfo(host, None))
    return False
