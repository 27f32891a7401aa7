"""What was asked, as a case file that anyone can read, run again and build upon.

Plain values are written out, what can be imported is imported, arrays go into an ``.npz`` beside the file. Only what lives in a
notebook or inside a function travels as it is (`parcel`), for as long as the question takes.
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
from backendcheck.text.literals import NotWritable, source_of

DATA = "data"
PARCEL = "parcel"


class Code(str):
    """Source that stands for itself, where any other text would be written as text."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class CaseSource:
    """The parts of a case file in the making. `arrays` goes into its ``.npz``, `parcel` to the workers alone."""

    imports: dict[str, None] = field(default_factory=dict)
    folders: dict[str, None] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    parcel: dict[str, Any] = field(default_factory=dict)

    def array(self, name: str, value: Any) -> str:
        """An array, or a nest of them, as an expression of what is stored in the ``.npz``.

        Raises:
            UsageError: if it is no array of numbers, bools or text.
        """
        if value is None:
            return "None"
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{key!r}: {self.array(f'{name}/{key}', one)}" for key, one in value.items()) + "}"
        if isinstance(value, list | tuple) and any(np.ndim(one) for one in value) and not is_rectangle(value):
            inner = ", ".join(self.array(f"{name}/{number}", one) for number, one in enumerate(value))
            return f"[{inner}]"
        stored = f"{re.sub(r'[^0-9A-Za-z_]+', '_', name)}_{len(self.arrays)}" if "/" in name else name
        self.arrays[stored] = as_array(name, value)
        return f"{DATA}[{stored!r}]"

    def expression(self, name: str, value: Any) -> str:
        """Anything else as an expression: written out, imported, made from its configuration, or out of the parcel."""
        if isinstance(value, Code):
            return str(value)
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{key!r}: {self.expression(f'{name}_{key}', one)}" for key, one in value.items()) + "}"
        if isinstance(value, Tolerance):
            return f"Tolerance(rtol={value.rtol!r}, atol={value.atol!r})"
        if isinstance(value, Raises):
            types = None if value.type_names is None else list(value.type_names)
            return f"Raises({types!r}, match={value.match!r})"
        if type(value) in (list, tuple):
            inner = ", ".join(self.expression(f"{name}_{number}", one) for number, one in enumerate(value))
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
            made = self.imported(cls)
            try:
                config = source_of(dict(value.get_config()))
            except Exception:  # noqa: BLE001 - a get_config of the user's own may do anything; then it travels as it is
                made = None
            if made is not None:
                if "np." in config:
                    self.imports["import numpy as np"] = None
                return f"{made}.from_config({config})"
        key = re.sub(r"[^0-9A-Za-z_]+", "_", name)
        while key in self.parcel:
            key += "_"
        self.parcel[key] = value
        return f"{PARCEL}[{key!r}]"

    def imported(self, thing: Any) -> str | None:
        """The dotted name of a function or class which another process can import, its import noted; None if it cannot be."""
        if not (inspect.isfunction(thing) or inspect.isclass(thing) or inspect.isbuiltin(thing)):
            return None
        if (public := _public_name_in_keras(thing)) is not None:
            self.imports["import keras"] = None
            return public
        module, path = getattr(thing, "__module__", None), thing.__qualname__
        if not module or module == "__main__" or "<" in path:
            return None
        loaded: Any = sys.modules.get(module)
        found = loaded
        for part in path.split("."):
            found = getattr(found, part, None)
        folder = _import_folder(module, loaded)
        if found is not thing or folder is None:
            return None
        if folder:
            self.folders[folder] = None
        self.imports[f"import {module}"] = None
        return f"{module}.{path}"

    def import_module(self, name: str) -> None:
        """Have the case import a module or package, for what it registers with Keras.

        Raises:
            UsageError: if it is no dotted name, or there is none.
        """
        if not all(part.isidentifier() for part in name.split(".")):
            message = f"--import {name!r}: is no module; expected a dotted name such as my_package.layers."
            raise UsageError(message)
        root = name.partition(".")[0]
        if _spec(root) is None and not any((Path.cwd() / one).exists() for one in (root, f"{root}.py")):
            message = f"--import {name}: there is no module {root!r} here. Install it, or start from the folder that holds it."
            raise UsageError(message)
        self.imports[f"import {name}"] = None

    def attribute(self, name: str) -> Code:
        """Something in a module, by ``module:name``, as source.

        Raises:
            UsageError: if it is not spelt like that, or there is no such module.
        """
        module, _, path = name.partition(":")
        if not path or not all(part.isidentifier() for part in path.split(".")):
            message = f"{name}: names nothing; expected MODULE:NAME, such as my_package.models:build."
            raise UsageError(message)
        self.import_module(module)
        return Code(f"{module}.{path}")

    def text(self, *, claim: str, why: str, name: str, body: Sequence[str], parcel: Path | None) -> str:
        """The text of the case file, whose one case is ``case_<name>``; `body` are its lines, which may use data and parcel."""
        used = "\n".join(body)
        offered = [one for one in ("FunctionCase", "ModelCase", "Raises", "Tolerance") if re.search(rf"\b{one}\(", used)]
        own = sorted(self.imports.keys() - {"import keras", "import numpy as np"})
        lines = [f'"""{_in_docstring(why)}"""', "", *(["import sys"] if self.folders else []), "from pathlib import Path", ""]
        lines += ["import keras", "import numpy as np", f"from backendcheck import {', '.join(offered)}", ""]
        if own:
            lines += [*(f"sys.path.append({folder!r})" for folder in self.folders), *(f"{one}  # noqa: E402" for one in own), ""]
        lines += ["HERE = Path(__file__).parent", "", "", f"def case_{name}():", f'    """{_in_docstring(claim)}"""']
        if self.arrays:
            lines.append(f'    {DATA} = np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False)')
        if self.parcel:
            lines += ["    from backendcheck.record.unpickling import unpacked", "", f"    {PARCEL} = unpacked({str(parcel)!r})"]
        return "\n".join([*lines, *(f"    {line}" for line in body)]) + "\n"

    def write_arrays(self, path: Path) -> None:
        """Write the ``.npz``."""
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **self.arrays)
        write_atomically(path, content.getvalue())


def as_array(name: str, value: Any) -> np.ndarray:
    """What a user holds (a list, an array, a data frame, a tensor of any backend) as an array of numbers, bools or text.

    Raises:
        UsageError: if it cannot be one, saying why.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a torch tensor that may need a gradient or be elsewhere
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except Exception as error:
        message = f"{name}: cannot be made an array ({error}); expected numbers, bools or text, got {type(value).__name__}."
        raise UsageError(message) from error
    if array.dtype == object:
        items = array.ravel().tolist()
        if items and all(isinstance(item, str) for item in items):
            return array.astype(str)
        kinds = ", ".join(sorted({type(item).__name__ for item in items})[:4]) or "nothing"
        message = f"{name}: holds objects ({kinds}); expected numbers, bools or text. Are its rows of one length, without None?"
        raise UsageError(message)
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)  # exact; NumPy's files know no bfloat16
    if array.dtype.kind not in "biufUS":
        message = f"{name}: has dtype {array.dtype}; expected numbers, bools or text. Convert it first."
        raise UsageError(message)
    return array


def is_rectangle(value: Sequence[Any]) -> bool:
    """Whether a list is an array written out, row by row, rather than several arrays."""
    return all(isinstance(one, list | tuple) or np.ndim(one) == 0 for one in value)


def _public_name_in_keras(thing: Any) -> str | None:
    """``keras.losses.MeanSquaredError`` for that class. Looks into a keras that is loaded already, if one is."""
    keras, name = sys.modules.get("keras"), getattr(thing, "__name__", "")
    if keras is None or not str(getattr(thing, "__module__", "")).startswith("keras."):
        return None
    # What Keras offers as keras.optimizers.Adam is a class of its own on some backends.
    offered = inspect.isclass(thing)
    for path in ("losses", "metrics", "optimizers", "optimizers.schedules", "layers", "activations", "ops"):
        module: Any = keras
        for part in path.split("."):
            module = getattr(module, part, None)
        found = getattr(module, name, None)
        if found is thing or (offered and inspect.isclass(found) and issubclass(thing, found)):
            return f"keras.{path}.{name}"
    return None


def _spec(root: str) -> Any:
    try:
        return importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return None


def _import_folder(module: str, loaded: Any) -> str | None:
    """The folder that has to be on `sys.path` for a module: empty if it is installed, None if it cannot be imported by name."""
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
    """Text that cannot end a docstring, and holds nothing that does not print."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in safe)


def identifier(text: str, otherwise: str) -> str:
    """`text` as a name that Python and file systems take: letters, digits and underscores."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", text).strip("_")[:80]
    return name or otherwise
