"""What XLA compiles for TensorFlow, kept for the next process in the cache directory of the user. JAX has a variable for that."""

from __future__ import annotations

import contextlib
import os

from backendcheck.recordings.dependencies import digest_of
from backendcheck.sessions.child_processes import cache_directory
from backendcheck.sessions.conditions import processor, variable_with_files
from backendcheck.vocabulary.backends import TENSORFLOW

_XLA_FLAGS = "TF_XLA_FLAGS"
_FOLDER = "--tf_xla_persistent_cache_directory"
_SINCE = (2, 21)  # older versions are not known to load what they kept
_MOST_PROGRAMS = 1000  # of about 200 kB each


def keep_programs() -> None:
    """Have TensorFlow keep what it compiles, on the CPU. It reads its flags when it is imported.

    The key of TensorFlow is the program alone. What else decides about the code, which is the version, the processor and the
    variables, is in the name of the folder.
    """
    flags = os.environ.get(_XLA_FLAGS, "")
    on_cpu = os.environ.get("CUDA_VISIBLE_DEVICES") == "-1"
    if os.environ.get("KERAS_BACKEND") != TENSORFLOW.value or not on_cpu or _FOLDER in flags or flags[:1] not in ("", "-"):
        return  # flags that do not begin with a dash are the name of a file of flags
    version = TENSORFLOW.version() or "0"
    try:
        is_known = tuple(map(int, version.split(".")[:2])) >= _SINCE
    except ValueError:
        return
    named = [(name, value) for name, value in os.environ.items() if name.startswith(("TF_", "XLA_", "OMP_"))]
    variables = [variable_with_files(name, value) for name, value in named]
    folder = cache_directory("tensorflow", digest_of([version, processor(), *sorted(variables)])[:16]) if is_known else None
    if folder is None or " " in str(folder):  # which separates flags
        return
    with contextlib.suppress(OSError):  # another process may be at it as well
        for oldest in sorted(folder.iterdir(), key=os.path.getmtime)[:-_MOST_PROGRAMS]:
            oldest.unlink()
    os.environ[_XLA_FLAGS] = f"{flags} {_FOLDER}={folder}".strip()


def are_kept() -> bool:
    """Whether TensorFlow keeps what it compiles."""
    return _FOLDER in os.environ.get(_XLA_FLAGS, "")
