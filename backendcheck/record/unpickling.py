"""Read the objects that `backendcheck.check.pickling` wrote, in the worker.

Unpickling runs code. So a pickle is read only if this user has written it for this run. Its request names the file.
The case file has the digest. A case file that is kept has no path to a pickle.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import numpy as np

_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_AGAIN = "Run check_function() or check_model() again."


class Parcel:
    """The file of the pickled objects of this run; None in processes that no such check has started."""

    path: Path | None = None


def unpickled(sha256: str) -> dict[str, Any]:
    """The pickled objects of a case by name. `sha256` is the digest of their file.

    Raises:
        RuntimeError: if the check has ended, or the file is not the one that it wrote.
    """
    if Parcel.path is None:
        message = f"this case uses functions from a Python process that has ended. {_AGAIN}"
        raise RuntimeError(message)
    content = _content_of_this_user(Parcel.path)
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        message = f"{Parcel.path}: not the functions of this case; expected SHA-256 {sha256[:12]}, got {digest[:12]}. {_AGAIN}"
        raise RuntimeError(message)
    objects: dict[str, Any] = pickle.loads(content)  # noqa: S301 - this user has written it for this run, see above
    return objects


def _content_of_this_user(path: Path) -> bytes:
    """The content of a private file of this user in a private directory of this user.

    Raises:
        RuntimeError: if it is gone, or others own it or could have written it.
    """
    try:
        # The checks are made on the file that is open: another one may take its name meanwhile.
        handle = os.open(path, _FLAGS)
        with os.fdopen(handle, "rb") as file:
            _check_private(path, os.fstat(file.fileno()), stat.S_ISREG)
            _check_private(path.parent, path.parent.lstat(), stat.S_ISDIR)
            return file.read()
    except OSError as error:
        message = f"this case uses functions from a Python process that has ended ({error.strerror or error}). {_AGAIN}"
        raise RuntimeError(message) from error


def _check_private(path: Path, status: os.stat_result, is_expected: Any) -> None:
    if not is_expected(status.st_mode):
        problem = "a file of another type"
    elif not hasattr(os, "getuid"):  # Windows: the temporary folder belongs to the user
        return
    elif status.st_uid != os.getuid():
        problem = f"owned by user {status.st_uid}; expected user {os.getuid()}"
    elif status.st_mode & 0o077:
        problem = f"open to other users (mode {stat.S_IMODE(status.st_mode):o}); expected mode 600, or 700 for its directory"
    else:
        return
    message = f"{path}: {problem}. It is not read, because functions from it would be run. {_AGAIN}"
    raise RuntimeError(message)


def tensor(array: np.ndarray) -> Any:
    """A tensor of the current backend."""
    import keras

    return keras.ops.convert_to_tensor(array)


def variable(array: np.ndarray, name: str, trainable: bool) -> Any:
    """A variable of the current backend."""
    import keras

    return keras.Variable(array, name=name, trainable=trainable)
