"""How a script computes a value by another path of Keras: with the saved and loaded model, from other data, by other calls."""

from __future__ import annotations

import re

from backendcheck.repro.program import Program, returned_names
from backendcheck.vocabulary.observations import OPTIMIZER_BY_HAND, ObservationName, Quantity

_DEFAULT_BATCH = 32  # of Keras


# --- calls of a model ------------------------------------------------------------------------------------------


def has(program: Program, name: str) -> bool:
    """Whether the source of a program binds `name`."""
    if program.form == "objects":
        return name in program.code or name in program.arrays
    return name in returned_names(program.body)


def weight_of(program: Program) -> str:
    return ", sample_weight=sample_weight" if has(program, "sample_weight") else ""


def with_model(code: str, options: str = "", model: str = "") -> str:
    """`code`, which uses the name ``model``, with a new model."""
    return f"(lambda model: {code})({model or f'compiled({options})'})"


def evaluated(program: Program, call: str = "evaluate") -> str:
    batch = f", batch_size={program.batch_size}" if program.batch_size else ""
    quiet = f"{batch}, verbose=0" if call == "evaluate" else ""
    return f"model.{call}(x, y{weight_of(program)}{quiet}, return_dict=True)"


def fitted(program: Program, epochs: int | None = None) -> str:
    batch = f", batch_size={program.batch_size}" if program.batch_size else ""
    return (
        f"model.fit(x, y{weight_of(program)}{_class_weight(program)}{batch}, "
        f"epochs={epochs or program.epochs}, shuffle=False, verbose=0)"
    )


def _class_weight(program: Program) -> str:
    return ", class_weight=class_weight" if has(program, "class_weight") else ""


def trained(observation: ObservationName) -> str:
    """The variable that an observation of training names."""
    if observation.quantity is Quantity.TRAIN_OPTIMIZER:
        # Keras joins the path of a weight and what is kept for it by underscores.
        joined = re.sub(r"^(inner_optimizer|optimizers/\d+)/", "", observation.rest).replace("/", "_")
        return f"next(v for v in model.optimizer.variables if v.path.endswith({f'/{joined}'!r}))"
    return f"{{v.path: v for v in model.weights}}[{observation.rest!r}]"


# --- paths -----------------------------------------------------------------------------------------------------


_CALLS = re.compile(r"(?:(run_eagerly|jit_compile): )?(test_on_batch|train_on_batch|evaluate)$")
_PREDICTS = {"model(x)": "model(tensors(x), training=False)", "predict_on_batch": "model.predict_on_batch(x)"}
# The model made in another way.
_MODELS = {
    "saved and loaded": "reloaded(compiled())",
    "weights saved and loaded": "with_reloaded_weights(compiled())",
    "saved as HDF5 and loaded": "reloaded(build(), 'model.h5')",
    "made from its config": "from_config(build())",
    "as a functional model": "functional(build())",
    "as a Sequential model": "keras.Sequential(build().layers)",
}
_DATA = {
    "PyDataset": "py_dataset({batches})",
    "tf.data": "tf_data({data}, {size})",
    "tf.data of any batch size": "tf_data({data}, {size})",
    "DataLoader": "data_loader({batches})",
    "generator, steps_per_epoch": "(batch for batch in itertools.cycle({batches})), steps_per_epoch=len({batches})",
}
_ON_DATA = re.compile(r"(evaluate|fit)\((" + "|".join(map(re.escape, sorted(_DATA, key=len, reverse=True))) + r")\)$")


def value_by_path(program: Program, observation: ObservationName, path: str) -> str | None:
    """The expression of an observation by `path`; None if a script cannot compute it."""
    quantity, rest = observation.quantity, observation.rest
    if matched := _CALLS.match(path):
        option, call = matched.groups()
        return with_model(f"{evaluated(program, call)}[{rest or 'loss'!r}]", f"{option}=True" if option else "")
    if path in _MODELS:
        return _of_another_model(program, observation, _MODELS[path])
    if matched := _ON_DATA.match(path):
        return _on_data(program, observation, matched[1], _DATA[matched[2]])
    if quantity is Quantity.PREDICTIONS and path.startswith(("model(x)", "predict_on_batch", "predict(batch_size=")):
        call = _PREDICTS.get(path, f"model.predict(x, {path.removeprefix('predict(').removesuffix(')')}, verbose=0)")
        return with_model(f"named(model, {call})[{rest!r}]" if rest else call)
    if quantity in (Quantity.TRAIN_WEIGHT, Quantity.TRAIN_OPTIMIZER):
        return _trained_by(program, observation, path)
    return None


def _trained_by(program: Program, observation: ObservationName, path: str) -> str | None:
    """A variable after training by other calls."""
    if path == OPTIMIZER_BY_HAND:
        step = "model.optimizer.apply(list(gradients(model).values()), model.trainable_variables)"
        return with_model(f"[{step}, {trained(observation)}][1]")
    if path == "saved after training and loaded" and observation.quantity is Quantity.TRAIN_WEIGHT:
        place = f"[v.path for v in model.weights].index({observation.rest!r})"
        return with_model(f"[{fitted(program)}, reloaded(model).weights[{place}]][1]")
    if path == "train_on_batch for each batch":
        step = f"[model.train_on_batch(*batch{_class_weight(program)}) for batch in {_batches(program)} * {program.epochs}]"
        return with_model(f"[{step}, {trained(observation)}][1]")
    if path.startswith("fit twice") and program.epochs > 1:
        between = ["freeze_and_release(model)"] if "frozen" in path else []
        calls = [fitted(program, program.epochs - 1), *between, fitted(program, 1)]
        return with_model(f"[{', '.join(calls)}, {trained(observation)}][-1]")
    return None


def _of_another_model(program: Program, observation: ObservationName, model: str) -> str | None:
    """A value of the same model, made in another way."""
    quantity, rest = observation.quantity, observation.rest
    if quantity is Quantity.PREDICTIONS:
        call = "model(tensors(x), training=False)"
        return with_model(f"named(model, {call})[{rest!r}]" if rest else call, model=model)
    if not model.endswith("(compiled())"):
        return None
    if quantity is Quantity.METRIC or (quantity is Quantity.LOSS and not rest):
        return with_model(f"{evaluated(program)}[{rest or 'loss'!r}]", model=model)
    if quantity is Quantity.TRAIN_WEIGHT:  # the loaded model may have other paths, and has the same places
        place = f"[v.path for v in build().weights].index({rest!r})"
        return with_model(f"[{fitted(program)}, model.weights[{place}]][1]", model=model)
    return None


def _on_data(program: Program, observation: ObservationName, call: str, kind: str) -> str:
    """A value of `evaluate` or `fit` on another kind of data."""
    quantity, rest = observation.quantity, observation.rest
    data = kind.format(batches=_batches(program), data=_data(program), size=program.batch_size or _DEFAULT_BATCH)
    if call == "evaluate":
        return with_model(f"model.evaluate({data}, verbose=0, return_dict=True)[{rest or 'loss'!r}]")
    fit = f"model.fit({data}{_class_weight(program)}, epochs={program.epochs}, shuffle=False, verbose=0)"
    if quantity in (Quantity.TRAIN_LOSS, Quantity.TRAIN_METRIC):
        return with_model(f"{fit}.history[{rest or 'loss'!r}]")
    return with_model(f"[{fit}, {trained(observation)}][1]")


def _data(program: Program) -> str:
    return "(x, y, sample_weight)" if has(program, "sample_weight") else "(x, y)"


def _batches(program: Program) -> str:
    return f"batches({_data(program)}, {program.batch_size or _DEFAULT_BATCH})"
