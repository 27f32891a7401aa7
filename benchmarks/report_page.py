"""The size of index.html, and its response times in Chromium, at 100, 1,000 and 10,000 real cases.

    backendcheck run                                             the built-in cases, once
    python benchmarks/report_page.py [--run reports/latest] [--cases 100,1000,10000] [--unknown] [--failing] [--keep DIR]

The cases are those of a real run, by default the built-in ones, with their recorded findings, variants, values, charts and
messages. Larger pages repeat them under other ids with their own headlines, in random order. So a case is not next to its copy,
which would make the page pack better than it should. Of the built-in cases seven in ten differ as known. `--unknown` leaves the
known divergences out, so that all of these fail. `--failing` leaves out the cases that pass.

Times start with the navigation in a fresh browser context, with the page on disk. `ready` is when its script has run. `painted`
is the second frame after loading, when the page can be seen and used. `filter` is from a word in the search field to the frame
with the matching rows and cases. `open` is from a link to a case that is still packed to the frame that shows it. Each time is
the best of three. The load average of the machine is next to them.
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
    const fits = sections.length > 0 && sections.every(head => head.closest("details").textContent.toLowerCase().includes(word));
    if (fits && document.getElementById("shown").textContent !== before) done(performance.now() - begin);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
OPEN = """anchor => new Promise(done => {
  const begin = performance.now();
  location.hash = anchor;
  const look = () => {
    const section = document.getElementById(anchor);
    if (section && section.open && !section.hidden) requestAnimationFrame(() => done(performance.now() - begin));
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
    """A run of `n_cases`: those of `run`, repeated in random order, worst verdict first."""
    generator = random.Random(7)
    cases = []
    while len(cases) < n_cases:
        copy = len(cases) // len(run.cases)
        for result in generator.sample(run.cases, min(len(run.cases), n_cases - len(cases))):
            case, headline = (f"{result.case}-{copy}", f"{result.headline} ({copy})") if copy else (result.case, result.headline)
            cases.append(replace(result, case=case, headline=headline))
    generator.shuffle(cases)
    order = ("ERROR", "FAILED", "XPASSED", "XFAILED", "PASSED")
    cases.sort(key=lambda result: order.index(result.verdict.value))
    return replace(run, cases=tuple(cases))


def measure(browser, path: Path, case: str) -> dict[str, float]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    painted = page.evaluate(FRAME)
    times_ms = {
        "ready": page.evaluate("() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"),
        "painted": painted,
        "filter": page.evaluate(TYPE, "probabilities"),
        "open": page.evaluate(OPEN, matrix.anchor(case)),
    }
    context.close()
    return {name: ms / 1000 for name, ms in times_ms.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("reports/latest"))
    parser.add_argument("--cases", default="100,1000,10000")
    parser.add_argument("--unknown", action="store_true")
    parser.add_argument("--failing", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    run = real(options.run, unknown=options.unknown)
    if options.failing:
        run = replace(run, cases=tuple(result for result in run.cases if result.verdict.value != "PASSED"))
    print("| cases | not passed | MB | render s | ready s | painted s | filter s | open s | load average |")
    print("| --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    with chromium.browser() as browser:
        for n_cases in map(int, options.cases.split(",")):
            larger = results(run, n_cases)
            begin = time.perf_counter()
            html = html_report.render(larger).encode()
            render_s = time.perf_counter() - begin
            path = folder / f"{n_cases}.html"
            path.write_bytes(html)
            measured = [measure(browser, path, larger.cases[n_cases // 2].case) for _ in range(3)]
            best = [min(times[name] for times in measured) for name in ("ready", "painted", "filter", "open")]
            seconds = " | ".join(f"{s:.2f}" for s in (render_s, *best))
            n_shown = sum(result.verdict.value != "PASSED" for result in larger.cases)
            print(f"| {n_cases} | {n_shown} | {len(html) / 1e6:.2f} | {seconds} | {os.getloadavg()[0]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
