"""Legs in, everything known of a run out: verdicts, findings, diagnoses, stages, headlines, changes."""
