"""`check_model` and `check_function`: from Python, on real backends, without touching the backend of the process that asks."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front_door import project, variables

from backendcheck.check import check_function

QUIETLY = {"progress": False}


def run_script(folder: Path, text: str, backend: str = "torch") -> Any:
    """A user's script, in a process with a keras of its own; its last line of output is JSON."""
    project(folder, {"script.py": text})
    ended = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=variables({"KERAS_BACKEND": backend}), capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_closure_over_data_travels_to_every_backend_and_its_values_come_back(tmp_path: Path) -> None:
    scale = np.array([1.0, 2.0, 3.0], "float32")

    def weighted(y_true: Any, y_pred: Any) -> Any:
        from keras import ops

        return ops.mean(ops.convert_to_tensor(scale) * ops.abs(y_true - y_pred), axis=-1)

    reference = {"value/result": np.array([2.0, 4.0])}
    arrays = (np.zeros((2, 3)), np.array([[1.0] * 3, [2.0] * 3]))
    report = check_function(weighted, *arrays, reference=reference, out=tmp_path, **QUIETLY)
    assert report, str(report)
    assert report.verdict == "PASSED"
    values = report.values("value/result")
    assert set(values) == {"tensorflow", "jax", "torch"}
    assert all(value.tolist() == [2.0, 4.0] for value in values.values())
    assert "gradient/y_pred" in report.result.recordings["jax"].observations
    assert (tmp_path / "index.html").is_file()
    # What was sent by value is gone; what was recorded holds nothing but arrays and text.
    case = (tmp_path / "cases" / "weighted.py").read_text()
    assert len(case.partition("unpickled('")[2].partition("'")[0]) == 64
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"backendcheck-pickled" in path.read_bytes()]
    assert kept == [], "a kept run has no path to a pickle"


def test_a_difference_is_reported_and_raised(tmp_path: Path) -> None:
    def differs(labels: Any) -> Any:
        from keras import ops

        return ops.one_hot(labels, 3)

    report = check_function(differs, np.array([0, 5, 1]), out=tmp_path, **QUIETLY)
    assert not report
    assert report.verdict == "FAILED"
    assert "torch raises" in report.headline
    assert repr(report).startswith("<Report FAILED: ")
    with pytest.raises(AssertionError, match="FAILED differs/function"):
        report.raise_for_verdict()
    assert report.to_dict()["results"][0]["odd_one_out"] == "torch"
    with pytest.raises(KeyError, match="no such observation; expected one of value/result"):
        report.values("loss")
    shown = report._repr_html_()
    assert "FAILED" in shown
    assert "raised" in shown
    assert "(odd one out)" in shown
    assert str(tmp_path / "index.html") in shown
    assert "<iframe" not in shown


SCRIPT = """
    import json
    import keras, numpy as np
    from backendcheck.check import check_model

    class Gain(keras.layers.Layer):
        def __init__(self, by, **options):
            super().__init__(**options)
            self.by = by
        def call(self, x):
            return x * self.by
        def get_config(self):
            return super().get_config() | {"by": self.by}

    def absolute(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 4)), np.repeat([0, 1, 2, 1], 10)
    told = {}

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), Gain(3.0)], name="gained")
    model.compile(keras.optimizers.Ftrl(0.1), absolute, metrics=["mae"])
    report = check_model(model, x, np.stack([y, 2 - y], 1), examples=8, progress=False)
    told["instance"] = [report.verdict, str(report), {b: v.tolist() for b, v in report.values("loss").items()}]
    told["examples"] = len(report.values("predictions")["jax"])

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(0.01)
    options = {"loss": loss, "optimizer": optimizer, "metrics": ["accuracy"], "out": "kept"}
    report = check_model(build, x, y, examples=8, progress=False, **options)
    told["builder"] = [report.verdict, str(report)]

    model = build()
    model.compile("sgd", loss)
    model.save("from_torch.keras")
    report = check_model("from_torch.keras", x, y, examples=8, progress=False)
    told["from torch"] = [report.verdict, report.headline]
    report = check_model("from_torch.keras", x, y, examples=8, optimizer="sgd", progress=False)
    told["overridden"] = [report.verdict, str(report)]

    import torch

    pairs = torch.utils.data.TensorDataset(torch.as_tensor(x[:10]), torch.as_tensor(y[:10]))
    report = check_model(build, torch.utils.data.DataLoader(pairs, batch_size=4), loss=loss, out="loader", progress=False)
    told["loader"] = [report.verdict, str(report)]
    report = check_model("from_torch.keras", x, examples=8, progress=False)
    told["without labels"] = [report.verdict, report.result.claim, *sorted(report.result.recordings["jax"].observations)]
    class Ends(keras.utils.PyDataset):
        pass
    report = check_model("from_torch.keras", x, np.array(["b", "a", "c"])[y], class_names=["b", "a", "c"], examples=8,
                         optimizer="sgd", progress=False, backends=["jax"])
    told["text"] = [report.result.recordings["jax"].labels["y_true"].tolist(), y[[0, 6, 11, 17, 22, 28, 33, 39]].tolist()]
    for arguments in [(keras.Sequential([keras.layers.Dense(1)]), x, y)]:
        try:
            check_model(*arguments, progress=False)
        except Exception as error:
            told["unbuilt"] = str(error)
    for arguments in [(Ends(),), (torch.utils.data.DataLoader(pairs), y)]:
        try:
            check_model(build, *arguments, progress=False)
        except Exception as error:
            told.setdefault("refused", []).append(str(error))

    told["backend"] = [keras.backend.backend()]
    print(json.dumps(told))
"""


def test_models_of_this_process_from_builders_and_from_files(tmp_path: Path) -> None:
    told = run_script(tmp_path, SCRIPT)
    verdict, text, losses = told["instance"]
    assert verdict == "PASSED", text
    assert set(losses) == {"tensorflow", "jax", "torch"}
    assert told["examples"] == 8  # of 40 examples
    assert told["builder"][0] == "PASSED", told["builder"][1]
    case = (tmp_path / "kept" / "cases" / "build.py").read_text()
    assert "optimizer=keras.optimizers.Adam.from_config(" in case  # PyTorch's own Adam is Keras's elsewhere
    assert "as built" not in case  # every backend would draw its own weights
    assert told["from torch"][0] == "FAILED"
    assert told["from torch"][1] == (
        "FOREIGN OPTIMIZER: tensorflow and jax cannot train with the optimizer of the model, which is torch's own SGD"
    )
    assert told["overridden"][0] == "PASSED", told["overridden"][1]
    assert told["loader"][0] == "PASSED", told["loader"][1]
    assert "batch_size=4" in (tmp_path / "loader" / "cases" / "build.py").read_text()
    verdict, claim, *observed = told["without labels"]
    assert (verdict, claim) == ("PASSED", "from_torch.keras gives the same predictions on every backend.")
    assert observed == ["predictions", "saved/variables"]
    assert told["text"][0] == told["text"][1]
    assert told["unbuilt"].startswith("model: not built, so every backend would draw its own weights; expected a built model")
    endless, twice = told["refused"]
    assert endless.startswith("x: the PyDataset is infinite; expected at most 1000 batches")
    assert twice == "y: given beside a data set (DataLoader); expected it inside the data set. Leave y out."
    assert told["backend"][0] == "torch"


CELLS = [
    "import keras, numpy as np\nfrom backendcheck.check import check_function",
    "scale = keras.ops.convert_to_tensor(np.array([1.0, 2.0], 'float32'))",
    "def scaled(x):\n    return scale * x",
    "report = check_function(scaled, np.ones((3, 2)), backends=['jax', 'torch'])\nreport",
    "print(report.verdict, keras.backend.backend(), keras.ops.sum(scale).device.type)",
]


def test_a_notebook_shows_progress_and_the_report_and_keeps_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in CELLS])
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    shown = [output for output in notebook.cells[3].outputs if "data" in output]
    assert [output.output_type for output in shown] == ["display_data", "execute_result"]
    html = shown[1]["data"]["text/html"]
    assert "PASSED" in html
    assert "jax and torch agree in 3 comparisons" in html
    assert not any(f"<{element}" in html for element in ("iframe", "script", "button", "style"))
    assert notebook.cells[4].outputs[0]["text"].split() == ["PASSED", "torch", "cpu"]
