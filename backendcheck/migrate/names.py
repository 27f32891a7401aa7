"""What names in a file stand for, by its imports: ``tf.cast`` is ``tensorflow.cast``."""

from __future__ import annotations

import ast


def imported_names(tree: ast.AST) -> dict[str, str]:
    """The full name of each name that the file imports."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name if alias.asname else alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def qualified(node: ast.expr, names: dict[str, str]) -> str:
    """The full name of an expression such as ``tf.math.log``; empty if it does not begin with an imported name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        of = qualified(node.value, names)
        return f"{of}.{node.attr}" if of else ""
    return ""
