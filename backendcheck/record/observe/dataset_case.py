"""A model case whose data is a data set: its batches drawn into arrays, which every oracle needs, beside the data set itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from backendcheck.case import ModelCase
from backendcheck.data.datasets import draw_batches, kind_of_dataset
from backendcheck.errors import UsageError
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.recordings.recording import Raised


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnCase(ModelCase):
    """The case with arrays in place of `dataset`; `shut` is why the data set is not held against them, empty if it is."""

    dataset: Any
    kind: str
    shut: str


def drawn(case: Any) -> Any:
    """The case, with arrays as its data if that is a data set.

    Raises:
        InvalidCase: if the data set cannot be drawn, or the case has labels, weights or a batch size beside it.
    """
    if not isinstance(case, ModelCase) or isinstance(case, DrawnCase) or not (kind := kind_of_dataset(case.x)):
        return case
    beside = {name: getattr(case, name) for name in ("y", "sample_weight", "batch_size")}
    try:
        batches = draw_batches(case.x, beside)
    except UsageError as error:
        message = f"ModelCase: {error}"
        raise InvalidCase(message) from error
    shut = ""
    if not batches.repeats:
        shut = "it gives other batches the second time; one that repeats them can be"
    elif not batches.batch_size:
        shut = "its batches are of several sizes; batches of one size can be"
    given = {field.name: getattr(case, field.name) for field in fields(case)}
    given |= {"x": batches.x, "y": batches.y, "sample_weight": batches.sample_weight, "batch_size": batches.batch_size or None}
    return DrawnCase(**given, dataset=case.x, kind=kind, shut=shut)


def missing_library(raised: Iterable[Raised]) -> str:
    """What to say where a case needs the library of another backend, for its data, say, and this leg is without; else empty."""
    for one in raised:
        found = re.match(r"No module named '(tensorflow|jax|torch)\b", one.message)
        if one.type == "ModuleNotFoundError" and found:
            return (
                f"the case needs {found[1]}, which is not installed here; expected what a case imports beside every backend. "
                f"Install {found[1]} there, or give the data as a keras.utils.PyDataset."
            )
    return ""
