"""What a case declares, as the observation uses it: data sets as arrays, options as compiled, reference values, tolerances."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import keras
import numpy as np

from backendcheck.case import AS_COMPILED, FunctionCase, ModelCase, Tolerance
from backendcheck.data.datasets import draw_batches, type_of_dataset
from backendcheck.errors import UsageError
from backendcheck.record.observe.arrays import as_arrays, as_observation
from backendcheck.record.observe.errors import InvalidCase, NotSupported
from backendcheck.record.observe.trace import Trace
from backendcheck.recordings.recording import Raised
from backendcheck.vocabulary.observations import Observation, Quantity, quantity_of

# --- data sets as arrays ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaterializedCase(ModelCase):
    """A model case whose data set was read into arrays, which every oracle needs.

    dataset: the data set itself. The paths oracle uses it as well.
    dataset_type: its type, such as ``tf.data``.
    skip_reason: why the paths oracle leaves the data set out; empty if it does not.
    """

    dataset: Any
    dataset_type: str
    skip_reason: str


def materialized(case: Any) -> Any:
    """The case with arrays as its data, if its data is a data set; else the case itself.

    Raises:
        InvalidCase: if the data set cannot be read, or the case has labels, weights or a batch size as well.
    """
    if not isinstance(case, ModelCase) or isinstance(case, MaterializedCase) or not (dataset_type := type_of_dataset(case.x)):
        return case
    separate = {name: getattr(case, name) for name in ("y", "sample_weight", "batch_size")}
    try:
        batches = draw_batches(case.x, separate)
    except UsageError as error:
        message = f"ModelCase: {error}"
        raise InvalidCase(message) from error
    skip_reason = ""
    if not batches.repeats:
        skip_reason = "its batches differ the second time; give a data set that repeats its batches"
    elif not batches.batch_size:
        skip_reason = "its batches have several sizes; give batches of one size"
    values = {field.name: getattr(case, field.name) for field in fields(case)}
    values |= {"x": batches.x, "y": batches.y, "sample_weight": batches.sample_weight, "batch_size": batches.batch_size or None}
    return MaterializedCase(**values, dataset=case.x, dataset_type=dataset_type, skip_reason=skip_reason)


def missing_library(raised: Iterable[Raised]) -> str:
    """A message if the case needs the library of another backend that is not installed on this leg; else empty."""
    for exception in raised:
        module = re.match(r"No module named '(tensorflow|jax|torch)\b", exception.message)
        if exception.type == "ModuleNotFoundError" and module:
            return (
                f"the case needs {module[1]}, which is not installed here; expected the imports of a case on every backend. "
                f"Install {module[1]} there, or give the data as a keras.utils.PyDataset."
            )
    return ""


_LIBRARY_NEEDED = re.compile(r"(?:\bLayer (\w+) requires|\bThis requires the) (tensorflow|jax|torch)\b", re.IGNORECASE)


def check_libraries(trace: Trace) -> None:
    """Check that Keras had all libraries of other backends that it has asked for. Its layers for text need TensorFlow everywhere.

    Raises:
        NotSupported: naming the layer and the library.
    """
    for exception in trace.raised:
        if (needed := _LIBRARY_NEEDED.search(exception.message)) and not _is_installed(library := needed[2].lower()):
            what = f"the layer {needed[1]}" if needed[1] else "a part of this case"
            trace.raised.clear()
            message = f"{keras.backend.backend()} does not support {what} without {library}, which is not installed there"
            raise NotSupported(message)


def _is_installed(library: str) -> bool:
    try:
        return library in sys.modules or importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):
        return False


# --- options as compiled ---------------------------------------------------------------------------------------

_COMPILED_OPTIONS = ("loss", "loss_weights", "metrics", "weighted_metrics", "optimizer")


def with_compiled_options(case: ModelCase) -> ModelCase:
    """The case with the options of its compiled model in place of ``"as compiled"``.

    With the loss as compiled, the other options that the case leaves out are taken from the model, too. A model with a loss of
    its own may be compiled without one, or not at all.

    Raises:
        InvalidCase: if the loss is to be as compiled, and the model is neither compiled nor has a loss of its own.
    """
    names = as_compiled_options(case)
    if not names:
        return case
    compiled = _compile_arguments(case.model, needed="loss" in names and not has_own_loss(case.model))
    if "loss" in names:
        names += [name for name in _COMPILED_OPTIONS if getattr(case, name) is None]
    options: dict[str, Any] = {name: compiled.get(name) for name in names}
    return replace(case, **options)


def as_compiled_options(case: ModelCase) -> list[str]:
    """The names of the options for which the case says ``"as compiled"``."""
    options = {name: getattr(case, name) for name in _COMPILED_OPTIONS}
    return [name for name, value in options.items() if isinstance(value, str) and value == AS_COMPILED]


def has_own_loss(model: Any) -> bool:
    """Whether the class of a model has a loss of its own: in `compute_loss`, or in `train_step`."""
    return overrides(model, "compute_loss") or overrides(model, "train_step")


def overrides(model: Any, method: str) -> bool:
    """Whether the class of a model overrides this method of `keras.Model`."""
    return getattr(type(model), method, None) is not getattr(keras.Model, method, None)  # none where Keras does not train


def _compile_arguments(model: Any, *, needed: bool) -> Mapping[str, Any]:
    """The arguments of `model.compile`. The optimizer is the object in use, with its state."""
    if not isinstance(model, keras.Model) or not getattr(model, "compiled", False):
        if not needed:
            return {}
        message = (
            "ModelCase: 'as compiled', but the model is not compiled; expected a compiled model. Give a loss. "
            "A saved model has no compile options if it was saved uncompiled, or if its class overrides compile()."
        )
        raise InvalidCase(message)
    # The public get_compile_config() serializes the objects. This attribute holds them, since Keras 3.0.
    config: Mapping[str, Any] = model._compile_config.config  # noqa: SLF001
    return {**config, "optimizer": model.optimizer}


# --- reference values and tolerances ---------------------------------------------------------------------------


def reference_of(case: Any) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The reference values that the case declares, in float64, and the dtypes that it asks for, both by observation.

    Raises:
        InvalidCase: if the function has a parameter that the case does not have, raises, or does not return a dict.
    """
    reference = getattr(case, "reference", None)
    if reference is None:
        return {}, {}
    is_formula = callable(reference)
    if is_formula:
        reference = _call_reference(reference, case)
    if not isinstance(reference, Mapping):
        message = f"reference is {type(reference).__name__}; expected a dict of observation to array, or a function of one."
        raise InvalidCase(message)
    values, dtypes = {}, {}
    for name, value in reference.items():
        recorded = as_observation(value, where=f"reference for {name}")
        is_exact = recorded.is_text or recorded.value.dtype == bool
        values[str(name)] = recorded.value if is_exact else recorded.value.astype(np.float64)
        if _asks_for_dtype(str(name), value, recorded, is_formula=is_formula):
            dtypes[str(name)] = recorded.dtype
    return values, dtypes


def _asks_for_dtype(name: str, value: Any, recorded: Observation, *, is_formula: bool) -> bool:
    """Whether a reference asks for its dtype: an array of whole numbers or bools, or one of another float type than NumPy's own.

    Lists have no dtype. A formula computes in the float type of its inputs, and a model in that of its policy.
    """
    if not isinstance(value, np.ndarray | np.generic | keras.Variable) and not keras.ops.is_tensor(value):
        return False
    if not recorded.is_float:
        return not recorded.is_text  # text is compared as text in any case
    return recorded.dtype != "float64" and not is_formula and quantity_of(name) is Quantity.VALUE


def _call_reference(reference: Callable[..., Any], case: Any) -> Any:
    inputs = {name: as_arrays(value) for name, value in case.named_inputs.items()} if isinstance(case, FunctionCase) else {}
    for name in ("x", "y", "y_true", "y_pred", "sample_weight", "class_weight"):
        if hasattr(case, name):
            inputs[name] = getattr(case, name) if name == "class_weight" else as_arrays(getattr(case, name))
    parameters = inspect.signature(reference).parameters
    unknown = [
        name
        for name, parameter in parameters.items()
        if name not in inputs and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if unknown:
        message = f"reference has unknown parameters {', '.join(unknown)}; expected some of {', '.join(inputs) or 'none'}."
        raise InvalidCase(message)
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    try:
        return reference(**{name: value for name, value in inputs.items() if takes_all or name in parameters})
    except Exception as error:
        message = f"reference raised {type(error).__name__}: {error}. It must work with NumPy arrays only."
        raise InvalidCase(message) from error


def tolerances_of(case: Any) -> dict[str, Tolerance]:
    """The tolerances that the case declares, by observation pattern. A single tolerance applies to all (``*``).

    Raises:
        InvalidCase: if the case declares anything else.
    """
    tolerance = getattr(case, "tolerance", None)
    if tolerance is None:
        return {}
    if isinstance(tolerance, Tolerance):
        return {"*": tolerance}
    if isinstance(tolerance, Mapping) and all(isinstance(value, Tolerance) for value in tolerance.values()):
        return {str(pattern): value for pattern, value in tolerance.items()}
    message = f"tolerance is {tolerance!r}; expected a Tolerance, or a dict of observation pattern to Tolerance."
    raise InvalidCase(message)
