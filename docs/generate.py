"""Write the pages that are generated from the program and from a run.

These are case-index.md, commands.md, format.md, label-rules.md, report-json.md with its schema, state.md, what-differs.md and
capabilities.md.

    backendcheck run --out reports/latest && python docs/generate.py reports/latest/report.json
    python docs/generate.py --capabilities reports/certify/report.json
    python docs/generate.py --check        # fails if a page that does not come from a run is out of date

The pages what-differs.md and capabilities.md come from runs, so they are written only if a report.json is passed. The public
address in pyproject.toml goes into the files that name it.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import address
import click
from capabilities_page import capabilities_json, capabilities_page
from format_page import format_page
from state_page import state_page
from what_differs import prose, what_differs

from backendcheck.case_files import CaseFunction, case_functions, find_case_files
from backendcheck.cli import cli
from backendcheck.labels import RULES, Rule
from backendcheck.labels.contract.backend_behavior import speak_of
from backendcheck.labels.contract.rules import GROUPS
from backendcheck.labels.rule_examples import EXAMPLES, run_example
from backendcheck.text.markdown import escape
from backendcheck.verdicts.known import Cause
from backendcheck.verdicts.known_entries import load
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS

DOCS = Path(__file__).parent
CASES = DOCS.parent / "cases"
SCHEMA = DOCS.parent / "backendcheck" / "report" / "formats" / "report.schema.json"


def main() -> None:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", type=Path, help="report.json of a run of the built-in cases")
    parser.add_argument("--capabilities", type=Path, metavar="REPORT", help="report.json of a run on all legs")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    options = parser.parse_args()
    speak_of([backend.value for backend in DEFAULT_BACKENDS])  # whichever are installed here
    schema = SCHEMA.read_text(encoding="utf-8")
    pages = {
        "commands.md": commands(), "label-rules.md": label_rules(), "report-json.md": report_json(json.loads(schema)),
        "case-index.md": case_index(), "format.md": format_page(), "state.md": state_page(),
        SCHEMA.name: [schema],
    }  # fmt: skip
    if options.report is not None:
        pages["what-differs.md"] = what_differs(json.loads(options.report.read_text(encoding="utf-8")))
    if options.capabilities is not None:
        report = json.loads(options.capabilities.read_text(encoding="utf-8"))
        pages |= {"capabilities.md": capabilities_page(report), "capabilities.json": capabilities_json(report)}
    known = address.repository()
    for path in address.files():
        text = path.read_text(encoding="utf-8")
        new = address.filled(text, known, readme=path.name == "README.md")
        if new != text:
            pages.setdefault(os.path.relpath(path, DOCS), new.rstrip().split("\n"))
    stale = [name for name, lines in pages.items() if _stale(DOCS / name, "\n".join(lines).rstrip() + "\n", check=options.check)]
    if stale and options.check:
        sys.exit(f"docs: {', '.join(stale)} out of date. Run: python docs/generate.py")


def _stale(path: Path, text: str, *, check: bool) -> bool:
    same = path.exists() and path.read_text(encoding="utf-8") == text
    if not same and not check:
        path.write_text(text, encoding="utf-8")
    return not same


COMPLETION = """\
## Completion in the shell

The shell completes commands and options, ids of recorded cases (`show`, `locate`, `repro`, `known add`), cases of a file behind
`FILE.py::`, backends, codes of label rules, and faults. Add the line of your shell to its settings:

| shell | file | line |
| --- | --- | --- |
| Bash 4.4 or newer | `~/.bashrc` | `eval "$(_BACKENDCHECK_COMPLETE=bash_source backendcheck)"` |
| Zsh | `~/.zshrc` | `eval "$(_BACKENDCHECK_COMPLETE=zsh_source backendcheck)"` |
| Fish | `~/.config/fish/completions/backendcheck.fish` | `_BACKENDCHECK_COMPLETE=fish_source backendcheck \\| source` |
""".splitlines()


# --- commands --------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Every command with its --help text."""
    yield from ("# Commands", "", "The output of `backendcheck COMMAND --help`.", "", *COMPLETION, "")
    yield from _help(cli, ["backendcheck"])


def _help(command: click.Command, path: list[str]) -> Iterator[str]:
    context = click.Context(command, info_name=" ".join(path), terminal_width=100, max_content_width=100, **cli.context_settings)
    yield from (f"## {' '.join(path)}", "", "```text", command.get_help(context).rstrip(), "```", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            if subcommand is not None and not subcommand.hidden:
                yield from _help(subcommand, [*path, name])


# --- built-in cases --------------------------------------------------------------------------------------------


def case_index() -> Iterator[str]:
    """Every built-in case with its claim, by topic and file. The README.md of a folder describes its topic."""
    files = {path: case_functions(path) for path in find_case_files([str(CASES)])}
    topics = {folder: [path for path in files if path.parent == folder] for folder in sorted({path.parent for path in files})}
    described = {folder: _topic(folder) for folder in topics}
    yield from ("# Built-in cases", "")
    n_cases = sum(map(len, files.values()))
    yield f"{n_cases} cases in {len(files)} files, by topic. Each line is a case and its claim. `[...]` marks a case with"
    yield "parameters. The id of a case is `FILE/CASE`, such as `label_range/one_past_the_last_class`."
    yield from ("", "```sh", "backendcheck run                     # all cases")
    yield from ("backendcheck run cases/missing       # one topic, in a checkout of the repository", "```", "")
    yield from ("| topic | folder | about | files | cases |", "| --- | --- | --- | ---: | ---: |")
    for folder, (title, about) in described.items():
        n_cases = sum(len(files[path]) for path in topics[folder])
        anchor = re.sub(r"[^a-z ]", "", title.lower()).replace(" ", "-")
        yield f"| [{title}](#{anchor}) | `{folder.name}` | {_prose(about)} | {len(topics[folder])} | {n_cases} |"
    for folder, (title, about) in described.items():
        yield from ("", f"## {title}", "", _prose(about))
        for path in topics[folder]:
            yield from _case_file(path, files[path])


def _topic(folder: Path) -> tuple[str, str]:
    title, _, about = (folder / "README.md").read_text(encoding="utf-8").removeprefix("# ").partition("\n")
    return title, about.strip()


def _case_file(path: Path, cases: Sequence[CaseFunction]) -> Iterator[str]:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    yield from ("", f"### [{path.stem}](../{path.relative_to(CASES.parent).as_posix()})", "", _prose(docstring), "")
    for case in cases:
        name = case.id.partition("/")[2] + ("[...]" if case.parametrized else "")
        yield f"- `{name}`: {_prose(case.claim)}"


def _prose(docstring: str) -> str:
    """The first paragraph as Markdown: text in backticks is code, and other text is not markup."""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    parts = re.split(r"(`+[^`]*`+)", paragraph)
    return "".join(part if part.startswith("`") else re.sub(r"[\\*_<\[\]|]", r"\\\g<0>", part) for part in parts)


# --- label rules -----------------------------------------------------------------------------------------------


def label_rules() -> Iterator[str]:
    """Every rule of the label contract, with its message for an example."""
    yield from ("# Label rules", "")
    yield "The codes are stable. The examples are run when this page is generated. The line *Today* states what each backend"
    yield "does, as recorded by the named built-in case. [The contract for labels](labels.md) explains how to use the rules."
    yield from ("", "| code | rule | severity | looks for |", "| --- | --- | --- | --- |")
    for rule in RULES.values():
        yield f"| [{rule.code}](#{rule.anchor}) | {rule.name} | {_severities(rule)} | {rule.looks_for} |"
    for group, title in GROUPS.items():
        yield from ("", f"## {group}: {title}")
        for rule in RULES.values():
            if rule.code.startswith(group):
                yield from _rule(rule)


def _rule(rule: Rule) -> Iterator[str]:
    example, near_miss = EXAMPLES[rule.code]
    finding = next(finding for finding in run_example(example) if finding.code == rule.code)
    yield from ("", f"### {rule.code} {rule.name}", "", f"*{_severities(rule)}.* {rule.looks_for}", "")
    yield from ("```python", f"check_labels({example})", "```", "", "```text", str(finding), "```", "")
    yield f"- **Effect** {rule.hurts}"
    yield f"- **What to do** {rule.remedy}"
    if finding.today is not None:
        yield f"- **Today** {escape(finding.today.says)}"
        for cause in _causes(finding.today.cases):
            yield f"- **Known cause** [{prose(cause.title)}](what-differs.md#{cause.id})"
    yield f"- **Correct** `{near_miss}`"


def _causes(cases: Collection[str]) -> Iterator[Cause]:
    """The causes of these cases that what-differs.md has, each once."""
    text = (DOCS / "what-differs.md").read_text(encoding="utf-8")
    causes = {
        known.cause.id: known.cause
        for known in load(CASES / "known_divergences") if known.cause and any(fnmatchcase(case, known.case) for case in cases)
    }  # fmt: skip
    yield from (cause for name, cause in causes.items() if f"\n## {name}\n" in text)


def _severities(rule: Rule) -> str:
    return " or ".join(severity.value for severity in rule.severities)


# --- report.json -----------------------------------------------------------------------------------------------


def report_json(schema: Mapping[str, Any]) -> Iterator[str]:
    """The fields of report.json, from its JSON Schema."""
    yield from ("# report.json", "", f"{schema.get('description', 'One run, for programs.')}", "")
    yield f"The JSON Schema: [{SCHEMA.name}]({SCHEMA.name}), in the package as `backendcheck/report/formats/{SCHEMA.name}`."
    yield ""
    definitions = schema.get("$defs", {})
    yield from _fields("the run", schema, definitions)
    for name, definition in definitions.items():
        if "properties" in definition:
            yield from _fields(name, definition, definitions)


def _fields(name: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {name}", "", "| field | type | always | |", "| --- | --- | --- | --- |")
    for field, of_field in schema.get("properties", {}).items():
        always = "yes" if field in schema.get("required", ()) else ""
        yield f"| `{field}` | {_type(of_field, definitions)} | {always} | {escape(str(of_field.get('description', '')))} |"
    yield ""


def _type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        if "properties" not in definitions.get(name, {}):  # not a table of its own
            return _type(definitions.get(name, {}), definitions)
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return escape(", ".join(map(str, schema["enum"])))
    if "const" in schema:
        return f"`{schema['const']}`"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(option, definitions) for option in schema[several])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), definitions)}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


if __name__ == "__main__":
    main()
