"""How a process has ended, in words."""

from __future__ import annotations

import signal


def process_end(exit_code: int) -> str:
    """How a process has ended, as ``killed by signal 11 (SIGSEGV)`` or ``exited with code 3``; `exit_code` as in `subprocess`."""
    if exit_code >= 0:
        return f"exited with code {exit_code}"
    name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else "unknown"
    hint = "; the system kills a process so when memory runs out" if name == "SIGKILL" else ""
    return f"killed by signal {-exit_code} ({name}{hint})"
