"""From the name of a class to its index, and back.

What goes wrong in practice: a misspelled name gets the default of a mapping and becomes class 0. `StringLookup`
reserves index 0 for unknown names by default, which moves every class by one. Classes of equal frequency exchange
their indices. And "10" sorts before "2".
"""

import tempfile

import keras
import numpy as np
import pytest

from backendcheck import Raises, ValueCase

ANIMALS = ["fox", "cat", "dog"]


def case_a_name_the_dict_does_not_know():
    """A name that is not in the mapping stops the pipeline, as in every plain dict.

    Scenario: L1
    """
    index_of = {name: index for index, name in enumerate(ANIMALS)}
    return ValueCase(lambda: {"labels": [index_of[name] for name in ["fox", "wolf"]]}, expect=Raises())


def case_a_name_that_falls_back_to_the_first_class():
    """As people write it: with `dict.get(name, 0)` a wolf becomes a fox, and no later step can detect it.

    Scenario: L1
    """
    index_of = {name: index for index, name in enumerate(ANIMALS)}

    def compute():
        labels = [index_of.get(name, 0) for name in ["fox", "wolf", "dog"]]
        return {"one_hot": keras.utils.to_categorical(labels, 3)}

    return ValueCase(compute, reference={"value/one_hot": np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 1.0]])})


def case_a_lookup_with_a_slot_for_unknown_names():
    """By default `StringLookup` reserves index 0 for unknown names, so the classes are 1 … C.

    Scenario: L1
    """

    def compute():
        lookup = keras.layers.StringLookup(vocabulary=ANIMALS)
        return {"labels": lookup(np.array(["fox", "wolf", "dog"])), "vocabulary": list(lookup.get_vocabulary())}

    return ValueCase(compute, reference={"value/labels": np.array([1, 0, 3])})


def case_a_lookup_without_a_slot_for_unknown_names():
    """With `num_oov_indices=0` a `StringLookup` refuses an unknown name.

    Scenario: L1
    """

    def compute():
        lookup = keras.layers.StringLookup(vocabulary=ANIMALS, num_oov_indices=0)
        return {"labels": lookup(np.array(["fox", "wolf", "dog"]))}

    return ValueCase(compute, expect=Raises())


def case_names_in_the_declared_order():
    """With `num_oov_indices=0` the index of a class is its position in the vocabulary, and one-hot labels have width C.

    Scenario: L3
    """

    def compute():
        lookup = keras.layers.StringLookup(vocabulary=ANIMALS, num_oov_indices=0)
        one_hot = keras.layers.StringLookup(vocabulary=ANIMALS, num_oov_indices=0, output_mode="one_hot")
        names = np.array(["dog", "fox", "cat", "fox"])
        return {"labels": lookup(names), "one_hot": one_hot(names)}

    return ValueCase(
        compute,
        reference={"value/labels": np.array([2, 0, 1, 0]), "value/one_hot": np.eye(3)[[2, 0, 1, 0]]},
    )


@pytest.mark.parametrize("max_tokens", [None, 4], ids=["all", "at_most_four"])
def case_the_order_of_an_adapted_vocabulary(max_tokens):
    """An adapted vocabulary is sorted by frequency, and names of equal frequency in reverse alphabetical order.

    The class map is compared name by name.

    Scenario: L3
    """
    lookup = keras.layers.StringLookup(max_tokens=max_tokens)
    lookup.adapt(np.array(["dog", "ant", "dog", "fox", "ant", "bee", "cow", "bee"]))  # dog, ant and bee twice
    names = np.array(["ant", "bee", "cow", "dog", "fox"])
    return {"vocabulary": [str(name) for name in lookup.get_vocabulary()], "labels": lookup(names)}


def case_integer_classes_with_gaps():
    """`IntegerLookup` maps class ids 10, 30 and 20 to 1, 2 and 3 in the declared order, unknown ids to 0, and back.

    Scenario: L3
    """

    def compute():
        lookup = keras.layers.IntegerLookup(vocabulary=[10, 30, 20])
        back = keras.layers.IntegerLookup(vocabulary=[10, 30, 20], invert=True)
        return {"labels": lookup(np.array([30, 99, 10, 20])), "class_ids": back(np.array([2, 0, 1, 3]))}

    return ValueCase(
        compute,
        reference={"value/labels": np.array([2, 0, 1, 3]), "value/class_ids": np.array([30, -1, 10, 20])},
    )


def case_from_the_index_back_to_the_name():
    """`StringLookup(invert=True)` returns the names of the classes.

    Scenario: L3
    """

    def compute():
        lookup = keras.layers.StringLookup(vocabulary=ANIMALS, num_oov_indices=0, invert=True)
        return {"names": as_text(lookup(np.array([2, 0, 1])))}

    return ValueCase(compute)


def case_from_indices_by_step_back_to_the_names():
    """`StringLookup(invert=True)` returns the name of each step (N, T), in the shape of the indices."""

    def compute():
        lookup = keras.layers.StringLookup(vocabulary=ANIMALS, num_oov_indices=0, invert=True)
        return {"names": as_text(lookup(np.array([[2, 0], [1, 1]])))}

    return ValueCase(compute)


def case_several_names_as_multi_hot_labels():
    """Multi-hot labels have column 0 for unknown names; a repeated name counts once.

    Scenario: L3
    """
    tags = np.array([["fox", "dog"], ["cat", "cat"], ["wolf", "cat"]])

    def compute():
        lookup = keras.layers.StringLookup(vocabulary=ANIMALS, output_mode="multi_hot")
        return {"labels": lookup(tags)}

    return ValueCase(compute, reference={"value/labels": np.array([[0, 1, 0, 1], [0, 0, 1, 0], [1, 0, 1, 0]])})


def case_numbers_as_names():
    """Classes 1, 2 and 10 adapted as text have the order "2", "10", "1", because text sorts "10" before "2".

    Scenario: L4
    """
    as_strings = keras.layers.StringLookup(num_oov_indices=0)
    as_strings.adapt(np.array(["1", "2", "10"]))
    as_numbers = keras.layers.IntegerLookup(num_oov_indices=0)
    as_numbers.adapt(np.array([1, 2, 10]))
    return {
        "text_order": [str(name) for name in as_strings.get_vocabulary()],
        "number_order": np.array([int(number) for number in as_numbers.get_vocabulary()]),
        "text_labels": as_strings(np.array(["1", "2", "10"])),
        "number_labels": as_numbers(np.array([1, 2, 10])),
    }


def as_text(names):
    """A list of str, whether the layer returned a list or a tensor of bytes."""
    if hasattr(names, "numpy"):
        names = names.numpy()
    return [name.decode() if isinstance(name, bytes) else str(name) for name in np.ravel(names)]


def case_a_class_name_with_a_line_break():
    """The vocabulary that `StringLookup` has adapted to is the same after it was saved and loaded."""

    def compute():
        lookup = keras.layers.StringLookup()
        lookup.adapt(np.array(["New\nYork", "Rome", "Rome"]))
        with tempfile.TemporaryDirectory() as folder:
            lookup.save_assets(folder)
            loaded = keras.layers.StringLookup()
            loaded.load_assets(folder)
        return {"n_classes": np.array([lookup.vocabulary_size(), loaded.vocabulary_size()])}

    return ValueCase(compute, reference={"value/n_classes": np.array([3, 3])})
