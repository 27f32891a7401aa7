"""backendcheck inside somebody's own pytest session.

The session chooses, waits and judges; it runs no case. One recording session per backend does that (`recorders`), told by a file
what is chosen, and everything comes back through files (`exchange`), so that workers of pytest-xdist may wait for it as well.
"""
