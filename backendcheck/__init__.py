"""backendcheck: do your labels mean the same under every Keras 3 backend?

What a case author needs, and nothing else. Importing this package imports no backend and no keras.
"""

from backendcheck.case import FunctionCase, LossCase, ModelCase, OptOut, Raises, Tolerance, ValueCase

__all__ = ["FunctionCase", "LossCase", "ModelCase", "OptOut", "Raises", "Tolerance", "ValueCase", "__version__"]

__version__ = "0.1.0"
