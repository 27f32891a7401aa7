"""Files as bytes with a digest: those of a project on their way to a worker, and those of a recorded chunk on their way back."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backendcheck.case_files import SKIPPED_FOLDERS, is_built_in, split_node_id
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import read_bytes
from backendcheck.recordings.files import ENVIRONMENT

_CONFIGURATIONS = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg")
_CONFTEST = "conftest.py"
_LARGEST = 64 << 20  # bytes of all files; they travel to each worker
_SOME = 3


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files in one block of bytes. `digests` are the SHA-256 of each file by its name in the bundle."""

    content: bytes = field(repr=False)
    sha256: str
    digests: Mapping[str, str] = field(default_factory=dict, repr=False)


def packed(files: Mapping[str, Path]) -> Bundle:
    """A bundle of files by name. The same files make the same bytes.

    Raises:
        UsageError: if a file cannot be read.
    """
    stream, digests = io.BytesIO(), {}
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(files):
            try:
                content = read_bytes(files[name])
            except OSError as error:
                message = f"{files[name]}: cannot be read ({error.strerror or error}). Check its owner and its permissions."
                raise UsageError(message) from error
            digests[name] = hashlib.sha256(content).hexdigest()
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 1)
    content = stream.getvalue()
    return Bundle(content, hashlib.sha256(content).hexdigest(), digests)


def files_in(folder: Path) -> dict[str, Path]:
    """All files below a folder, by name."""
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def unpack(content: bytes, sha256: str, folder: Path) -> None:
    """Write the files of a bundle below a folder.

    Raises:
        UnreadableInput: if the bundle is not as it was sent.
        OSError: if they cannot be written.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        message = f"files of another machine: damaged on the way; expected SHA-256 {sha256[:8]}, got {digest[:8]}. Record again."
        raise UnreadableInput(message)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


def project_files(paths: Sequence[str], wanted: Sequence[Path], directory: Path, out: Path) -> dict[str, Path]:
    """The files that go to the workers by name, relative to `directory`: all below it, or below the `wanted` ones.

    Hidden files, virtual environments, build products, legs and `out` stay here. Configurations of pytest and conftest.py files
    on the way to the cases always go. Nothing goes for built-in cases, which the workers have.

    Raises:
        UsageError: if a path lies outside of `directory`, a folder above configures the tests, or there is too much.
    """
    cases = [file for path in paths if not is_built_in(file := split_node_id(path)[0].absolute())]
    if not cases:
        return {}
    roots = [*(path.absolute() for path in wanted), *cases] if wanted else [directory]
    for path in (*cases, *roots):
        if not path.is_relative_to(directory):
            message = (
                f"{path}: is not below the working directory {directory}; expected a path that is, because --farm sends these "
                "files to the workers. Start the command in a folder above it."
            )
            raise UsageError(message)
    _check_above(directory)
    files = {file for root in roots for file in _files_below(root, out)} | {*_configurations(cases, directory)}
    sizes = {file: file.stat().st_size for file in files}
    if sum(sizes.values()) > _LARGEST:
        largest = sorted(sizes, key=lambda file: -sizes[file])[:_SOME]
        names = ", ".join(f"{file.relative_to(directory)} ({sizes[file] >> 20} MB)" for file in largest)
        message = (
            f"{directory}: has {sum(sizes.values()) >> 20} MB of files; expected at most {_LARGEST >> 20} MB, which --farm sends "
            f"to each worker. The largest: {names}. Name what the cases need with --farm-files PATH."
        )
        raise UsageError(message)
    return {file.relative_to(directory).as_posix(): file for file in files}


def _files_below(root: Path, out: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
    for folder, names, files in os.walk(root):
        path = Path(folder)
        if ENVIRONMENT in files or "pyvenv.cfg" in files or path == out:
            names.clear()
            continue
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in SKIPPED_FOLDERS)
        yield from (path / name for name in files if not name.startswith(".") and (path / name).is_file())


def _configurations(cases: Sequence[Path], directory: Path) -> Iterator[Path]:
    folders = {folder for case in cases for folder in (case, *case.parents) if folder.is_relative_to(directory)}
    for folder in folders:
        yield from (path for name in (*_CONFIGURATIONS, _CONFTEST) if (path := folder / name).is_file())


def _check_above(directory: Path) -> None:
    """Refuse a folder above that may configure the tests: the workers would not have it."""
    if any((directory / name).is_file() for name in _CONFIGURATIONS):
        return  # pytest looks no further
    for folder in directory.parents:
        for name in (*_CONFIGURATIONS[:4], _CONFTEST):
            if (folder / name).is_file():
                message = (
                    f"{folder / name}: configures the tests and is above the working directory, so --farm would not send it; "
                    f"expected it in {directory} or below. Start the command in {folder}."
                )
                raise UsageError(message)
