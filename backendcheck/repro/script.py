"""The script: a program, the values that it prints, and their output on this machine in a comment at the end."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backendcheck.repro.printed_paths import has
from backendcheck.repro.printed_values import PrintedValue
from backendcheck.repro.program import Program, ProgramSource
from backendcheck.text.escape import visible
from backendcheck.text.literals import in_comment, shortened
from backendcheck.vocabulary.leg_names import parse_leg

_ALWAYS = ("plain", "show")  # helpers of every script


@functools.cache
def helper_functions() -> dict[str, str]:
    """The source of each function in the template, by name."""
    template = Path(__file__).with_name("templates").joinpath("helpers.py.txt").read_text(encoding="utf-8")
    functions = [node for node in ast.parse(template).body if isinstance(node, ast.FunctionDef)]
    return {function.name: ast.get_source_segment(template, function) or "" for function in functions}


def _used_helpers(values: Sequence[PrintedValue]) -> list[str]:
    """The helper functions that the values call, and those that these call, in the order of the template."""
    functions = helper_functions()
    used: set[str] = set()
    sources = [value.code for value in values]
    while sources:
        called = set(re.findall(r"(?<![\w.])(\w+)\(", sources.pop())) & functions.keys() - used
        used |= called
        sources += [functions[name] for name in called]
    return [name for name in functions if name in used or name in _ALWAYS]


MARK = "# Output"
MODES_OF_SCRIPTS: Mapping[str, str] = {
    "eager": '{"run_eagerly": True, "jit_compile": False}', "jit": '{"jit_compile": True, "run_eagerly": False}', "compile": "{}",
}  # fmt: skip
"""The modes of legs that a script can have, each with the options of `model.compile` that it stands for."""
_TORCH_COMPILE = """\
    if MODE == "compile":
        import torch
        model.call = torch.compile(model.call)
"""


def script_source(
    program: Program, text: ProgramSource, values: Sequence[PrintedValue], *, heading: str, backends: Sequence[str], name: str
) -> str:
    """The source of the script, without its output."""
    used = _used_helpers(values)
    imports = ["import json", *(f"import {module}" for module in _modules(values, used))]
    imports += ["import os"] if any(parse_leg(backend).mode for backend in backends) else []
    first, rest = _split_imports(text.source)
    lines = [*dict.fromkeys([*imports, *first])]
    standard = sorted(line for line in lines if _is_standard(line))
    third_party = sorted((line for line in lines if line not in standard), key=lambda line: (line.startswith("from "), line))
    legs = [parse_leg(backend) for backend in backends]
    runs = "\n".join(f"    {leg.in_shell(f'python {visible(name)}')}" for leg in legs)
    needs_compiled = any("compiled(" in value.code for value in values)
    modes = [mode for mode in MODES_OF_SCRIPTS if needs_compiled and any(leg.mode == mode for leg in legs)]
    parts = [
        in_comment(f"{heading}\n\nIt needs Keras, NumPy and one backend. Run it once under each:\n\n{runs}"),
        "\n".join(standard) + "\n\n" + "\n".join(third_party),
        rest.strip("\n"),
        *([_modes(modes)] if modes else []),
        *([_compiled(program, modes)] if needs_compiled else []),
        *(_helper(program, name) for name in used),
        _main(values),
    ]  # fmt: skip
    return re.sub(r"\n{4,}", "\n\n\n", "\n\n\n".join(parts)) + "\n"


def _modules(values: Sequence[PrintedValue], helpers: Sequence[str]) -> list[str]:
    """The modules of the standard library that the values and their helpers use."""
    code = "\n".join([*(value.code for value in values), *(helper_functions()[name] for name in helpers)])
    return [module for module in ("itertools", "os", "tempfile") if re.search(rf"\b{module}\.", code)]


def _helper(program: Program, name: str) -> str:
    source = helper_functions()[name]
    return source if has(program, "sample_weight") else source.replace(", sample_weight=tensors(sample_weight)", "")


def pruned(program: Program, values: Sequence[PrintedValue]) -> Program:
    """The program without the data that no value needs, such as the labels in a script that predicts."""
    if program.form != "objects":
        return program
    helpers = [helper_functions()[name] for name in _used_helpers(values) if name not in _ALWAYS]
    text = " ".join([*(value.code for value in values), *helpers])
    if "compiled(" in text:
        text += _compiled(program)
    if "tensors(sample_weight)" in text or "gradients(" in text:
        text += " sample_weight"
    used = set(re.findall(r"\w+", text))
    return replace(
        program,
        code={name: code for name, code in program.code.items() if name in used},
        arrays={name: nest for name, nest in program.arrays.items() if name in used},
    )


def _main(values: Sequence[PrintedValue]) -> str:
    lines = [
        "backend = keras.backend.backend()",
        'print(f"keras {keras.__version__}, {backend} {__import__(backend).__version__}, numpy {np.__version__}")',
    ]
    lines += [f"show({value.name!r}, lambda: {value.code})" for value in values]
    return "\n".join(lines)


def _modes(modes: Sequence[str]) -> str:
    """The options of `model.compile` that each mode stands for."""
    rows = "".join(f'    "{mode}": {MODES_OF_SCRIPTS[mode]},\n' for mode in modes)
    comment = "# MODE in the environment says how models are compiled."
    return f'{comment}\nMODES = {{\n{rows}}}\nMODE = os.environ.get("MODE", "")'


def _compiled(program: Program, modes: Sequence[str] = ()) -> str:
    optional = [name for name in ("loss_weights", "metrics", "weighted_metrics") if has(program, name)]
    options = [f"{name}={name}" for name in ("loss", *optional)]
    optimizer = "optimizer()" if has(program, "optimizer") else "keras.optimizers.SGD(0.1)"
    torch_compile = _TORCH_COMPILE if "compile" in modes else ""
    return (
        'def compiled(**options):\n    """A new, compiled model."""\n    model = build()\n'
        f"{torch_compile}    model.compile(optimizer={optimizer}, {', '.join(options)}, {_compile_options(modes)})\n"
        "    return model"
    )


def _compile_options(modes: Sequence[str]) -> str:
    return "**{**MODES.get(MODE, {}), **options}" if modes else "**options"


def _split_imports(source: str) -> tuple[list[str], str]:
    lines = source.splitlines()
    n = next((number for number, line in enumerate(lines) if not line.startswith(("import ", "from "))), len(lines))
    return lines[:n], "\n".join(lines[n:])


def _is_standard(line: str) -> bool:
    import sys

    return line.split()[1].partition(".")[0] in sys.stdlib_module_names


def with_outputs(source: str, outputs: Mapping[str, str], where: str) -> str:
    """The script with its output under each backend in a comment at the end."""
    blocks = [f"{MARK} {visible(where)}:"]
    for backend, output in outputs.items():
        lines = "\n".join(f"    {line}" for line in shortened(output).splitlines())
        blocks += ["#", in_comment(parse_leg(backend).in_shell()), in_comment(lines)]
    return source.rstrip("\n") + "\n\n" + "\n".join(blocks) + "\n"
