"""The device of this process: whether it still computes after an item.

After an error in a program of a GPU, such as a label past the end of a table, every later call of the process fails. That must
not be taken for what other cases do.
"""

from __future__ import annotations

import functools

from backendcheck.record.backends import backend_module


def lost_device() -> str:
    """Why the device computes nothing any more; empty if it does, and on a CPU."""
    if _is_cpu():
        return ""
    try:
        backend_module().check_device()
    except Exception as error:  # noqa: BLE001 - whatever the device raises
        return f"the device computes nothing any more after it: {type(error).__name__}: {error}".partition("\n")[0]
    return ""


@functools.cache
def _is_cpu() -> bool:
    return backend_module().device_type() == "cpu"
