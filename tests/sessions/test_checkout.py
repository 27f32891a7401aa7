"""Which commit is recorded: from the repository, or from the variables of a CI service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backendcheck.sessions.checkout import checkout_of

COMMIT = "0123456789abcdef" * 2 + "01234567"
OTHER = "f" * 40


def repository(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "checkout"),
    [
        ({"HEAD": "ref: refs/heads/a/b\n", "refs/heads/a/b": f"{COMMIT}\n"}, {"commit": COMMIT, "branch": "a/b"}),
        ({"HEAD": "ref: refs/heads/main\n", "packed-refs": f"# pack\n{OTHER} refs/heads/x\n{COMMIT} refs/heads/main\n"},
         {"commit": COMMIT, "branch": "main"}),
        ({"HEAD": COMMIT}, {"commit": COMMIT}),
        ({"HEAD": "ref: refs/heads/main\n"}, {"branch": "main"}),  # without a commit
        ({"HEAD": "ref: ../../../secret\n"}, {"branch": "../../../secret"}),
        ({"HEAD": "nonsense"}, {}), ({"x": ""}, {}), ({}, {}),
    ],
)  # fmt: skip
def test_a_repository_says_its_commit(tmp_path: Path, files: dict[str, str], checkout: dict[str, str]) -> None:
    inside = repository(tmp_path, files) / "deep" / "inside"
    inside.mkdir(parents=True)
    assert checkout_of(inside, {}) == checkout


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.timeout(30)
def test_a_named_pipe_in_the_place_of_head_is_not_read(tmp_path: Path) -> None:
    place = repository(tmp_path, {"config": ""})
    os.mkfifo(place / ".git" / "HEAD")
    assert checkout_of(place, {}) == {}


def test_a_worktree_says_its_commit(tmp_path: Path) -> None:
    main = repository(
        tmp_path / "main",
        {"refs/heads/side": COMMIT, "HEAD": "ref: refs/heads/main", "worktrees/side/HEAD": "ref: refs/heads/side",
         "worktrees/side/commondir": "../.."},
    )  # fmt: skip
    side = tmp_path / "side"
    side.mkdir()
    (side / ".git").write_text(f"gitdir: {main / '.git' / 'worktrees' / 'side'}\n")
    assert checkout_of(side, {}) == {"commit": COMMIT, "branch": "side"}


def test_ci_services_say_the_rest(tmp_path: Path) -> None:
    github = {"CI": "true", "GITHUB_SHA": OTHER, "GITHUB_REF_NAME": "7/merge", "GITHUB_HEAD_REF": "fix", "GITHUB_RUN_ID": "5",
              "GITHUB_REPOSITORY": "me/it", "GITHUB_SERVER_URL": "https://github.example"}  # fmt: skip
    assert checkout_of(tmp_path, github) == {
        "commit": OTHER, "branch": "fix", "project": "me/it", "link": "https://github.example/me/it/actions/runs/5",
    }  # fmt: skip
    gitlab = {"CI": "true", "CI_COMMIT_SHA": OTHER, "CI_JOB_URL": "javascript:alert(1)"}
    assert checkout_of(repository(tmp_path, {"HEAD": COMMIT}), gitlab) == {"commit": COMMIT}
    assert checkout_of(tmp_path / "x", {"GIT_COMMIT": OTHER}) == {"commit": COMMIT}  # outside of CI a variable says nothing
