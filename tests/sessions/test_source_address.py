"""Where a service shows the source: from the remote of a repository, and nothing but its host and path."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.sessions.checkout import checkout_of
from backendcheck.sessions.source_address import source_address

COMMIT = "0123456789abcdef" * 2 + "01234567"
GITHUB = f"https://github.com/owner/name/blob/{COMMIT}"


def config(url: str) -> str:
    return f'[core]\n\tbare = false\n[remote "other"]\n\turl = https://github.com/an/other\n[remote "origin"]\n\turl = {url}\n'


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/owner/name.git", GITHUB),
        ("https://github.com/owner/name/", GITHUB),
        ("git@github.com:owner/name.git", GITHUB),
        ("ssh://git@GitHub.com:22/owner/name", GITHUB),
        ("https://user:secret@github.com/owner/name.git", GITHUB),
        ("https://gitlab-ci-token:secret@gitlab.example.org/a/b/c.git", f"https://gitlab.example.org/a/b/c/-/blob/{COMMIT}"),
        ("https://github.example.org/owner/name", f"https://github.example.org/owner/name/blob/{COMMIT}"),
        *((url, "") for url in (
            "https://example.org/owner/name", "https://notgithub.com/owner/name", "../elsewhere", "/srv/github/name.git", "",
            "javascript:alert(1)//github.com/a/b", "https://github.com/owner/na me", "https://github.com/../..",
            "https://github.com/owner", "https://[github.com/owner/name", "file://github.com/owner/name",
            'https://github.com/owner/"><script>', "https://github.com@evil/owner/name",
        )),
    ],
)  # fmt: skip
def test_an_address_has_the_host_and_the_path_of_the_remote_and_no_secret(url: str, address: str) -> None:
    assert source_address(config(url), COMMIT, PurePosixPath()) == address


def test_folders_below_the_repository_are_part_of_it() -> None:
    assert source_address(config("https://github.com/owner/name"), COMMIT, PurePosixPath("a b/c")) == f"{GITHUB}/a%20b/c"
    assert source_address(config("https://github.com/owner/name"), "", PurePosixPath()) == ""


@given(st.text())
def test_any_text_is_a_configuration(text: str) -> None:
    address = source_address(config(text), COMMIT, PurePosixPath())
    assert not address or address.startswith("https://")
    assert source_address(text, COMMIT, PurePosixPath()) == ""


def test_a_checkout_says_where_its_source_is(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(COMMIT)
    (tmp_path / ".git" / "config").write_text(config("git@github.com:owner/name.git"))
    (tmp_path / "tests").mkdir()
    assert checkout_of(tmp_path / "tests", {}) == {"commit": COMMIT, "source": f"{GITHUB}/tests"}
