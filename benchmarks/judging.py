"""How long `backendcheck compare` takes to read, judge and render a run, beside plainer ways to look at the same arrays.

    python benchmarks/judging.py [RUN] [--cases N] [--repeat 3]

All is measured in one run of one process, in CPU seconds, best of `--repeat`. So the ratios do not depend on the machine.

    read        files to recordings, each with its SHA-256
    compare     every comparison of every oracle, without verdicts
    judge       verdicts with their comparisons, known divergences, diagnoses, headlines
    render      report.json, index.html, summary.md, junit.xml, report.sarif
    allclose    np.testing.assert_allclose on the pairs of numbers that `compare` compares, with the same tolerances
    one pass    (left == right).all() on the same pairs
    bytes       SHA-256 of all files

`--cases N` repeats the cases of RUN under other ids, in files of their own, until there are N.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.cli.results import analyze_legs
from backendcheck.compare import arrays, backends, numbers
from backendcheck.compare.tolerances import Tolerances
from backendcheck.compare.variants import compare_variants
from backendcheck.recordings.files import read_environment, read_recording, recording_files, write_environment, write_recording
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.recordings.recording import Recording
from backendcheck.report.formats import github, junit, sarif
from backendcheck.report.formats import json as json_report
from backendcheck.report.html import page

RENDERERS: dict[str, Callable[[Any], str]] = {
    "report.json": json_report.render, "index.html": page.render, "summary.md": github.render, "junit.xml": junit.render,
    "report.sarif": sarif.render,
}  # fmt: skip


def main() -> None:
    options = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        run = _repeated(options.run, options.cases, Path(folder)) if options.cases else options.run
        paths = find_legs([run])
        gc.disable()  # as the command does
        legs, read = _best(options.repeat, lambda: read_legs(paths))
        results, judge = _best(options.repeat, lambda: analyze_legs(legs, None, ()))
        rendered = {name: _best(options.repeat, lambda render=render: render(results))[1] for name, render in RENDERERS.items()}
        by_case = [
            {leg.label: leg.recordings[case] for leg in legs if case in leg.recordings} for case in legs[0].environment.cases
        ]
        with _collected() as pairs:
            _compare(by_case)
        pairs += [pair for recordings in by_case for recording in recordings.values() for pair in _stored_once(recording)]
        _, compare = _best(options.repeat, lambda: _compare(by_case))
        _, allclose = _best(options.repeat, lambda: _allclose(pairs))
        _, one_pass = _best(options.repeat, lambda: _one_pass(pairs))
        files = [file for path in paths for file in recording_files(path)]
        _, hashed = _best(options.repeat, lambda: [hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
        size = sum(file.stat().st_size for file in files)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    render = sum(rendered.values())
    n_bytes = sum(left.nbytes + right.nbytes for left, right, _ in pairs)
    print(f"{len(results.cases)} cases, {len(files)} files of {size / 1e6:.0f} MB; {len(pairs)} pairs of {n_bytes / 1e6:.0f} MB")
    print(f"peak memory {peak:.0f} MB, all of this benchmark included")
    rows = {"read": read, "compare": compare, "judge": judge, "render": render}
    rows |= {f"  {name}": seconds for name, seconds in rendered.items()}
    rows |= {"allclose": allclose, "one pass": one_pass, "bytes": hashed}
    for name, seconds in rows.items():
        print(f"{name:14} {seconds:8.2f} s")
    print(f"compare / allclose  {compare / allclose:6.2f}   allclose / compare {allclose / compare:.1f}")
    print(f"compare / one pass  {compare / one_pass:6.2f}")
    print(f"read / bytes        {read / hashed:6.2f}")
    print(f"render / judge      {render / judge:6.2f}")


def _best(repeat: int, measured: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the CPU seconds of the quickest of `repeat` calls."""
    seconds = []
    for _ in range(repeat):
        begun = time.process_time()
        result = measured()
        seconds.append(time.process_time() - begun)
    return result, min(seconds)


def _compare(by_case: Sequence[Any]) -> None:
    for recordings in by_case:
        backends.compare_backends(recordings)
        compare_variants(recordings)
        backends.compare_reference(recordings)


@contextmanager
def _collected() -> Iterator[list[tuple[np.ndarray, np.ndarray, Any]]]:
    """The pairs of numbers that are compared meanwhile, with what is allowed."""
    pairs: list[tuple[np.ndarray, np.ndarray, Any]] = []
    compare_numbers = numbers.compare_numbers

    def collect(pairing: Any, left: np.ndarray, right: np.ndarray, allowance: Any, *rest: Any) -> Any:
        pairs.append((left, right, allowance))
        return compare_numbers(pairing, left, right, allowance, *rest)

    arrays.compare_numbers = backends.compare_numbers = collect
    try:
        yield pairs
    finally:
        arrays.compare_numbers = backends.compare_numbers = compare_numbers


def _stored_once(recording: Recording) -> Iterator[tuple[np.ndarray, np.ndarray, Any]]:
    """The pairs that are one array, which a file stores once: they are equal without `compare_numbers`."""
    tolerances = Tolerances.of(recording)
    for variant in recording.variants:
        for name, observation in variant.observations.items():
            base = recording.observations.get(name)
            if base is None or base.value is not observation.value or not base.is_float or backends.not_compared(name, recording):
                continue
            if base.dtype == observation.dtype and base.value.size and numbers.is_finite(base.value):
                yield base.value, observation.value, tolerances.allowed(name, base.precision, observation.precision)


def _allclose(pairs: Sequence[tuple[np.ndarray, np.ndarray, Any]]) -> None:
    for left, right, allowance in pairs:
        with suppress(AssertionError):
            np.testing.assert_allclose(left, right, rtol=allowance.tolerance.rtol, atol=allowance.tolerance.atol)


def _one_pass(pairs: Sequence[tuple[np.ndarray, np.ndarray, Any]]) -> None:
    for left, right, _ in pairs:
        (left == right).all()


def _repeated(run: Path, n_cases: int, folder: Path) -> Path:
    """A run with `n_cases`, which are those of `run` under other ids."""
    for path in find_legs([run]):
        environment = read_environment(path)
        target = folder / path.name
        recordings = [read_recording(file) for file in recording_files(path)]
        digests = {}
        for number in range(n_cases):
            recording = recordings[number % len(recordings)]
            case = f"{recording.case}~{number // len(recordings)}"
            digests[case] = write_recording(target, replace(recording, case=case))
        write_environment(target, replace(environment, cases=tuple(digests), digests=digests))
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, default=Path("reports/latest"), help="directory of a run")
    parser.add_argument("--cases", type=int, default=0, metavar="N", help="repeat its cases until there are N")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="measure N times and take the best")
    return parser.parse_args()


if __name__ == "__main__":
    main()
