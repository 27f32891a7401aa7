"""Record cases under one backend: the only part of backendcheck that imports keras.

`session` starts one pytest session with ``KERAS_BACKEND`` set; `plugin` runs in its workers; `observe` turns what a
case returned into observations.
"""
