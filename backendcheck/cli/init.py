"""`backendcheck init`: a first case and the settings of a project, and files for CI on request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from backendcheck.errors import UsageError
from backendcheck.text.escape import visible
from backendcheck.text.words import listed

CASES = "tests/cases"
FIRST_CASE = "first_labels.py"
_PLACEHOLDER = "OWNER/backendcheck"  # in recipes, until the public address is known
_CASE = '''\
"""Labels of a classifier of three classes.

A first file of cases: put your own classes, loss and model in. Each function named case_* is a case, and its docstring is its
claim. backendcheck runs it on every backend, and compares losses, gradients, predictions, metrics and one step of training.
"""

import keras
import numpy as np

from backendcheck import LossCase, ModelCase

CLASS_NAMES = ["cat", "dog", "fox"]


def case_loss_of_integer_labels():
    """The loss and its gradient are the same on every backend."""
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=[2, 0, 1],
        y_pred=[[1.0, 2.0, 3.0], [0.5, -1.0, 2.0], [0.0, 0.0, 0.0]],
        class_names=CLASS_NAMES,
    )


def case_training_of_a_classifier(rng):
    """The classifier predicts, learns and is evaluated alike on every backend."""
    inputs = keras.Input((4,), name="measurements")
    outputs = keras.layers.Dense(3, activation="softmax", name="animal")(inputs)
    return ModelCase(
        model=keras.Model(inputs, outputs),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        x=rng.normal(size=(12, 4)).astype("float32"),
        y=np.arange(12) % 3,
        class_names=CLASS_NAMES,
    )
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """A recipe of docs/recipes and where a project has such a file."""

    name: str
    target: str


RECIPES = {
    "tox": _Recipe(name="tox.ini", target="tox.ini"),
    "github": _Recipe(name="github-action.yml", target=".github/workflows/backendcheck.yml"),
    "gitlab": _Recipe(name="gitlab-ci.yml", target=".gitlab-ci.yml"),
    "pre_commit": _Recipe(name="pre-commit-config.yaml", target=".pre-commit-config.yaml"),
}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
@click.option("--tox", is_flag=True, help="tox.ini: an environment for each backend, and one that compares.")
@click.option("--github", is_flag=True, help=".github/workflows/backendcheck.yml: a job for each backend, and the report.")
@click.option("--gitlab", is_flag=True, help=".gitlab-ci.yml: a job for each backend, and the report.")
@click.option("--pre-commit", is_flag=True, help=".pre-commit-config.yaml: checks cases and labels before each commit.")
def init(directory: Path, **wanted: bool) -> None:
    """Write a first case and the settings of a project, in DIR or here.

    Writes tests/cases/first_labels.py, and the section [tool.backendcheck] at the end of pyproject.toml. Files that exist are
    left alone, and what to add to them is printed.

    \b
    backendcheck init
    backendcheck init --github --pre-commit
    """
    from backendcheck.config import load_configuration

    if not directory.is_dir():
        message = f"{directory}: no such directory; expected that of your project. Make it first, or choose another one."
        raise UsageError(message)
    configuration = load_configuration(directory)
    cases = configuration.paths[0] if configuration.paths else CASES
    case_file = _case_file(directory, cases)
    left = [_write(directory, case_file, _CASE, show=False)]
    left.append(_add_settings(directory, case_file.parent))
    for option, recipe in RECIPES.items():
        if wanted[option]:
            text = _recipe(recipe.name).replace(CASES, case_file.parent.as_posix())
            left.append(_write(directory, Path(recipe.target), text, show=True))
    if any(wanted.values()) and _PLACEHOLDER in _recipe(RECIPES["github"].name):
        left.append([
            f"The address of backendcheck is not public yet. Write it in place of {_PLACEHOLDER},",
            "and where pip installs backendcheck, name a clone or a wheel.",
        ])  # fmt: skip
    for lines in filter(None, left):
        click.echo("")
        for line in lines:
            click.echo(line)
    click.echo("")
    _echo_next(directory, case_file)


def recipes() -> Path:
    """The directory of the recipes: in the installed package, or in the docs of a checkout."""
    inside = Path(__file__).parent.parent / "recipes"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "docs" / "recipes"


def _recipe(name: str) -> str:
    return (recipes() / name).read_text(encoding="utf-8")


def _case_file(directory: Path, cases: str) -> Path:
    """Where the first case goes, from the directory of the project."""
    path = Path(cases.partition("::")[0])
    folder = path.parent if path.suffix == ".py" else path
    if folder.is_absolute():
        folder = folder.relative_to(directory.resolve()) if folder.is_relative_to(directory.resolve()) else Path(CASES)
    return folder / FIRST_CASE


def _write(directory: Path, path: Path, text: str, *, show: bool) -> list[str]:
    """Write a new file. Returns what to add to a file that exists and is left alone, if that is to be shown."""
    from backendcheck.files import write_atomically

    target = directory / path
    if not target.exists() and not target.is_symlink():
        write_atomically(target, text.encode())
        click.echo(f"written     {visible(str(target))}")
        return []
    if target.is_file() and target.read_bytes() == text.encode():
        click.echo(f"left alone  {visible(str(target))}: has been written before")
        return []
    click.echo(f"left alone  {visible(str(target))}: exists")
    return _to_add(target, text) if show else []


def _to_add(target: Path, text: str) -> list[str]:
    return [f"To add to {visible(str(target))}:", "", *(f"    {line}".rstrip() for line in text.splitlines())]


def _add_settings(directory: Path, cases: Path) -> list[str]:
    """Append the section to pyproject.toml, or make that file. Returns what to add by hand if it is left alone."""
    import tomllib

    from backendcheck.files import read_text, write_atomically

    target = directory / "pyproject.toml"
    text = _settings(cases)
    if not target.exists():
        return _write(directory, Path(target.name), text, show=True)
    content = read_text(target)
    if "backendcheck" in tomllib.loads(content).get("tool", {}):
        click.echo(f"left alone  {visible(str(target))}: has [tool.backendcheck]")
        return []
    extended = f"{content.rstrip()}\n\n{text}"
    try:
        tomllib.loads(extended)
    except tomllib.TOMLDecodeError:  # tool is an inline table, to which no section can be added
        click.echo(f"left alone  {visible(str(target))}: has no place for a section [tool.backendcheck]")
        return _to_add(target, text)
    write_atomically(target, extended.encode())
    click.echo(f"added to    {visible(str(target))}: [tool.backendcheck]")
    return []


def _settings(cases: Path) -> str:
    from backendcheck.vocabulary.backends import DEFAULT_BACKENDS

    installed = [backend.value for backend in DEFAULT_BACKENDS if not backend.missing_modules()]
    backends = installed if len(installed) > 1 else [backend.value for backend in DEFAULT_BACKENDS]
    names = ", ".join(f'"{name}"' for name in backends)
    return (
        "[tool.backendcheck]\n"
        f"backends = [{names}]  # a leg that is missing is an ERROR\n"
        f'paths = ["{cases.as_posix()}"]  # for commands without a PATH\n'
        'cases = ["*"]  # case ids that must be there, or patterns of them\n'
    )


def _echo_next(directory: Path, case_file: Path) -> None:
    from backendcheck.vocabulary.backends import DEFAULT_BACKENDS

    missing = [backend for backend in DEFAULT_BACKENDS if backend.missing_modules()]
    if missing:
        click.echo(f"{listed([str(backend) for backend in missing])} not installed here. Install with:")
        for backend in missing:
            click.echo(f"    {backend.install_command}")
    where = "" if directory == Path() else f" (in {visible(str(directory))})"
    click.echo(f"Next{where}: edit {visible(str(case_file))}, then")
    click.echo("    backendcheck run")
