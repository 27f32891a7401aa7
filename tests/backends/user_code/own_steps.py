"""Steps of one's own. Keras has no one way to write a training step, so there is a branch for each backend."""

import keras
from keras import ops

from backendcheck import ModelCase


class Penalised(keras.Model):
    """Trains with a penalty on large predictions, as the guides of Keras write such a step."""

    rate = 0.01

    def total(self, x, y, y_pred):
        return self.compute_loss(x=x, y=y, y_pred=y_pred) + self.rate * ops.mean(ops.square(y_pred))

    def train_step(self, *args):
        step = {"tensorflow": self.step_of_tensorflow, "jax": self.step_of_jax, "torch": self.step_of_torch}
        return step[keras.backend.backend()](*args)

    def figures(self, loss, y, y_pred):
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}

    def step_of_tensorflow(self, data):
        import tensorflow as tf

        x, y = data[:2]
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.total(x, y, y_pred)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.figures(loss, y, y_pred)

    def step_of_torch(self, data):
        import torch

        x, y = data[:2]
        self.zero_grad()
        y_pred = self(x, training=True)
        loss = self.total(x, y, y_pred)
        loss.backward()
        with torch.no_grad():
            self.optimizer.apply([one.value.grad for one in self.trainable_weights], self.trainable_weights)
        return self.figures(loss, y, y_pred)

    def step_of_jax(self, state, data):
        import jax

        trained, others, of_optimizer, of_metrics = state
        x, y = data[:2]

        def total(trained, others):
            y_pred, others = self.stateless_call(trained, others, x, training=True)
            return self.total(x, y, y_pred), (y_pred, others)

        (loss, (y_pred, others)), gradients = jax.value_and_grad(total, has_aux=True)(trained, others)
        trained, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, trained)
        figures, left = {}, []
        for metric in self.metrics:
            before = of_metrics[len(left) : len(left) + len(metric.variables)]
            seen = (loss,) if metric.name == "loss" else (y, y_pred)
            after = metric.stateless_update_state(before, *seen)
            figures[metric.name] = metric.stateless_result(after)
            left += after
        return figures, (trained, others, of_optimizer, left)


class MoreOnTorch(Penalised):
    @property
    def rate(self):
        return 0.5 if keras.backend.backend() == "torch" else 0.01


class TestedByHand(keras.Model):
    def test_step(self, *args):
        data, on_jax = args[-1], keras.backend.backend() == "jax"
        x, y = data[:2]
        if on_jax:
            (trained, others, of_metrics) = args[0]
            y_pred, others = self.stateless_call(trained, others, x, training=False)
        else:
            y_pred = self(x, training=False)
        loss = ops.mean(ops.abs(ops.subtract(y, y_pred)))
        (tracker,) = (metric for metric in self.metrics if metric.name == "loss")
        if on_jax:
            of_tracker = tracker.stateless_update_state(of_metrics[: len(tracker.variables)], loss)
            left = [*of_tracker, *of_metrics[len(tracker.variables) :]]
            return {"loss": tracker.stateless_result(of_tracker)}, (trained, others, left)
        tracker.update_state(loss)
        return {"loss": tracker.result()}


class AsProbabilities(keras.Model):
    """Trains on logits, predicts probabilities."""

    def predict_step(self, *args):
        x = args[-1][0] if isinstance(args[-1], tuple) else args[-1]
        if keras.backend.backend() == "jax":
            y_pred, others = self.stateless_call(*args[0], x, training=False)
            return ops.sigmoid(y_pred), others
        return ops.sigmoid(self(x, training=False))


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(ops.subtract(y, y_pred))) + 0.1 * ops.mean(ops.abs(ops.convert_to_tensor(x)))


class LabelsMinusPredictions(keras.Model):
    """Trusts that labels come as tensors."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean((y - y_pred) ** 2)


class TwiceOnTorch(OwnLoss):
    def compute_loss(self, *args, **options):
        return super().compute_loss(*args, **options) * (2 if keras.backend.backend() == "torch" else 1)


class Autoencoder(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(ops.subtract(x, y_pred)))


def regressor(model_class, n_outputs=2):
    inputs = keras.Input((5,))
    return model_class(inputs, keras.layers.Dense(n_outputs)(keras.layers.Dense(4, "tanh")(inputs)))


LABELS = [[1, 0], [0, 0], [1, 1]] * 4


def data(rng):
    return rng.normal(size=(12, 5)).astype("float32"), rng.normal(size=(12, 2)).astype("float32")


def case_train_step(rng):
    return ModelCase(regressor(Penalised), "mse", *data(rng), metrics=[keras.metrics.MeanAbsoluteError(name="mae")])


def case_train_step_in_batches(rng):
    return ModelCase(regressor(Penalised), "mse", *data(rng), batch_size=5, epochs=2, optimizer="adam")


def case_test_step(rng):
    return ModelCase(regressor(TestedByHand), "mse", *data(rng))


def case_predict_step(rng):
    return ModelCase(regressor(AsProbabilities), keras.losses.BinaryCrossentropy(from_logits=True), data(rng)[0], LABELS)


def case_compute_loss(rng):
    return ModelCase(regressor(OwnLoss), None, *data(rng))


def case_compute_loss_beside_a_declared_one(rng):
    return ModelCase(regressor(OwnLoss), "mse", *data(rng))


def case_labels_are_tensors(rng):
    return ModelCase(regressor(LabelsMinusPredictions), None, *data(rng))


def case_loss_without_labels(rng):
    return ModelCase(regressor(Autoencoder, 5), None, data(rng)[0])


def case_planted_in_train_step(rng):
    return ModelCase(regressor(MoreOnTorch), "mse", *data(rng))


def case_planted_in_compute_loss(rng):
    return ModelCase(regressor(TwiceOnTorch), None, *data(rng))
