"""Findings and recordings in, evidence for detectors out: differences, implied classes, permutations, hypotheses in float64."""
