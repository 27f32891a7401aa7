"""A project other than ours, and a package index without a network, for the recipes in docs/recipes.

The index has a wheel of backendcheck, and for every package of this environment a wheel without files that brings in the real
packages. So pip resolves and installs what a recipe asks for in a second, into an environment that works.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from front_door import Ended, project, variables

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "recipes"

FILES = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools>=61"]
        build-backend = "setuptools.build_meta"

        [project]
        name = "iris-labels"
        version = "1.0"
        dependencies = ["numpy"]

        [project.optional-dependencies]
        test = ["pytest", "pytest-cov", "pytest-xdist"]

        [tool.setuptools.packages.find]
        where = ["src"]

        [tool.pytest.ini_options]
        addopts = "-n 2 --cov=iris_labels"
        testpaths = ["tests"]

        """,
    "src/iris_labels/__init__.py": """
        def hinge(y_true, y_pred):
            from keras import ops

            return ops.mean(ops.maximum(1.0 - ops.cast(y_true, y_pred.dtype) * y_pred, 0.0), axis=-1)
        """,
    "tests/conftest.py": """
        import pytest


        def pytest_addoption(parser):
            parser.addoption("--margin", type=float, default=0.5)


        @pytest.fixture
        def scores(request):
            return [[request.config.getoption("--margin")], [-0.25]]
        """,
    "tests/test_iris.py": """
        def test_margin(scores):
            assert scores[0] == [0.5]
        """,
    "tests/cases/species.py": '''
        from backendcheck import LossCase

        from iris_labels import hinge


        def case_hinge(scores):
            """A label of -1 and one of 1 have the same loss at opposite scores."""
            return LossCase(loss=hinge, y_true=[[1], [-1]], y_pred=scores)
        ''',
    "tox.ini": """
        [tox]
        env_list = py

        [testenv]
        extras = test
        commands = pytest {posargs}

        """,
}  # fmt: skip


def foreign_project(folder: Path) -> Path:
    """The project, with the settings of docs/recipes added to the files that it has."""
    project(folder, FILES)
    for name in ("pyproject.toml", "tox.ini"):
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write((RECIPES / name).read_text(encoding="utf-8"))
    return folder


def package_index(folder: Path) -> Path:
    """A folder for pip's --find-links."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder], cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    packages = _real_packages(folder.with_name("packages"))
    for distribution in distributions():
        if distribution.name != "backendcheck":
            _write_wheel(folder, distribution, packages)
    return folder


def _real_packages(folder: Path) -> Path:
    """Links to the packages of this environment without backendcheck, which only its wheel installs."""
    folder.mkdir()
    for path in map(Path, dict.fromkeys(sys.path)):
        if path.name == "site-packages" and path.is_dir():
            for entry in path.iterdir():
                ours = entry.name.startswith(("backendcheck", "__editable__")) or entry.suffix == ".pth"
                if not ours and not (folder / entry.name).exists():
                    (folder / entry.name).symlink_to(entry)
    return folder


def _write_wheel(folder: Path, distribution: Distribution, packages: Path) -> None:
    name, version = re.sub(r"[-_.]+", "_", distribution.name).lower(), distribution.version
    info = f"{name}-{version}.dist-info"
    files = {
        f"zz_{name}.pth": f"{packages}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution.name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: foreign\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": distribution.read_text("entry_points.txt") or "",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def environment(folder: Path) -> Path:
    """An empty virtual environment; returns its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin"


def offline(index: Path) -> dict[str, str]:
    """What makes pip take packages from the index of the tests alone."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull}


def run(*command: object, cwd: Path, index: Path, path: Path | None = None, env: Mapping[str, str] | None = None) -> Ended:
    """A command as a CI system runs it, with programs of `path` first, and without any other package index."""
    usual = {name: value for name, value in variables().items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "PIP_CONSTRAINT")}
    first = {"PATH": os.pathsep.join([str(path), os.environ["PATH"]])} if path else {}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=usual | offline(index) | first | dict(env or {}), capture_output=True,
        encoding="utf-8", errors="backslashreplace", timeout=600, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)


def script(*lines: str) -> tuple[str, ...]:
    """Lines of a script, which end at the first failure."""
    return ("bash", "-euo", "pipefail", "-c", "\n".join(lines))
