"""Models that are classes, with several inputs, masks and precisions."""

import keras
import numpy as np
from keras import ops

from backendcheck import ModelCase


class Classifier(keras.Model):
    """Built by its first call."""

    def __init__(self, rate=0.0):
        super().__init__()
        self.hidden = keras.layers.Dense(6, activation="relu")
        self.dropout = keras.layers.Dropout(rate)
        self.head = keras.layers.Dense(3, activation="softmax")

    def call(self, x, training=False):
        return self.head(self.dropout(self.hidden(x), training=training))


class FunctionalInside(keras.Model):
    def __init__(self, n_classes):
        inputs = keras.Input((5,), name="features")
        super().__init__(inputs, keras.layers.Dense(n_classes, activation="softmax", name="classes")(inputs))
        self.n_classes = n_classes


class Gated(keras.Model):
    """Takes two arrays, as a pair or by name."""

    def __init__(self, swap_on=""):
        super().__init__()
        self.left, self.right, self.head = (keras.layers.Dense(n) for n in (4, 4, 2))
        self.swaps = keras.backend.backend() == swap_on

    def call(self, inputs):
        left, right = (inputs["left"], inputs["right"]) if isinstance(inputs, dict) else inputs
        left, right = (right, left) if self.swaps else (left, right)
        return self.head(ops.tanh(self.left(left)) * self.right(right))


class NonZeroSteps(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def call(self, x):
        return 2 * x

    def compute_mask(self, x, mask=None):
        return ops.any(ops.not_equal(x, 0), axis=-1)


class MaskedMean(keras.layers.Layer):
    def call(self, x, mask=None):
        weight = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        return ops.sum(x * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1)


def features(rng):
    return rng.normal(size=(12, 5)).astype("float32")


def classes(rng, n=12):
    return rng.integers(0, 3, n)


def ragged(rng, n=8):
    return [rng.normal(size=(int(length), 3)) for length in rng.integers(1, 6, n)]


SPARSE = "sparse_categorical_crossentropy"


def case_lazily_built(rng):
    return ModelCase(Classifier(), SPARSE, features(rng), classes(rng), metrics=["accuracy"])


def case_with_dropout(rng):
    return ModelCase(Classifier(0.5), SPARSE, features(rng), classes(rng))


def case_functional_inside(rng):
    return ModelCase(FunctionalInside(3), SPARSE, features(rng), classes(rng))


def case_two_inputs(rng):
    return ModelCase(Gated(), "mse", [features(rng), features(rng)], rng.normal(size=(12, 2)))


def case_inputs_by_name(rng):
    return ModelCase(Gated(), "mse", {"right": features(rng), "left": features(rng)}, rng.normal(size=(12, 2)))


def case_quantized(rng):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")])
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    model.quantize("int8")
    return ModelCase(model, SPARSE, features(rng), classes(rng), weights="as built")


def case_averaged_weights(rng):
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    return ModelCase(Classifier(), SPARSE, features(rng), classes(rng), optimizer=optimizer, epochs=3)


def case_weights_and_a_class_that_is_ignored(rng):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    weights = rng.uniform(0.5, 1.5, 12).astype("float32")
    return ModelCase(model, loss, features(rng), classes(rng), sample_weight=weights, optimizer=keras.optimizers.SGD(1.0))


def case_masked_embedding(rng):
    words = rng.integers(1, 9, (8, 6))
    words[np.arange(6)[None] >= rng.integers(1, 7, 8)[:, None]] = 0
    layers = [keras.layers.Embedding(9, 4, mask_zero=True), keras.layers.LSTM(5), keras.layers.Dense(3, "softmax")]
    return ModelCase(keras.Sequential([keras.Input((6,), dtype="int32"), *layers]), SPARSE, words, classes(rng, 8))


def case_words_that_repeat(rng):
    layers = [keras.layers.Embedding(9, 4), keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3, "softmax")]
    return ModelCase(
        keras.Sequential([keras.Input((6,), dtype="int32"), *layers]), SPARSE, rng.integers(0, 9, (8, 6)), classes(rng, 8),
        optimizer=keras.optimizers.RMSprop(0.05), epochs=2, batch_size=4,
    )  # fmt: skip


def case_ragged_padded(rng):
    steps = keras.utils.pad_sequences(ragged(rng), maxlen=6, dtype="float32", padding="post")
    layers = [keras.layers.Masking(), keras.layers.SimpleRNN(4), keras.layers.Dense(2)]
    return ModelCase(keras.Sequential([keras.Input((6, 3)), *layers]), "mse", steps, rng.normal(size=(8, 2)))


def case_own_mask(rng):
    steps = keras.utils.pad_sequences(ragged(rng), maxlen=6, dtype="float32", padding="post")
    layers = [NonZeroSteps(), MaskedMean(), keras.layers.Dense(2)]
    return ModelCase(keras.Sequential([keras.Input((6, 3)), *layers]), "mse", steps, rng.normal(size=(8, 2)))


def case_ragged_as_it_is(rng):
    layers = [keras.layers.SimpleRNN(4), keras.layers.Dense(2)]
    return ModelCase(keras.Sequential([keras.Input((None, 3)), *layers]), "mse", ragged(rng), rng.normal(size=(8, 2)))


def case_predictions_only(rng):
    return ModelCase(Classifier(), None, features(rng))


def case_planted_in_the_inputs(rng):
    return ModelCase(Gated(swap_on="torch"), None, [features(rng), features(rng)])


def in_precision(policy=None):
    hidden, head = keras.layers.Dense(8, "relu", dtype=policy), keras.layers.Dense(3, dtype=policy)
    return keras.Sequential([keras.Input((5,)), hidden, head, keras.layers.Activation("softmax", dtype="float32")])


def case_float16_layers(rng):
    return ModelCase(in_precision("mixed_float16"), SPARSE, features(rng), classes(rng), metrics=["accuracy"])


def case_bfloat16_everywhere(rng):
    keras.config.set_dtype_policy("mixed_bfloat16")
    return ModelCase(in_precision(), SPARSE, features(rng), classes(rng))


def case_loss_scaling(rng):
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01))
    return ModelCase(in_precision(), SPARSE, features(rng), classes(rng), optimizer=optimizer, epochs=2)


def case_policy_is_put_back():
    return {"policy": keras.config.dtype_policy().name}
