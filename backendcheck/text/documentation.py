"""Links to the documentation of the project. Its public address is in the metadata of the package, once it is known."""

from __future__ import annotations

import functools
import importlib.metadata


@functools.cache
def repository() -> str:
    """The address of the repository; empty as long as it is not known."""
    try:
        urls = importlib.metadata.metadata("backendcheck").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return ""
    by_name: dict[str, str] = dict(url.partition(", ")[::2] for url in urls)
    return by_name.get("Repository", "").rstrip("/")


def page(name: str, anchor: str = "") -> str:
    """The address of a page of the documentation, such as ``known.md``; empty as long as that of the repository is not known."""
    where = repository()
    return f"{where}/blob/main/docs/{name}{f'#{anchor}' if anchor else ''}" if where else ""
