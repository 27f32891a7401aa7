"""The targets of a search: those that are named, or all of Keras.

A name is a loss or a metric of Keras or of one's own, with arguments behind it: ``package.losses:Focal(gamma=2.0)``. A package
stands for all that it defines, a model file or a case file for the losses and metrics that it declares.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backendcheck.errors import UsageError
from backendcheck.explore.judging import request_of
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.label_targets import keras_label_targets
from backendcheck.explore.legs import Legs
from backendcheck.explore.neighbors import is_file, targets_of_file
from backendcheck.explore.predict_program import keras_model_targets
from backendcheck.explore.targets import Form, Target, own_target, probe
from backendcheck.recordings.recording import Recording

_EXPECTED = "Expected a loss, a metric or a function of (y_true, y_pred), as package.module:Name, or a package of them."


def all_targets() -> tuple[Target, ...]:
    """Keras's losses and metrics, its layers and functions for labels, and a model that predicts."""
    return (*keras_targets(), *keras_label_targets(), *keras_model_targets())


def targets_on(legs: Legs, names: Sequence[str], notes: list[str]) -> list[Target]:
    """The targets of a search: those named, or all of Keras that the installed versions have. `notes` says what is left out.

    Raises:
        UsageError: if a name is not one of a target, or it takes none of the labels that it is probed with.
    """
    if not names:
        return [target for target in all_targets() if _is_present(legs, target, notes)]
    of_keras = {target.name: target for target in all_targets()}
    targets: list[Target] = []
    for name in names:
        if is_file(name):
            targets += [target for target in targets_of_file(name, legs.names[0], notes) if _is_present(legs, target, notes)]
            continue
        plain, arguments = split_arguments(name)
        targets += [_of_keras(legs, of_keras[plain], arguments)] if plain in of_keras else _own(legs, plain, arguments, notes)
    if alike := {target.name for target in targets if sum(target.name == each.name for each in targets) > 1}:
        message = f"{', '.join(sorted(alike))}: is named twice; expected each target once. Explore the others into another --out."
        raise UsageError(message)
    return targets


def split_arguments(name: str) -> tuple[str, dict[str, Any]]:
    """A target without its arguments, and those: ``own:Focal(gamma=2.0)`` as ``own:Focal`` and ``{"gamma": 2.0}``.

    Raises:
        UsageError: if the arguments are not keywords with plain values.
    """
    plain, opens, inside = name.partition("(")
    if not opens:
        return name, {}
    try:
        call = ast.parse(f"f({inside}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not all(keyword.arg for keyword in call.keywords):
            raise ValueError(inside)
        return plain, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError) as error:
        message = f"{name}: invalid arguments; expected keywords with plain values, such as {plain}(gamma=2.0)."
        raise UsageError(message) from error


def with_arguments(target: Target, arguments: Mapping[str, Any]) -> Target:
    """The target with options that are always there, and not varied."""
    forms: Sequence[Form] = target.forms
    for name, value in arguments.items():
        forms = [form for form in forms if form.options.get(name, ...) == value] or [
            form for form in forms if name not in form.options
        ]
    options = {name: choices for name, choices in target.options.items() if name not in arguments}
    required = {**target.required, **arguments}
    return replace(target, forms=tuple(forms), options=options, required=required, given=arguments)


def _of_keras(legs: Legs, target: Target, arguments: Mapping[str, Any]) -> Target:
    """A target of Keras that is named, with its arguments.

    Raises:
        UsageError: if a leg does not have it, or it does not take an argument.
    """
    for leg, answer in legs.describe(target.name).items():
        if not answer["kind"]:
            message = f"{target.name}: cannot be explored on {leg}: {answer.get('why', 'its Keras does not have it')}."
            raise UsageError(message)
        takes = answer["parameters"]
        if takes and "kwargs" not in takes and (unknown := [name for name in arguments if name not in takes]):
            message = f"{target.name}: has no option {', '.join(unknown)} on {leg}; expected some of {', '.join(takes)}."
            raise UsageError(message)
    return with_arguments(target, arguments)


def _is_present(legs: Legs, target: Target, notes: list[str]) -> bool:
    missing = [leg for leg, answer in legs.describe(target.name).items() if not answer["kind"]]
    if missing:
        notes.append(f"{target.name} is not explored: the Keras of {', '.join(missing)} does not have it")
    return not missing


# --- targets of one's own ----------------------------------------------------------------------------------------


def _own(legs: Legs, name: str, arguments: Mapping[str, Any], notes: list[str]) -> list[Target]:
    answers = legs.describe(name)
    for leg, answer in answers.items():
        if answer["kind"] in ("", "layer"):
            why = answer.get("why", "it is not a loss or a metric")
            message = f"{name}: cannot be explored on {leg}: {why}. {_EXPECTED}"
            raise UsageError(message)
    first = next(iter(answers.values()))
    if first["kind"] == "package":
        return _of_package(legs, name, answers, notes)
    return [_one(legs, name, first, arguments, notes)]


def _of_package(legs: Legs, name: str, answers: Mapping[str, Mapping[str, Any]], notes: list[str]) -> list[Target]:
    """Every loss and metric that a package defines on all legs, and that takes some labels without arguments."""
    notes.extend(dict.fromkeys(note for answer in answers.values() for note in answer["notes"]))
    everywhere = set.intersection(*(set(answer["members"]) for answer in answers.values()))
    members = list(dict.fromkeys(member for answer in answers.values() for member in answer["members"]))
    notes.extend(f"{member} is not explored: not every leg has it" for member in members if member not in everywhere)
    targets = []
    for member in members:
        if member not in everywhere:
            continue
        try:
            targets += _own(legs, member, {}, notes)
        except UsageError as error:
            notes.append(f"not explored: {error}")
    if not targets:
        message = f"{name}: defines nothing that can be explored. {_EXPECTED}"
        raise UsageError("\n".join([message, *notes]))
    return targets


def _one(legs: Legs, name: str, answer: Mapping[str, Any], arguments: Mapping[str, Any], notes: list[str]) -> Target:
    if arguments and answer["kind"] == "loss function":
        message = f"{name}: is a function of (y_true, y_pred) and takes no other arguments; expected a class. Name it alone."
        raise UsageError(message)
    parameters, required = answer["parameters"], [each for each in answer["required"] if each not in arguments]
    if required:
        wanted = ", ".join(f"{each}=\u2026" for each in required)
        message = f"{name}: its constructor needs {', '.join(required)}. Give the values: {name}({wanted})"
        raise UsageError(message)
    target = own_target(name, answer["kind"])
    options = target.options if "reduction" in parameters else {}
    target = with_arguments(replace(target, options=options), arguments)
    forms = _accepted_forms(legs, target)
    if not forms:
        message = f"{name}: gave no number for any of the labels that it was probed with. Call it by hand to see why."
        raise UsageError(message)
    notes.append(f"{name} is explored with {', '.join(dict.fromkeys(f'{form.labels} labels ({form.head})' for form in forms))}")
    return replace(target, forms=forms)


def _accepted_forms(legs: Legs, target: Target) -> tuple[Form, ...]:
    """The forms for which the target gives numbers on some leg, each with the label shapes for which it does.

    What gives NaN for valid labels on every leg was not made for them.
    """
    accepted = []
    for form in target.forms:
        probes = {shape: probe(target, form, shape) for shape in form.label_shapes}
        recordings = legs.observe([request_of(situation) for situation in probes.values()])
        shapes = tuple(shape for shape, of_legs in zip(probes, recordings, strict=True) if _gives_numbers(of_legs))
        if shapes:
            accepted.append(Form(labels=form.labels, head=form.head, options=form.options, shapes=shapes))
    return tuple(accepted)


def _gives_numbers(recordings: Mapping[str, Recording]) -> bool:
    return any(
        not recording.raised and recording.was_observed and bool(recording.observations)
        and all(np.isfinite(observation.value).all() for observation in recording.observations.values() if observation.is_float)
        for recording in recordings.values()
    )  # fmt: skip
