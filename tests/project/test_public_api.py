"""What a case author imports, and that nothing outside the recording half imports a backend."""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import subprocess
import sys
import typing
from pathlib import Path

import make
import pytest

import backendcheck
from backendcheck.recordings.files import write_environment, write_recording

HEAVY = ("keras", "tensorflow", "jax", "torch")


def modules() -> list[str]:
    """Every module outside the recording half; __main__ is the command line itself. Imports nothing."""
    package = Path(backendcheck.__file__).parent
    paths = (path.relative_to(package.parent) for path in package.rglob("*.py") if "cases" not in path.relative_to(package).parts)
    names = sorted(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths)
    return [name for name in names if f"{name}.".startswith("backendcheck.") and not is_apart(name)]


def is_apart(name: str) -> bool:
    return f"{name}.".startswith("backendcheck.record.") or name in ("backendcheck", "backendcheck.__main__")


def heavy_modules_after(code: str, *, cwd: Path | None = None) -> list[str]:
    """Which of the heavy modules, and of their parts, a fresh interpreter has imported after `code`."""
    script = f"{code}\nimport json, sys\nprint('\\n' + json.dumps([m for m in sys.modules if m.partition('.')[0] in {HEAVY!r}]))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cwd)
    return json.loads(ended.stdout.splitlines()[-1])


def after_command(*arguments: str, cwd: Path | None = None) -> tuple[list[str], int]:
    code = (
        "from backendcheck.cli import cli\n"
        f"try:\n    cli.main({list(arguments)!r}, prog_name='backendcheck')\n"
        "except SystemExit as end:\n    print(f'exit {end.code or 0}')"
    )
    script = f"{code}\nimport json, sys\nprint(json.dumps([m for m in sys.modules if m.partition('.')[0] in {HEAVY!r}]))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cwd)
    *_, end, imported = ended.stdout.splitlines()
    return json.loads(imported), int(end.removeprefix("exit "))


# --- names -----------------------------------------------------------------------------------------------------


def test_the_package_offers_what_a_case_author_needs_and_nothing_else() -> None:
    cases = {"Fit", "FunctionCase", "LossCase", "ModelCase", "OptOut", "Raises", "Tolerance", "ValueCase"}
    questions = {"ClassMap", "LabelFinding", "Report", "check_function", "check_labels", "check_model"}
    assert set(backendcheck.__all__) == cases | questions | {"__version__"}
    public = {name for name in vars(backendcheck) if name[0] not in "_@"}  # @: pytest rewrites assertions of plugins
    submodules = {one.name for one in pkgutil.iter_modules(backendcheck.__path__)}
    assert public - submodules - {"TYPE_CHECKING", "Any"} == cases
    assert set(dir(backendcheck)) >= set(backendcheck.__all__)  # also what is imported on demand, for completion
    assert all(callable(getattr(backendcheck, name)) for name in questions)
    with pytest.raises(AttributeError, match="has no attribute 'check_everything'"):
        _ = backendcheck.check_everything


@pytest.mark.parametrize("name", sorted(set(backendcheck.__all__) - {"ClassMap", "LabelFinding", "Report", "__version__"}))
def test_every_argument_is_described(name: str) -> None:
    public = getattr(backendcheck, name)
    text = inspect.getdoc(public)
    missing = [parameter for parameter in inspect.signature(public).parameters if not re.search(rf"\b{parameter}\b", text)]
    assert missing == []


@pytest.mark.parametrize("name", sorted(set(backendcheck.__all__) - {"__version__"}))
def test_arguments_have_types(name: str) -> None:
    public = getattr(backendcheck, name)
    annotations = {name: str(parameter.annotation) for name, parameter in inspect.signature(public).parameters.items()}
    # What a function of the user takes and returns are tensors of three backends, which have no common type.
    without = {name: text.replace("Callable[..., Any]", "") for name, text in annotations.items()}
    assert {name for name, text in without.items() if re.search(r"\bAny\b", text)} <= {"evidence"}  # JSON
    typing.get_type_hints(public.__init__ if isinstance(public, type) else public)  # also at run time, without Keras


def test_there_is_a_module_outside_the_recording_half() -> None:
    assert {"backendcheck.results", "backendcheck.report", "backendcheck.cli", "backendcheck.reference"} <= set(modules())


# --- values of case authors ------------------------------------------------------------------------------------


def test_an_expectation_keeps_the_names_of_exceptions() -> None:
    assert backendcheck.Raises().type_names is None
    assert backendcheck.Raises(ValueError).type_names == ("ValueError",)
    assert backendcheck.Raises((ValueError, "InvalidArgumentError")).type_names == ("ValueError", "InvalidArgumentError")


@pytest.mark.parametrize("type_", [3, ValueError("no"), int, (ValueError, int)])
def test_an_expectation_of_what_is_no_exception_is_refused(type_: object) -> None:
    with pytest.raises(TypeError, match="expected an exception class or its name"):
        backendcheck.Raises(type_)


def test_an_expectation_with_a_broken_pattern_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"match='\(' is not a regular expression"):
        backendcheck.Raises(match="(")


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": "random"},
        {"epochs": 0},
        {"epochs": 1.5},
        {"epochs": True},
        {"epochs": None},
        {"batch_size": 0},
        {"batch_size": "8"},
    ],
)
def test_a_model_case_with_an_impossible_setting_is_refused_by_name(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"ModelCase: {name}="):
        backendcheck.ModelCase(None, "mse", [[1.0]], [[1.0]], **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"validation": [[1.0]]}, r"ModelCase: validation is invalid; expected a tuple \(x, y\) or .*, got list"),
        ({"validation": (1, 2, 3, 4)}, "ModelCase: validation is invalid"),
        ({"fits": [3]}, r"ModelCase: fits=\[3\]; expected a list of Fit"),
        ({"fits": 2}, "ModelCase: fits=2; expected a list of Fit"),
        ({"fits": [backendcheck.Fit()], "epochs": 2}, "ModelCase: epochs=2 beside fits"),
    ],
)
def test_validation_and_fits_of_another_form_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        backendcheck.ModelCase(None, "mse", [[1.0]], [[1.0]], **wrong)


def test_a_call_of_fit_with_an_impossible_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="Fit: epochs=0; expected a whole number, 1 or more"):
        backendcheck.Fit(epochs=0)
    with pytest.raises(TypeError, match=r"Fit: trainable=.*; expected a dict of layer name to bool"):
        backendcheck.Fit(trainable={"head": "no"})  # type: ignore[dict-item]


def test_a_case_takes_its_options_by_name_only() -> None:
    with pytest.raises(TypeError):
        backendcheck.LossCase("mse", [1.0], [1.0], [1.0])


# --- imports ---------------------------------------------------------------------------------------------------


def test_importing_the_package_imports_no_backend() -> None:
    assert heavy_modules_after("import backendcheck") == []


def test_the_check_sees_a_heavy_module() -> None:
    code = "import sys, types; sys.modules['keras.losses'] = types.ModuleType('keras.losses')"
    assert heavy_modules_after(code) == ["keras.losses"]


def test_no_module_outside_the_recording_half_imports_a_backend() -> None:
    assert heavy_modules_after("\n".join(f"import {name}" for name in modules())) == []


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("record", "--help"), ("run", "--help"), ("compare", "--help"), ("show", "--help"), ("list",)],
    ids=" ".join,
)
def test_a_command_that_only_tells_imports_no_backend(arguments: tuple[str, ...]) -> None:
    assert after_command(*arguments) == ([], 0)


def test_comparing_imports_no_backend(tmp_path: Path) -> None:
    for backend in make.BACKENDS:
        losses = {"a/1": 1.0, "a/2": 2.0 if backend == "jax" else 1.0}
        recordings = [make.recording(case, backend, loss=loss) for case, loss in losses.items()]
        digests = {one.case: write_recording(tmp_path / backend, one) for one in recordings}
        write_environment(tmp_path / backend, make.environment(backend, list(digests), digests=digests))
    assert after_command("compare", str(tmp_path), cwd=tmp_path) == ([], 1)
    assert (tmp_path / "index.html").is_file()
    assert after_command("show", "a/2", "--out", str(tmp_path), cwd=tmp_path) == ([], 0)
