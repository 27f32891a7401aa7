"""A directory of images by class: the folder of an image is its class, as for `image_dataset_from_directory`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from backendcheck.data.parsing import guarded
from backendcheck.data.read import Data, ReadOptions, missing_extra
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import check_regular

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")  # other formats of Pillow start programs, whatever the name of the file says
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_images(path: Path, options: ReadOptions) -> Data:
    """Read the images below `path`: float32 (N, height, width, channels), 0 to 255, and the class of each, int64 (N,).

    The `class_names` are the folders sorted as text, so 10 comes before 2.
    """
    if not options.as_found:
        _check_pillow(path)
    folders = sorted(
        (folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith(".")),
        key=lambda folder: folder.name,
    )
    files = [(file, number) for number, folder in enumerate(folders) for file in _images_in(folder)]
    if not files:
        message = f"{path}: no images in folders; expected a folder for each class, with {', '.join(_SUFFIXES)} files."
        raise UsageError(message)
    if options.as_found:
        return _files_as_found(path, [folder.name for folder in folders], files)
    height, width, channels = _shape(path, options)
    if options.examples is not None and options.examples < len(files):
        indices = np.unique(np.linspace(0, len(files) - 1, options.examples).round().astype(int))
        files = [files[index] for index in indices]
    arrays: list[np.ndarray] = []
    for file, _ in files:
        array = _decoded(file, channels, (width, height) if width and height else None)
        if arrays and array.shape != arrays[0].shape:
            remedy = "Resize them to the input shape of the model."
            message = f"{file}: other size; expected {arrays[0].shape} as before, got {array.shape}. {remedy}"
            raise UnreadableInput(message)
        arrays.append(array)
    labels = np.array([number for _, number in files], np.int64)
    return Data(x=np.stack(arrays), y=labels, class_names=[folder.name for folder in folders], source=str(path))


def _check_pillow(path: Path) -> None:
    try:
        import PIL  # noqa: F401 - whether it is installed
    except ImportError as error:
        raise missing_extra(path, "Pillow", "images") from error


def _files_as_found(path: Path, names: list[str], files: list[tuple[Path, int]]) -> Data:
    """The SHA-256 of each file instead of its pixels, uint8 (N, 32): equal for equal files, without decoding them."""
    rows = [np.frombuffer(hashlib.sha256(file.read_bytes()).digest(), np.uint8) for file, _ in files]
    labels = np.array([number for _, number in files], np.int64)
    return Data(x=np.stack(rows), y=labels, class_names=names, source=str(path))


def _images_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())


def _shape(path: Path, options: ReadOptions) -> tuple[int | None, int | None, int]:
    if options.image_shape is None:
        return None, None, 3
    if len(options.image_shape) != 3 or options.image_shape[2] not in _MODES:  # noqa: PLR2004 - height, width, channels
        message = (
            f"{path}: images do not fit the model; expected an input of (height, width, channels) with 1, 3 or 4 channels, "
            f"got {options.image_shape}."
        )
        raise UsageError(message)
    height, width, channels = options.image_shape
    return height, width, channels or 3


def _check_size(file: Path, size: tuple[int, int]) -> None:
    """Refuse an image that claims more pixels than Pillow deems safe, before it is decoded."""
    from PIL import Image

    most = Image.MAX_IMAGE_PIXELS
    if most is not None and size[0] * size[1] > most:
        message = f"{file}: image of {size[0]} x {size[1]} pixels; expected at most {most} pixels. Remove it, or scale it down."
        raise UnreadableInput(message)


def _decoded(file: Path, channels: int, size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image

    with guarded(file, "an image"):
        check_regular(file)
        with Image.open(file, formats=_FORMATS) as image:
            _check_size(file, image.size)
            plain = image.convert(_MODES[channels])
            if size is not None and plain.size != size:
                plain = plain.resize(size, Image.Resampling.BILINEAR)
            array = np.asarray(plain, np.float32)
    return array[..., None] if array.ndim == 2 else array  # noqa: PLR2004 - gray images have no channel axis
