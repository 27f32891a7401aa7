"""A pickle is read only if this user has written it for this run."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest

from backendcheck.check.pickling import pickle_objects
from backendcheck.record.unpickling import Parcel, unpickled


class Hostile:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def parcel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """The file of a check, in a directory as it makes one, and its digest."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    path = folder / "objects"
    digest = pickle_objects({"f": 3}, path)
    monkeypatch.setattr(Parcel, "path", path)
    return path, digest


def test_what_the_check_has_written_is_read(parcel: tuple[Path, str]) -> None:
    assert unpickled(parcel[1]) == {"f": 3}


def test_a_kept_case_file_unpickles_nothing(parcel: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parcel, "path", None)
    with pytest.raises(RuntimeError, match=r"has ended\. Run check_function\(\)"):
        unpickled(parcel[1])


def test_another_file_in_its_place_is_not_unpickled(parcel: tuple[Path, str], tmp_path: Path) -> None:
    path, digest = parcel
    path.write_bytes(pickle.dumps(Hostile(tmp_path / "mark")))
    path.chmod(0o600)
    with pytest.raises(RuntimeError, match="not the functions of this case; expected SHA-256"):
        unpickled(digest)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(("place", "mode"), [("objects", 0o644), ("objects", 0o620), ("", 0o755), ("", 0o777)])
def test_a_file_that_others_could_reach_is_not_unpickled(parcel: tuple[Path, str], place: str, mode: int) -> None:
    path, digest = parcel
    (path.parent / place).chmod(mode)
    with pytest.raises(RuntimeError, match=f"open to other users \\(mode {mode:o}\\)"):
        unpickled(digest)


def test_a_file_of_another_user_is_not_unpickled(parcel: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    owner = parcel[0].stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(RuntimeError, match=f"owned by user {owner}; expected user {owner + 1}"):
        unpickled(parcel[1])


def test_a_link_or_a_pipe_in_its_place_is_not_unpickled(parcel: tuple[Path, str], tmp_path: Path) -> None:
    path, digest = parcel
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RuntimeError, match="has ended"):
        unpickled(digest)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(RuntimeError, match="a file of another type"):
        unpickled(digest)
    path.unlink()
    with pytest.raises(RuntimeError, match="has ended"):
        unpickled(digest)


def test_the_digest_is_that_of_the_file(parcel: tuple[Path, str]) -> None:
    assert hashlib.sha256(parcel[0].read_bytes()).hexdigest() == parcel[1]
