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


def case_weights_of_two_circle_losses():
    """`compute_loss` of two equal outputs with `Circle` and the same weights of examples is twice the loss of one."""
    people = np.array([1, 0, 0], dtype="int32")
    embeddings = np.array([[-0.25, -0.97], [0.0, -1.0], [-0.72, 0.7]], dtype="float32")
    weights = np.array([0.84, 0.92, 0.57], dtype="float32")

    def compute():
        inputs = keras.Input((2,))
        model = keras.Model(inputs, [inputs, keras.layers.Identity(name="again")(inputs)])
        loss = keras.losses.Circle()
        model.compile(loss=[loss, loss])
        shared = keras.ops.convert_to_tensor(weights)
        total = model.compute_loss(embeddings, [people, people], [embeddings, embeddings], sample_weight=shared)
        return {"both": total / loss(people, embeddings, sample_weight=weights)}

    return ValueCase(compute, reference={"value/both": 2.0})


class Batch(keras.utils.PyDataset):
    """One batch of classes (N,), two outputs and one array of weights."""

    def __init__(self, label):
        super().__init__()
        self.label = label

    def __len__(self):
        return 1

    def __getitem__(self, number):
        labels = np.array([self.label, 0], dtype="int32")
        x, weights = np.array([[-0.3, -1.1], [0.0, -2.1]], dtype="float32"), np.array([0.84, 0.92], dtype="float32")
        return x, (labels, labels), weights


def case_weights_of_two_outputs_with_an_ignored_class_in_a_data_set():
    """Two outputs with an ignored class and the same weights of examples train from a data set."""
    inputs = keras.Input((2,))
    layers = [keras.layers.Dense(2, kernel_initializer="ones", activation="softmax", name=name) for name in ("first", "second")]
    model = keras.Model(inputs, [layer(inputs) for layer in layers])
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)

    def compute():
        model.compile(keras.optimizers.SGD(0.1), loss=[loss, loss])
        return {"loss": np.array(model.fit(Batch(-1), shuffle=False, verbose=0).history["loss"])}

    return ValueCase(compute)
