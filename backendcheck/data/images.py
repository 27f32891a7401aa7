"""A directory of images by class: the name of the folder is the class, as `image_dataset_from_directory` has it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from backendcheck.data.read import Data, Wanted, missing_extra
from backendcheck.errors import UnreadableInput, UsageError

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_images(path: Path, wanted: Wanted) -> Data:
    """Read the images below `path`: float32 (N, height, width, channels) from 0 to 255, and the index of their folder, (N,).

    The classes are the folders in the order of their names as text, in which 10 comes before 2; they are the `class_names`.
    """
    if not wanted.as_found:
        _check_pillow(path)
    folders = sorted(
        (folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith(".")),
        key=lambda folder: folder.name,
    )
    files = [(file, number) for number, folder in enumerate(folders) for file in _images_in(folder)]
    if not files:
        message = f"{path}: has no images in folders; expected one folder for each class, with {', '.join(_SUFFIXES)} files."
        raise UsageError(message)
    if wanted.as_found:
        return _files_as_found(path, [folder.name for folder in folders], files)
    height, width, channels = _shape(path, wanted)
    if wanted.examples is not None and wanted.examples < len(files):
        chosen = np.unique(np.linspace(0, len(files) - 1, wanted.examples).round().astype(int))
        files = [files[index] for index in chosen]
    arrays: list[np.ndarray] = []
    for file, _ in files:
        array = _decoded(file, channels, (width, height) if width and height else None)
        if arrays and array.shape != arrays[0].shape:
            remedy = "Resize them to what the model takes."
            message = f"{file}: is {array.shape}, others are {arrays[0].shape}; expected one size. {remedy}"
            raise UnreadableInput(message)
        arrays.append(array)
    labels = np.array([number for _, number in files], np.int64)
    return Data(x=np.stack(arrays), y=labels, class_names=[folder.name for folder in folders], source=str(path))


def _check_pillow(path: Path) -> None:
    try:
        import PIL  # noqa: F401 - whether it is there
    except ImportError as error:
        raise missing_extra(path, "Pillow", "images") from error


def _files_as_found(path: Path, names: list[str], files: list[tuple[Path, int]]) -> Data:
    """The SHA-256 of each file in place of its pixels, uint8 (N, 32): the same for the same picture, without decoding it."""
    rows = [np.frombuffer(hashlib.sha256(file.read_bytes()).digest(), np.uint8) for file, _ in files]
    labels = np.array([number for _, number in files], np.int64)
    return Data(x=np.stack(rows), y=labels, class_names=names, source=str(path))


def _images_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())


def _shape(path: Path, wanted: Wanted) -> tuple[int | None, int | None, int]:
    if wanted.image_shape is None:
        return None, None, 3
    if len(wanted.image_shape) != 3 or wanted.image_shape[2] not in _MODES:  # noqa: PLR2004 - height, width, channels
        message = (
            f"{path}: holds images, the model takes {wanted.image_shape}; expected (height, width, channels) with 1, 3 or 4 "
            "channels, which come last."
        )
        raise UsageError(message)
    height, width, channels = wanted.image_shape
    return height, width, channels or 3


def _decoded(file: Path, channels: int, size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            plain = image.convert(_MODES[channels])
            if size is not None and plain.size != size:
                plain = plain.resize(size, Image.Resampling.BILINEAR)
            array = np.asarray(plain, np.float32)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        message = f"{file}: is no image that can be read ({error}). Take it out, or save it again."
        raise UnreadableInput(message) from error
    return array[..., None] if array.ndim == 2 else array  # noqa: PLR2004 - grey images have no axis of channels
