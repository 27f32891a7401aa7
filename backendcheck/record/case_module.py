"""The items of a case file, as pytest sees them."""

from __future__ import annotations

import pytest

from backendcheck.case_files import case_names


def is_case(item: pytest.Item) -> bool:
    """Whether an item is a case; in a session of selected items there are tests, too."""
    return isinstance(item.parent, CaseModule) and item.parent.holds_case(item)


class CaseModule(pytest.Module):
    """A Python file in which the functions named ``case_*`` are the items, and nothing else is."""

    def funcnamefilter(self, name: str) -> bool:
        # By the source: a case that is imported from another file, to build upon, is a case of that file only.
        return name in self._names()

    def holds_case(self, item: pytest.Item) -> bool:
        """Whether an item of this file is a case."""
        return item.parent is self and getattr(item, "originalname", item.name) in self._names()

    def _names(self) -> frozenset[str]:
        if self._case_names is None:
            self._case_names = case_names(self.path)
        return self._case_names

    _case_names: frozenset[str] | None = None

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002
        return False

    def istestclass(self, obj: object, name: str) -> bool:  # noqa: ARG002
        return False


def error_in_words(error: BaseException) -> str:
    """An exception that pytest has caught, in one line if its message is one."""
    if isinstance(error, pytest.FixtureLookupError):
        return f"fixture {error.argname!r} not found"
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
