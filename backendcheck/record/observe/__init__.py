"""What a case returned in, observations out: values, losses, models, functions."""
