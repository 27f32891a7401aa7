"""Moving a saved model from one backend to another: the decision, and what in the source does not move."""
