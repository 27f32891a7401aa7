"""Comparisons and legs in, verdicts out: the truth table, known divergences, problems of the run."""
