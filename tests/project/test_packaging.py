"""The wheel and the sdist hold what they have to, and what is said of the project beside the code is true."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import address
import pytest
from front_door import project, variables
from ruamel.yaml import YAML

from backendcheck import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built as `python -m build` builds them, without an environment of its own."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """The files of the repository. An unpacked sdist has no git, and nothing but these files."""
    if (ROOT / "PKG-INFO").exists():
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file() and path.name != "PKG-INFO")
        return {path.as_posix() for path in paths if not {"__pycache__", ".pytest_cache", ".hypothesis"} & {*path.parts}}
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}


# --- contents --------------------------------------------------------------------------------------------------------


def test_the_sdist_has_every_file_of_the_repository(dist: Path, tracked: set[str]) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked - names == set()
    assert {"PKG-INFO"} <= names - tracked
    built = ("dist/", ".venv/", "reports/", ".tox/", ".mypy_cache/", ".hypothesis/")
    assert [name for name in names - tracked if name.startswith(built) or name.endswith(".pyc")] == []


def test_the_wheel_has_the_package_and_the_cases_and_nothing_else(wheel: zipfile.ZipFile, tracked: set[str]) -> None:
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = {name for name in tracked if name.startswith("backendcheck/")}
    cases = {f"backendcheck/{name}" for name in tracked if name.startswith("cases/")}
    assert (package | cases) - files == set()
    assert [name for name in files - package - cases if name.rpartition("/")[2].startswith(".") or name.endswith(".pyc")] == []
    assert {name.partition("/")[0] for name in files} == {"backendcheck"}


# --- metadata --------------------------------------------------------------------------------------------------------


def test_the_versions_of_python_are_those_that_ci_tests(metadata: Message) -> None:
    workflow = YAML(typ="safe").load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    tested = {*workflow["jobs"]["python"]["strategy"]["matrix"]["python"], "3.11"}
    claimed = re.findall(r"Python :: (3\.\d+)$", "\n".join(metadata.get_all("Classifier", [])), re.MULTILINE)
    assert sorted(claimed) == sorted(tested)
    assert "Framework :: Pytest" in metadata.get_all("Classifier", [])
    assert metadata["Author"] or metadata["Author-email"]


def test_the_files_about_the_project_name_its_version() -> None:
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (__version__, PROJECT["license"])
    assert re.search(rf"^## \[{re.escape(__version__)}\]|^To become {re.escape(__version__)},", changelog(), re.MULTILINE)


def changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# --- the public address ----------------------------------------------------------------------------------------------


def test_the_address_is_defined_in_one_place() -> None:
    known = address.repository()
    urls = PROJECT.get("urls", {})
    assert bool(urls) == bool(known)
    assert [url for url in urls.values() if not url.startswith(address.HOST + known)] == []
    named = [path for path in address.files() if address.PLACEHOLDER in path.read_text(encoding="utf-8")]
    assert not known or named == []


def test_an_address_goes_into_links_and_recipes() -> None:
    text = "![a](docs/a.png) [b](docs/b.md#c) [![d](docs/d.svg)](LICENSE) [e](#f) [g](https://x.y/z) uses: OWNER/backendcheck@v1"
    assert address.filled(text, "") == address.filled(text, "", readme=True) == text
    assert address.filled(text, "me/it") == text.replace("OWNER/backendcheck", "me/it")
    raw, page = "https://raw.githubusercontent.com/me/it/main/", "https://github.com/me/it/blob/main/"
    assert address.filled(text, "me/it", readme=True) == (
        f"![a]({raw}docs/a.png) [b]({page}docs/b.md#c) [![d]({raw}docs/d.svg)]({page}LICENSE) [e](#f) [g](https://x.y/z) "
        "uses: me/it@v1"
    )


# --- files that services read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("citation-file-format", "CITATION.cff"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("dependabot", ".github/dependabot.yml"),
    ],
)
def test_the_files_for_services_are_what_they_read(schema: str, pattern: str) -> None:
    paths = [str(path) for path in ROOT.glob(pattern)]
    assert paths
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", "--default-filetype", "yaml", *paths],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def release_step(name: str) -> str:
    workflow = YAML(typ="safe").load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    (script,) = (step["run"] for step in workflow["jobs"]["build"]["steps"] if step.get("name") == name)
    return str(script)


@pytest.mark.parametrize(
    ("tag", "section", "complaint"),
    [
        (f"v{__version__}", f"## [{__version__}] - 2026-12-01", ""),
        ("v9.9.9", f"## [{__version__}] - 2026-12-01", f"expected the tag v{__version__}"),
        (f"v{__version__}", "## [Unreleased]", f"CHANGELOG.md: a section for {__version__} was not found"),
    ],
)
def test_a_release_needs_the_right_tag_and_a_section_of_changes(tmp_path: Path, tag: str, section: str, complaint: str) -> None:
    project(tmp_path, {"backendcheck/__init__.py": f'__version__ = "{__version__}"\n', "CHANGELOG.md": f"{section}\n"})
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", release_step("Tag, version and changes")], cwd=tmp_path, capture_output=True, text=True,
        env=variables({"GITHUB_REF_NAME": tag}), check=False,
    )  # fmt: skip
    assert (done.returncode, complaint in done.stdout) == (bool(complaint), True), done.stdout + done.stderr
