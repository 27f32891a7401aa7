"""A directory of images by class: the folder of an image is its class, as for `image_dataset_from_directory`."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from backendcheck.data.parsing import guarded
from backendcheck.data.read import SPLITS, Data, ReadOptions, missing_extra
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import check_regular, files_below, read_bytes
from backendcheck.text.escape import decoded
from backendcheck.text.words import listed

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")  # other formats of Pillow start programs, whatever the name of the file says
_MODES = MappingProxyType({1: "L", 3: "RGB", 4: "RGBA"})
_IMAGES = frozenset({"image", "images", "img", "imgs", "jpegimages"})
_MASKS = frozenset({
    "mask", "masks", "segmentation", "segmentations", "segmentationclass", "annotation", "annotations", "label", "labels",
})  # fmt: skip
_REMEDY = "Remove it, or save it again"


def read_images(path: Path, options: ReadOptions) -> Data:
    """Read the images below `path`: float32 (N, height, width, channels), 0 to 255, and the class of each, int64 (N,).

    The `class_names` are the folders sorted as text, so 10 comes before 2. Folders such as ``train`` and ``val`` with the folders
    of classes in them are splits, and one of them is read.
    """
    can_decode = _has_pillow(path, options)
    folders = _folders(path)
    if splits := _split_folders(path, folders):
        return _read_split(path, splits, options)
    _check_masks(path, folders)
    files = [(file, number) for number, folder in enumerate(folders) for file in _images_in(folder)]
    if not files:
        remedy = " Put them into one." if _images_in(path) else ""
        message = f"{path}: no images in folders; expected a folder for each class, with {', '.join(_SUFFIXES)} files.{remedy}"
        raise UsageError(message)
    # A name in another encoding is written with \xff, as other text is.
    names = [decoded(os.fsencode(folder.name)) for folder in folders]
    labels = np.array([number for _, number in files], np.int64)
    if options.as_found:
        x, unreadable = _digests([file for file, _ in files], can_decode=can_decode)
        notes = () if can_decode else ("images are not opened, because Pillow is not installed",)
        return Data(x=x, y=labels, class_names=names, source=str(path), notes=notes, unreadable=unreadable)
    height, width, channels = _shape(path, options)
    if options.examples is not None and options.examples < len(files):
        indices = np.unique(np.linspace(0, len(files) - 1, options.examples).round().astype(int))
        files, labels = [files[index] for index in indices], labels[indices]
    arrays: list[np.ndarray] = []
    for file, _ in files:
        array = _decoded(file, channels, (width, height) if width and height else None)
        if arrays and array.shape != arrays[0].shape:
            remedy = "Resize them to the input shape of the model."
            message = f"{file}: other size; expected {arrays[0].shape} as before, got {array.shape}. {remedy}"
            raise UnreadableInput(message)
        arrays.append(array)
    return Data(x=np.stack(arrays), y=labels, class_names=names, source=str(path))


def _has_pillow(path: Path, options: ReadOptions) -> bool:
    """Whether Pillow is installed. Only data that is checked as found can do without."""
    try:
        import PIL  # noqa: F401 - whether it is installed
    except ImportError as error:
        if not options.as_found:
            raise missing_extra(path, "Pillow", "images") from error
        return False
    return True


# --- folders ---------------------------------------------------------------------------------------------------


def _folders(path: Path) -> list[Path]:
    return sorted(
        (folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith(".")),
        key=lambda folder: folder.name,
    )


def _images_in(folder: Path) -> list[Path]:
    try:
        return [file for file in files_below(folder, "") if file.suffix.lower() in _SUFFIXES and file.is_file()]
    except OSError as error:
        message = f"{error.filename or folder}: cannot be read ({error.strerror or error}). Check its owner and its permissions."
        raise UnreadableInput(message) from error


def _split_folders(path: Path, folders: Sequence[Path]) -> dict[str, Path]:
    """The folders by split, if they are named for splits and hold folders of classes; or empty.

    Raises:
        UsageError: if all folders are named for splits, but the images are not in folders of classes.
    """
    by_split: dict[str, Path] = {}
    for folder in folders:
        if split := SPLITS.get(folder.name.lower()):
            by_split.setdefault(split, folder)
    if len(by_split) < 2 or "training" not in by_split:  # noqa: PLR2004 - one alone can be a class
        return {}
    have_classes = [folder for folder in by_split.values() if any(map(_images_in, _folders(folder)))]
    if len(have_classes) > 1:
        return by_split
    if len(by_split) == len(folders) and any(map(_images_in, folders)):
        names = listed([folder.name for folder in folders])
        message = (
            f"{path}: folders {names} are named for splits and not for classes; expected a folder for each class in them. "
            "Sort the images by class, or rename the folders if they are classes."
        )
        raise UsageError(message)
    return {}


def _read_split(path: Path, folders: dict[str, Path], options: ReadOptions) -> Data:
    if options.split not in folders:
        message = f"{path}: no folder of {options.split} data; expected one beside {listed([*folders])}."
        raise UsageError(message)
    data = read_images(folders[options.split], options)
    others = [split for split in folders if split != options.split] if options.as_found else []
    splits = {split: read_images(folders[split], options) for split in others}
    note = f"{listed([folder.name for folder in folders.values()])} are read as splits, not as classes"
    return replace(data, splits=splits, notes=(note, *data.notes))


def _check_masks(path: Path, folders: Sequence[Path]) -> None:
    """Refuse the layout of segmentation, images beside their masks, whose folders are not classes."""
    names = {folder.name.lower() for folder in folders}
    if names <= _IMAGES | _MASKS and names & _IMAGES and names & _MASKS:
        message = (
            f"{path}: folders {listed([folder.name for folder in folders])} are images and their masks; expected a folder for "
            "each class. Save images and masks as arrays: np.savez('data.npz', x=images, y=masks)."
        )
        raise UsageError(message)


# --- files -----------------------------------------------------------------------------------------------------


def _digests(files: Sequence[Path], *, can_decode: bool) -> tuple[np.ndarray, dict[str, str]]:
    """The SHA-256 of each file instead of its pixels, uint8 (N, 32): equal for equal files; and the files that are not images.

    Each image is decoded, to see that it can be.
    """
    rows: list[np.ndarray] = []
    unreadable: dict[str, str] = {}
    for file in files:
        with guarded(file, "an image", problem="unreadable image", remedy=_REMEDY):
            content = read_bytes(file)
        try:
            rows.append(np.frombuffer(hashlib.sha256(content).digest(), np.uint8))
            if can_decode:
                with _opened(file) as image:
                    image.verify()  # the checksums of a PNG, whose end may be missing behind the last pixel
                with _opened(file) as image:
                    image.draft("L", (1, 1))  # the lowest resolution that the format allows
                    image.load()
        except UnreadableInput as error:
            unreadable[str(file)] = str(error).removeprefix(f"{file}: ").removesuffix(f" {_REMEDY}.").rstrip(".")
    return np.stack(rows), unreadable


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """An image of Pillow, before it is decoded."""
    from PIL import Image, UnidentifiedImageError

    check_regular(file)
    reason = "" if file.stat().st_size else "the file is empty"
    with guarded(file, "an image", problem="unreadable image", remedy=_REMEDY), contextlib.ExitStack() as stack:
        try:
            image = None if reason else stack.enter_context(Image.open(file, formats=_FORMATS))
        except UnidentifiedImageError:
            image, reason = None, f"not {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"
        if image is None:
            message = f"{file}: unreadable image ({reason}). {_REMEDY}."
            raise UnreadableInput(message)
        most = Image.MAX_IMAGE_PIXELS
        if most is not None and image.size[0] * image.size[1] > most:
            size = "{} x {}".format(*image.size)
            message = f"{file}: image of {size} pixels; expected at most {most} pixels. Remove it, or scale it down."
            raise UnreadableInput(message)
        yield image


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


def _decoded(file: Path, channels: int, size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image

    with _opened(file) as image:
        plain = image.convert(_MODES[channels])
        if size is not None and plain.size != size:
            plain = plain.resize(size, Image.Resampling.BILINEAR)
        array = np.asarray(plain, np.float32)
    return array[..., None] if array.ndim == 2 else array  # noqa: PLR2004 - gray images have no channel axis
