"""The mask that Keras attaches to a tensor: which of its steps count. How it is attached depends on the version of Keras."""

from __future__ import annotations

from typing import Any

try:
    from keras.src.backend.common.masking import get_keras_mask as mask_of
    from keras.src.backend.common.masking import set_keras_mask as _set_mask
except ImportError:  # before Keras 3.6 it is an attribute without functions

    def mask_of(x: Any) -> Any:
        """The mask of a tensor, or None."""
        return getattr(x, "_keras_mask", None)

    def _set_mask(x: Any, mask: Any) -> None:
        x._keras_mask = mask  # noqa: SLF001 - as Keras itself sets it


__all__ = ["copy_mask", "mask_of", "with_mask"]


def with_mask(target: Any, mask: Any) -> Any:
    """`target` with a mask, unless that is None."""
    if mask is not None and mask_of(target) is None:
        _set_mask(target, mask)
    return target


def copy_mask(source: Any, target: Any) -> Any:
    """`target` with the mask of `source`, if `source` has a mask."""
    if (mask := mask_of(source)) is not None:
        _set_mask(target, mask)
    return target
