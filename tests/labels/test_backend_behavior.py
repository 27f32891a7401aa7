"""What backends do today with wrong labels: what is told is what was recorded, for cases and rules that exist."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest
from behavior_mapping import MAPPING, SHOWN, generator

from backendcheck.case_files import builtin_cases, case_functions, find_case_files
from backendcheck.labels.contract import backend_behavior as module
from backendcheck.labels.contract.backend_behavior import backend_behavior, facts, speak_of
from backendcheck.labels.contract.rules import RULES
from backendcheck.reference import canonical_name
from backendcheck.vocabulary.backends import Backend

__all__ = ["generator"]


def test_the_facts_are_about_the_cases_that_the_mapping_names(generator: Any) -> None:
    keys = ("case", "given", "losses", "kinds")
    wanted = {code: [{"losses": [], "kinds": [], **one} for one in generator.entries(rule)] for code, rule in MAPPING.items()}
    held = facts()["rules"]
    assert list(held) == sorted(wanted)
    for code, rule in wanted.items():
        assert [[one[key] for key in keys] for one in held[code]] == [[one[key] for key in keys] for one in rule], code


def test_every_case_is_a_built_in_one() -> None:
    functions = {one.id: one.parametrized for file in find_case_files([str(builtin_cases())]) for one in case_functions(file)}
    for case in {one["case"] for one in SHOWN}:
        name, bracket, _ = case.partition("[")
        assert functions[name] == bool(bracket), case


def test_rules_and_losses_are_known_by_these_names() -> None:
    assert set(facts()["rules"]) <= set(RULES)
    assert all(canonical_name(loss) == loss for one in SHOWN for loss in one["losses"])


def test_every_rule_describes_every_backend() -> None:
    for one in SHOWN:
        assert list(one["backends"]) == ["tensorflow", "jax", "torch"], one["case"]
        assert list(facts()["versions"]) == list(one["backends"])


# --- the choice ----------------------------------------------------------------------------------------------------


def test_a_rule_about_data_alone_has_nothing_to_tell() -> None:
    assert backend_behavior("L601") is None


def test_a_loss_without_a_case_does_not_get_that_of_another() -> None:
    assert backend_behavior("L103") is not None
    assert backend_behavior("L103", loss="mse") is None


def test_a_loss_is_known_by_any_of_its_names() -> None:
    by_class, by_function = (
        backend_behavior("L109", loss="BinaryCrossentropy"),
        backend_behavior("L109", loss="binary_crossentropy"),
    )
    assert by_class == by_function is not None
    assert "binary_crossentropy" in by_class.says


def test_cases_of_the_loss_come_before_those_of_any() -> None:
    found = backend_behavior("L101", loss="binary_crossentropy")
    assert found is not None
    assert found.cases == (
        "labels_for_another_loss/a_label_that_is_no_number[binary_crossentropy]",
        "labels_for_another_loss/a_weight_that_is_no_number",
    )


def test_the_kind_chooses() -> None:
    hundred = backend_behavior("L102", loss="sparse_categorical_crossentropy", variant="-100")
    assert hundred is not None
    assert hundred.cases[0] == "labels_in_fit/fit_on_a_label_that_names_no_class[minus_hundred]"


def test_a_variant_without_a_case_gets_only_that_of_any_variant() -> None:
    assert backend_behavior("L201") is not None
    assert backend_behavior("L201", variant="datetime64[s]") is None
    other = backend_behavior("L102", variant="-7")
    assert other is not None
    assert other.says == backend_behavior("L102", variant="-1").says


# --- in words ------------------------------------------------------------------------------------------------------


def told(monkeypatch: pytest.MonkeyPatch, right: str | None, figure: str = "loss", **backends: dict[str, Any]) -> Any:
    """What is said of a rule with one case, made of these facts."""
    one = {
        "case": "a/b", "given": "label 3", "losses": ["mean_squared_error"], "kinds": [], "does": "train on it", "figure": figure,
        "right": right, "backends": backends,
    }  # fmt: skip
    monkeypatch.setattr(module, "facts", lambda: {"keras": "3.15.0", "rules": {"L103": [one]}})
    return backend_behavior("L103")


def trained(figure: str | None, *differs: str, **more: str) -> dict[str, Any]:
    return {"figure": figure, "differs": list(differs), **more}


RAISED = {"raised": "IndexError", "stage": "compute"}


def test_some_raise_and_one_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"raised": "InvalidArgumentError", "stage": "compute"}
    found = told(monkeypatch, "raise", tensorflow=other, jax=trained("0.7324"), torch=RAISED)
    assert found.says == (
        "With Keras 3.15.0, given label 3 under mean_squared_error: "
        "tensorflow and torch raise InvalidArgumentError / IndexError; jax trains on it, loss 0.7324 (a/b)"
    )
    assert found.backends == {
        "tensorflow": "raises InvalidArgumentError", "jax": "trains on it, loss 0.7324", "torch": "raises IndexError",
    }  # fmt: skip


def test_all_do_the_same_and_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, "0.41", **dict.fromkeys(("tensorflow", "jax", "torch"), trained("1.23", "loss")))
    assert "all backends train on it, loss 1.23 where 0.41 is right" in found.says


def test_all_do_the_same_and_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, "1.23", **dict.fromkeys(("tensorflow", "jax", "torch"), trained("1.23")))
    assert "all backends train on it, loss 1.23, right for the labels as they are" in found.says


def test_all_are_right_and_there_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, "other", figure="", **dict.fromkeys(("tensorflow", "jax", "torch"), trained(None)))
    assert found.says.endswith(": all backends train on it (a/b)")


def test_the_loss_is_right_and_the_gradient_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, "1.23", tensorflow=trained("1.23", "gradient", "trained weight"), jax=trained("1.23"), torch=RAISED)
    assert "tensorflow trains on it, loss 1.23, but the gradient and trained weight are wrong" in found.says
    assert "jax trains on it, loss 1.23, which is right" in found.says


def test_weights_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, "raise", tensorflow=trained("NaN", weights="NaN"), jax=RAISED, torch=RAISED)
    assert "tensorflow trains on it, loss NaN, and every weight is NaN after it" in found.says


def test_nothing_says_what_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, None, figure="", tensorflow=trained(None), jax=trained(None), torch=RAISED)
    assert "torch raises IndexError; tensorflow and jax train on it (a/b)" in found.says


# --- recorded again ------------------------------------------------------------------------------------------------


def test_the_backends_of_the_user_are_spoken_of_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    three = {"tensorflow": RAISED, "jax": trained("0.7324"), "torch": RAISED}
    monkeypatch.setattr(Backend, "missing_modules", lambda backend: [] if backend.value == "jax" else [backend.value])
    installed = told(monkeypatch, "raise", **three)
    assert list(installed.backends) == ["jax"]
    assert ": jax trains on it" in installed.says
    asked = contextvars.copy_context()
    asked.run(speak_of, ["torch", "tensorflow"])
    assert list(asked.run(told, monkeypatch, "raise", **three).backends) == ["tensorflow", "torch"]
    monkeypatch.setattr(Backend, "missing_modules", lambda backend: [backend.value])
    assert list(told(monkeypatch, "raise", **three).backends) == list(three)
