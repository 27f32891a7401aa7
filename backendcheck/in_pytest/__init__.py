"""Items of a user's own pytest session in, their verdicts out, recorded by one session for each backend.

The session selects items, waits and judges; it runs no case. One recording session per backend runs them (`recorders`). It reads
the selected items from a file and answers through files (`files`), so that workers of pytest-xdist can wait for it too.
"""
