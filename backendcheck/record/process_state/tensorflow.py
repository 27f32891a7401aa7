"""State of TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context  # the public modules have no way to ask for some of it
from tensorflow.python.framework import config as tf_config
from tensorflow.python.framework import ops

from backendcheck.record.process_state.interpreter import functions_of
from backendcheck.record.process_state.item import Item


def items() -> list[Item]:
    config, debugging = tf.config, tf.debugging
    return [
        Item("tensorflow eager execution", tf.executing_eagerly),
        Item("tensorflow functions run eagerly", config.functions_run_eagerly, config.run_functions_eagerly),
        Item("tensorflow deterministic ops", tf_config.is_op_determinism_enabled, _restore_determinism),
        Item("tensorflow TensorFloat-32", config.experimental.tensor_float_32_execution_enabled,
             config.experimental.enable_tensor_float_32_execution),
        Item("tensorflow soft device placement", config.get_soft_device_placement, config.set_soft_device_placement),
        Item("tensorflow log of device placement", debugging.get_log_device_placement, debugging.set_log_device_placement),
        Item("tensorflow device scope", lambda: context.context().device_name),
        Item("tensorflow threads", lambda: (config.threading.get_inter_op_parallelism_threads(),
                                            config.threading.get_intra_op_parallelism_threads())),
        Item("tensorflow visible devices", lambda: [device.name for device in config.get_visible_devices()]),
        Item("tensorflow compilation of functions", config.optimizer.get_jit, config.optimizer.set_jit),
        Item("tensorflow optimizer options", config.optimizer.get_experimental_options,
             config.optimizer.set_experimental_options),
        Item("tensorflow conversion of dtypes", ops.get_dtype_conversion_mode, ops.set_dtype_conversion_mode),
        Item("tensorflow traceback filtering", debugging.is_traceback_filtering_enabled, _restore_tracebacks),
        Item("tensorflow distribution strategy", tf.distribute.has_strategy),
        Item("tensorflow tensors like NumPy arrays", lambda: "ravel" in vars(tf.Tensor)),
        *(functions_of(owner) for owner in (tf, tf.math, tf.nn, tf.random, tf.Tensor)),
    ]  # fmt: skip


def _restore_determinism(value: bool) -> None:
    (tf_config.enable_op_determinism if value else tf_config.disable_op_determinism)()


def _restore_tracebacks(value: Any) -> None:
    (tf.debugging.enable_traceback_filtering if value else tf.debugging.disable_traceback_filtering)()
