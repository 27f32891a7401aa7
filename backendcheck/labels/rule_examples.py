"""For each rule an example that breaks it, and a near miss that is valid. Tests run them, the documentation shows them.

Each is the arguments of `check_labels(…)` as source, with NumPy as ``np``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from backendcheck.labels.check import check_labels
from backendcheck.labels.contract.finding import LabelFinding

_SPARSE, _ONE_HOT = 'loss="sparse_categorical_crossentropy"', 'loss="categorical_crossentropy"'
_BINARY, _HEAD = 'loss="binary_crossentropy"', 'head=(3, "softmax")'

#: By code: the example that breaks the rule, and the near miss.
EXAMPLES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "L101": ('[0.5, np.nan, 2.0], loss="mse"', '[0.5, 1e30, 2.0], loss="mse"'),
    "L102": (f"[0, 1, 2, -1], {_SPARSE}, {_HEAD}", f"[0, 1, 2, 1], {_SPARSE}, {_HEAD}"),
    "L103": (f"[0, 1, 2, 3], {_SPARSE}, {_HEAD}", f"[0, 1, 2, 2], {_SPARSE}, {_HEAD}"),
    "L104": (f"[1, 2, 3, 3], {_SPARSE}, {_HEAD}", f"[1, 2, 0, 2], {_SPARSE}, {_HEAD}"),
    "L105": (f"[0, 2, 3, 0], {_SPARSE}", f"[0, 2, 3, 1], {_SPARSE}"),
    "L106": (
        f'[0, 2, 2, 0], {_SPARSE}, class_names=["cat", "dog", "fox"]',
        f'[0, 2, 1, 0], {_SPARSE}, class_names=["cat", "dog", "fox"]',
    ),
    "L107": (f"[[1, 0, 1], [1, 1, 0], [1, 0, 0]], {_BINARY}", f"[[1, 0, 1], [1, 1, 0], [0, 0, 0]], {_BINARY}"),
    "L108": (f"[0, 1.9, 2], {_SPARSE}, {_HEAD}", f"[0, 1.0, 2], {_SPARSE}, {_HEAD}"),
    "L109": (f"[0, 255, 255, 0], {_BINARY}", f"[0, 1, 1, 0], {_BINARY}"),
    "L110": ('["cat", "dog", "cat"]', '["cat", "dog", "cat"], class_names=["cat", "dog"]'),
    "L111": (f'[1, 1, 1, 1], {_BINARY}, head=(1, "sigmoid")', f'[1, 1, 0, 1], {_BINARY}, head=(1, "sigmoid")'),
    "L201": (f'np.array([0, 1, 2], "uint64"), {_SPARSE}, {_HEAD}', f'np.array([0, 1, 2], "uint8"), {_SPARSE}, {_HEAD}'),
    "L202": ("[0, 1, 1], sample_weight=[1.0, 2.0]", "[0, 1, 1], sample_weight=[1.0, 2.0, 1.0]"),
    "L203": ('[0.1, 0.7, 0.4], loss="mse", head=2', '[0.1, 0.7, 0.4], loss="mse", head=1'),
    "L204": (f"np.eye(4)[[0, 1, 2, 3]], {_ONE_HOT}, {_HEAD}", f"np.eye(3)[[0, 1, 2]], {_ONE_HOT}, {_HEAD}"),
    "L205": (f"[0, 1, 2], {_ONE_HOT}, {_HEAD}", f"[0, 1, 2], {_SPARSE}, {_HEAD}"),
    "L206": (f"np.eye(3)[[0, 1, 2]], {_SPARSE}, {_HEAD}", f"np.eye(3)[[0, 1, 2]], {_ONE_HOT}, {_HEAD}"),
    "L301": (
        f"[[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]], {_ONE_HOT}",
        f"[[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]], {_ONE_HOT}",
    ),
    "L302": (
        f"np.vstack([np.eye(3)[[0, 1, 2] * 9], [[1, 1, 0]]]), {_ONE_HOT}",
        f"np.vstack([np.eye(3)[[0, 1, 2] * 9], [[0.5, 0.5, 0]]]), {_ONE_HOT}",
    ),
    "L303": (f"[[0.9, 0.3, 0], [0.2, 0.8, 0], [0, 0, 1]], {_ONE_HOT}", f"[[0.9, 0.1, 0], [0.2, 0.8, 0], [0, 0, 1]], {_ONE_HOT}"),
    "L401": (
        f"[[1, 1, 0], [0, 1, 1], [0, 0, 1]], {_BINARY}, {_HEAD}",
        f'[[1, 1, 0], [0, 1, 1], [0, 0, 1]], {_BINARY}, head=(3, "sigmoid")',
    ),
    "L402": (f'np.eye(3)[[0, 1, 2] * 9], {_BINARY}, head=(3, "sigmoid")', f"np.eye(3)[[0, 1, 2] * 9], {_ONE_HOT}, {_HEAD}"),
    "L403": (f'[0, 1, 2], {_SPARSE}, head=(3, "linear")', f"[0, 1, 2], {_SPARSE}, {_HEAD}"),
    "L404": (f'[0, 1, 1], {_BINARY}, head=(1, "softmax")', f'[0, 1, 1], {_BINARY}, head=(1, "sigmoid")'),
    "L405": (
        f'[0, 1, 1], {_SPARSE}, head=(2, "softmax"), class_names=["cat", "dog", "fox"]',
        f'[0, 1, 1], {_SPARSE}, head=(2, "softmax"), class_names=["cat", "dog"]',
    ),
    "L406": (f'[-1, 1, 1, -1], {_BINARY}, head=(1, "sigmoid")', '[-1, 1, 1, -1], loss="hinge", head=1'),
    "L407": ('{"stage": [0, 1, 2], "age": [50, 61, 47]}, loss={"stage": "sparse_categorical_crossentropy", "Age": "mse"}',
             '{"stage": [0, 1, 2], "age": [50, 61, 47]}, loss={"stage": "sparse_categorical_crossentropy", "age": "mse"}'),
    "L408": ('[0.5, 12.0, 3.5], loss="mse", head=(1, "sigmoid")', '[0.5, 12.0, 3.5], loss="mse", head=(1, "linear")'),
    "L501": ('[0, 1, 2, 3], class_names=["cat", "dog", "fox"]', '[0, 1, 2, 1], class_names=["cat", "dog", "fox"]'),
    "L502": ('[0, 1, 2], class_names=["cat", "dog", "cat"]', '[0, 1, 2], class_names=["cat", "dog", "cats"]'),
    "L503": ('[0, 1, 2], class_names=["1", "10", "2"]', '[0, 1, 2], class_names=["1", "2", "10"]'),
    "L504": (
        '[0, 1, 2], class_names=["cat", "fox", "dog"], against=["cat", "dog", "fox"]',
        '[0, 1, 2], class_names=["cat", "dog", "fox"], against=["cat", "dog", "fox"]',
    ),
    "L505": ('["cat", "dgo", "dog"], class_names=["cat", "dog"]', '["cat", "dog", "dog"], class_names=["cat", "dog"]'),
    "L601": (
        "[0, 1, 0, 1], x=[[1.5], [2.5], [3.5], [4.5]], validation=([[2.5], [3.5], [5.5]], [1, 0, 1])",
        "[0, 1, 0, 1], x=[[1.5], [2.5], [3.5], [4.5]], validation=([[2.6], [3.6], [5.5]], [1, 0, 1])",
    ),
    "L602": ("[0, 1, 0, 1], x=[[1.5], [2.5], [3.5], [3.5]]", "[0, 1, 1, 1], x=[[1.5], [2.5], [3.5], [3.5]]"),
    "L603": ("[0, 1] * 3, validation=[0, 1, 2, 2]", "[0, 1, 2] * 3, validation=[0, 1, 2, 2]"),
    "L701": ("[0] * 40 + [1] * 3", "[0] * 40 + [1] * 5"),
})  # fmt: skip


def run_example(arguments: str) -> list[LabelFinding]:
    """The findings of `check_labels` for one of `EXAMPLES`."""
    names: dict[str, Any] = {"np": np, "check_labels": check_labels}
    findings: list[LabelFinding] = eval(f"check_labels({arguments})", names)  # noqa: S307 - our own text, from above
    return findings
