"""``python -m backendcheck``."""

from backendcheck.cli import main

main()
