"""Simulated backends with a known fault each, for `diagnoses.py`. NumPy only."""
