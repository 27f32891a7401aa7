"""State of NumPy, of Keras and of the processor."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np

from backendcheck.record.keras_settings import POLICY, policy_name, read_setting, restore_setting
from backendcheck.record.process_state.item import Item


def items() -> list[Item]:
    config = keras.config
    registry = keras.saving.get_custom_objects()
    return [
        Item("NumPy's treatment of floating-point errors", np.geterr, lambda value: np.seterr(**value)),
        Item("NumPy's function for floating-point errors", np.geterrcall, np.seterrcall),
        Item("NumPy's print options", _print_options, lambda value: np.set_printoptions(**dict(value))),
        Item("NumPy's buffer size", np.getbufsize, np.setbufsize),
        *_thread_pools(),
        Item("rounding and denormal numbers of the processor", _arithmetic),
        Item("keras floatx", config.floatx, config.set_floatx),
        Item("keras dtype policy", policy_name, config.set_dtype_policy),
        # Where none was set, the first layer sets one.
        Item("keras dtype policy of the first layer", *_setting(POLICY), is_told=False),
        Item("keras device scope", *_setting("torch_device")),
        Item("keras epsilon", config.epsilon, config.set_epsilon),
        Item("keras image data format", config.image_data_format, config.set_image_data_format),
        Item("keras traceback filtering", config.is_traceback_filtering_enabled, _switch(
            config.enable_traceback_filtering, config.disable_traceback_filtering)),
        Item("keras interactive logging", config.is_interactive_logging_enabled, _switch(
            config.enable_interactive_logging, config.disable_interactive_logging)),
        Item("keras custom objects", lambda: dict(registry), lambda value: (registry.clear(), registry.update(value))),
        Item("keras distribution", keras.distribution.distribution, keras.distribution.set_distribution),
        *_since("is_flash_attention_enabled", lambda: Item("keras flash attention", config.is_flash_attention_enabled)),
        *_since("max_epochs", lambda: Item("keras most epochs", config.max_epochs, config.set_max_epochs)),
        *_since("max_steps_per_epoch", lambda: Item(
            "keras most steps in an epoch", config.max_steps_per_epoch, config.set_max_steps_per_epoch)),
    ]  # fmt: skip


def _thread_pools() -> list[Item]:
    """The threads of BLAS and OpenMP, where threadpoolctl is installed, which can change them."""
    try:
        from threadpoolctl import ThreadpoolController

        libraries = ThreadpoolController().lib_controllers
    except (ImportError, AttributeError, OSError):
        return []

    def restore(counts: list[int]) -> None:
        for library, count in zip(libraries, counts, strict=True):
            library.set_num_threads(count)

    return [Item("threads of BLAS and OpenMP", lambda: [library.get_num_threads() for library in libraries], restore)]


def _setting(name: str) -> tuple[Any, Any]:
    return lambda: read_setting(name), lambda value: restore_setting(name, value)


def _since(name: str, make: Any) -> list[Item]:
    """An item that older versions of Keras do not have."""
    return [make()] if hasattr(keras.config, name) else []


def _switch(enable: Any, disable: Any) -> Any:
    return lambda value: (enable if value else disable)()


def _print_options() -> list[tuple[str, Any]]:
    return [(name, value) for name, value in np.get_printoptions().items() if name != "override_repr"]


def _arithmetic() -> tuple[float, float, float]:
    smallest, third = float(sys.float_info.min), np.float64(1.0)
    return smallest / 2.0, float(third / 3.0), float(np.float32(1e-38) * np.float32(0.01))
