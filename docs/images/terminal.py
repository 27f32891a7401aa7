"""The picture of a terminal in README.md: what `backendcheck demo` prints.

    python docs/images/terminal.py

Runs the demo on all three backends, which takes about a minute, and writes demo.svg next to this file. The picture has the first
cases and the end of the output. It loads nothing from elsewhere.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
WIDTH = 92
N_CASES = 4  # that the picture has of the twelve
COMMAND = ["demo", "--backends", "tensorflow,jax,torch", "--quiet"]


def main() -> None:
    lines = shortened(printed())
    console = Console(record=True, width=WIDTH, file=Path(os.devnull).open("w", encoding="utf-8"), force_terminal=True)  # noqa: SIM115
    console.print(Text("$ backendcheck demo", style="bold"))
    for line in lines:
        console.print(Text.from_ansi(line))
    svg = console.export_svg(title="backendcheck demo", unique_id="demo")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # of another site
    (HERE / "demo.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def printed() -> list[str]:
    """The lines that the demo prints on a terminal, with colors."""
    reader, terminal = pty.openpty()
    env = os.environ | {"COLUMNS": str(WIDTH), "TERM": "xterm-256color", "TF_CPP_MIN_LOG_LEVEL": "2"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "backendcheck", *COMMAND]
        streams = {"stdin": subprocess.DEVNULL, "stdout": terminal, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=folder, env=env, **streams)
        os.close(terminal)
        content = b""
        while chunk := _read(reader):
            content += chunk
        errors = process.communicate()[1]
    if process.returncode:
        sys.exit(f"backendcheck demo: exit code {process.returncode}\n{errors.decode()}{content.decode()}")
    return content.decode().replace("\r\n", "\n").rstrip("\n").split("\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def shortened(lines: list[str]) -> list[str]:
    """The beginning, the first cases, and what follows the last one."""
    plain = [Text.from_ansi(line).plain for line in lines]
    starts = [number for number, line in enumerate(plain) if re.match(r"[ \d]\d  \S", line)]
    end = plain.index("", starts[-1])
    left_out = len(starts) - N_CASES
    return [*lines[: starts[N_CASES]], f"    … {left_out} more cases …", *lines[end:]]


if __name__ == "__main__":
    main()
