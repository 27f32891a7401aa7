"""A metric with its batches in, its right value out: float64 NumPy from documented definitions.

The formulas are those of the docstrings in ``keras.metrics`` and of the works that they name. A metric is that of all examples of
all batches, because a mean of the means of batches is another number. Where the documentation gives no answer (scores that
tie, a prediction on a threshold, a label that is not a class), `NoReference` is raised.

    spec = MetricSpec(name="Precision", options={"thresholds": 0.5})
    metric(spec, [Batch(y_true=[0, 1, 1], y_pred=[0.7, 0.8, 0.2])])
"""

from backendcheck.reference.metrics.batches import Batch
from backendcheck.reference.metrics.evaluate import MetricSpec, accuracy_for, covered_metrics, metric

__all__ = ["Batch", "MetricSpec", "accuracy_for", "covered_metrics", "metric"]
