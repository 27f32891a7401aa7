"""The pytest plugin as a user has it: a package with tests and cases, a process of its own, real backends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from front_door import project, variables

from backendcheck.recordings.files import read_recording
from backendcheck.recordings.paths import recording_path

PACKAGE = {
    "mylib.py": """
        import keras
        from keras import ops

        class Focal(keras.losses.Loss):
            def __init__(self, gamma=2.0, **options):
                super().__init__(**options)
                self.gamma = gamma

            def call(self, y_true, y_pred):
                p = ops.clip(y_pred, 1e-6, 1 - 1e-6)
                right = ops.where(y_true > 0.5, p, 1 - p)
                return ops.mean(-((1 - right) ** self.gamma) * ops.log(right), axis=-1)
    """,
    "conftest.py": """
        import mylib  # beside it: found because pytest is started with python -m
        import numpy as np
        import pytest

        def pytest_addoption(parser): parser.addoption("--run-slow", action="store_true")

        def pytest_collection_modifyitems(config, items):
            for item in items:
                if "slow" in item.name and not config.getoption("--run-slow"):
                    item.add_marker(pytest.mark.skip(reason="slow"))

        @pytest.fixture(scope="module")
        def layer():
            import keras
            return keras.layers.Dense(3, activation="relu")

        @pytest.fixture(autouse=True)
        def clean_environment(monkeypatch): monkeypatch.setenv("SCALE", "2")

        @pytest.fixture
        def labels(rng): return (rng.random((4, 3)) > 0.5).astype("float32")
    """,
    "tests/__init__.py": "",
    "tests/shared.py": "FACTOR = 3.0\n",
    "tests/test_losses.py": """
        import os
        import keras
        import numpy as np
        import pytest
        from keras import ops
        from mylib import Focal
        from backendcheck import LossCase, Raises, Tolerance
        from .shared import FACTOR

        ON = keras.backend.backend()

        def test_ordinary():
            assert FACTOR == 3.0

        @pytest.mark.parametrize("gamma", [0.0, 2.0])
        def case_focal(gamma, labels, rng):
            \"\"\"A focal loss is one number wherever it is computed.\"\"\"
            return LossCase(Focal(gamma), labels, rng.random((4, 3)))

        def case_differs():
            return {"v": 1.0 if ON == "jax" else 2.0}

        def case_one_crashes():
            if ON == "torch": os._exit(3)
            return {"v": 1.0}

        @pytest.mark.skipif(ON == "torch", reason="not there")
        def case_one_skips():
            return {"v": 1.0}

        class TestAgreement:
            def setup_method(self): self.factor = FACTOR

            def test_closure(self, backends_agree):
                result = backends_agree(lambda x: ops.sum(x * self.factor), np.arange(3.0))
                assert result == pytest.approx(9.0)

            @pytest.mark.parametrize("gamma", [1.0, 2.0])
            def test_loss_object(self, gamma, labels_here, backends_agree):
                p = np.linspace(0.1, 0.9, 12).reshape(4, 3)
                assert backends_agree(Focal(gamma), labels_here, p) > 0
                backends_agree(lambda y, p: Focal(gamma)(y, p), labels_here, p)

            @pytest.fixture
            def labels_here(self): return np.eye(4, 3)

        def test_fixture_and_monkeypatch(layer, monkeypatch, backends_agree):
            monkeypatch.setattr("mylib.Focal.call", lambda self, y, p: ops.sum(y - p, axis=-1))
            backends_agree(lambda x: layer(x) * float(os.environ["SCALE"]), np.ones((2, 4)))
            backends_agree(Focal(), np.ones((2, 4)), np.zeros((2, 4)))

        def test_again_with_the_same_layer(layer, backends_agree):
            backends_agree(layer, np.ones((2, 4)))

        def test_layers_built_inside(backends_agree):
            def head(x):
                x = keras.layers.Conv1D(4, 3, kernel_initializer="he_normal")(x)
                x = keras.layers.LSTM(3)(x)
                return keras.layers.Dense(2, kernel_initializer="uniform", bias_initializer="normal")(x)
            weights = backends_agree(head, np.linspace(-1, 1, 32).reshape(2, 8, 2))
            assert np.abs(weights).max() > 1e-3

        def test_loop(backends_agree):
            for n in range(3):
                backends_agree(lambda x, n=n: x**n, np.arange(1.0, 4.0))

        def test_slow(backends_agree, request):
            assert request.config.getoption("--run-slow")
            backends_agree(lambda x: x, 1.0)

        def test_bfloat16(backends_agree):
            backends_agree(lambda x: ops.sum(ops.cast(x, "bfloat16")), np.ones(3))

        def test_rejected_everywhere(backends_agree):
            backends_agree(lambda x: ops.reshape(x, (7, 7)), np.ones(3), expect=Raises())
            backends_agree(lambda x: x, np.ones(3))

        def test_values_differ(backends_agree):
            backends_agree(lambda x: x * (2 if ON == "jax" else 3), np.arange(3.0))

        def test_gradient_differs(backends_agree):
            backends_agree(lambda x: ops.stop_gradient(x) if ON == "jax" else x, np.arange(3.0))

        def test_tolerance(backends_agree):
            backends_agree(lambda x: x + (1e-3 if ON == "jax" else 0), np.ones(3), tolerance=Tolerance(rtol=0, atol=1e-2))

        def test_reference(backends_agree):
            backends_agree(lambda x: x + 1, np.ones(3), reference={"value/result": np.ones(3)})

        def test_without_gradients(backends_agree):
            backends_agree(lambda x: ops.convert_to_numpy(x) * 2, np.ones(3), gradients=False)

        def test_other_inputs(backends_agree):
            backends_agree(lambda x: x, np.random.default_rng().random(3))

        def test_fewer_calls_on_jax(backends_agree):
            for _ in range(1 if ON == "jax" else 2):
                backends_agree(lambda x: x, 1.0)

        def test_ends_before(backends_agree):
            if os.environ.get("BACKENDCHECK_SESSION") and ON == "torch":
                raise KeyError("gone")
            backends_agree(lambda x: x, 1.0)

        def test_raises_on_torch(backends_agree):
            def picky(x):
                if ON == "torch": raise ValueError("picky")
                return x
            backends_agree(picky, np.ones(3))

        def test_crashes_in_the_second_call(backends_agree):
            def crash(x, n):
                if ON == "torch" and n: os._exit(5)
                return x
            for n in range(2):
                backends_agree(lambda x: crash(x, n), np.ones(3))

        @pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a::b[c]", "\\n#2"])
        def test_hostile(name, backends_agree):
            backends_agree(lambda x: x, 1.0)
    """,
}
DOCUMENTED = (Path(__file__).parents[2] / "docs/pytest.md").read_text(encoding="utf-8").split("```")
PACKAGE["tests/test_survival.py"] = DOCUMENTED[1].removeprefix("python\n")
PASSED = {
    "test_survival", "case_survival_as_a_loss",
    "case_focal[0.0]", "case_focal[2.0]", "test_ordinary", "test_closure", "test_loss_object[1.0]", "test_loss_object[2.0]",
    "test_bfloat16", "test_slow", "test_fixture_and_monkeypatch",
    "test_again_with_the_same_layer", "test_layers_built_inside", "test_loop",
    "test_rejected_everywhere", "test_tolerance", "test_without_gradients", "test_hostile[<script>alert(1)</script>]",
    "test_hostile[a::b[c]]", "test_hostile[\\n#2]",
}  # fmt: skip
FAILED = {
    "case_differs": r"FAILED VALUE: value/v is 1 on jax; 2 on tensorflow and torch",
    "case_one_crashes": r"ERROR CRASHED: torch crashed: the process exited with code 3",
    "case_one_skips": r"ERROR SKIPPED: torch skipped it: not there",
    "test_survival_after_a_sure_stop": r"FAILED VALUE: gradient/p_stop: 1 of 3 differ",
    "test_values_differ": r"FAILED .* on jax",
    "test_gradient_differs": r"FAILED .*gradient/x",
    "test_reference": r"FAILED WRONG VALUE: value/result",
    "test_other_inputs": r"ERROR NOT COMPARABLE: tensorflow and jax were fed different inputs: x",
    "test_fewer_calls_on_jax": r"ERROR MISSING: jax has no recording of it",
    "test_ends_before": r"ERROR ERROR: torch could not observe it: the test ended before it called backends_agree: KeyError",
    "test_raises_on_torch": r"FAILED RAISED: torch raises ValueError: picky; tensorflow",
    "test_crashes_in_the_second_call": r"ERROR CRASHED: torch crashed: the process exited with code 5",
}


@dataclass(frozen=True)
class Session:
    folder: Path
    exit_code: int
    text: str
    failures: dict[str, str]
    passed: set[str]

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "reports/pytest/report.json").read_text(encoding="utf-8"))
        return found


def run(folder: Path, *options: str) -> Session:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--junitxml=junit.xml", *options], cwd=folder, capture_output=True, encoding="utf-8",
        env=variables() | {"KERAS_BACKEND": "tensorflow"}, timeout=400, check=False,
    )  # fmt: skip
    failures, passed = {}, set()
    for case in ET.parse(folder / "junit.xml").iter("testcase"):
        problems = [*case.iter("failure"), *case.iter("error"), *case.iter("skipped")]
        name = str(case.get("name"))
        if problems:
            failures[name] = str(problems[0].get("message"))
        else:
            passed.add(name)
    return Session(folder, done.returncode, done.stdout + done.stderr, failures, passed)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = project(tmp_path_factory.mktemp("package"), PACKAGE)
    return run(folder, "-n", "2", "--backends=tensorflow,jax,torch", "--run-slow")


def test_what_agrees_passes_and_what_does_not_fails_with_its_verdict(session: Session) -> None:
    assert session.passed == PASSED, session.text
    assert set(session.failures) == set(FAILED)
    assert session.exit_code == 1
    for name, pattern in FAILED.items():
        assert re.match(pattern, session.failures[name]), (name, session.failures[name])


def test_the_example_in_the_documentation_says_what_it_says_there(session: Session) -> None:
    told = [line.rstrip() for line in session.text.splitlines()]
    shown = [line for line in DOCUMENTED[5].splitlines() if line.startswith(("E ", ">"))]
    assert len(shown) == 7
    assert [line for line in shown if not any(line[:60] == one[:60] for one in told)] == []


def test_the_report_has_every_case_and_every_call(session: Session) -> None:
    verdicts = {one["case"]: one["verdict"] for one in session.report["results"]}
    assert session.report["backends"] == ["tensorflow", "jax", "torch"]
    assert [verdicts[f"tests.test_losses/test_loop{n}"] for n in ("", "#2", "#3")] == ["PASSED"] * 3
    assert verdicts["tests.test_losses/test_crashes_in_the_second_call"] == "PASSED", "what came before the crash is kept"
    assert verdicts["tests.test_losses/test_crashes_in_the_second_call#2"] == "ERROR"
    assert verdicts["test_losses/differs"] == "FAILED"
    assert "report: reports/pytest/index.html" in session.text
    assert "tests.test_losses/test_fewer_calls_on_jax#2" in session.text


def test_the_values_and_the_gradients_of_every_float_input_are_compared(session: Session) -> None:
    path = recording_path(session.folder / "reports/pytest/torch", "tests.test_losses/TestAgreement::test_loss_object[1.0]")
    assert sorted(read_recording(path).observations) == ["gradient/y_pred", "gradient/y_true", "value/result"]


def test_show_finds_what_the_failure_text_names(session: Session) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "backendcheck", "show", "tests.test_losses/test_gradient_differs", "--out", "reports/pytest"],
        cwd=session.folder, env=variables(), capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "gradient/x" in done.stdout


def test_a_verdict_is_the_same_without_workers_and_with_one_test_alone(session: Session) -> None:
    alone = run(session.folder, "--backends=jax,torch", "-k", "again or inside or fewer", "tests")
    assert alone.passed == {"test_again_with_the_same_layer", "test_layers_built_inside"}
    assert set(alone.failures) == {"test_fewer_calls_on_jax"}
    assert not (session.folder / "reports/pytest/tensorflow").exists(), "the legs of an earlier session are not mixed with these"


# --- ends --------------------------------------------------------------------------------------------------------

SLOW = {
    "test_slow.py": """
        import time
        from pathlib import Path

        def case_first(): return {"v": 1.0}

        def case_second():
            Path("started").touch()
            time.sleep(1000)
    """
}


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A session that waits for a case which takes very long."""
    (folder / "started").unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--backends=jax", *options], cwd=folder, env=variables(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (folder / "started").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def left_over(folder: Path) -> list[str]:
    """Processes that work for a session in `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").readlink() == folder and int(path.name) != os.getpid():
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def gone(folder: Path, within_s: float = 30.0) -> bool:
    deadline = time.monotonic() + within_s
    while left_over(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGINT, ()), (signal.SIGKILL, ()), (signal.SIGKILL, ("-n", "1"))],
    ids=["interrupted", "killed", "controller killed"],
)
def test_no_process_outlives_a_session(tmp_path: Path, number: int, options: tuple[str, ...]) -> None:
    folder = project(tmp_path, SLOW)
    with started(folder, *options) as process:
        os.kill(process.pid, number)
        text, _ = process.communicate(timeout=60)
    assert gone(folder), left_over(folder)
    if number == signal.SIGINT:
        assert process.returncode == 2
        assert "PROBLEM jax: its recording was interrupted" in text
        assert "report: reports/pytest/index.html" in text
    assert recording_path(folder / "reports/pytest/jax", "test_slow/first").exists(), "what was recorded is kept"


def test_a_case_that_hangs_and_one_that_was_killed_are_failures(tmp_path: Path) -> None:
    folder = project(tmp_path, SLOW)
    ended = run(folder, "--backends=jax", "--backendcheck-timeout=3")
    assert "ERROR TIMED OUT: jax timed out: took longer than 3 s" in ended.failures["case_second"]
    with started(folder) as process:
        controller = next(
            int(path.name) for path in Path("/proc").glob("[0-9]*")
            if os.access(path / "cmdline", os.R_OK) and b"backendcheck.cli" in (path / "cmdline").read_bytes()
            and (path / "cwd").readlink() == folder
        )  # fmt: skip
        os.kill(controller, signal.SIGKILL)
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "jax has no recording of it: its recording process was killed by signal 9 (SIGKILL" in text
    assert gone(folder), left_over(folder)
