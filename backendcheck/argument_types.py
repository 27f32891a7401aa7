"""The types of public arguments, for editors and type checkers.

At run time each is `Any`: a process that imports `backendcheck.case` loads neither NumPy nor Keras for its annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

ClassNames = Sequence[str] | Mapping[str, Sequence[str]]
AsCompiled = Literal["as compiled"]

if TYPE_CHECKING:
    import keras
    import numpy.typing

    ArrayLike: TypeAlias = numpy.typing.ArrayLike
    # An array or tensor, a list of numbers, or a list or dict of them.
    Nest: TypeAlias = ArrayLike | Sequence["Nest"] | Mapping[str, "Nest"]
    DataSet: TypeAlias = keras.utils.PyDataset | Iterable[Any]  # also tf.data.Dataset and torch DataLoader
    Model: TypeAlias = keras.Model
    Loss: TypeAlias = str | keras.losses.Loss | Callable[..., Any]
    Losses: TypeAlias = Loss | Sequence[Loss | None] | Mapping[str, Loss | None]
    LossWeights: TypeAlias = float | Sequence[float] | Mapping[str, float]
    Metric: TypeAlias = str | keras.metrics.Metric | Callable[..., Any]
    Metrics: TypeAlias = Sequence[Metric | Sequence[Metric] | None] | Mapping[str, Metric | Sequence[Metric] | None]
    Optimizer: TypeAlias = str | keras.optimizers.Optimizer
    Reference: TypeAlias = Mapping[str, ArrayLike] | Callable[..., Mapping[str, ArrayLike]]
    HeadArgument: TypeAlias = int | str | tuple[int, str]
    ModelSource: TypeAlias = str | Path | keras.Model | Callable[[], keras.Model]
else:
    ArrayLike = Nest = DataSet = Model = Loss = Losses = LossWeights = Metric = Metrics = Optimizer = Reference = Any
    HeadArgument = ModelSource = Any
