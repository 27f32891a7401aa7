"""Libraries that read files in native code, of which Python hears nothing: their functions are wrapped once they are imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from backendcheck.record.tracking.events import Events

_SAFETENSORS = tuple(f"safetensors{end}" for end in ("", ".numpy", ".torch", ".flax", ".tensorflow"))
_FILE_IO = "tensorflow.python.lib.io.file_io"
_UNTRACKED = {
    "tensorflow.python.ops.gen_io_ops": (
        "read_file", "matching_files", "restore", "restore_slice", "restore_v2", "whole_file_reader", "whole_file_reader_v2",
        "text_line_reader", "text_line_reader_v2", "fixed_length_record_reader", "fixed_length_record_reader_v2",
        "tf_record_reader", "tf_record_reader_v2", "lmdb_reader",
    ),
    "tensorflow.python.ops.gen_dataset_ops": (
        "tf_record_dataset", "tf_record_dataset_v2", "text_line_dataset", "fixed_length_record_dataset",
        "fixed_length_record_dataset_v2",
    ),
    "tensorflow.python.ops.gen_experimental_dataset_ops": (
        "csv_dataset", "csv_dataset_v2", "sql_dataset", "load_dataset", "lmdb_dataset", "experimental_sql_dataset",
    ),
    "tensorflow.python.ops.gen_lookup_ops": ("initialize_table_from_text_file", "initialize_table_from_text_file_v2"),
    "torch._C": ("import_ir_module",),
}  # fmt: skip


class NativeReaders:
    """Wraps each function once, when its module has been imported."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.pending: dict[str, Callable[[Any, str], None]] = {
            "h5py.h5f": self._hdf5,
            _FILE_IO: self._file_io,
            **dict.fromkeys(_SAFETENSORS, self._safetensors),
            **dict.fromkeys(_UNTRACKED, self._untracked),
        }

    def watch(self) -> None:
        """Wrap the functions of modules that were imported since."""
        for name in [name for name in self.pending if name in sys.modules]:
            self.pending.pop(name)(sys.modules[name], name)

    def _wrap(self, owner: Any, name: str, note: Callable[..., None]) -> None:
        function = getattr(owner, name, None)
        if function is None:
            return

        def noted(*args: Any, **kwargs: Any) -> Any:
            note(*args, **kwargs)
            return function(*args, **kwargs)

        noted.__name__, noted.__doc__ = name, getattr(function, "__doc__", None)
        setattr(owner, name, noted)

    def _hdf5(self, module: Any, _: str) -> None:
        def opened(name: Any, flags: int = module.ACC_RDWR, *_: Any, **__: Any) -> None:
            self.events.note_path(name)
            if flags & module.ACC_RDWR:
                self.events.note_written(name)

        self._wrap(module, "open", opened)
        self._wrap(module, "create", lambda name, *_, **__: self.events.note_written(name))

    def _safetensors(self, module: Any, _: str) -> None:
        self._wrap(module, "safe_open", lambda filename, *_, **__: self.events.note_path(filename))

    def _file_io(self, module: Any, _: str) -> None:
        def opened(_: Any, name: Any, mode: str, *__: Any, **___: Any) -> None:
            (self.events.note_path if mode.startswith("r") and "+" not in mode else self.events.note_written)(name)

        self._wrap(module.FileIO, "__init__", opened)
        for name in ("file_exists", "file_exists_v2", "is_directory", "is_directory_v2", "stat", "stat_v2"):
            self._wrap(module, name, lambda path, *_, **__: self.events.note_path(path))
        for name in ("list_directory", "list_directory_v2", "get_matching_files", "get_matching_files_v2", "walk", "walk_v2"):
            self._wrap(module, name, lambda *_, **__: self.events.note_untracked("it lists files in native code"))

    def _untracked(self, module: Any, name: str) -> None:
        for function in _UNTRACKED[name]:
            note = f"it reads files in native code ({name.rpartition('.')[2]}.{function})"
            self._wrap(module, function, lambda *_, note=note, **__: self.events.note_untracked(note))
