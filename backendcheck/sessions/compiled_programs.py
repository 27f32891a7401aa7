"""The folders of compiled programs, and what they belong to, for a CI system that keeps them from one run to the next.

    python -m backendcheck.sessions.compiled_programs jax 1/2

prints ``key=…`` and the folders ``jax=…`` and ``tensorflow=…``, as a step of GitHub takes outputs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from backendcheck.recordings.dependencies import digest_of
from backendcheck.sessions.child_processes import cache_directory
from backendcheck.sessions.conditions import processor
from backendcheck.vocabulary.backends import installed_version

FOLDERS = ("jax", "tensorflow")
_PACKAGES = ("backendcheck", "keras", "jax", "jaxlib", "tensorflow", "numpy")


def key_of_programs(parts: Sequence[str]) -> str:
    """What has to be the same for compiled programs to be of use: versions and the processor, which JAX does not look at.

    `parts` tell the jobs of a matrix apart, such as the backend and the shard.
    """
    versions = [f"{name} {installed_version(name)}" for name in _PACKAGES]
    digest = digest_of([sys.version, processor(), *versions])[:16]
    named = [part.replace(",", "+").replace("/", "-of-") for part in parts if part]
    return "-".join(["backendcheck-programs", *named, digest])


def main(parts: Sequence[str]) -> None:
    """Print the key and the folders that exist or can be made."""
    folders = {name: cache_directory(name) for name in FOLDERS}
    lines = [f"key={key_of_programs(parts)}", *(f"{name}={folder}" for name, folder in folders.items() if folder is not None)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
