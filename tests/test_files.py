"""Files are read only where reading ends: a pipe or a device is refused, a byte order mark is not part of a text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backendcheck.files import file_sha256, read_bytes, read_text


@pytest.mark.parametrize("read", [read_bytes, read_text, file_sha256])
def test_what_is_not_a_regular_file_is_refused(read, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            read(path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(b"\xef\xbb\xbfBarolo\r\nNebbiolo\r\n")
    assert read_text(path) == "Barolo\nNebbiolo\n"
    assert read_bytes(path).startswith(b"\xef\xbb\xbf")


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "x")
