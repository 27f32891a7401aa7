"""Commits as versions: listed, exported once, and told with their date, subject and address."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from backendcheck.config import load_configuration, selected_legs
from backendcheck.errors import UsageError
from backendcheck.sessions import leg_packages
from backendcheck.sessions.leg_packages import export_commit, folder_of_package, install_packages, put_source
from backendcheck.versions.commits import commits_between, origin_of_commit
from backendcheck.vocabulary.leg_names import PackageVersion, parse_leg


class Checkout:
    """A git repository of a small keras with commits ``0`` to ``4``, and a tag on a branch that began at ``1``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=master")
        self.git("config", "user.email", "someone@example.org")
        self.git("config", "user.name", "Someone")
        self.git("remote", "add", "origin", "git@github.com:keras-team/keras.git")
        self.commits = [self.commit("0"), self.commit("1")]
        self.git("checkout", "--quiet", "-b", "r1")
        self.commit("release")
        self.git("tag", "v1")
        self.git("checkout", "--quiet", "master")
        self.commits += [self.commit(name) for name in "234"]

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, name: str) -> str:
        (self.folder / "keras").mkdir(exist_ok=True)
        (self.folder / "keras" / "__init__.py").write_text(f"name = {name!r}\n")
        (self.folder / "benchmark.py").write_text(name)
        self.git("add", ".")
        self.git("commit", "--quiet", "--date=2026-03-02T10:00:00", "-m", f"Commit {name}\n\nMore of it.")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(leg_packages, "_kept", lambda: tmp_path / "packages")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-03-04T10:00:00")
    (folder := tmp_path / "checkout").mkdir()
    return Checkout(folder)


def test_the_commits_between_two(checkout: Checkout) -> None:
    short = [commit[:12] for commit in checkout.commits]
    assert commits_between(checkout.folder, short[0], "HEAD") == short
    assert commits_between(checkout.folder, short[2], short[3]) == short[2:4]
    assert commits_between(checkout.folder, "v1", "master") == short[1:]  # from where the branch of the release began


def test_what_is_no_commit_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--bad v9 is no commit there"):
        commits_between(checkout.folder, "v1", "v9")
    with pytest.raises(UsageError, match=r"no commits from master to .*; expected --good before --bad"):
        commits_between(checkout.folder, "master", checkout.commits[0])
    (nothing := tmp_path / "nothing").mkdir()
    with pytest.raises(UsageError, match=r"nothing: --good v1 is no commit there"):
        commits_between(nothing, "v1", "HEAD")


def test_what_is_told_of_a_commit(checkout: Checkout) -> None:
    commit = checkout.commits[3]
    origin = origin_of_commit(checkout.folder, commit[:12])
    assert (origin.date, origin.subject, origin.release) == ("2026-03-04", "Commit 3", "")
    checkout.git("tag", "v1.10.0rc1", commit)
    checkout.git("tag", "v1.10.0", checkout.commits[4])
    checkout.git("tag", "v1.9.0", commit)
    assert origin_of_commit(checkout.folder, commit).release == "1.9.0"
    assert origin.link == f"https://github.com/keras-team/keras/commit/{commit}"
    checkout.git("remote", "set-url", "origin", str(checkout.folder))
    assert origin_of_commit(checkout.folder, commit).link == ""


def test_a_commit_is_exported_once(checkout: Checkout, tmp_path: Path) -> None:
    package = PackageVersion.of_commit("keras", checkout.commits[2][:12])
    leg = parse_leg(f"jax/{package}")
    with pytest.raises(UsageError, match=rf"keras-git\.{package.commit} is not in .*`record` and `upgrade` take /keras-git"):
        install_packages(leg)
    export_commit(checkout.folder, package)
    folder = tmp_path / "packages" / f"keras-git.{checkout.commits[2][:12]}"
    assert [path.name for path in folder.iterdir()] == ["keras"]
    assert (folder / "keras" / "__init__.py").read_text() == "name = '2'\n"
    (checkout.folder / ".git").rename(tmp_path / "gone")
    export_commit(checkout.folder, package)
    install_packages(leg)
    assert [path.name for path in (tmp_path / "packages").iterdir()] == [folder.name]


def test_a_commit_without_keras_is_told_in_one_line(checkout: Checkout) -> None:
    checkout.git("rm", "--quiet", "-r", "keras")
    checkout.git("commit", "--quiet", "-m", "No keras")
    package = PackageVersion.of_commit("keras", checkout.git("rev-parse", "HEAD")[:12])
    with pytest.raises(UsageError, match=rf"{package.commit} could not be exported .*'keras' did not match") as refused:
        export_commit(checkout.folder, package)
    assert len(str(refused.value).splitlines()) == 1


def test_a_source_is_kept_by_its_commit_or_its_content(checkout: Checkout, tmp_path: Path) -> None:
    package = put_source(checkout.folder, "keras")
    assert package.commit == checkout.commits[4][:12]
    (checkout.folder / "benchmark.py").write_text("changed")  # not a part of keras
    assert put_source(checkout.folder, "keras") == package
    (checkout.folder / "keras" / "__init__.py").write_text("name = 'mine'\n")
    changed = put_source(checkout.folder, "keras")
    assert changed != package
    assert (folder_of_package(changed) / "keras" / "__init__.py").read_text() == "name = 'mine'\n"
    archive = shutil.make_archive(str(tmp_path / "source"), "gztar", tmp_path, "checkout")
    assert put_source(Path(archive), "keras") == changed
    assert put_source(Path(shutil.make_archive(str(tmp_path / "source"), "zip", checkout.folder)), "keras") == changed
    install_packages(parse_leg(f"jax/{changed}"))


def test_a_source_without_keras_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UsageError, match=r"has no package keras; expected a directory or an archive with keras/__init__\.py"):
        put_source(tmp_path, "keras")
    for name in ("notes.txt", "missing"):
        with pytest.raises(UsageError, match=f"{name}: cannot be read"):
            put_source(tmp_path / name, "keras")


def test_the_leg_keras_git_is_the_source_that_the_project_names(checkout: Checkout, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"keras-git: has no source; expected keras-git = PATH in \[tool"):
        selected_legs("jax/keras-git", load_configuration(tmp_path))
    (tmp_path / "pyproject.toml").write_text('[tool.backendcheck.packages]\nkeras-git = "checkout"\n')
    (leg, other) = selected_legs("jax/keras-git,torch", load_configuration(tmp_path))
    assert (leg.value, other.value) == (f"jax/keras-git.{checkout.commits[4][:12]}", "torch")
    assert leg.keras_version() == ""  # its version is not that of a release
    (tmp_path / "pyproject.toml").write_text('[tool.backendcheck.packages]\njax-git = "checkout"\n')
    with pytest.raises(UsageError, match=r"packages = .*; expected keras-git = a path"):
        load_configuration(tmp_path)
