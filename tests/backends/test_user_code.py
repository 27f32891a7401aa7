"""Other users' code (user_code) on all backends: what agrees passes, what was planted is found, the rest is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from front_door import backendcheck

from backendcheck.recordings.files import read_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.recording import Recording

CODE = Path(__file__).parent / "user_code"

AGREE = [
    "losses_and_metrics/loss_function", "losses_and_metrics/loss_class", "losses_and_metrics/loss_class_by_itself",
    "losses_and_metrics/loss_with_a_variable", "losses_and_metrics/minus_sign",
    "own_steps/train_step", "own_steps/train_step_in_batches", "own_steps/test_step", "own_steps/predict_step",
    "own_steps/compute_loss", "own_steps/compute_loss_beside_a_declared_one", "own_steps/loss_without_labels",
    "state/counter", "state/counter_in_batches", "state/moving_mean", "state/noise_in_training", "state/noise_always",
    "subclassed/lazily_built", "subclassed/with_dropout", "subclassed/functional_inside", "subclassed/two_inputs",
    "subclassed/inputs_by_name", "subclassed/masked_embedding", "subclassed/ragged_padded", "subclassed/own_mask",
    "subclassed/predictions_only", "subclassed/float16_layers", "subclassed/bfloat16_everywhere", "subclassed/loss_scaling",
    "subclassed/policy_is_put_back", "subclassed/quantized", "subclassed/averaged_weights",
    "subclassed/weights_and_a_class_that_is_ignored",
    "gradients/an_output_without_labels", "gradients/a_loss_that_ignores_its_prediction",
    "gradients/a_loss_that_stops_its_gradient", "gradients/a_loss_of_steps",
    "datasets/py_dataset", "datasets/tf_data", "datasets/data_loader", "datasets/shuffling",
]  # fmt: skip

# Case, odd one out, an oracle and an observation that show it.
PLANTED = [
    ("losses_and_metrics/planted_in_a_loss", "jax", "agreement", "per_example_loss"),
    ("losses_and_metrics/planted_in_a_metric", "tensorflow", "agreement", "metric/twice_on_tensorflow"),
    ("own_steps/planted_in_train_step", "torch", "agreement", "train/loss"),
    ("own_steps/planted_in_compute_loss", "torch", "agreement", "loss"),
    ("state/planted_in_a_counter", "jax", "agreement", "predictions"),
    ("subclassed/planted_in_the_inputs", "torch", "agreement", "predictions"),
    ("gradients/switched_off_in_the_loss", "torch", "agreement", "gradient/y_pred"),
    ("datasets/planted_in_a_data_set", "torch", "paths", "metric/loss"),
]

# These were not injected: Keras 3.15 itself differs.
IN_KERAS = [
    ("losses_and_metrics/metric_reset_by_another_tensor", "jax", "agreement", "raised"),
    ("losses_and_metrics/metric_that_returns_its_variable", "jax", "agreement", "raised"),
    ("gradients/a_loss_in_numpy", "jax", "agreement", "raised"),
    ("own_steps/labels_are_tensors", "torch", "paths", "raised"),
    ("subclassed/words_that_repeat", "tensorflow", "paths", "train/weight/sequential/embedding/embeddings"),
    ("state/mean_that_always_moves", "jax", "agreement", "gradient/sequential/dense/bias"),
    ("state/stateful_rnn", "torch", "agreement", "raised"),
]

REFUSED = [
    ("datasets/infinite", "the tf.data pipeline is infinite", "Limit it with .take(n)"),
    ("datasets/ragged", "batch 0 of the data set holds a RaggedTensor", "Pad it to one length"),
    ("datasets/generator", "a generator can be read only once", "Make it a PyDataset"),
    ("datasets/labels_twice", "y: given beside a data set (PyDataset)", "expected it inside the data set"),
    ("subclassed/ragged_as_it_is", "x: holds examples of several shapes", "keras.utils.pad_sequences"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("users")
    shutil.copytree(CODE, folder / "user_code", ignore=shutil.ignore_patterns("__pycache__"))
    files = sorted(path.relative_to(folder) for path in (folder / "user_code").glob("*.py"))
    ended = backendcheck("run", *files, "--out", "out", cwd=folder, timeout=900)
    assert ended.exit_code == 3, ended.words  # what is refused is an ERROR
    return folder / "out"


@pytest.fixture(scope="module")
def results(run: Path) -> dict[str, Any]:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return {one["case"]: one for one in report["results"]}


def recorded(run: Path, case: str, backend: str) -> Recording:
    return read_recording(recording_path(run / backend, case))


def paths(run: Path, case: str, backend: str) -> set[str]:
    return {variant.path for variant in recorded(run, case, backend).variants}


def test_every_case_is_accounted_for(results: dict[str, Any]) -> None:
    told = [*AGREE, *(one[0] for one in (*PLANTED, *IN_KERAS, *REFUSED))]
    assert sorted(told) == sorted(results)


@pytest.mark.parametrize("case", AGREE)
def test_code_that_is_the_same_on_all_backends_passes(results: dict[str, Any], case: str) -> None:
    assert results[case]["verdict"] == "PASSED", results[case]["headline"]


@pytest.mark.parametrize(("case", "odd", "oracle", "observation"), [*PLANTED, *IN_KERAS])
def test_what_differs_is_found_and_the_odd_one_out_is_named(
    results: dict[str, Any], case: str, odd: str, oracle: str, observation: str
) -> None:
    result = results[case]
    assert (result["verdict"], result["odd_one_out"]) == ("FAILED", odd), result["headline"]
    assert (oracle, observation) in {(one["oracle"], one["observation"]) for one in result["findings"]}


@pytest.mark.parametrize(("case", "what", "remedy"), REFUSED)
def test_what_cannot_be_observed_is_refused_with_what_to_do(results: dict[str, Any], case: str, what: str, remedy: str) -> None:
    result = results[case]
    assert result["verdict"] == "ERROR"
    assert len(result["problems"]) == 3
    assert all(what in said and remedy in said for said in result["problems"]), result["problems"]


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
class TestRecordings:
    def test_every_observation_starts_from_the_same_state(self, run: Path, backend: str) -> None:
        seen = recorded(run, "state/counter", backend)
        counted = next(one for name, one in seen.observations.items() if name.startswith("predictions"))
        again = next(one for one in seen.variants if one.path == "model(x)").observations["predictions"]
        assert abs(counted.value - again.value).max() < 1e-5
        assert "inference changes sequential/counter/count" in " ".join(seen.notes)
        assert not any("batch_size" in path for path in paths(run, "state/counter", backend))

    def test_the_path_of_an_overridden_step_is_skipped_and_a_note_says_so(self, run: Path, backend: str) -> None:
        notes = {case: " ".join(recorded(run, f"own_steps/{case}", backend).notes) for case in
                 ("train_step", "test_step", "predict_step", "compute_loss")}  # fmt: skip
        assert all(f"the model overrides {case}" in note for case, note in notes.items())
        assert "model(x)" not in paths(run, "own_steps/predict_step", backend)
        assert "losses by name" not in paths(run, "own_steps/compute_loss_beside_a_declared_one", backend)
        assert "fit" not in paths(run, "own_steps/train_step", backend)

    def test_the_result_of_an_overridden_test_step_is_compared_between_backends(self, run: Path, backend: str) -> None:
        seen = recorded(run, "own_steps/test_step", backend).observations
        assert float(seen["metric/loss"].value) != pytest.approx(float(seen["loss"].value), rel=1e-2)

    def test_an_overridden_train_step_is_compared_with_itself(self, run: Path, backend: str) -> None:
        variants = {one.path: one.observations for one in recorded(run, "own_steps/train_step", backend).variants}
        assert {"train/loss", "train/metric/mae", "train/weight/dense/kernel"} <= set(variants["train_on_batch"])

    def test_the_loss_is_checked_on_what_the_model_gave_it_not_on_what_predict_returns(self, run: Path, backend: str) -> None:
        seen = recorded(run, "own_steps/predict_step", backend)
        assert seen.observations["predictions"].value.min() > 0  # probabilities
        assert seen.labels["output"].min() < 0  # logits
        assert "per_example_loss" in seen.reference_values

    @pytest.mark.parametrize(
        ("case", "kind"), [("py_dataset", "PyDataset"), ("tf_data", "tf.data"), ("data_loader", "DataLoader")]
    )
    def test_a_data_set_is_another_path(self, run: Path, backend: str, case: str, kind: str) -> None:
        seen = {one.path: one.observations for one in recorded(run, f"datasets/{case}", backend).variants}
        assert "predictions" in seen[f"predict on {kind}"]
        assert "metric/loss" in seen[f"evaluate on {kind}"]
        assert "train/loss" in seen[f"fit on {kind}"]

    def test_a_data_set_that_shuffles_is_not_compared_with_its_arrays_and_a_note_says_so(self, run: Path, backend: str) -> None:
        assert not any(" on PyDataset" in path for path in paths(run, "datasets/shuffling", backend))
        assert "its batches differ the second time" in " ".join(recorded(run, "datasets/shuffling", backend).notes)

    def test_a_gradient_by_one_output_does_not_go_through_another(self, run: Path, backend: str) -> None:
        seen = recorded(run, "gradients/an_output_without_labels", backend).observations
        assert not seen["gradient/y_pred/first"].value.any()
        assert seen["gradient/y_pred/second"].value.all()
        assert seen["gradient/first/kernel"].value.any()

    @pytest.mark.parametrize("case", ["a_loss_that_ignores_its_prediction", "a_loss_that_stops_its_gradient", "a_loss_of_steps"])
    def test_a_gradient_that_is_proved_to_be_zero_is_zero(self, run: Path, backend: str, case: str) -> None:
        assert not recorded(run, f"gradients/{case}", backend).observations["gradient/y_pred"].value.any()

    @pytest.mark.parametrize(
        ("case", "why"), [
            ("a_loss_in_numpy", "because a tensor becomes a NumPy array on the way"),
            ("switched_off_in_the_loss", "torch took no gradient, although the loss depends on it"),
        ],
    )  # fmt: skip
    def test_a_gradient_that_was_not_taken_is_missing_and_not_zero(self, run: Path, backend: str, case: str, why: str) -> None:
        seen = recorded(run, f"gradients/{case}", backend)
        if backend != ("jax" if case == "a_loss_in_numpy" else "torch"):
            assert case == "a_loss_in_numpy" or seen.observations["gradient/y_pred"].value.all()
        if backend == "torch":
            assert "gradient/y_pred" not in seen.observations
            assert why in " ".join(note for note in seen.notes if note.startswith("gradient/y_pred is missing"))

    def test_predictions_alone_are_compared_on_their_paths_and_a_note_says_so(self, run: Path, backend: str) -> None:
        seen = recorded(run, "subclassed/predictions_only", backend)
        assert set(seen.observations) == {"predictions"} | {name for name in seen.observations if name == "predicted_class"}
        assert {"model(x)", "predict_on_batch", "examples permuted"} <= {one.path for one in seen.variants}
        assert "predictions only: the case has no labels and no loss" in seen.notes

    def test_mixed_precision_is_measured_by_what_computes(self, run: Path, backend: str) -> None:
        seen = {case: recorded(run, f"subclassed/{case}", backend) for case in ("float16_layers", "bfloat16_everywhere")}
        assert seen["float16_layers"].observations["predictions"].precision == "float16"
        assert seen["bfloat16_everywhere"].observations["predictions"].precision == "bfloat16"
