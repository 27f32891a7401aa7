"""Moving a saved model from one backend to another: the decision, and what in the source does not move."""

EPOCHS = 5
"""Of training by default: enough for a curve, few enough that rounding does not grow."""
