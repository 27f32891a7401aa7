"""The settings that Keras keeps in its global state, read without setting them.

`keras.config.dtype_policy()` sets the policy where none was set. Layers would then keep the float type of that moment, and
`keras.config.set_floatx` in a case would change nothing.
"""

from __future__ import annotations

from typing import Any

import keras
from keras.src.backend.common import global_state  # no public function asks without setting

POLICY = "dtype_policy"
# What `keras.utils.clear_session` forgets although it is a setting, not a product of a case.
_SETTINGS = (POLICY, "traceback_filtering", "flash_attention", "distribution", "nnx_enabled", "torch_device")


def read_setting(name: str) -> Any:
    """A setting, or None where it was not set."""
    return global_state.get_global_attribute(name)


def restore_setting(name: str, value: Any) -> None:
    """Set what `read_setting` returned. None makes it unset, as in a process that has just started."""
    if read_setting(name) is not value:
        global_state.set_global_attribute(name, value)


def policy_name() -> str:
    """The name of the dtype policy in force. Where none was set, layers compute in the float type of the session."""
    policy = read_setting(POLICY)
    return str(keras.config.floatx() if policy is None else getattr(policy, "name", policy))


def policy_compute_dtype() -> str | None:
    """The float type in which the dtype policy in force computes."""
    policy = read_setting(POLICY)
    return str(keras.config.floatx()) if policy is None else getattr(policy, "compute_dtype", None)


def clear_session() -> None:
    """``keras.utils.clear_session``, but the settings of a conftest or a fixture stay in force."""
    settings = {name: read_setting(name) for name in _SETTINGS}
    keras.utils.clear_session(free_memory=False)
    for name, value in settings.items():
        restore_setting(name, value)
