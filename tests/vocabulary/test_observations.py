"""Names of observations: every documented form is taken apart, and put together again as the same text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.vocabulary.observations import ObservationName, Quantity, flow_key

HOSTILE = ("age", "a/b", "a:b", "a#2", "a b", "y_pred", "val_loss", "loss", "train/loss", " ", "/", "é🦊", "x (order)")


@pytest.mark.parametrize(
    ("text", "quantity", "output", "part", "of_predictions"),
    [
        ("value/result", Quantity.VALUE, "", "result", False),
        ("value/a/b (order)", Quantity.VALUE, "", "a/b (order)", False),
        ("output_order", Quantity.OUTPUT_ORDER, "", "", False),
        ("predictions", Quantity.PREDICTIONS, "", "", False),
        ("predictions/age", Quantity.PREDICTIONS, "age", "", False),
        ("predicted_class/a/b", Quantity.PREDICTED_CLASS, "a/b", "", False),
        ("per_example_loss", Quantity.PER_EXAMPLE_LOSS, "", "", False),
        ("loss", Quantity.LOSS, "", "", False),
        ("loss/age", Quantity.LOSS, "age", "", False),
        ("gradient/y_pred", Quantity.GRADIENT, "", "", True),
        ("gradient/y_pred/age", Quantity.GRADIENT, "age", "", True),
        ("gradient/y_pred_head/kernel", Quantity.GRADIENT, "", "y_pred_head/kernel", False),
        ("gradient/dense/kernel", Quantity.GRADIENT, "", "dense/kernel", False),
        ("metric/accuracy", Quantity.METRIC, "", "accuracy", False),
        ("train/loss", Quantity.TRAIN_LOSS, "", "", False),
        ("train/metric/val_accuracy", Quantity.TRAIN_METRIC, "", "val_accuracy", False),
        ("train/weight/dense/kernel", Quantity.TRAIN_WEIGHT, "", "dense/kernel", False),
        ("raised", Quantity.VALUE, "", "raised", False),
        ("train", Quantity.VALUE, "", "train", False),
        ("", Quantity.VALUE, "", "", False),
    ],
)
def test_a_name_is_taken_apart(text, quantity, output, part, of_predictions):
    name = ObservationName.parse(text)
    assert (str(name), name.quantity, name.output, name.part, name.of_predictions) == (
        text, quantity, output, part, of_predictions
    )  # fmt: skip


@given(quantity=st.sampled_from(Quantity), rest=st.sampled_from(HOSTILE) | st.text(min_size=1))
def test_a_name_made_of_its_parts_has_them(quantity, rest):
    name = ObservationName.of(quantity, rest)
    assert name == ObservationName.parse(f"{quantity}/{rest}")
    assert name.quantity is quantity
    gradient = quantity is Quantity.GRADIENT and rest.split("/")[0] == "y_pred"
    assert gradient or rest in {name.output, name.part}


@given(st.sampled_from(HOSTILE) | st.text())
def test_a_gradient_by_predictions_is_of_its_output(output):
    name = ObservationName.gradient_by_predictions(output)
    assert (name.quantity, name.output, name.of_predictions) == (Quantity.GRADIENT, output, True)


@given(st.text() | st.builds(lambda quantity, rest: f"{quantity}/{rest}", st.sampled_from(Quantity), st.text()))
def test_any_text_is_a_name_with_that_text(text):
    assert str(ObservationName.parse(text)) == text


def test_orders_and_validation_metrics_are_recognized():
    assert ObservationName.parse("output_order").is_order
    assert ObservationName.parse("value/result (order)").is_order
    assert not ObservationName.parse("value/order").is_order
    assert ObservationName.parse("train/metric/val_loss").inside_one_backend
    assert not ObservationName.parse("metric/val_loss").inside_one_backend


def test_names_sort_in_the_order_of_the_computation():
    names = ["train/loss", "gradient/a", "gradient/y_pred/b", "loss", "predictions", "metric/a", "value/x"]
    assert sorted(names, key=flow_key) == [
        "value/x", "predictions", "loss", "gradient/y_pred/b", "gradient/a", "metric/a", "train/loss",
    ]  # fmt: skip
