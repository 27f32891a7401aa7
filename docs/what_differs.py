"""The page what-differs.md: every known divergence that a run of the built-in cases shows, by cause.

The repository has it as one page. The site splits it: an index, and a page for each cause.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from facets import facets_of

from backendcheck.text.markdown import escape

_CODE = re.compile(r"(`[^`]+`)")
_TITLE = re.compile(r"\*\*(.*?)\*\*(?= |$)", re.MULTILINE)
_NO_CAUSE = "other"
_BACKENDS = ("tensorflow", "jax", "torch")
SITE_FOLDER = "differs"


def what_differs(report: Mapping[str, Any]) -> Iterator[str]:
    """An index of the causes, then the cases of each."""
    environments = report["environments"]
    versions = {leg: environment["versions"] for leg, environment in environments.items()}
    backends = ", ".join(f"{leg} {of_leg.get(leg, '?')}" for leg, of_leg in versions.items())
    keras = ", ".join(sorted({of_leg.get("keras", "?") for of_leg in versions.values()}))
    causes = report["known"].get("causes", {})
    by_cause = _by_cause(report["results"], causes)
    n_differing = sum(result["verdict"] == "XFAILED" for result in report["results"])
    yield from ("# What differs between Keras backends today", "")
    yield f"Made from a run of the built-in cases on Keras {keras} with {backends}, CPU."
    yield f"{n_differing} of {len(report['results'])} cases differ, for the {len(by_cause)} causes below; the rest agree."
    yield "`backendcheck run` shows the same for your versions."
    yield from ("", "| cause | deviates | versions | cases | link |", "| --- | --- | --- | ---: | --- |")
    for name, results in by_cause.items():
        yield _row(name, causes.get(name, {}), results)
    for name, results in by_cause.items():
        yield from _section(name, causes.get(name, {}), results)


def _by_cause(results: Sequence[Mapping[str, Any]], causes: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The cases of each cause, the cause with the most cases first. A case with two causes is listed under both."""
    by_cause: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        if result["verdict"] == "XFAILED":
            names = dict.fromkeys(entry["cause"] if entry.get("cause") in causes else _NO_CAUSE for entry in result["known"])
            for name in names:
                by_cause.setdefault(name, []).append(result)
    return dict(sorted(by_cause.items(), key=lambda item: (item[0] == _NO_CAUSE, -len(item[1]), item[0])))


def _row(name: str, cause: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    title = f"[{prose(cause.get('title', 'Without a cause'))}](#{name})"
    return f"| {' | '.join([title, *_facts(name, cause, results)])} |"


def _facts(name: str, cause: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> tuple[str, str, str, str]:
    """The backends that deviate, the versions, the number of cases, and the links of a cause."""
    entries = [entry for result in results for entry in result["known"] if (entry.get("cause") or _NO_CAUSE) == name]
    named = {backend for entry in entries for backend in entry["backends"]}  # also legs that were not in the run
    backends = [backend for backend in _BACKENDS if backend in named]
    deviating = "all" if len(backends) == len(_BACKENDS) else ", ".join(backends)
    bounds = [f"{word} {'Keras ' * cause[word][0].isdigit()}{cause[word]}" for word in ("since", "until") if cause.get(word)]
    ranges = widest({entry["versions"]["keras"] for entry in entries if "keras" in entry["versions"]})
    links = dict.fromkeys(entry["link"] for entry in entries if entry["link"])
    return deviating, ", ".join(bounds or ranges), str(len(results)), ", ".join(f"[{_short(link)}]({link})" for link in links)


def widest(ranges: Collection[str]) -> list[str]:
    """The versions of Keras that all these ranges are in. A case that needs newer functions of Keras has a narrower range."""
    lower = [text.removeprefix(">=") for text in ranges]
    if not ranges or any(re.fullmatch(r"[0-9.]+", text) is None for text in lower):
        return sorted(f"Keras {text}" for text in ranges)
    return [f"Keras >={min(lower, key=lambda text: [*map(int, text.split('.'))])}"]


def _short(link: str) -> str:
    """``keras 20596`` of an issue or a pull request on GitHub."""
    parts = link.rstrip("/").split("/")
    return f"{parts[-3]} {parts[-1]}"


def _section(name: str, cause: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", f"## {name}", "")
    if cause:
        yield from (f"**{prose(cause['title'])}** {prose(cause['explanation'])}", "")
    deviating, versions, _, links = _facts(name, cause, results)
    yield f"Deviates: {'; '.join(filter(None, [deviating, versions, links]))}."
    yield from ("", "```sh", *_commands(results[0]), "```", "")
    for result in results:
        yield from _entry(name, cause, result)


def _commands(result: Mapping[str, Any]) -> list[str]:
    """What shows the first case, and writes a script of it that needs only Keras."""
    case = result["case"]
    name = case.rpartition("/")[2].partition("[")[0]
    return [f"backendcheck run {result['file']} -k {name}", f"backendcheck repro {shlex.quote(case)}  # a script for Keras alone"]


# --- the pages of the site -------------------------------------------------------------------------------------


def site_pages(text: str) -> tuple[str, dict[str, str]]:
    """The index with what its filter needs, and a page for each cause by its id, from the text of what-differs.md."""
    index, *sections = re.split(r"^## (?=.)", text, flags=re.MULTILINE)
    newest = max(map(int, re.findall(r"Keras 3\.([0-9]+)", index.partition("|")[0])))
    pages = {}
    for section in sections:
        name, _, body = section.partition("\n")
        if title := _TITLE.match(body.lstrip()):
            body = f"# {title[1].rstrip('.')}\n\n{body.lstrip()[title.end() :].lstrip()}"
        else:
            body = f"# {name}\n{body}"
        pages[name] = body.replace("](diagnoses.md", "](../diagnoses.md") + "\n[What else differs](../what-differs.md)\n"
        index = index.replace(f"](#{name}) |", f"]({SITE_FOLDER}/{name}.md){_for_the_filter(section, newest)} |")
    return index, pages


def _for_the_filter(section: str, newest: int) -> str:
    """The words of a section, and its facets as attributes, as what-differs.js reads them."""
    words = " ".join(dict.fromkeys(re.findall(r"\w[\w-]+", section.lower())))
    facets = [
        f'data-{facet}="{" ".join(value.replace(" ", "_") for value in values)}"'
        for facet, values in facets_of(section, newest).items()
    ]
    return f"<span hidden {' '.join(facets)}>{words}</span>"


def _entry(name: str, cause: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    yield f"**`{result['case']}`** {prose(result['claim'].partition(chr(10))[0])}"
    yield ""
    code = result["diagnoses"][0]["code"] if result["diagnoses"] else ""
    yield f": {prose(result['headline'])}{f' ([{code}](diagnoses.md#{code}))' if code else ''}"
    entries = [entry for entry in result["known"] if (entry.get("cause") or _NO_CAUSE) == name]
    for reason in dict.fromkeys(entry["reason"] for entry in entries if entry["reason"] != cause.get("title")):
        yield f"  <br>*{prose(reason)}*"
    yield ""


def prose(text: str) -> str:
    """Text as Markdown, with code in backticks kept as code."""
    text = text.replace("``", "`")
    parts = _CODE.split(" ".join(text.split()))
    if any("`" in part for part in parts[::2]):
        return escape(text)
    return "".join(part if place % 2 else _escaped(part) for place, part in enumerate(parts))


def _escaped(part: str) -> str:
    """Like `escape`, which strips, but with the spaces around the text."""
    before, after = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
    return f"{before}{escape(part)}{after}" if part.strip() else part
