"""One difference in, at most one diagnosis out: one small pure detector for each kind of cause."""
