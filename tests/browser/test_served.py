"""The served page in a real browser, which follows a run; and what is shown of earlier runs, layers and figures."""

from __future__ import annotations

import importlib
import json
import threading
from pathlib import Path

import make
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from backendcheck.cli.serve import server_of
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.kept_layers import ComparedLayer, LayerComparison, LayersFound
from backendcheck.report.formats import json as json_report
from backendcheck.report.html import page as html_report
from backendcheck.results.changes import read_baseline
from backendcheck.vocabulary.states import ExitState

pytestmark = pytest.mark.timeout(120)
report_command = importlib.import_module("backendcheck.cli.report")


def record(run: Path, *cases: str, ended: bool = False) -> None:
    for backend in ("jax", "torch"):
        recordings = {case: make.recording(case, backend, loss=0.7 if backend == "jax" else 0.5) for case in cases}
        digests = {case: write_recording(run / backend, recording) for case, recording in recordings.items()}
        state = {"exit_state": ExitState.COMPLETE, "digests": digests} if ended else {"exit_state": ExitState.RUNNING}
        write_environment(run / backend, make.environment(backend, ["a/one", "a/two", "a/three"], **state))


def test_it_reloads_when_there_is_more_and_keeps_what_is_open(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report_command, "_LEAST_S", 0.0)
    run = tmp_path / "run"
    record(run, "a/one")
    files = report_command._ServedRun(
        report_command._Run(
            directory=run, expect_backends=None, known_files=[], strict_known=False, baseline=None, history=None
        )
    )
    files.make()
    server = server_of(files, 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    faults: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("console", lambda message: faults.append(f"console: {message.text}"))
    address = f"http://127.0.0.1:{server.server_port}/"
    page.on("request", lambda request: request.url.partition("#")[0] in (address, "data:,") or faults.append(request.url))
    try:
        page.goto(address)
        expect(page.locator("h1")).to_have_text("Recording: 1 of 3 cases judged so far, 1 fails")
        expect(page.locator(".live")).to_contain_text("jax: is being recorded, or was killed; 1 of 3 cases so far")
        page.locator("[id='case/a/one'] > summary").click()  # it was open
        page.locator("[id='case/a/one'] > summary").click()
        page.locator("[id='case/a/one'] details[data-part=findings] > summary").click()
        page.locator("[id='case/a/one'] > summary").click()
        record(run, "a/one", "a/two")
        expect(page.locator("h1")).to_have_text("Recording: 2 of 3 cases judged so far, 2 fail", timeout=20_000)
        expect(page.locator("[id='case/a/one']")).not_to_have_attribute("open", "")
        expect(page.locator("[id='case/a/one'] details[data-part=findings]")).to_have_attribute("open", "")
        expect(page.locator("[id='case/a/two'] details[data-part=findings]")).not_to_have_attribute("open", "")
        record(run, "a/one", "a/two", "a/three", ended=True)
        expect(page.locator("h1")).to_have_text("3 of 3 cases fail", timeout=20_000)
        expect(page.locator(".live")).to_be_hidden()
        assert faults == []
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    expect(page.locator(".live")).to_contain_text("The server has ended", timeout=20_000)
    context.close()


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Path:
    """A page with a history, a baseline with figures that moved, and layers."""
    folder = tmp_path_factory.mktemp("compared")
    losses = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}
    results = make.results({"a/differs": losses, "a/new": losses, "a/passes": make.everywhere(loss=0.5)})
    report = json.loads(json_report.render(results))
    for number in range(35):
        report["created"] = f"2026-01-{number % 28 + 1:02}T{number // 28:02}:00:00+00:00"
        report["environments"]["jax"] |= {"run": f"run {number}", "checkout": {"commit": f"{number:040x}"}}
        results_then = [entry | {"verdict": "PASSED"} for entry in report["results"] if entry["case"] != "a/new"]
        path = folder / "history" / f"{number}" / "report.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(report | {"results": results_then}))
    (folder / "history" / "broken.json").write_text("{")
    for entry in report["results"]:
        for comparison in entry["comparisons"]:
            comparison["max_abs"] = (comparison.get("max_abs") or 0) / 100
    baseline = folder / "baseline.json"
    baseline.write_text(json.dumps(report))
    layers = tuple(
        ComparedLayer(
            name=f"block/a_layer_with_a_long_name_{number}", type="Dense", depth=number % 3, shape="(12, 1)", max_abs=0.25,
            excess=1e6, same_inputs=None, output="local" if number == 2 else "same", gradient="", first=number == 2,
        )
        for number in range(4)
    )  # fmt: skip
    comparison = LayerComparison(source="torch", backend="jax", sentences=("first difference: layer `x`",), layers=layers)
    results = results.with_history(folder / "history").compared_with(read_baseline(baseline))
    results = results.with_layers(LayersFound(by_case={"a/differs": (comparison,)}))
    path = folder / "index.html"
    path.write_text(html_report.render(results), encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_history_layers_and_figures_can_be_read(browser, compared, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{compared.as_uri()}#case/a/differs")
    for node in page.locator("details:visible").all():
        node.evaluate("node => { node.open = true; }")
    section = page.locator("[id='case/a/differs']")
    expect(section.locator(".history svg rect")).to_have_count(31)
    expect(section.locator(".history")).to_contain_text("FAILED in this run; before that PASSED in 30 runs")
    expect(section.locator(".layers tr.first")).to_contain_text("begins here")
    expect(section.locator(".moved tbody tr")).to_contain_text(["loss"])
    expect(page.locator("[aria-labelledby=history]")).to_contain_text("1 with another verdict, 1 new")
    expect(page.locator("[aria-labelledby=history]")).to_contain_text("ignored broken.json (is not a report)")
    expect(page.locator("[aria-labelledby=changes]")).to_contain_text("figures that moved by more than a factor of 10")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    result = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    assert [violation["id"] for violation in result.response["violations"]] == []
    context.close()
