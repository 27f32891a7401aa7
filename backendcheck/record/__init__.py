"""Cases in, recordings on one backend out: the worker's half, and the only part of backendcheck that imports keras.

`plugin` runs in the processes of a pytest session. `flow` is the order in which a case is observed, `observe` has its stages, and
`oracles` the variants and references that need the backend.
"""
