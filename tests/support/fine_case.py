"""What cannot be done or read is refused in a line that says where, what and what to do; nothing is lost by it."""

from __future__ import annotations

from pathlib import Path

from front_door import project

FINE = "def case_fine():\n    '''Nothing is the matter.'''\n    return {'v': 1}\n"


def without(backend: str, folder: Path) -> dict[str, str]:
    """An environment in which a backend is not installed."""
    hide = f"""
        import importlib.abc, sys

        class Hidden(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == {backend!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Hidden())
        import importlib.util
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name, package=None: None if name == {backend!r} else find(name, package)
    """
    project(folder, {"site/sitecustomize.py": hide})
    return {"PYTHONPATH": str(folder / "site")}
