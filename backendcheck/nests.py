"""Nests: dicts, lists and tuples inside one another, and the leaves at their ends. Needs no backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[Any, ...]  # the keys and indices that lead to a leaf, from the outside in


def is_leaf(nest: Any) -> bool:
    """Whether a value is anything but a dict, a list or a tuple."""
    return not isinstance(nest, Mapping | list | tuple)


def leaves(nest: Any, *, is_leaf: Callable[[Any], bool] = is_leaf) -> Iterator[tuple[Path, Any]]:
    """Each leaf with its path, in the order of the nest. None is a leaf.

    Args:
        nest: the nest, or a single leaf, whose path is empty.
        is_leaf: tells a leaf from a level, for callers to whom some dicts or lists are leaves.
    """
    if is_leaf(nest):
        yield (), nest
        return
    for key, value in nest.items() if isinstance(nest, Mapping) else enumerate(nest):
        for path, leaf in leaves(value, is_leaf=is_leaf):
            yield (key, *path), leaf


def named_leaves(nest: Any, *, is_leaf: Callable[[Any], bool] = is_leaf) -> dict[str, Any]:
    """The leaves by their path with slashes, as in the name of an observation; a single leaf is under ``""``."""
    return {with_slashes(path): leaf for path, leaf in leaves(nest, is_leaf=is_leaf)}


def is_no_mapping(nest: Any) -> bool:
    """For `is_leaf`: only dicts are levels, a list is a value."""
    return not isinstance(nest, Mapping)


def map_leaves(function: Callable[..., Any], nest: Any, *others: Any, is_leaf: Callable[[Any], bool] = is_leaf) -> Any:
    """The same nest with `function` applied to each leaf, and to the leaf in the same place of each of `others`.

    None stays None. A dict of any class becomes a dict, a tuple of any class a tuple.
    """
    return map_with_paths(lambda _, *parts: function(*parts), nest, *others, is_leaf=is_leaf)


def map_with_paths(
    function: Callable[..., Any], nest: Any, *others: Any, is_leaf: Callable[[Any], bool] = is_leaf, path: Path = ()
) -> Any:
    """As `map_leaves`; `function` gets the path of the leaves first."""
    if nest is None:
        return None
    if is_leaf(nest):
        return function(path, nest, *others)

    def at(key: Any) -> Any:
        parts = (nest[key], *(other[key] for other in others))
        return map_with_paths(function, *parts, is_leaf=is_leaf, path=(*path, key))

    if isinstance(nest, Mapping):
        return {key: at(key) for key in nest}
    mapped = [at(index) for index in range(len(nest))]
    return mapped if isinstance(nest, list) else tuple(mapped)


def with_tuples(nest: Any) -> Any:
    """The same nest with tuples in place of lists, for libraries to which a list is an array."""
    if isinstance(nest, Mapping):
        return {key: with_tuples(value) for key, value in nest.items()}
    return tuple(map(with_tuples, nest)) if isinstance(nest, list | tuple) else nest


def with_slashes(path: Path) -> str:
    """A path as in the name of an observation: ``patient/age/0``."""
    return "/".join(map(str, path))


def with_brackets(name: str, path: Path) -> str:
    """A path below a variable, as Python writes it: ``x['patient'][0]``."""
    return name + "".join(f"[{key!r}]" for key in path)
