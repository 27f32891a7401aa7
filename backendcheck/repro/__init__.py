"""A case as one small script that shows what was found, without backendcheck."""
