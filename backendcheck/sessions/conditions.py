"""The conditions that all recordings of a session share: harness, Python, packages, settings, options, variables.

They are known without a backend. A recording is kept under the same conditions only.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import backendcheck
from backendcheck.case_files import builtin_cases, split_node_id
from backendcheck.files import read_bytes, read_text
from backendcheck.recordings.conditions import OF_THE_MACHINE
from backendcheck.recordings.dependencies import digest_of, file_value
from backendcheck.sessions.child_processes import environment_for
from backendcheck.sessions.request import RecordingRequest

# Variables with these beginnings are read in native code, or when a backend starts. All others are noted when they are read.
_NATIVE_VARIABLES = (
    "ABSL_", "AUTOGRAPH_", "BLIS_", "CUBLAS_", "CUDA_", "CUDNN_", "DNNL_", "GOMP_", "GOTO_", "JAX", "KERAS_", "KMP_", "LANG",
    "LC_", "LD_", "MALLOC_", "MKL_", "NCCL_", "NPY_", "NUMEXPR_", "NVIDIA_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTHON", "PYTORCH_",
    "TF_", "TORCH", "TZ", "VECLIB_", "XLA_",
)  # fmt: skip
_NO_CONDITIONS = OF_THE_MACHINE | {"JAX_COMPILATION_CACHE_DIR", "PYTHONUNBUFFERED"}
_CONFIGURATIONS = (
    "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py",
)  # fmt: skip
_NO_FLAGS = ("count", "index", "safe_path")  # methods of a tuple, and what is another in the process of a leg
_EXECUTED = ("sitecustomize.py", "usercustomize.py")  # when Python starts; so are the lines of a .pth file
_CODE = (".py", ".toml", ".json", ".npz")
_DEFAULTS = {"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"}  # of Keras


def variables_of(request: RecordingRequest) -> dict[str, str]:
    """The environment variables of a recording process."""
    threads = max(1, (os.cpu_count() or 1) // max(1, request.workers))
    return environment_for(request.backend, request.device, threads)


def conditions_of(request: RecordingRequest, variables: Mapping[str, str]) -> dict[str, str]:
    """The conditions by name."""
    paths = [split_node_id(path)[0].absolute() for path in request.paths]
    return {
        "harness": harness(),
        "python": f"{sys.version} {sys.executable} {sys.prefix} {_flags()}",
        "machine": f"{platform.system()} {platform.machine()} {processor()} {os.cpu_count()}",
        **start_conditions(variables),
        "variables": digest_of(
            variable_with_files(name, value) for name, value in sorted(variables.items())
            if is_condition(name)
        ),
        "configuration": digest_of(_configurations(paths)) if paths else "",
        "root": os.path.commonpath([str(Path.cwd()), *map(str, paths)]) if paths else "",
        "directory": str(Path.cwd()),
        "oracles": ",".join(sorted(request.oracles)),
        "device": request.device,
        "plugins": ",".join(request.plugins),
        "timeout": "" if request.timeout_s else "none",
    }  # fmt: skip


def is_condition(variable: str) -> bool:
    """Whether all recordings of a leg depend on an environment variable, also where no read of it is noted."""
    return variable.startswith(_NATIVE_VARIABLES) and variable not in _NO_CONDITIONS


def variable_with_files(name: str, value: str) -> str:
    """A variable with its value, and the content of the files that it names: of options, libraries, archives of modules."""
    files = [part for part in re.split(rf"[\s=,{os.pathsep}]+", value) if part and os.path.isfile(part)]  # noqa: PTH113
    return " ".join([f"{name}={value}", *map(file_value, files)])


def start_conditions(variables: Mapping[str, str]) -> dict[str, str]:
    """The conditions that a backend is imported under, beside variables."""
    return {"packages": digest_of(_packages()), "keras.json": _keras_settings(variables)}


def _flags() -> dict[str, int]:
    """The flags of Python, which it gives to workers. The process of a leg is started with -P, that of a command is not."""
    names = [name for name in dir(sys.flags) if not name.startswith(("_", "n_")) and name not in _NO_FLAGS]
    return {name: getattr(sys.flags, name) for name in names}


def selection_key(request: RecordingRequest) -> str:
    """The selection of a request: what decides, beside the files, which cases there are."""
    seconds = request.seconds_before if request.shard else {}
    durations = [digest_of(json.dumps(row) for row in sorted(seconds.items()))] if seconds else []
    return json.dumps([list(request.paths), request.keyword, request.marks, str(request.shard or ""), *durations])


def judging_conditions() -> dict[str, str]:
    """What verdicts and reports depend on besides recordings and settings: source, templates, Python, packages, the directory."""
    return {
        "harness": _source((*_CODE, ".jinja", ".js", ".css")),
        "python": f"{sys.version} {sys.prefix}",
        "packages": digest_of(_packages()),
        "directory": str(Path.cwd()),
    }


def harness() -> str:
    """A digest of the source of backendcheck, without the built-in cases."""
    return _source(_CODE)


@functools.cache
def _source(suffixes: tuple[str, ...]) -> str:
    package, cases = Path(backendcheck.__file__).parent, builtin_cases()
    digest = hashlib.sha256()
    for parent, folders, names in os.walk(package):
        folders[:] = sorted(name for name in folders if name != "__pycache__" and Path(parent, name) != cases)
        for name in sorted(names):
            if name.endswith(suffixes):
                path = Path(parent, name)
                digest.update(f"{path.relative_to(package)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def processor() -> str:
    """What the processor can do, which decides about the code that libraries choose."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return digest_of(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU "))}))


def _packages() -> Iterator[str]:
    """The installed packages with their versions, folder by folder in the order in which they are searched."""
    for entry in dict.fromkeys(sys.path):
        if entry and os.path.isdir(entry):  # noqa: PTH112
            names = sorted(os.listdir(entry))  # noqa: PTH208
            is_noted = Path(entry) != Path.cwd()
            noted = [name for name in names if is_noted and name.endswith((".dist-info", ".egg-info", ".egg-link", ".pth"))]
            if noted:
                yield entry
                yield from noted
            for name in names:
                if name.endswith(".pth") or name in _EXECUTED:
                    with contextlib.suppress(OSError):
                        yield f"{name} {hashlib.sha256(Path(entry, name).read_bytes()).hexdigest()}"


def _keras_settings(variables: Mapping[str, str]) -> str:
    """The settings of the user's keras.json; the defaults if it is not there, for Keras then writes them."""
    home = variables.get("KERAS_HOME") or str(Path.home() / ".keras")
    try:
        content: Any = json.loads(read_text(Path(home) / "keras.json"))
        settings = _DEFAULTS | {name: value for name, value in content.items() if name != "backend"}
    except (OSError, ValueError, AttributeError):
        settings = dict(_DEFAULTS)
    return json.dumps(settings, sort_keys=True)


def _configurations(paths: list[Path]) -> Iterator[str]:
    """What the files that may configure pytest say to it. Other tables of a pyproject.toml do not count."""
    folders = {folder for path in (*paths, Path.cwd() / "x") for folder in (path, *path.parents)}
    for folder in sorted(folders):
        for name in _CONFIGURATIONS:
            path = folder / name
            try:
                content = read_bytes(path)
            except OSError:
                continue
            if name == "pyproject.toml":
                with contextlib.suppress(ValueError, AttributeError):
                    content = json.dumps(tomllib.loads(content.decode()).get("tool", {}).get("pytest"), default=str).encode()
            yield f"{path}\0{hashlib.sha256(content).hexdigest()}"
