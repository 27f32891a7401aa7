"""The script itself: a program, the figures that it prints, and what they were here, in a comment at its end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from backendcheck.repro.printed_values import HELPERS, Figure, has
from backendcheck.repro.program import Program, Written
from backendcheck.text.escape import visible
from backendcheck.text.literals import in_comment, shortened

_SHOW = '''def plain(value):
    """A tensor or an array as numbers and text."""
    if isinstance(value, bytes):
        return value.decode()
    if keras.ops.is_tensor(value) or isinstance(value, keras.Variable):
        value = value.numpy() if "string" in str(value.dtype) else keras.ops.convert_to_numpy(value)
    return (value.astype("float32") if value.dtype.name == "bfloat16" else value).tolist()


def show(name, compute):
    """Print a figure, or what was raised in its place."""
    try:
        text = json.dumps(compute(), default=plain)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"raised {type(error).__name__}: {(lines or [''])[0][:200]}"
    print(f"{name}: {text}")'''

MARK = "# What it printed"


def script_source(
    program: Program, text: Written, figures: Sequence[Figure], *, heading: str, backends: Sequence[str], name: str
) -> str:
    """The source of the script without what it printed."""
    needed = [helper for helper in HELPERS if any(helper in figure.helpers for figure in figures)]
    imports = ["import json"]
    first, rest = _split_imports(text.source)
    lines = [*dict.fromkeys([*imports, *first])]
    standard = sorted(line for line in lines if _is_standard(line))
    others = sorted((line for line in lines if line not in standard), key=lambda line: (line.startswith("from "), line))
    runs = "\n".join(f"    KERAS_BACKEND={backend} python {visible(name)}" for backend in backends)
    parts = [
        in_comment(f"{heading}\n\nIt needs Keras, NumPy and one backend. Run it once under each:\n\n{runs}"),
        "\n".join(standard) + "\n\n" + "\n".join(others),
        rest.strip("\n"),
        *([_compiled(program)] if any("compiled(" in figure.code for figure in figures) else []),
        *(HELPERS[helper].replace("{weight}", ", sample_weight=tensors(sample_weight)" if has(program, "sample_weight") else "")
          for helper in needed),
        _SHOW,
        _main(figures),
    ]  # fmt: skip
    return re.sub(r"\n{4,}", "\n\n\n", "\n\n\n".join(parts)) + "\n"


def pruned(program: Program, figures: Sequence[Figure]) -> Program:
    """The program without what no figure needs: a script that predicts needs no labels."""
    if program.form != "objects":
        return program
    text = " ".join([*(figure.code for figure in figures), *(HELPERS[one] for figure in figures for one in figure.helpers)])
    if "compiled(" in text:
        text += _compiled(program)
    if "tensors(sample_weight)" in text or "gradients(" in text:
        text += " sample_weight"
    used = set(re.findall(r"\w+", text))
    return replace(
        program,
        code={name: one for name, one in program.code.items() if name in used},
        arrays={name: one for name, one in program.arrays.items() if name in used},
    )


def _main(figures: Sequence[Figure]) -> str:
    lines = [
        "backend = keras.backend.backend()",
        'print(f"keras {keras.__version__}, {backend} {__import__(backend).__version__}, numpy {np.__version__}")',
    ]
    lines += [f"show({figure.name!r}, lambda: {figure.code})" for figure in figures]
    return "\n".join(lines)


def _compiled(program: Program) -> str:
    given = [name for name in ("loss_weights", "metrics", "weighted_metrics") if has(program, name)]
    options = [f"{name}={name}" for name in ("loss", *given)]
    optimizer = "optimizer()" if has(program, "optimizer") else "keras.optimizers.SGD(0.1)"
    return (
        'def compiled(**options):\n    """The model afresh."""\n    model = build()\n'
        f"    model.compile(optimizer={optimizer}, {', '.join(options)}, **options)\n    return model"
    )


def _split_imports(source: str) -> tuple[list[str], str]:
    lines = source.splitlines()
    n = next((number for number, line in enumerate(lines) if not line.startswith(("import ", "from "))), len(lines))
    return lines[:n], "\n".join(lines[n:])


def _is_standard(line: str) -> bool:
    import sys

    return line.split()[1].partition(".")[0] in sys.stdlib_module_names


def with_outputs(source: str, outputs: Mapping[str, str], where: str) -> str:
    """The script with what it printed under each backend in a comment at its end."""
    blocks = [f"{MARK} {visible(where)}:"]
    for backend, output in outputs.items():
        lines = "\n".join(f"    {line}" for line in shortened(output).splitlines())
        blocks += ["#", in_comment(f"KERAS_BACKEND={backend}"), in_comment(lines)]
    return source.rstrip("\n") + "\n\n" + "\n".join(blocks) + "\n"
