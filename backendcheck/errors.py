"""The errors a user can meet. Each message reads: where: what is wrong; expected X, got Y. What to do."""

from __future__ import annotations


class BackendcheckError(Exception):
    """Anything `backendcheck` reports in one line, without a traceback. Ends a command with exit code 2."""


class UsageError(BackendcheckError):
    """The command or the configuration asks for something that cannot be done."""


class UnreadableInput(BackendcheckError):
    """A file is damaged, truncated, from a later version, or does not belong where it lies."""


class OutputInTheWay(BackendcheckError):
    """The output directory cannot be written, or holds something that must not be mixed with or overwritten."""


def install_command(extra: str) -> str:
    """The command that installs what an extra of backendcheck asks for.

    It names the packages themselves, so that it works wherever backendcheck itself came from: an index, a wheel or a clone.
    """
    import importlib.metadata

    from packaging.requirements import Requirement

    packages = []
    for text in importlib.metadata.requires("backendcheck") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and requirement.marker.evaluate({"extra": extra}):
            packages.append(f"'{requirement.name}{requirement.specifier}'")
    return f"pip install {' '.join(packages)}"
