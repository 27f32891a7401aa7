"""The page about the state of a process that a case may change, from the tables in `backendcheck/record/process_state`.

The tables are read as text, so that no backend needs to be installed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TABLES = Path(__file__).parent.parent / "backendcheck" / "record" / "process_state"
_TITLES = {
    "hooks.py": "What Python calls back",
    "interpreter.py": "Python and the process",
    "numeric.py": "NumPy, Keras and the processor",
    "tensorflow.py": "TensorFlow",
    "jax.py": "JAX",
    "torch.py": "PyTorch",
}
_PUT_BACK, _REPLACED = "put back", "worker replaced"
_BOTH = "put back, and the worker replaced"  # programs that are compiled already may hold what was replaced

_HEAD = """# State of a process

The cases of a worker run one after the other in one process. A case, its fixtures and the imports of its file may change
that process. After each case, backendcheck compares the state below with the state before. What differs is put back.
Where that cannot be done, the worker is replaced before the next case. A line among the *notes* of the recording names what
the case left changed. `backendcheck show CASE` prints it. What a library sets for itself when it is imported or first used
is not a change.

Some state is not in the tables, because it is set anew for every case:

- the seeds of Python, NumPy, Keras and the backend;
- the Keras session, with the names of its layers;
- the standard streams, the directory of `tmp_path`, and the filters of warnings.

What importing the case files changes stays in force for all of them. A note in each recording names what may change a
number. A fixture for a whole file or session keeps its settings until it ends.

A worker is also replaced where it keeps too much memory: `--worker-memory`, by default 1300M for TensorFlow, 1200M for JAX
and 1150M for PyTorch. `worker_memory = "2G"` in `[tool.backendcheck]` sets it for a project, 0 turns it off. Above that
size, compiled programs of earlier cases are forgotten first. If the worker still keeps more than half of its room for cases,
it ends before the next case. Room is what lies between its size before the first case and the bound, 256 MB at least.
Neither a case that needs more while it runs nor a large import replaces a worker again and again. Verdicts stay the same.
`environment.json` and the table of environments in the report have the number of replacements.

Before a case is called, nothing is set that a plain script would find unset. So `keras.config.set_floatx` in a case decides
the float type of its layers."""


def state_page() -> Iterator[str]:
    """Every piece of state, and what becomes of it after a case."""
    yield from _HEAD.splitlines()
    for name, title in _TITLES.items():
        yield from ("", f"## {title}", "", "| state | after the case |", "| --- | --- |")
        tree = ast.parse((TABLES / name).read_text(encoding="utf-8"))
        yield from sorted(dict.fromkeys(_rows(tree)), key=lambda row: _BOTH in row)


def _rows(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="Item")) if isinstance(node.args[0], ast.Constant):
                can_restore = len(node.args) > 2 or isinstance(node.args[-1], ast.Starred)  # noqa: PLR2004 - name and read
                silent = "; not told, a library sets it at its first use" if node.keywords else ""
                yield f"| {node.args[0].value} | {(_PUT_BACK if can_restore else _REPLACED) + silent} |"
            case ast.Call(func=ast.Name(id="_autocast")):
                yield f"| torch autocast on each device | {_PUT_BACK} |"
            case ast.GeneratorExp(elt=ast.Call(func=ast.Name(id="functions_of")), generators=[ast.comprehension(iter=owners)]):
                yield _functions(owners)
            case ast.AnnAssign(target=ast.Name(id="owners"), value=ast.List() as owners):
                yield _functions(owners)


def _functions(owners: ast.expr) -> str:
    names = [ast.unparse(owner) for owner in getattr(owners, "elts", ())]
    return f"| functions and classes of {', '.join(f'`{name}`' for name in names)} | {_BOTH} |"
