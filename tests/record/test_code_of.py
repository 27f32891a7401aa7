"""Whose a file is: the user's own, or that of an installed package, wherever that lies on the path."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from backendcheck.record.tracking.code_of import is_local, package_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, into which an installer has put the package `losses` and its tests."""
    folder = tmp_path / "packages"
    files = ["losses/__init__.py", "losses/focal.py", "losses/_native.so", "losses.py", "tests/test_focal.py", "../../bin/losses"]
    (folder / "losses-1.0.dist-info").mkdir(parents=True)
    (folder / "losses-1.0.dist-info" / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in files))
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


@pytest.mark.parametrize("file", ["losses/focal.py", "losses/_native.so", "losses.py"])
def test_what_an_installer_has_put_on_the_path_is_installed(folder: Path, file: str) -> None:
    assert package_of(str(folder / file)) == "losses"
    assert not is_local(str(folder / file))


@pytest.mark.parametrize("file", ["mine.py", "mine/losses/focal.py", "tests/test_focal.py", "bin/losses"])
def test_what_lies_beside_it_is_the_users_own(folder: Path, file: str) -> None:
    assert package_of(str(folder / file)) == ""
    assert is_local(str(folder / file))


def test_a_checkout_of_keras_is_a_library_once_it_is_imported_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "checkout"
    module = ModuleType("keras")
    module.__file__ = str(checkout / "keras" / "__init__.py")
    monkeypatch.setattr(sys, "path", [str(checkout), *sys.path])
    assert is_local(str(checkout / "keras" / "losses.py"))
    monkeypatch.setitem(sys.modules, "keras", module)
    assert package_of(str(checkout / "keras" / "losses.py")) == "keras"
    assert is_local(str(tmp_path / "tests" / "keras" / "losses.py"))
