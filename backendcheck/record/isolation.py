"""Isolation between cases: output streams, process state, the Keras session, and random seeds."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Keras asks here whether TensorFlow is available, to tell whether an object is of one of its classes.
_SERIALIZERS = ("keras.src.saving.serialization_lib", "keras.src.legacy.saving.json_utils")


class Streams:
    """Descriptors 0 to 2, sys.stdout and sys.stderr for cases, opened again if a case closes them.

    A closed descriptor is worse than lost output: the next file that is opened would get its number, and with it the output of
    libraries. Standard error goes to the file `path`, which outlives the process.
    """

    def __init__(self, path: Path) -> None:
        self.file = path.open("ab", buffering=0)
        os.dup2(self.file.fileno(), 2)

    def size(self) -> int:
        """The number of bytes written."""
        return os.fstat(self.file.fileno()).st_size

    def reopen(self) -> None:
        """Open closed descriptors, and give cases text streams of their own instead of those of pytest."""
        for descriptor in (0, 1):
            try:
                os.fstat(descriptor)
            except OSError:
                null = os.open(os.devnull, os.O_RDWR)
                if null != descriptor:
                    os.dup2(null, descriptor)
                    os.close(null)
        os.dup2(self.file.fileno(), 2)
        if getattr(sys.stdout, "closed", True) or sys.stdout is not self._stdout:
            self._stdout = sys.stdout = os.fdopen(1, "w", 1, errors="backslashreplace", closefd=False)
        if getattr(sys.stderr, "closed", True) or sys.stderr is not self._stderr:
            self._stderr = sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)

    _stdout: object = None
    _stderr: object = None


@contextlib.contextmanager
def preserved_process_state() -> Iterator[None]:
    """A context that restores what a case changes: working directory, environment variables, global settings of Keras."""
    import keras

    from backendcheck.record.keras_settings import POLICY, read_setting, restore_setting

    directory, variables = os.getcwd(), dict(os.environ)  # noqa: PTH109
    config = keras.config
    floatx, epsilon, image_data_format, policy = (
        config.floatx(), config.epsilon(), config.image_data_format(), read_setting(POLICY),
    )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the directory may not exist anymore
            os.chdir(directory)
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in variables.items() if os.environ.get(name) != value})
        config.set_floatx(floatx)
        config.set_epsilon(epsilon)
        config.set_image_data_format(image_data_format)
        restore_setting(POLICY, policy)


def clear_session() -> None:
    """``keras.utils.clear_session``, but the settings of a conftest or a fixture stay in force."""
    from backendcheck.record import keras_settings

    keras_settings.clear_session()


class _TensorFlowIfImported:
    """The lazy module of Keras, which is not available before something else has imported TensorFlow."""

    def __init__(self, lazy: Any) -> None:
        self._lazy = lazy

    @property
    def available(self) -> bool:
        return "tensorflow" in sys.modules and bool(self._lazy.available)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lazy, name)


def serialize_without_importing_tensorflow() -> None:
    """Have Keras serialize objects without importing TensorFlow for it, which takes seconds and half a gigabyte.

    Keras compares most objects with classes of TensorFlow. Without an import there is no object of them.
    """
    for name in _SERIALIZERS:
        with contextlib.suppress(ImportError):  # a version of Keras without this module
            module: Any = importlib.import_module(name)
            if hasattr(lazy := getattr(module, "tf", None), "initialize"):
                module.tf = _TensorFlowIfImported(lazy)


def seed_everything(seed: int) -> None:
    """``keras.utils.set_random_seed``, but in the process of another backend it does not import TensorFlow, which takes seconds.

    If a case imports TensorFlow later, TensorFlow is seeded then.
    """
    import keras

    module = sys.modules[keras.utils.set_random_seed.__module__]
    lazy = getattr(module, "tf", None)
    if lazy is None or "tensorflow" in sys.modules:
        keras.utils.set_random_seed(seed)
        return
    module.tf = SimpleNamespace(available=False)  # type: ignore[attr-defined]
    try:
        keras.utils.set_random_seed(seed)
    finally:
        module.tf = lazy  # type: ignore[attr-defined]
    _SeedOnImport.seed = seed
    if not any(isinstance(finder, _SeedOnImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SeedOnImport())


class _SeedOnImport:
    """An import hook that seeds TensorFlow when it is imported."""

    seed = 0
    _looking = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        if name != "tensorflow" or self._looking:
            return None
        import importlib.util

        self._looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = False
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_seed(module: Any) -> None:
            execute(module)
            module.random.set_seed(self.seed)

        spec.loader.exec_module = execute_and_seed  # type: ignore[method-assign]
        return spec
