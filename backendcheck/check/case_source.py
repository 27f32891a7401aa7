"""Write a check as a case file that can be read, run again and extended.

Plain values are written out, modules are imported, and arrays go into an ``.npz`` next to the file. Only objects that live in a
notebook or inside a function are pickled, until the check ends.
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.case import Raises, Tolerance
from backendcheck.errors import UsageError
from backendcheck.files import write_atomically
from backendcheck.text.escape import block
from backendcheck.text.literals import NotWritable, source_of

DATA = "data"
PICKLED = "pickled"


class Code(str):
    """Source code, written as it is. Other text is written as a string literal."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class CaseSource:
    """The parts of a case file. `arrays` go into its ``.npz``; `pickled` objects go to the workers only."""

    imports: dict[str, None] = field(default_factory=dict)
    folders: dict[str, None] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    pickled: dict[str, Any] = field(default_factory=dict)

    def array(self, name: str, value: Any) -> str:
        """Store an array, or a nest of them, in the ``.npz``; returns the expression that reads it.

        Raises:
            UsageError: if a leaf is not an array of numbers, bools or text.
        """
        if value is None:
            return "None"
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{key!r}: {self.array(f'{name}/{key}', nest)}" for key, nest in value.items()) + "}"
        if isinstance(value, list | tuple) and any(np.ndim(nest) for nest in value) and not is_rectangle(value):
            inner = ", ".join(self.array(f"{name}/{number}", nest) for number, nest in enumerate(value))
            return f"[{inner}]"
        stored = f"{re.sub(r'[^0-9A-Za-z_]+', '_', name)}_{len(self.arrays)}" if "/" in name else name
        self.arrays[stored] = as_array(name, value)
        return f"{DATA}[{stored!r}]"

    def expression(self, name: str, value: Any) -> str:
        """The expression of any other value: a literal, an import, a Keras configuration, or a pickled object."""
        if isinstance(value, Code):
            return str(value)
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{key!r}: {self.expression(f'{name}_{key}', entry)}" for key, entry in value.items()) + "}"
        if isinstance(value, Tolerance):
            return f"Tolerance(rtol={value.rtol!r}, atol={value.atol!r})"
        if isinstance(value, Raises):
            types = None if value.type_names is None else list(value.type_names)
            return f"Raises({types!r}, match={value.match!r})"
        if type(value) in (list, tuple):
            inner = ", ".join(self.expression(f"{name}_{number}", entry) for number, entry in enumerate(value))
            return f"[{inner}]" if type(value) is list else f"({inner}{',' if len(value) == 1 else ''})"
        try:
            text = source_of(value)
        except NotWritable:
            return self._object(name, value)
        if "np." in text:
            self.imports["import numpy as np"] = None
        return text

    def _object(self, name: str, value: Any) -> str:
        if (imported := self.imported(value)) is not None:
            return imported
        cls = type(value)
        if hasattr(value, "get_config") and hasattr(cls, "from_config") and not hasattr(value, "predict"):
            class_source = self.imported(cls)
            try:
                config = source_of(dict(value.get_config()))
            except Exception:  # noqa: BLE001 - a get_config of the user's own may do anything; then the object is pickled
                class_source = None
            if class_source is not None:
                if "np." in config:
                    self.imports["import numpy as np"] = None
                return f"{class_source}.from_config({config})"
        key = re.sub(r"[^0-9A-Za-z_]+", "_", name)
        while key in self.pickled:
            key += "_"
        self.pickled[key] = value
        return f"{PICKLED}[{key!r}]"

    def imported(self, value: Any) -> str | None:
        """Import a function or class; returns its dotted name, or None if another process cannot import it."""
        if not (inspect.isfunction(value) or inspect.isclass(value) or inspect.isbuiltin(value)):
            return None
        if (public := _public_name_in_keras(value)) is not None:
            self.imports["import keras"] = None
            return public
        module, path = getattr(value, "__module__", None), value.__qualname__
        if not module or module == "__main__" or "<" in path:
            return None
        loaded: Any = sys.modules.get(module)
        attribute = loaded
        for part in path.split("."):
            attribute = getattr(attribute, part, None)
        folder = _import_folder(module, loaded)
        if attribute is not value or folder is None:
            return None
        if folder:
            self.folders[folder] = None
        self.imports[f"import {module}"] = None
        return f"{module}.{path}"

    def import_module(self, name: str) -> None:
        """Import a module or package in the case, so that it registers its classes with Keras.

        Raises:
            UsageError: if `name` is not a dotted name, or the module is not found.
        """
        if not all(part.isidentifier() for part in name.split(".")):
            message = f"--import {name!r}: invalid module; expected a dotted name such as my_package.layers."
            raise UsageError(message)
        root = name.partition(".")[0]
        if _spec(root) is None and not any((Path.cwd() / file).exists() for file in (root, f"{root}.py")):
            message = f"--import {name}: module {root!r} not found. Install it, or start in the folder that contains it."
            raise UsageError(message)
        self.imports[f"import {name}"] = None

    def attribute(self, name: str) -> Code:
        """The source of ``module:name``, whose module is imported.

        Raises:
            UsageError: if `name` has another form, or the module is not found.
        """
        module, _, path = name.partition(":")
        if not path or not all(part.isidentifier() for part in path.split(".")):
            message = f"{name}: invalid name; expected MODULE:NAME, such as my_package.models:build."
            raise UsageError(message)
        self.import_module(module)
        return Code(f"{module}.{path}")

    def text(self, *, claim: str, why: str, name: str, body: Sequence[str], pickled: str = "") -> str:
        """The text of the case file, whose one case is ``case_<name>``.

        `body` are its lines, which may use data and pickled. `pickled` is the SHA-256 of the pickled objects.
        """
        used = "\n".join(body)
        ours = [name for name in ("FunctionCase", "ModelCase", "Raises", "Tolerance") if re.search(rf"\b{name}\(", used)]
        theirs = sorted(self.imports.keys() - {"import keras", "import numpy as np"})
        lines = [f'"""{_in_docstring(why)}"""', "", *(["import sys"] if self.folders else []), "from pathlib import Path", ""]
        lines += ["import keras", "import numpy as np", f"from backendcheck import {', '.join(ours)}", ""]
        if theirs:
            lines += [f"sys.path.append({folder!r})" for folder in self.folders]
            lines += [*(f"{line}  # noqa: E402" for line in theirs), ""]
        lines += ["HERE = Path(__file__).parent", "", "", f"def case_{name}():", f'    """{_in_docstring(claim)}"""']
        if self.arrays:
            lines.append(f'    {DATA} = np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False)')
        if self.pickled:
            lines += ["    from backendcheck.record.unpickling import unpickled", ""]
            lines.append(f"    {PICKLED} = unpickled({pickled!r})")
        return "\n".join([*lines, *(f"    {line}" for line in body)]) + "\n"

    def write_arrays(self, path: Path) -> None:
        """Write the ``.npz``."""
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **self.arrays)
        write_atomically(path, content.getvalue())


def as_array(name: str, value: Any) -> np.ndarray:
    """A list, an array, a data frame or a tensor of any backend as an array of numbers, bools or text.

    Raises:
        UsageError: if it cannot be converted, with the reason.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a torch tensor, which may need a gradient or be on another device
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except Exception as error:
        message = f"{name}: not an array ({error}); expected numbers, bools or text, got {type(value).__name__}."
        raise UsageError(message) from error
    if array.dtype == object:
        items = array.ravel().tolist()
        if items and all(isinstance(item, str) for item in items):
            return array.astype(str)
        kinds = ", ".join(sorted({type(item).__name__ for item in items})[:4]) or "nothing"
        message = f"{name}: holds objects ({kinds}); expected numbers, bools or text. Do all rows have one length, without None?"
        raise UsageError(message)
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)  # exact; NumPy's files have no bfloat16
    if array.dtype.kind not in "biufUS":
        message = f"{name}: has dtype {array.dtype}; expected numbers, bools or text. Convert it first."
        raise UsageError(message)
    return array


def is_rectangle(value: Sequence[Any]) -> bool:
    """Whether a list is one array, written row by row, rather than several arrays."""
    return all(isinstance(row, list | tuple) or np.ndim(row) == 0 for row in value)


def _public_name_in_keras(value: Any) -> str | None:
    """``keras.losses.MeanSquaredError`` for that class; None if this process has not loaded keras."""
    keras, name = sys.modules.get("keras"), getattr(value, "__name__", "")
    if keras is None or not str(getattr(value, "__module__", "")).startswith("keras."):
        return None
    # The public keras.optimizers.Adam is a subclass of its own on some backends.
    is_class = inspect.isclass(value)
    for path in ("losses", "metrics", "optimizers", "optimizers.schedules", "layers", "activations", "ops"):
        module: Any = keras
        for part in path.split("."):
            module = getattr(module, part, None)
        public = getattr(module, name, None)
        if public is value or (is_class and inspect.isclass(public) and issubclass(value, public)):
            return f"keras.{path}.{name}"
    return None


def _spec(root: str) -> Any:
    try:
        return importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return None


def _import_folder(module: str, loaded: Any) -> str | None:
    """The folder that a module needs on `sys.path`: empty if it is installed, None if it cannot be imported by name."""
    file = getattr(loaded, "__file__", None)
    if file is None:
        return "" if module in sys.builtin_module_names else None
    root = module.partition(".")[0]
    spec = _spec(root)
    if spec is None or not spec.origin:
        return None
    package: Any = sys.modules.get(root)
    if Path(spec.origin).resolve() != Path(getattr(package, "__file__", None) or "").resolve():
        return None
    folder = Path(spec.origin).resolve().parent
    folder = folder.parent if spec.submodule_search_locations else folder
    return "" if {"site-packages", "dist-packages"} & set(folder.parts) or folder == _STANDARD else str(folder)


_STANDARD = Path(inspect.__file__).resolve().parent


def _in_docstring(text: str) -> str:
    """`text` without characters that would end a docstring or that are not visible."""
    return block(text.replace("\\", "\\\\").replace('"', '\\"'))


def identifier(text: str, default: str) -> str:
    """`text` as a name for Python and file systems: letters, digits and underscores."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", text).strip("_")[:80]
    return name or default
