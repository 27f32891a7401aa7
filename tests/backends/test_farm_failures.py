"""A farm whose workers differ, cannot write or must not be let in: what is refused, by what name, and that no case is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from farm import scheduler, started, workers
from front_door import Ended, backendcheck, command, project
from processes import descendants, waited_for

import backendcheck as package
from backendcheck.case_files import builtin_cases
from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import folder_of_package, install_packages
from backendcheck.vocabulary.leg_names import parse_leg

pytestmark = [pytest.mark.backends, pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")]
CASES = """
import time

import keras
import pytest


@pytest.mark.parametrize("k", range(8))
def case_sum(rng, k):
    "A sum is the same everywhere."
    time.sleep(0.3)
    return {"sum": keras.ops.sum(keras.ops.convert_to_tensor(rng.random((2, k + 1))))}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    seconds = {f"few/sum[{k}]": 1.0 for k in range(8)}
    return project(tmp_path / "project", {"cases/few.py": CASES, "durations.json": json.dumps(seconds)})


def record(folder: Path, address: str, env: dict[str, str] | None = None) -> Ended:
    """Record in four chunks."""
    options = ("--backend", "numpy", "--out", "out", "--durations", "durations.json", "--farm-chunk", "2", "--farm-wait", "20")
    return backendcheck("record", "cases", *options, "--farm", address, cwd=folder, env=env)


def environment(folder: Path) -> dict[str, Any]:
    """That of the leg, in which no case is missing or there twice."""
    found: dict[str, Any] = json.loads((folder / "out" / "numpy" / "environment.json").read_text(encoding="utf-8"))
    assert found["exit_state"] == "complete"
    assert sorted(found["cases"]) == sorted(found["digests"]) == [f"few/sum[{k}]" for k in range(8)]
    assert sum(piece["n_recordings"] for piece in found["pieces"]) == 8
    return found


def test_a_worker_with_another_keras_is_refused_by_name(folder: Path) -> None:
    leg = parse_leg("numpy/keras-3.14.1")
    try:
        install_packages(leg)
    except UsageError as error:
        pytest.skip(f"Keras 3.14.1 is not here: {error}")
    other = {"PYTHONPATH": str(folder_of_package(leg.packages[0]))}
    with scheduler(folder) as address, workers(folder, address, "numpy", {}, other):
        ended = record(folder, address)
    assert ended.exit_code == 0, ended.words
    versions = {"3.14.1", package_version("keras")}
    used = environment(folder)["versions"]["keras"]
    (refused,) = versions - {used}
    assert f"records no more of numpy: keras {refused} there and {used} in other chunks of numpy" in ended.err


def test_a_worker_with_another_backendcheck_refuses_and_another_records(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "other"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(package.__file__).parent, source / "backendcheck", ignore=ignored)
    shutil.copytree(builtin_cases(), source / "cases", ignore=ignored)
    with (source / "backendcheck" / "errors.py").open("a", encoding="utf-8") as file:
        file.write("# another version\n")
    with scheduler(folder) as address, workers(folder, address, "numpy", {}, {"PYTHONPATH": str(source)}):
        ended = record(folder, address)
    assert ended.exit_code == 0, ended.words
    assert "the worker has another backendcheck" in ended.err
    environment(folder)


def test_what_a_worker_without_space_cannot_write_is_recorded_elsewhere(folder: Path) -> None:
    limited = ("sh", "-c", 'ulimit -f 1 && exec "$0" "$@"')  # no file of more than 512 bytes
    with scheduler(folder) as address, workers(folder, address, "numpy", {}, {}, limits=limited):
        ended = record(folder, address)
    assert ended.exit_code == 0, ended.words
    assert "cannot be written" in ended.err
    assert "it is given to another worker" in ended.err
    environment(folder)


def test_only_this_machine_can_connect_by_default(folder: Path) -> None:
    with scheduler(folder) as address, workers(folder, address, "numpy", {}) as (worker,):
        line = command("record", "cases", "--backend", "numpy", "--out", "out", "--farm", "local:1")
        with started(*line, cwd=folder) as local:
            assert waited_for(lambda: listening(local.pid), 60)
            assert local.wait(timeout=120) == 0
            hosts = listening(worker.pid)
    assert hosts == {"127.0.0.1"}


def listening(pid: int) -> set[str]:
    """The addresses at which a process and those below it listen."""
    found = set()
    for each in (pid, *descendants(pid)):
        try:
            connections = psutil.Process(each).net_connections("inet")
        except psutil.Error:
            continue
        found |= {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
    assert found <= {"127.0.0.1"}
    return found


def test_with_tls_only_certificates_of_the_same_authority_are_let_in(folder: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    farm, stranger = certified(tmp_path / "ours"), certified(tmp_path / "theirs")
    with scheduler(folder, "--protocol", "tls", protocol="tls", env=farm) as address, workers(folder, address, "numpy", farm):
        ended = record(folder, address, farm)
        refused = backendcheck("farm", "status", address, cwd=folder, env=stranger)
        plain = backendcheck("farm", "status", address.replace("tls", "tcp"), cwd=folder)
    assert ended.exit_code == 0, ended.words
    environment(folder)
    for end in (refused, plain):
        assert end.exit_code == 2
        assert "no Dask scheduler answers there" in end.err


def certified(folder: Path) -> dict[str, str]:
    """A certificate as docs/farm.md makes it, in the variables that it names."""
    folder.mkdir()
    text = (Path(__file__).parents[2] / "docs" / "farm.md").read_text(encoding="utf-8")
    commands = [line for line in text.splitlines() if line.startswith("openssl ")]
    assert len(commands) == 3
    for line in commands:
        subprocess.run(line, shell=True, cwd=folder, check=True, capture_output=True)
    names = {"CA_FILE": "ca.pem"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        names |= {f"{role}__CERT": "cert.pem", f"{role}__KEY": "key.pem"}
    prefix = "DASK_DISTRIBUTED__COMM__"
    files = {f"{prefix}TLS__{name}": str(folder / file) for name, file in names.items()}
    return {f"{prefix}REQUIRE_ENCRYPTION": "true", **files}


def package_version(name: str) -> str:
    import importlib.metadata

    return importlib.metadata.version(name)
