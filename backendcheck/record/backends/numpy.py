"""The backend NumPy of Keras, for inference: see `BackendModule` for the interface. All else is as in `generic`."""

from __future__ import annotations

from backendcheck.vocabulary.backends import Ability

ABILITIES = frozenset({Ability.FORWARD, Ability.LOSS, Ability.METRICS})
