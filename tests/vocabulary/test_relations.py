"""Paths of relations, and what they say when they are broken."""

from __future__ import annotations

from backendcheck.vocabulary.relations import broken, is_relation, path_of, together


def test_a_path_says_which_relation_is_broken_and_for_which_example() -> None:
    path = path_of("example # with weight 0", example=3)
    assert path == "example 3 with weight 0"
    assert broken(path, "loss") == "example 3 with weight 0 still changes loss"
    assert broken(path_of("masked step", "age"), "loss/age") == "a masked step still changes loss/age"
    assert broken(together(["batch twice", "new class"]), "loss") == (
        "loss differs in another form that must have the same value (batch twice; new class)"
    )


def test_a_permutation_is_not_a_relation() -> None:
    assert not any(map(is_relation, ("examples permuted", "classes permuted", "outputs declared in reverse", "evaluate")))
    assert all(map(is_relation, ("one-hot labels (kind_accuracy)", "batch twice", "logits (age (years))")))
