"""How large index.html is, and how soon it answers in Chromium, at 100, 1,000 and 10,000 cases.

    python benchmarks/report_page.py [--cases 100,1000,10000] [--failing 0.12] [--keep DIR]

The cases are made up, with the mix of verdicts of a run that has something to say: of a hundred, 88 agree, 5 fail in ways that
are drawn (a value, an order of classes, a NaN, an exception on one backend), 6 differ as known, and one could not be compared.
Failing cases hold predictions of 64 x 10, gradients of three layers and a training curve. `--failing 1` makes every case fail.

Times are from the start of navigation in a fresh browser context, the page on disk: `ready` when its script has run, `painted` at
the second frame after loading, when it can be seen and used. `filter` is from a word in the search field to the next frame,
`open passed` from opening the passed rows to the next frame. The best of three, and the load average of the machine beside them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import chromium
import make

from backendcheck.report import html_report

CLASSES = [f"class_{letter}" for letter in "abcdefghij"]
CLAIM = "The labels mean the same whatever the order in which the classes were declared by whoever wrote them."
FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
TYPE = """word => new Promise(done => {
  const query = document.getElementById("query"), begin = performance.now();
  query.value = word;
  query.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
})"""
OPEN = """() => new Promise(done => {
  const begin = performance.now();
  document.getElementById("passed-fold").open = true;
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
})"""


def observed(rng: np.random.Generator, fault: str, backend: str) -> dict:
    """What one backend saw; on jax with `fault`."""
    scores = rng.random((64, 10)).astype(np.float32)
    scores /= scores.sum(axis=1, keepdims=True)
    loss = -np.log(scores[:, 0])
    gradients = {f"gradient/layer_{i}/kernel": rng.normal(size=(8, 10)).astype(np.float32) for i in range(3)}
    training = np.array([2.3, 1.9, 1.7, 1.6], np.float32)
    if backend == "jax" and fault == "value":
        scores, loss = scores + rng.normal(scale=1e-3, size=scores.shape).astype(np.float32), loss + np.float32(0.01)
        gradients = {name: value + np.float32(0.1) for name, value in gradients.items()}
        training = training + np.float32(0.05) * np.arange(4, dtype=np.float32)
    if backend == "jax" and fault == "classes":
        scores = scores[:, [1, 0, *range(2, 10)]]
    if backend == "jax" and fault == "nan":
        loss = np.where(np.arange(64) % 9 == 0, np.float32("nan"), loss)
    if backend == "jax" and fault == "raised":
        return {"raised": "IndexError: index 10 is out of bounds for axis 1 with size 10"}
    return {
        "predictions": scores,
        "predicted_class": scores.argmax(axis=1),
        "per_example_loss": loss,
        "loss": float(loss.mean()),
        "observations": {**gradients, "train/loss": training},
        "labels": {"y_true": np.zeros(64, np.int64)},
        "class_names": CLASSES,
        "timings_s": {"case": 0.1, "loss": 0.2, "train": 0.4},
    }


def healthy(rng: np.random.Generator) -> dict:
    value = rng.random((4, 3)).astype(np.float32)
    return {"predictions": value, "loss": float(value.sum()), "timings_s": {"case": 0.1, "loss": 0.2}}


def results(n_cases: int, failing: float):
    cases, known = {}, []
    n_failing = round(n_cases * failing)
    for number in range(n_cases):
        case = f"topic_{number % 20:02}/a_case_with_a_name_of_usual_length[{number}]"
        if number >= n_failing:
            cases[case] = {b: {**healthy(np.random.default_rng(number)), "claim": CLAIM} for b in make.BACKENDS}
            continue
        fault = ("value", "classes", "nan", "raised")[number // 2 % 4]
        cases[case] = {b: {**observed(np.random.default_rng(number), fault, b), "claim": CLAIM} for b in make.BACKENDS}
        if number % 12 == 11:
            del cases[case]["torch"]  # an ERROR
        elif number % 2:
            kinds = ["value", "order", "non-finite", "raised", "missing"]
            entry = make.divergence(case.replace("[", "[[]"), "jax", kinds, number=number, reason="folded differently")
            known.append(entry)
    return make.results(cases, known=known, expected=make.BACKENDS)


def measure(browser, path: Path) -> dict[str, float]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    painted = page.evaluate(FRAME)
    found = {
        "ready": page.evaluate("() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"),
        "painted": painted,
        "filter": page.evaluate(TYPE, "topic_07"),
    }
    page.evaluate(TYPE, "")
    found["open passed"] = page.evaluate(OPEN) if page.query_selector("#passed-fold") else 0.0
    context.close()
    return {name: ms / 1000 for name, ms in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="100,1000,10000")
    parser.add_argument("--failing", type=float, default=0.12)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print("| cases | not passed | MB | render s | ready s | painted s | filter s | open passed s | load average |")
    print("| --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    with chromium.browser() as browser:
        for n_cases in map(int, given.cases.split(",")):
            made = results(n_cases, given.failing)
            begin = time.perf_counter()
            html = html_report.render(made).encode()
            render_s = time.perf_counter() - begin
            path = folder / f"{n_cases}.html"
            path.write_bytes(html)
            measured = [measure(browser, path) for _ in range(3)]
            best = [min(one[name] for one in measured) for name in ("ready", "painted", "filter", "open passed")]
            figures = " | ".join(f"{s:.2f}" for s in (render_s, *best))
            n_shown = sum(result.verdict.value != "PASSED" for result in made.cases)
            print(f"| {n_cases} | {n_shown} | {len(html) / 1e6:.2f} | {figures} | {os.getloadavg()[0]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
