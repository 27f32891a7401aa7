"""What in a user's source does not move to another backend, found in its syntax tree.

Precision goes before recall. In losses, layers and models only calls on tensors count: parameters of `call` and its like, and
what is computed from them. Shapes and dtypes are no tensors. A `tf.data` pipeline, which every backend takes, is not among these.
Code below a question for the backend (`if keras.backend.backend() == …`) is left out: it knows what it does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backendcheck.errors import UsageError
from backendcheck.migrate.names import imported_names, qualified
from backendcheck.text.words import cut

OUTPUTS_BY_POSITION = "outputs-by-position"
_LONGEST_LINE = 160
_MODULES = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}  # root module: backend
_TENSOR_METHODS = frozenset({
    "call", "compute_loss", "compute_metrics", "update_state", "train_step", "test_step", "predict_step", "compute_mask",
})  # fmt: skip
_OF_KERAS = ("Layer", "Model", "Loss", "Metric", "Regularizer", "Constraint")  # the ends of names of base classes
_CALLED = ("Loss", "Regularizer", "Constraint")  # classes whose __call__ takes tensors
_STATIC = frozenset({"shape", "dtype", "ndim", "rank", "name"})  # of a tensor: known without its values
_STATIC_NUMPY = frozenset({"shape", "ndim", "size", "dtype", "result_type"})
_FOREIGN_BUT_KERAS = ("tensorflow.keras", "tensorflow.data", "tensorflow.nest")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFinding:
    """A line that does not move. `what` says why, `remedy` what to write instead."""

    file: str
    line: int
    code: str
    what: str
    remedy: str
    source: str

    @property
    def place(self) -> str:
        """``layers.py:12``."""
        return f"{self.file}:{self.line}"


def scan(files: Sequence[Path], target: str) -> tuple[SourceFinding, ...]:
    """What in these files does not move to the backend `target`, by file and line.

    Raises:
        UsageError: if a file cannot be read, or is not Python.
    """
    findings = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
        except (OSError, ValueError, SyntaxError) as error:
            message = f"{path}: cannot be read as Python ({error}). Give the files that make the model with --source."
            raise UsageError(message) from error
        findings += _Scan(path, text, tree, target).findings()
    return tuple(findings)


def python_files(paths: Sequence[Path]) -> list[Path]:
    """The Python files among these paths and below these folders, without hidden folders.

    Raises:
        UsageError: if a path does not exist or has no Python file.
    """
    files: list[Path] = []
    for path in paths:
        below = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []
        below = [file for file in below if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        if not below:
            message = f"{path}: no Python source there; expected a file, or a folder that contains some."
            raise UsageError(message)
        files += below
    return list(dict.fromkeys(files))


def module_files(modules: Sequence[str]) -> list[Path]:
    """The source files of these modules, all of those of a package. None is imported, and installed packages are left out."""
    files = []
    own = [Path(folder) for folder in ("", *sys.path) if not {"site-packages", "dist-packages"} & {*Path(folder).parts}]
    for module in modules:
        for folder in own:
            path = folder / module.replace(".", "/")
            below = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
            if below:
                files += sorted(path.rglob("*.py")) if path.is_dir() else below
                break
    return list(dict.fromkeys(files))


class _Scan:
    """The findings of one file."""

    def __init__(self, path: Path, text: str, tree: ast.Module, target: str) -> None:
        self.path, self.lines, self.tree, self.target = path, text.splitlines(), tree, target
        self.names = imported_names(tree)
        self.found: dict[tuple[int, str], SourceFinding] = {}

    def findings(self) -> list[SourceFinding]:
        for function, tensors in self._tensor_functions(self.tree):
            self._look_into(function, set(tensors))
        self._look_at_calls()
        return sorted(self.found.values(), key=lambda finding: finding.line)

    def _add(self, node: ast.expr, code: str, what: str, remedy: str) -> None:
        source = self.lines[node.lineno - 1].strip() if node.lineno <= len(self.lines) else ""
        self.found.setdefault((node.lineno, code), SourceFinding(
            file=str(self.path), line=node.lineno, code=code, what=what, remedy=remedy, source=cut(source, _LONGEST_LINE),
        ))  # fmt: skip

    # --- functions that get tensors --------------------------------------------------------------------------------

    def _tensor_functions(self, tree: ast.AST) -> Iterator[tuple[ast.FunctionDef | ast.Lambda, list[str]]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(self._is_of_keras(base) for base in node.bases):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and self._takes_tensors(node, method):
                        yield method, _tensors_of(method)[1:]
            elif isinstance(node, ast.FunctionDef) and _parameters(node)[:2] == ["y_true", "y_pred"]:
                yield node, _parameters(node)[:2]
            elif isinstance(node, ast.Call) and self._qualified(node.func).endswith("keras.layers.Lambda"):
                for argument in node.args[:1]:
                    if isinstance(argument, ast.Lambda):
                        yield argument, [name.arg for name in argument.args.args]

    def _is_of_keras(self, base: ast.expr) -> bool:
        return "keras" in self._qualified(base) or ast.unparse(base).endswith(_OF_KERAS)

    def _takes_tensors(self, cls: ast.ClassDef, method: ast.FunctionDef) -> bool:
        """Whether it is a method that Keras calls with tensors."""
        if method.name in _TENSOR_METHODS:
            return True
        return method.name == "__call__" and any(ast.unparse(base).endswith(_CALLED) for base in cls.bases)

    # --- tensors in a function -------------------------------------------------------------------------------------

    def _look_into(self, function: ast.FunctionDef | ast.Lambda, tensors: set[str]) -> None:
        tensors -= {"training", "mask"}
        body: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else [*function.body]
        for node in self._in_order(body):
            if isinstance(node, ast.Call):
                self._look_at_call(node, tensors)
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
                if self._is_tensor(node.value, tensors):
                    tensors |= names
                elif not isinstance(node, ast.AugAssign):
                    tensors -= names

    def _in_order(self, body: Sequence[ast.AST]) -> Iterator[ast.AST]:
        """The nodes of a body in the order of execution, an assignment after its value; without code for one backend."""
        for node in body:
            if isinstance(node, ast.If) and _asks_for_backend(node.test):
                continue
            if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
                continue
            children = list(ast.iter_child_nodes(node))
            yield from self._in_order(children)
            yield node

    def _look_at_call(self, call: ast.Call, tensors: set[str]) -> None:
        name = self._qualified(call.func)
        root = name.partition(".")[0]
        if name == "tensorflow.GradientTape" and self.target != "tensorflow":
            what = "`tf.GradientTape` in a step of training: it sees no operation of another backend"
            remedy = "Override compute_loss in place of the step, or write a step for each backend."
            self._add(call, "tensorflow-gradient", what, remedy)
            return
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(call.func, ast.Attribute) and call.func.attr == "numpy" and not call.args:
            if self._is_tensor(call.func.value, tensors):
                what = "`.numpy()` of a tensor: it needs values, and a traced tensor has none"
                remedy = "Use keras.ops, and keras.ops.convert_to_numpy outside of layers and losses."
                self._add(call, "numpy-on-tensor", what, remedy)
        elif not any(self._is_tensor(argument, tensors) for argument in arguments):
            return
        elif _MODULES.get(root, self.target) != self.target and not name.startswith(_FOREIGN_BUT_KERAS):
            short = ast.unparse(call.func)
            what = f"`{short}` on a tensor: {root} does not take tensors of {self.target}"
            remedy = f"Use the operation of keras.ops in place of {short}; it has the same meaning on every backend."
            self._add(call, f"{root}-on-tensor", what, remedy)
        elif root == "numpy" and name.rpartition(".")[2] not in _STATIC_NUMPY:
            short = ast.unparse(call.func)
            what = f"`{short}` on a tensor: NumPy needs values, and a traced tensor has none; no gradient passes through it"
            self._add(call, "numpy-on-tensor", what, f"Use the operation of keras.ops in place of {short}.")

    def _is_tensor(self, node: ast.AST, tensors: set[str]) -> bool:
        """Whether an expression is computed from the values of a tensor."""
        if isinstance(node, ast.Name):
            return node.id in tensors
        if isinstance(node, ast.Attribute):
            return node.attr not in _STATIC and self._is_tensor(node.value, tensors)
        if isinstance(node, ast.Call):
            name = self._qualified(node.func).rpartition(".")[2]
            if name in {*_STATIC_NUMPY, "len", "isinstance", "get_shape", "int_shape", "standardize_dtype", "is_tensor"}:
                return False
            parts: list[ast.AST] = [*node.args, *(keyword.value for keyword in node.keywords)]
            parts += [node.func.value] if isinstance(node.func, ast.Attribute) else []
            return any(self._is_tensor(part, tensors) for part in parts)
        if isinstance(node, ast.Compare) and any(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops):
            return False
        if isinstance(node, ast.Lambda | ast.Constant):
            return False
        return any(self._is_tensor(child, tensors) for child in ast.iter_child_nodes(node))

    # --- anywhere in the file --------------------------------------------------------------------------------------

    def _look_at_calls(self) -> None:
        predicted = {
            target.id
            for node in ast.walk(self.tree) if isinstance(node, ast.Assign) and _is_predict(node.value)
            for target in node.targets if isinstance(target, ast.Name)
        }  # fmt: skip
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Call):
                continue
            name = self._qualified(node.func)
            of = node.func.value if isinstance(node.func, ast.Attribute) else None
            if isinstance(node.func, ast.Attribute) and node.func.attr == "values" and not node.args and of is not None:
                if _is_predict(of) or (isinstance(of, ast.Name) and of.id in predicted):
                    what = "`.values()` of predictions: backends return outputs in different orders"
                    self._add(node, OUTPUTS_BY_POSITION, what, "Take the outputs by name: predictions['name'].")
            elif name.endswith("keras.layers.Lambda") and any(isinstance(argument, ast.Lambda) for argument in node.args):
                what = "a Lambda layer with a Python lambda: its file holds bytecode, which Keras's safe mode does not load"
                self._add(node, "lambda-layer", what, "Write a Layer subclass, or a named function registered with Keras.")
            elif self.target != "tensorflow" and _is_text_input(name, node):
                what = f"a text input: tensors of {self.target} hold no text"
                self._add(node, "text-input", what, "Turn text into numbers before the model, for example in tf.data.")

    def _qualified(self, node: ast.expr) -> str:
        return qualified(node, self.names)


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]


def _tensors_of(function: ast.FunctionDef) -> list[str]:
    """The parameters that may be tensors: those whose default is a number, a text or a bool are not."""
    parameters = [*function.args.posonlyargs, *function.args.args]
    defaults = [None] * (len(parameters) - len(function.args.defaults)) + [*function.args.defaults]
    return [
        parameter.arg for parameter, default in zip(parameters, defaults, strict=True)
        if not (isinstance(default, ast.Constant) and default.value is not None)
    ]  # fmt: skip


def _asks_for_backend(test: ast.expr) -> bool:
    """Whether a condition asks which backend runs."""
    return any(
        isinstance(node, ast.Call) and (
            (isinstance(node.func, ast.Attribute) and node.func.attr == "backend")
            or (isinstance(node.func, ast.Name) and node.func.id == "backend")
        )
        for node in ast.walk(test)
    )  # fmt: skip


def _is_predict(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("predict", "predict_on_batch")
    )


def _is_text_input(name: str, call: ast.Call) -> bool:
    is_input = name.rpartition(".")[2] in ("Input", "InputLayer") and "keras" in name
    return is_input and any(keyword.arg == "dtype" and _is_text(keyword.value) for keyword in call.keywords)


def _is_text(node: ast.expr) -> bool:
    is_literal = isinstance(node, ast.Constant) and node.value == "string"
    return is_literal or (isinstance(node, ast.Attribute) and node.attr == "string")
