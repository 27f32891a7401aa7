"""The errors a user can meet. Each message reads: where: what is wrong; expected X, got Y. What to do."""

from __future__ import annotations


class BackendcheckError(Exception):
    """Anything `backendcheck` reports in one line, without a traceback. Ends a command with exit code 2."""


class UsageError(BackendcheckError):
    """The command or the configuration asks for something that cannot be done."""


class UnreadableInput(BackendcheckError):
    """A file is damaged, truncated, from a later version, or does not belong where it lies."""


class OutputInTheWay(BackendcheckError):
    """The output directory cannot be written, or holds something that must not be mixed with or overwritten."""
