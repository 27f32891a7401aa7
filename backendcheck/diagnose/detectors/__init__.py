"""The situation of a case in, diagnoses out: one small pure detector for each kind of cause, with the codes that it gives."""
