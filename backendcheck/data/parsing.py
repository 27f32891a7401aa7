"""The one door to the parsers of data: whatever one of them raises becomes `UnreadableInput`.

A damaged file makes parsers raise nearly anything: `zlib.error`, `tokenize.TokenError`, `RecursionError`, or a panic of polars
that is not an `Exception`. A header may also claim more data than the file holds, or than the memory does. Such a claim is
refused before room is made for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from backendcheck.errors import BackendcheckError, UnreadableInput
from backendcheck.text.words import error_line, first_line

_MOST_EMPTY = 1_000_000  # values of no bytes in an array; a file of any size can claim any number of them


@contextlib.contextmanager
def guarded(path: Path, kind: str, *, problem: str = "", remedy: str = "Save it again") -> Iterator[None]:
    """Read a file in this context.

    Args:
        path: the file.
        kind: what the file should be, for the message: ``a NumPy file``.
        problem: what is wrong if a parser raises; default: damaged, or not of this kind.
        remedy: what to do then.

    Raises:
        UnreadableInput: for every exception of a parser; those of this project pass.
    """
    problem = problem or f"damaged, or not {kind}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old headers and odd metadata; what matters is refused
            yield
    except (BackendcheckError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except MemoryError as error:
        message = f"{path}: not enough memory to read it. Use fewer examples."
        raise UnreadableInput(message) from error
    except OSError as error:
        reason = error.strerror or first_line(str(error)) or type(error).__name__
        if error.errno is None or reason == os.strerror(errno.EINVAL):  # about the content, such as a place before its start
            message = f"{path}: {problem} ({reason}). {remedy}."
        else:
            message = f"{path}: cannot be read ({reason}); expected {kind}. Check the file and its owner."
        raise UnreadableInput(message) from error
    except BaseException as error:  # a panic of polars is a BaseException
        message = f"{path}: {problem} ({error_line(error)}). {remedy}."
        raise UnreadableInput(message) from error


def check_claim(path: Path, name: str, *, n_values: int, n_bytes: int, present: int) -> None:
    """Compare what a header claims with what can be there. `name` is the array, for the message; empty for the only one.

    Args:
        path: the file.
        name: the array; empty for the only one.
        n_values: the values that are claimed, with 1 for each axis of length 0.
        n_bytes: their bytes.
        present: the bytes that the file has for them.

    Raises:
        UnreadableInput: if the file or the memory is smaller than the claim.
    """
    where = f"{path}: {name}" if name else f"{path}: the array"
    if n_bytes > present or (n_bytes == 0 and n_values > max(present, _MOST_EMPTY)):
        claim = f"{n_bytes} bytes" if n_bytes else f"{n_values} empty values"
        message = f"{where} is damaged; expected {claim} by its header, got {present} bytes. Save it again."
        raise UnreadableInput(message)
    free = free_memory()
    if free is not None and n_bytes > free:
        message = f"{where} needs {n_bytes >> 20} MB of memory; {free >> 20} MB are free. Use fewer examples."
        raise UnreadableInput(message)


def free_memory() -> int | None:
    """The bytes of memory that are available; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(available.split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return None
