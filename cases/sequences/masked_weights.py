"""Sample weights of models with a mask: a weight for each sentence, or for each word, where some words are padding."""

import keras
import numpy as np
import pytest

from backendcheck import ModelCase, ValueCase

WORDS = np.array([[3, 1, 0, 0], [2, 4, 1, 0], [1, 0, 0, 0], [1, 2, 3, 4]], "int32")  # 0 is padding
TAGS = np.array([[1, 0, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0], [2, 2, 1, 0]], "int32")
WEIGHTS = {
    "sentence": np.array([[1.0], [0.5], [2.0], [4.0]], "float32"),
    "word": np.array([[1, 0.5, 1, 1], [2, 1, 0.25, 1], [0.5, 1, 1, 1], [1, 2, 1, 4]], "float32"),
}


@pytest.mark.parametrize("weight", WEIGHTS)
def case_weights_of_padded_words(rng, weight):
    """A tagger learns from sentences or words with weights, and its padding does not count.

    Scenario: E5
    """
    inputs = keras.Input((4,), dtype="int32", name="words")
    embedded = keras.layers.Embedding(5, 3, mask_zero=True, name="embedding")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="tag")(embedded))
    model.set_weights([rng.normal(size=variable.shape) for variable in model.weights])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return ModelCase(model=model, loss=loss, x=WORDS, y=TAGS, sample_weight=WEIGHTS[weight])


class Sentences(keras.utils.PyDataset):
    """One batch of all sentences, with one array of weights for both outputs."""

    def __len__(self):
        return 1

    def __getitem__(self, number):
        tags = TAGS[..., None].astype("float32")
        return WORDS, (tags, tags), WEIGHTS["word"]


def case_weights_of_two_masked_outputs():
    """Two outputs with the same padding and the same weights of words train on the same loss."""
    inputs = keras.Input((4,), dtype="int32", name="words")
    scores = keras.layers.Embedding(5, 1, mask_zero=True, name="score")(inputs)
    model = keras.Model(inputs, [scores, keras.layers.Activation("linear", name="again")(scores)])

    def compute():
        model.compile(keras.optimizers.SGD(0.1), loss=["mean_squared_error", "mean_squared_error"])
        model.set_weights([np.array([[0.0], [0.5], [1.0], [1.5], [2.0]])])
        model.fit(Sentences(), verbose=0)
        return {"scores": model.get_weights()[0]}

    return ValueCase(compute)


def case_weights_of_two_outputs_with_an_ignored_tag():
    """`compute_loss` of two equal outputs with the same weights of words is twice the loss of one, where a tag is ignored."""
    tags, scores = TAGS[:2], np.arange(24, dtype="float32").reshape(2, 4, 3) / 24

    def compute():
        inputs = keras.Input((4, 3))
        model = keras.Model(inputs, [inputs, keras.layers.Identity(name="again")(inputs)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
        model.compile(loss=[loss, loss])
        weights = keras.ops.convert_to_tensor(WEIGHTS["word"][:2])
        total = model.compute_loss(scores, [tags, tags], [scores, scores], sample_weight=weights)
        return {"both": total / loss(tags, scores, sample_weight=WEIGHTS["word"][:2])}

    return ValueCase(compute, reference={"value/both": 2.0})
