"""A failing case in, one small script out that shows the finding without backendcheck."""
