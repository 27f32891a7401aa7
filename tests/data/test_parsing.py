"""Damaged and hostile files of every kind: each is refused by name, in one line, without its memory or its code."""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz_run import ForkedReaders

from backendcheck.data import parsing, read_data
from backendcheck.errors import BackendcheckError, UnreadableInput
from backendcheck.labels import check_labels

polars = pytest.importorskip("polars")
Image = pytest.importorskip("PIL.Image")


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(UnreadableInput) as error:
        read_data(path, **options)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def npy(header: str, content: bytes = b"", *, version: int = 1) -> bytes:
    """An ``.npy`` file with any text as its header."""
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + content


def array_header(shape: str, descr: str = "'<i8'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (array_header("(1099511627776,)", "'<U0'"), "1099511627776 empty values by its header, got 24 bytes"),
        (array_header("(1000000000000, 0)"), "empty values"),
        (array_header("(1000000000000, 1000000000000, 1000000000000)"), "bytes by its header"),
        (array_header("(4,)"), "expected 32 bytes by its header, got 24 bytes"),
        (array_header("(-1,)"), "damaged"),
        (array_header("(3,)", "'|O'"), "Python objects, which are never unpickled"),
        (array_header("(30\n(,"), "TokenError"),
        (array_header("(" * 500), "damaged"),
        ("-" * 9000 + "1", "damaged"),
        ("__import__('os').system('touch harm')", "damaged"),
        (array_header("(3,)", "'<U2'"), "numbers that are not characters"),
    ],
)
def test_an_npy_header_is_believed_only_as_far_as_the_file_goes(tmp_path: Path, header: str, reason: str) -> None:
    path = tmp_path / "y.npy"
    path.write_bytes(npy(header, b"\xff" * 24))
    assert reason in refused(path)
    with zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "y.npy")
    refused(tmp_path / "d.npz")
    assert not Path("harm").exists()


def test_an_archive_whose_members_share_their_bytes_cannot_claim_them_often(tmp_path: Path) -> None:
    content = npy(array_header("(5000000,)"), bytes(40_000_000))
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
        first = archive.infolist()[0]
        for number in range(300):
            member = zipfile.ZipInfo(f"x{number}.npy")
            for attribute in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(member, attribute, getattr(first, attribute))
            archive.filelist.append(member)
    refused(path)


def test_a_checksum_that_differs_is_found(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, y=np.arange(30))
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32" in refused(path)


def test_a_numpy_file_under_the_name_of_the_other_kind_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", [1, 2])
    (tmp_path / "y.npy").rename(tmp_path / "y.npz")
    assert "it is an .npy file" in refused(tmp_path / "y.npz")
    np.savez(tmp_path / "z.npz", y=[1, 2])
    (tmp_path / "z.npz").rename(tmp_path / "z.npy")
    assert "it is an .npz file" in refused(tmp_path / "z.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
@pytest.mark.parametrize("name", ["d.npz", "d.npy", "d.csv", "d.parquet"])
def test_a_pipe_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "not a regular file" in refused(tmp_path / name, label_columns=["y"] if "np" not in name else ())


def test_an_image_that_is_huge_or_of_another_format_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cat"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # Pillow would start Ghostscript
    with pytest.raises(UnreadableInput, match=r"a\.png"):
        read_data(tmp_path)
    Image.new("L", (300, 300)).save(folder / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80_000)
    with pytest.raises(UnreadableInput, match="300 x 300 pixels; expected at most 80000"):
        read_data(tmp_path)


def test_memory_that_is_not_there_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "y.npy", np.zeros(1_000_000))
    monkeypatch.setattr(parsing, "free_memory", lambda: 1 << 20)
    assert "needs 7 MB of memory; 1 MB are free" in refused(tmp_path / "y.npy")


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), OverflowError("large"), MemoryError(), BaseException("panic"), OSError()]
)
def test_whatever_a_parser_raises_is_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    np.savez(tmp_path / "d.npz", y=[1, 2])

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(np.lib.format, "read_magic", fail)
    refused(tmp_path / "d.npz")


# --- fuzz ------------------------------------------------------------------------------------------------------


def numpy_archives() -> list[bytes]:
    contents = []
    for save in (np.savez, np.savez_compressed):
        for y in (np.arange(9) % 3, np.array(list("abcabcabc"))):
            file = io.BytesIO()
            save(file, x=np.ones((9, 3)), y=y, class_names=["a", "b", "c"], sample_weight=np.ones(9))
            contents.append(file.getvalue())
    return contents


def numpy_arrays() -> list[bytes]:
    contents = []
    for y in (np.arange(9) % 3, np.ones((9, 3)), np.array(list("abcabcabc")), np.zeros(9, [("a", "f4")]), np.zeros(9, "M8[s]")):
        file = io.BytesIO()
        np.save(file, y)
        contents.append(file.getvalue())
    return contents


def tables() -> list[bytes]:
    return [
        b'a,b,label\n1,"x, y",0\n2,"q""q",1\n',
        b"sep=;\na;label\n1,5;fox\n2;\n",
        b"\xef\xbb\xbf a , label\n, 007\n1e5, 010\n",
    ]


def parquet_files() -> list[bytes]:
    contents = []
    for compression in ("snappy", "uncompressed"):
        file = io.BytesIO()
        polars.DataFrame({"a": [1.5, None] * 9, "label": ["x", "y"] * 9}).write_parquet(file, compression=compression)
        contents.append(file.getvalue())
    return contents


def pictures() -> list[bytes]:
    contents = []
    for name in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        file = io.BytesIO()
        Image.new("RGB", (10, 10), (10, 20, 30)).save(file, name)
        contents.append(file.getvalue())
    return contents


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The same bytes with a few of them changed, removed, repeated or added, or with the end cut off."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        place = chance.randrange(len(data) or 1)
        kind = chance.randrange(6)
        if kind == 0:
            del data[place : place + chance.randrange(1, 20)]
        elif kind == 1:
            data[place:place] = data[: chance.randrange(1, 20)]
        elif kind == 2:
            data[place : place + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"9999999999", b"(", b"'", b'"', b"\n", b"-1"])
        elif kind == 3 and chance.random() < 0.3:
            data = data[:place]
        elif data:
            data[place % len(data)] = chance.randrange(256)
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "originals", "n"),
    [("d.npz", numpy_archives, 400), ("d.npy", numpy_arrays, 400), ("d.csv", tables, 300), ("d.parquet", parquet_files, 12),
     ("cat/d.png", pictures, 300)],
)  # fmt: skip
def test_files_with_random_damage_are_read_or_refused(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str,
    originals: Callable[[], list[bytes]], n: int,
) -> None:  # fmt: skip
    chance = random.Random(13)
    contents = originals()
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    source = path if path.parent == tmp_path else tmp_path
    for number in range(n):
        if number == 1 and path.suffix == ".parquet":  # the first is read in a process of its own, as users have it
            readers = ForkedReaders()
            monkeypatch.setattr("backendcheck.data.parquet_files.run_limited", readers)
            request.addfinalizer(readers.close)
        path.write_bytes(damaged(chance.choice(contents), chance))
        try:
            data = read_data(source, label_columns=["label"] if path.suffix in (".csv", ".parquet") else (),
                             as_found=bool(number % 2))  # fmt: skip
            labels = data.x if data.y is None else data.y
            findings = check_labels(labels, loss="sparse_categorical_crossentropy", head=(3, "softmax"))
            messages = [finding.message for finding in findings]
        except BackendcheckError as error:
            messages = [str(error)]
        assert not any("\n" in message for message in messages), number
