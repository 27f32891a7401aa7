"""Damaged and hostile input for every reader: valid files, mutated, and the arguments of the command that reads each.

One input is a function of its format and its seed, so a failure is repeated by its number.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import make
import numpy as np
import safetensors.numpy

from backendcheck.files import file_sha256
from backendcheck.recordings import files as recording_files
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.recordings.scripts import KeptScript, digests_of, keep_script
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import ReferenceValue

SENTINEL = "ran"  # a file that hostile input tries to make, beside the folder that the command is given
SHELLS = (
    ("__import__('os').system('", "')"), ("{{ cycler.__init__.__globals__.os.system('", "') }}"),
    ("{% set x = cycler.__init__.__globals__.os.popen('", "') %}"),
    ("!!python/object/apply:os.system ['", "']"), ("$(", ")"), ("`", "`"), ("; ", "; "), ("|", ""), ("ok\n", "\n"),
)  # fmt: skip
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "a", "\x00",
    "\x1b[1m", "../x",
    "\ud800", "a" * 5000, "((((", "{}", "%s%n", "\u202e", [], {}, [None], [[]], [[[1]]], {"a": None}, {"": {}}, [1, "a", None],
)  # fmt: skip
OTHER_ARRAYS = (
    np.zeros(0, np.float32), np.zeros((0, 3)), np.array(np.nan, np.float32), np.full((4, 3), np.inf, np.float32), np.array(2**62),
    np.zeros((4, 3), np.uint8), np.array([True, False]), np.ones((2, 2, 2), np.float16), np.array([-1, 7, 2**31]),
    np.float64(1e308), np.array([2, 0, 1, 0], np.int8), np.full((4, 3), np.nan, np.float32), np.zeros((1, 1, 1, 1)),
)  # fmt: skip
CASE = "a/b"
LABELS = ("--loss", "sparse_categorical_crossentropy", "--head", "3:softmax")


def deep(rng: random.Random) -> Any:
    """A nest beyond the depth of a call stack."""
    nest: Any = 1
    for _ in range(rng.choice((50, 400))):
        nest = [nest] if rng.random() < 0.5 else {"a": nest}
    return nest


def mutated_tree(content: Any, rng: random.Random) -> Any:
    """JSON or TOML content with some of its entries replaced, deleted, renamed or repeated."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places: list[tuple[Any, Any]] = []
        _places(content, places)
        if not places:
            return content
        holder, key = rng.choice(places)
        match rng.randrange(7):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[rng.choice(("", "a", "\x00", "../x", str(key) * 2))] = holder[key]
            case 1 | 2 if isinstance(holder, list):
                holder.append(holder[key])
            case 3:
                holder[key] = [holder[key]]
            case 4:
                holder[key] = deep(rng)
            case _:
                holder[key] = copy.deepcopy(rng.choice(HOSTILE))
    return content


def _places(content: Any, places: list[tuple[Any, Any]]) -> None:
    keys = content.keys() if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        places.append((content, key))
        _places(content[key], places)


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """Bytes with some of them flipped, cut, repeated or replaced by extreme numbers."""
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not damaged:
            break
        place = rng.randrange(min(len(damaged), 200) if rng.random() < 0.4 else len(damaged))
        match rng.randrange(6):
            case 0:
                damaged[place] ^= 1 << rng.randrange(8)
            case 1:
                del damaged[place : place + rng.choice((1, 4, 50))]
            case 2:
                damaged[place:place] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 4, 16))))
            case 3:
                del damaged[place:]
            case 4:
                damaged[place : place + 8] = rng.choice((b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\0" * 8, b"\xff\xff\xff\x7f"))
            case _:
                damaged[place:place] = damaged[place : place + rng.choice((8, 64))]
    return bytes(damaged)


def mutated_text(content: Any, rng: random.Random) -> bytes:
    """JSON that is mutated as a tree or as bytes."""
    if rng.random() < 0.7:
        return json.dumps(mutated_tree(content, rng)).encode()
    if rng.random() < 0.1:
        return rng.choice((b"[", b'{"a":')) * rng.choice((10, 100_000))
    return mutated_bytes(json.dumps(content).encode(), rng)


def _full(backend: str, loss: float) -> Recording:
    """A recording of a model in training, with something in nearly every field."""
    logits = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0], [0.0, 0.25, 1.0], [2.0, 1.0, 0.0]], np.float32)
    probabilities = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    y_true = np.array([2, 0, 1, 0])
    per_example = -np.log(probabilities[np.arange(4), y_true]) + np.float32(loss)
    observations = {
        "predictions": probabilities, "predicted_class": probabilities.argmax(1), "per_example_loss": per_example,
        "loss": float(per_example.mean()), "gradient/y_pred": probabilities - np.eye(3, dtype=np.float32)[y_true],
        "gradient/dense/kernel": np.full((2, 3), loss, np.float32), "metric/accuracy": 0.5, "output_order": ["a", "b"],
        "train/loss": np.array([loss, loss / 2], np.float32), "train/weight/dense/kernel": np.full((2, 3), loss, np.float32),
    }  # fmt: skip
    evaluated = {"loss": make.observation(loss)}
    return make.recording(
        CASE, backend, observations=observations, labels={"y_true": y_true, "sample_weight": np.ones(4, np.float32)},
        losses={"": {"name": "SparseCategoricalCrossentropy", "config": {"from_logits": False}}},
        class_names=["cat", "dog", "fox"], reference={"loss": loss}, digests={"x": "ab12", "y": "cd34"},
        reference_values={"loss": ReferenceValue(value=np.array(loss), defined=np.array(True))},
        variants=(
            Variant(oracle=Oracle.PATHS, path="evaluate", observations=evaluated),
            Variant(oracle=Oracle.ORDER, path="examples permuted", raised=make.raised("ValueError: no")),
        ),
        tolerance={"loss": (1e-3, 0.0)}, state={"dense/kernel": (0.0, 1.0)}, settings={"floatx": "float32"},
        not_compared={"metric/accuracy": "it draws random numbers"}, notes=("left changed: x",), timings_s={"build": 0.5},
        optimizer="SGD", reference_dtypes={"loss": "float32"},
    )  # fmt: skip


def _leg(folder: Path, *, full: bool = False) -> Path:
    for backend in ("torch", "jax"):
        leg = folder / "run" / backend
        loss = 0.5 if backend == "jax" else 0.75
        write_recording(leg, _full(backend, loss) if full else make.recording(CASE, backend, loss=0.5))
        write_environment(leg, make.environment(backend, [CASE], exit_state="running"))
    return leg


def _metadata(folder: Path, rng: random.Random) -> list[str]:
    path = recording_path(_leg(folder, full=rng.random() < 0.8), CASE)
    with safetensors.safe_open(str(path), framework="numpy") as file:
        header = json.loads(file.metadata()["backendcheck"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    for key in rng.sample(sorted(tensors), rng.choice((0, 0, 1, 2)) % (len(tensors) + 1)):
        tensors[key] = np.ascontiguousarray(rng.choice(OTHER_ARRAYS))
    text = json.dumps(header if rng.random() < 0.3 else mutated_tree(header, rng))
    signed = {"backendcheck": text, "sha256": recording_files._checksum(text, tensors)}
    path.write_bytes(safetensors.numpy.save(tensors, metadata=signed))
    return ["compare", "run", "--out", "report"]


def _recording(folder: Path, rng: random.Random) -> list[str]:
    path = recording_path(_leg(folder, full=True), CASE)
    path.write_bytes(mutated_bytes(path.read_bytes(), rng))
    return ["compare", "run", "--out", "report"]


def _script(folder: Path, rng: random.Random) -> list[str]:
    legs = read_legs(find_legs([_leg(folder).parent]))
    arrays = folder / "arrays.npz"
    np.savez(arrays, x=np.zeros(3))
    script = KeptScript(
        case=CASE, source="import keras\n", outputs={"jax": "0.5"}, shows=True, recordings=digests_of(CASE, legs), headline="h",
        notes=("n",), data="b.npz", data_sha256=file_sha256(arrays),
    )  # fmt: skip
    path = keep_script(folder / "run", script).with_suffix(".json")
    arrays.rename(path.with_name("b.npz"))
    path.write_bytes(mutated_text(json.loads(path.read_text()), rng))
    return ["compare", "run", "--out", "run"]


def _earlier_report(folder: Path, rng: random.Random) -> list[str]:
    _leg(folder)
    environments = {backend: {"run": f"run of {backend}"} for backend in ("torch", "jax")}
    report = {"schema": 1, "created": "2026-01-01", "backends": ["jax"], "environments": environments, "results": []}
    (folder / "report").mkdir()
    (folder / "report" / "report.json").write_bytes(mutated_text(report, rng))
    return ["compare", "run", "--out", "report"]


def _environment(folder: Path, rng: random.Random) -> list[str]:
    path = _leg(folder) / "environment.json"
    body = mutated_tree({key: value for key, value in json.loads(path.read_text()).items() if key != "sha256"}, rng)
    body["sha256"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(body))
    return ["compare", "run", "--out", "report"]


def _baseline(folder: Path, rng: random.Random) -> list[str]:
    _leg(folder)
    result = {"case": CASE, "verdict": "PASSED", "headline": "", "findings": [], "diagnoses": []}
    report = {"schema": 1, "created": "2026-01-01", "backends": ["jax"], "counts": {"PASSED": 1}, "results": [result, result]}
    (folder / "baseline.json").write_bytes(mutated_text(report, rng))
    return ["compare", "run", "--out", "report", "--baseline", "baseline.json"]


def _toml(content: Any, rng: random.Random) -> bytes:
    content = mutated_tree(content, rng)
    lines: list[str] = []

    def write(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {write(entry)}" for key, entry in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(write, value)) + "]"
        return json.dumps(value) if isinstance(value, str) else '""' if value is None else repr(value)

    for key, value in content.items() if isinstance(content, dict) else ():
        lines.append(f"{json.dumps(key)} = {write(value)}")
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return text if rng.random() < 0.7 else mutated_bytes(text, rng)


def _known(folder: Path, rng: random.Random) -> list[str]:
    _leg(folder)
    entry = {
        "case": "a/*", "cause": "x", "backends": ["jax"], "kind": ["value"], "oracle": "agreement", "keras": ">=3.5,<4",
        "reason": "r",
        "link": "https://example.org", "expires": "2027-01-31", "outcome": {"jax": "nan"}, "observation": "loss", "device": "cpu",
    }  # fmt: skip
    cause = {"title": "t", "explanation": "e", "since": "3.1", "until": "torch 2"}
    content = {"divergence": [entry, entry], "cause": {"x": cause}}
    (folder / "known.toml").write_bytes(_toml(content, rng))
    return ["compare", "run", "--out", "report", "--known", "known.toml"]


def _pyproject(folder: Path, rng: random.Random) -> list[str]:
    _leg(folder)
    tolerance = [{"observation": "gradient/*", "case": "a/*", "rtol": 1e-3, "atol": 1e-6}]
    labels = {"select": ["L1"], "ignore": ["L701"], "imbalance": 20}
    lists = {"backends": ["jax"], "cases": ["a/*"], "paths": ["a"], "known_divergences": []}
    table = {**lists, "tolerance": tolerance, "labels": labels}
    (folder / "pyproject.toml").write_bytes(_toml({"tool": {"backendcheck": table}}, rng))
    return ["compare", "run", "--out", "report"]


def _labels(folder: Path) -> None:
    x, y = np.zeros((6, 2), np.float32), np.array([0, 1, 2, 0, 1, 2])
    np.savez(folder / "data.npz", x=x, y=y)


def _class_map(folder: Path, rng: random.Random) -> list[str]:
    _labels(folder)
    classes = mutated_tree({"": ["cat", "dog", "fox"]}, rng).get("", ["a"]) if rng.random() < 0.5 else ["cat", "dog", "fox"]
    canonical = json.dumps(classes, separators=(",", ":"), sort_keys=True)
    content = {"schema": 1, "classes": classes, "sha256": hashlib.sha256(canonical.encode()).hexdigest()}
    (folder / "map.json").write_bytes(mutated_text(content, rng))
    return ["labels", "--data", "data.npz", *LABELS, "--against", "map.json"]


def _class_names(folder: Path, rng: random.Random) -> list[str]:
    _labels(folder)
    name = rng.choice(("names.json", "names.txt"))
    text = b"cat\r\ndog\nfox\n"
    content = mutated_text(["cat", "dog", "fox"], rng) if name.endswith("json") else mutated_bytes(text, rng)
    (folder / name).write_bytes(content)
    return ["labels", "--data", "data.npz", *LABELS, "--class-names", name]


def _saved(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
    content = io.BytesIO()
    save(content, *arrays, **named)
    return content.getvalue()


class _Code:
    """What makes the sentinel when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("..") / SENTINEL,)


def _npy(folder: Path, rng: random.Random) -> list[str]:
    fields = np.zeros(3, [("a", "i4"), ("b", "f8")])
    array = rng.choice((np.arange(6) % 3, np.array(["a", "b"]), fields, np.eye(3, dtype="f2"), np.array([_Code()], object)))
    content = _saved(np.save, array)
    (folder / "d.npy").write_bytes(content if array.dtype == object and rng.random() < 0.5 else mutated_bytes(content, rng))
    return ["labels", "--data", "d.npy", *LABELS]


def _npz(folder: Path, rng: random.Random) -> list[str]:
    save = rng.choice((np.savez, np.savez_compressed))
    names = np.array(["a", "b", "c"]) if rng.random() < 0.8 else np.array([_Code()] * 3, object)
    content = _saved(save, x=np.zeros((6, 2)), y=np.arange(6) % 3, class_names=names)
    content = _members_mutated(content, rng) if rng.random() < 0.5 else mutated_bytes(content, rng)
    (folder / "d.npz").write_bytes(content)
    return ["labels", "--data", "d.npz", *LABELS]


def _members_mutated(content: bytes, rng: random.Random) -> bytes:
    archive = zipfile.ZipFile(io.BytesIO(content))
    written = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as changed:
        for name in archive.namelist():
            member = archive.read(name)
            new = name if rng.random() < 0.8 else rng.choice((f"../{SENTINEL}", "a/b", "x.npy", " ", "y/a.npy"))
            changed.writestr(new, mutated_bytes(member, rng) if rng.random() < 0.6 else member)
    return written.getvalue()


def _csv(folder: Path, rng: random.Random) -> list[str]:
    text = b'a,b,label\n1,2.5,0\n3,x,1\n,4,2\n"q""q",5,007\n'
    (folder / "d.csv").write_bytes(mutated_bytes(text, rng))
    return ["labels", "--data", "d.csv", "--label-column", "label", *LABELS]


def _parquet(folder: Path, rng: random.Random) -> list[str]:
    import polars

    content = io.BytesIO()
    polars.DataFrame({"a": [1.0, 2.0, 3.0], "t": ["x", "y", None], "label": [0, 1, 2]}).write_parquet(content)
    (folder / "d.parquet").write_bytes(mutated_bytes(content.getvalue(), rng))
    return ["labels", "--data", "d.parquet", "--label-column", "label", *LABELS]


def _images(folder: Path, rng: random.Random) -> list[str]:
    from PIL import Image

    suffix = rng.choice(("png", "jpeg", "gif", "bmp"))
    content = _saved(lambda file: Image.new("RGB", (4, 4), (9, 99, 200)).save(file, suffix))
    for name in ("a", "b", "c"):
        (folder / "images" / name).mkdir(parents=True)
        (folder / "images" / name / f"1.{suffix}").write_bytes(content if name == "a" else mutated_bytes(content, rng))
    return ["labels", "--data", "images", *LABELS]


def _layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def _model() -> dict[str, Any]:
    dtype = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    layers = [
        _layer("InputLayer", batch_shape=[None, 2], dtype="float32", name="x"),
        _layer("Dense", name="d", units=3, activation="softmax", dtype=dtype),
    ]
    loss = {"module": "keras.losses", "class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": False}}
    optimizer = {"class_name": "SGD", "module": "keras"}
    compiled = {"loss": loss, "loss_weights": [1.0], "metrics": ["accuracy"], "optimizer": optimizer}
    config = {"name": "m", "layers": layers, "build_input_shape": [None, 2]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "compile_config": compiled}


def _hostile_model(rng: random.Random) -> Any:
    """A model whose configuration asks for code to be run."""
    model = _model()
    run = rng.choice((
        {"module": "os", "class_name": "system", "config": f"touch ../{SENTINEL}", "registered_name": "system"},
        {"module": "builtins", "class_name": "function", "config": "system", "registered_name": "os>system"},
        {"module": "builtins", "class_name": "open", "config": {"file": f"../{SENTINEL}", "mode": "w"}},
        {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None, "closure": None}},
        {"module": "pathlib", "class_name": "Path.touch", "config": [f"../{SENTINEL}"]},
    ))  # fmt: skip
    match rng.randrange(4):
        case 0:
            model["compile_config"][rng.choice(("loss", "metrics", "optimizer"))] = run
        case 1:
            model["config"]["layers"].append(_layer("Lambda", function=run, name="l"))
        case 2:
            model["config"]["layers"][1]["config"]["activation"] = run
        case _:
            model |= {key: run[key] for key in ("module", "class_name") if key in run}
    return model


def _keras(folder: Path, rng: random.Random) -> list[str]:
    _labels(folder)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        model = _hostile_model(rng) if rng.random() < 0.2 else _model()
        archive.writestr("config.json", json.dumps(model) if rng.random() < 0.1 else mutated_text(model, rng))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
    damaged = content.getvalue()
    (folder / "m.keras").write_bytes(damaged if rng.random() < 0.7 else mutated_bytes(damaged, rng))
    return ["labels", "--model", "m.keras", "--data", "data.npz"]


def _h5(folder: Path, rng: random.Random) -> list[str]:
    import h5py

    _labels(folder)
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["keras_version"] = "3.15.1"
        content_of = _hostile_model(rng) if rng.random() < 0.2 else _model()
        model = {key: value for key, value in content_of.items() if key != "compile_config"}
        file.attrs["model_config"] = mutated_text(model, rng)[:60_000].replace(b"\0", b"")
        file.attrs["training_config"] = json.dumps(content_of.get("compile_config"))
    damaged = content.getvalue()
    (folder / "m.h5").write_bytes(damaged if rng.random() < 0.5 else mutated_bytes(damaged, rng))
    return ["labels", "--model", "m.h5", "--data", "data.npz"]


FORMATS: dict[str, Callable[[Path, random.Random], list[str]]] = {
    "recording": _recording, "metadata": _metadata, "environment": _environment, "script": _script,
    "earlier-report": _earlier_report, "baseline": _baseline, "known": _known, "pyproject": _pyproject, "class-map": _class_map,
    "class-names": _class_names, "npy": _npy, "npz": _npz, "csv": _csv, "parquet": _parquet, "images": _images, "keras": _keras,
    "h5": _h5,
}  # fmt: skip
