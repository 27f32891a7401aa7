"""What backends do today with wrong labels: what is told is what was recorded, for cases and rules that exist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from behavior_mapping import MAPPING, SHOWN, generator
from front_door import backendcheck

from backendcheck.case_files import builtin_cases, find_case_files
from backendcheck.labels.contract.backend_behavior import facts

__all__ = ["generator"]


def test_recorded_again_it_is_what_the_facts_say(tmp_path: Path, generator: Any) -> None:
    """One that JAX alone trains on, one that PyTorch alone refuses, one that all take, one where TensorFlow alone is right."""
    cases = {
        "labels_in_fit/fit_on_a_label_that_names_no_class[one_past_the_last]",
        "labels_for_another_loss/zero_and_255_for_yes_or_no[binary_crossentropy]",
        "labels_for_another_loss/a_fraction_for_the_loss_of_integers[sparse_categorical_crossentropy]",
        "heads_and_losses/the_activation_is_there_once[activation_and_from_logits-BinaryCrossentropy]",
    }
    files = {file.stem: file for file in find_case_files([str(builtin_cases())])}
    nodes = [f"{files[stem]}::case_{name}" for stem, _, name in (case.partition("/") for case in sorted(cases))]
    done = backendcheck("run", *nodes, "--out", tmp_path / "run", cwd=tmp_path)
    assert done.exit_code == 0, done.words
    run = generator.read_run(tmp_path / "run")
    versions = {of_leg["keras"] for of_leg in run.versions.values()}, {leg: of_leg[leg] for leg, of_leg in run.versions.items()}
    if versions != ({facts()["keras"]}, facts()["versions"]):
        pytest.skip(f"backend_behavior.json is about other versions than Keras {versions[0]} with {versions[1]}")
    entries = [one for rule in MAPPING.values() for one in generator.entries(rule) if one["case"] in cases]
    assert {one["case"] for one in entries} == cases
    for entry in entries:
        seen = json.loads(json.dumps(generator.shown(entry, [run])))
        assert seen in SHOWN, entry["case"]
