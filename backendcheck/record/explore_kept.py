"""Programs of situations that are kept: the next situation with the same program has its model, as it was when it was built.

Tracing and compiling a model takes ten times as long as running it. Situations with the same source, shapes and types differ
only in numbers, so they can share a program. Weights, optimizer and metrics are set back before each use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

_MOST = 8  # programs; one of TensorFlow takes up to 10 MiB
# A loaded model is another one each time, and what is saved might show that a model was in use before.
_NEVER_SHARED = ("save-load",)


class _Model:
    """The model of a program: built once, and then as if it were new."""

    def __init__(self, build: Any) -> None:
        self._build = build
        self._model: Any = None
        self._slots: list[np.ndarray] = []

    def __call__(self) -> Any:
        """The model. The program itself sets the weights."""
        if self._model is None:
            self._model = self._build()
        else:
            self._set_back()
        return self._model

    def _set_back(self) -> None:
        model, optimizer = self._model, getattr(self._model, "optimizer", None)  # none where nothing is compiled
        model.reset_metrics()
        if optimizer is None or not optimizer.built:
            return
        if not self._slots:
            new = type(optimizer).from_config(optimizer.get_config())
            new.build(model.trainable_variables)
            self._slots = [np.array(variable) for variable in new.variables]
        for variable, value in zip(optimizer.variables, self._slots, strict=True):
            variable.assign(value)


class Programs:
    """The programs that ran last, by what has to be the same for two situations to share one."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.n_new = 0  # made since all were forgotten

    def has(self, request: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bool:
        """Whether the program of a request is kept."""
        return "source" in request and _key(request, arrays) in self._kept

    def functions(self, request: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The names that the source of a request defines, with these arrays."""
        key = _key(request, arrays)
        functions = self._kept.pop(key, None)
        if functions is None:
            self.n_new += 1
            functions = dict(arrays)
            exec(compile(request["source"], "situation", "exec"), functions)  # noqa: S102 - the parent has written it
            if "build" in functions and _is_of_keras(request):
                functions["build"] = _Model(functions["build"])
        functions.update(arrays)
        if _is_of_keras(request) and request["path"] not in _NEVER_SHARED:
            self._kept[key] = functions
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return functions

    def forget(self, request: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Forget the program of a request, as after an error, which may leave a model in any state."""
        self._kept.pop(_key(request, arrays), None)

    def forget_all(self) -> None:
        """Forget every program."""
        self._kept.clear()
        self.n_new = 0


def _is_of_keras(request: Mapping[str, Any]) -> bool:
    """Whether nothing but Keras runs. A loss of your own may have a state that cannot be set back."""
    return str(request["target"]).startswith("keras.")


def _key(request: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    return repr((request["source"], [(name, array.dtype.str, array.shape) for name, array in arrays.items()]))
