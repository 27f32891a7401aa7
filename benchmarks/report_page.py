"""How large index.html is, and how soon it answers in Chromium, at 100, 1,000 and 10,000 real cases.

    backendcheck run                                             the built-in cases, once
    python benchmarks/report_page.py [--run reports/latest] [--cases 100,1000,10000] [--unknown] [--failing] [--keep DIR]

The cases are those of a real run, by default the built-in ones: their findings, variants, values, pictures and messages as they
were recorded. Where more are asked for than there are, they come again under other ids, with headlines of their own, in an order
that is drawn, so that no case lies beside its copy and packing gains nothing from it. Of the built-in cases seven in ten differ
as known; `--unknown` leaves the known divergences out, so that all of these fail; `--failing` leaves out what passes.

Times are from the start of navigation in a fresh browser context, the page on disk: `ready` when its script has run, `painted` at
the second frame after loading, when it can be seen and used. `filter` is from a word in the search field to the frame in which
rows and cases are those that fit, `open` from a link to a case that is still packed to the frame that shows it. Best of three,
and the load average of the machine beside them.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import chromium

from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.report.html import matrix
from backendcheck.report.html import page as html_report
from backendcheck.results.results import Results, analyze
from backendcheck.verdicts.known_files import known_in_force

FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
TYPE = """word => new Promise(done => {
  const query = document.getElementById("query"), begin = performance.now();
  const before = document.getElementById("shown").textContent;
  query.value = word;
  query.dispatchEvent(new Event("input"));
  const look = () => {
    const sections = [...document.querySelectorAll("#sections > *:not([hidden]) h3")];
    const fits = sections.length > 0 && sections.every(one => one.closest("details").textContent.toLowerCase().includes(word));
    if (fits && document.getElementById("shown").textContent !== before) done(performance.now() - begin);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
OPEN = """anchor => new Promise(done => {
  const begin = performance.now();
  location.hash = anchor;
  const look = () => {
    const found = document.getElementById(anchor);
    if (found && found.open && !found.hidden) requestAnimationFrame(() => done(performance.now() - begin));
    else requestAnimationFrame(look);
  };
  look();
})"""


def real(folder: Path, *, unknown: bool) -> Results:
    """The run in `folder`."""
    if not folder.is_dir():
        sys.exit(f"{folder}: no such directory; expected a run. Make one with 'backendcheck run', or give --run DIR.")
    legs = read_legs(find_legs([folder]))
    known = [] if unknown else known_in_force(legs, ())
    with warnings.catch_warnings(action="ignore"):
        return analyze(legs, known=known)


def results(run: Results, n_cases: int) -> Results:
    """A run of `n_cases`: those of `run`, again and again, in an order that is drawn, worst verdict first."""
    drawn = random.Random(7)
    cases = []
    while len(cases) < n_cases:
        copy = len(cases) // len(run.cases)
        for one in drawn.sample(run.cases, min(len(run.cases), n_cases - len(cases))):
            case, headline = (f"{one.case}-{copy}", f"{one.headline} ({copy})") if copy else (one.case, one.headline)
            cases.append(replace(one, case=case, headline=headline))
    drawn.shuffle(cases)
    order = ("ERROR", "FAILED", "XPASSED", "XFAILED", "PASSED")
    cases.sort(key=lambda one: order.index(one.verdict.value))
    return replace(run, cases=tuple(cases))


def measure(browser, path: Path, case: str) -> dict[str, float]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    painted = page.evaluate(FRAME)
    found = {
        "ready": page.evaluate("() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"),
        "painted": painted,
        "filter": page.evaluate(TYPE, "probabilities"),
        "open": page.evaluate(OPEN, matrix.anchor(case)),
    }
    context.close()
    return {name: ms / 1000 for name, ms in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("reports/latest"))
    parser.add_argument("--cases", default="100,1000,10000")
    parser.add_argument("--unknown", action="store_true")
    parser.add_argument("--failing", action="store_true")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    run = real(given.run, unknown=given.unknown)
    if given.failing:
        run = replace(run, cases=tuple(one for one in run.cases if one.verdict.value != "PASSED"))
    print("| cases | not passed | MB | render s | ready s | painted s | filter s | open s | load average |")
    print("| --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    with chromium.browser() as browser:
        for n_cases in map(int, given.cases.split(",")):
            made = results(run, n_cases)
            begin = time.perf_counter()
            html = html_report.render(made).encode()
            render_s = time.perf_counter() - begin
            path = folder / f"{n_cases}.html"
            path.write_bytes(html)
            measured = [measure(browser, path, made.cases[n_cases // 2].case) for _ in range(3)]
            best = [min(one[name] for one in measured) for name in ("ready", "painted", "filter", "open")]
            figures = " | ".join(f"{s:.2f}" for s in (render_s, *best))
            n_shown = sum(result.verdict.value != "PASSED" for result in made.cases)
            print(f"| {n_cases} | {n_shown} | {len(html) / 1e6:.2f} | {figures} | {os.getloadavg()[0]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
