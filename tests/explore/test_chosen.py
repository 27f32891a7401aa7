"""The targets that a user names: of Keras, of one's own, with arguments, and packages. The legs here are stand-ins."""

import pytest
from make import recording

from backendcheck.errors import UsageError
from backendcheck.explore.chosen import split_arguments, targets_on, with_arguments
from backendcheck.explore.keras_targets import keras_targets

_BY_NAME = {target.name: target for target in keras_targets()}
_FOCAL = {"kind": "loss", "parameters": ["gamma", "reduction"], "required": ["gamma"]}
_PLAIN = {"kind": "loss function", "parameters": [], "required": []}


class _Legs:
    """Legs that describe targets by a table, and give a number for every situation."""

    def __init__(self, **answers):
        self.answers = {name.replace("__", ":"): answer for name, answer in answers.items()}
        self.options = []

    def describe(self, target):
        nothing = {"kind": "", "why": "ImportError: no such module"}
        return {leg: self.answers.get(target, {}).get(leg) or self.answers.get(target) or nothing for leg in ("jax", "torch")}

    def observe(self, requests):
        self.options += [request["options"] for request in requests]
        return [{leg: recording(request["case"], leg, loss=0.5) for leg in ("jax", "torch")} for request in requests]


@pytest.mark.parametrize(
    ("name", "plain", "arguments"),
    [
        ("keras.losses.Huber", "keras.losses.Huber", {}),
        ("own.losses:Focal(gamma=2.0)", "own.losses:Focal", {"gamma": 2.0}),
        ("own:Focal(alpha=[0.1, 0.9], mode='hard', at=-1)", "own:Focal", {"alpha": [0.1, 0.9], "mode": "hard", "at": -1}),
        ("own:Focal()", "own:Focal", {}),
    ],
)
def test_arguments_behind_a_name_are_plain_values(name, plain, arguments):
    assert split_arguments(name) == (plain, arguments)


@pytest.mark.parametrize(
    "name", ["own:Focal(2.0)", "own:Focal(gamma=open('x'))", "own:Focal(gamma=2", "own:Focal(**{})", "own:F(a=1) + 1"]
)
def test_other_arguments_are_refused(name):
    with pytest.raises(UsageError, match="expected keywords with plain values"):
        split_arguments(name)


def test_arguments_are_always_there_and_the_target_is_named_with_them():
    (target,) = targets_on(_Legs(own__Focal=_FOCAL), ["own:Focal(gamma=2.0)"], [])
    assert target.asked == "own:Focal(gamma=2.0)"
    assert target.situation({"form": 0}).option("gamma") == 2.0
    assert set(target.factors()) >= {"options.reduction", "label_values"}


def test_a_target_is_probed_with_its_arguments():
    legs = _Legs(own__Focal=_FOCAL)
    targets_on(legs, ["own:Focal(gamma=2.0)"], [])
    assert legs.options
    assert all(options["gamma"] == 2.0 for options in legs.options)


def test_an_argument_of_keras_is_not_varied_and_decides_the_forms():
    logits = with_arguments(_BY_NAME["keras.losses.BinaryCrossentropy"], {"from_logits": True, "label_smoothing": 0.2})
    assert {form.head for form in logits.forms} == {"logits"}
    assert "options.label_smoothing" not in logits.factors()
    probabilities = with_arguments(_BY_NAME["keras.losses.BinaryCrossentropy"], {"from_logits": False})
    assert {form.head for form in probabilities.forms} == {"sigmoid"}


_HUBER = {"kind": "loss", "parameters": ["delta", "reduction", "name", "dtype"], "required": []}


def test_a_target_of_keras_that_is_named_has_to_be_on_every_leg():
    nothing = {"kind": "", "why": "AttributeError: no Huber"}
    legs = _Legs(**{"keras.losses.Huber": {"jax": _HUBER, "torch": nothing}})
    with pytest.raises(UsageError, match=r"keras.losses.Huber: cannot be explored on torch: AttributeError: no Huber"):
        targets_on(legs, ["keras.losses.Huber"], [])


def test_an_argument_that_a_target_of_keras_does_not_have_is_refused():
    legs = _Legs(**{"keras.losses.Huber": _HUBER})
    (target,) = targets_on(legs, ["keras.losses.Huber(delta=5.0)"], [])
    assert target.required == {"delta": 5.0}
    with pytest.raises(UsageError, match=r"keras.losses.Huber: has no option detla on jax; expected some of delta, reduction"):
        targets_on(legs, ["keras.losses.Huber(detla=5.0)"], [])


def test_what_the_constructor_needs_is_asked_for():
    with pytest.raises(UsageError, match=r"its constructor needs gamma. Give the values: own:Focal\(gamma=…\)"):
        targets_on(_Legs(own__Focal=_FOCAL), ["own:Focal"], [])


def test_a_function_takes_no_arguments():
    with pytest.raises(UsageError, match="takes no other arguments"):
        targets_on(_Legs(own__plain=_PLAIN), ["own:plain(x=1)"], [])


def test_a_name_that_is_nothing_is_refused_with_the_reason():
    with pytest.raises(UsageError, match="nothing_here: cannot be explored on jax: ImportError: no such module"):
        targets_on(_Legs(), ["nothing_here"], [])


def test_a_target_is_explored_once():
    with pytest.raises(UsageError, match="own:plain: is named twice"):
        targets_on(_Legs(own__plain=_PLAIN), ["own:plain", "own:plain"], [])


def test_a_package_stands_for_all_that_every_leg_has_and_that_needs_no_arguments():
    broken = {"kind": "package", "notes": ["own.broken cannot be imported"]}
    package = {
        "jax": {**broken, "members": ["own:plain", "own:Focal", "own:of_jax"]},
        "torch": {**broken, "members": ["own:plain", "own:Focal"]},
    }
    notes = []
    targets = targets_on(_Legs(own=package, own__plain=_PLAIN, own__Focal=_FOCAL), ["own"], notes)
    assert [target.name for target in targets] == ["own:plain"]
    assert notes[0] == "own.broken cannot be imported"
    assert notes[1] == "own:of_jax is not explored: not every leg has it"
    assert any(note.startswith("not explored: own:Focal: its constructor needs gamma") for note in notes)
    assert len(notes) == 4


def test_a_package_without_anything_to_explore_says_so():
    with pytest.raises(UsageError, match="own: defines nothing that can be explored"):
        targets_on(_Legs(own={"kind": "package", "members": [], "notes": []}), ["own"], [])
