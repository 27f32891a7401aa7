"""`backendcheck report`: the page of a run again, opened, and served while the run is recorded."""

from __future__ import annotations

import http.client
import importlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import make
import pytest
from click.testing import CliRunner
from front_door import command, variables

from backendcheck.cli import cli
from backendcheck.cli.serve import server_of
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.so_far import legs_so_far
from backendcheck.vocabulary.states import ExitState

report_command = importlib.import_module("backendcheck.cli.report")  # the package has the command under this name
BACKENDS = ("jax", "torch")
HOSTILE = "hostile/<script>alert(1)</script>"


def record(run: Path, cases: Sequence[str], backends: Sequence[str] = BACKENDS, *, ended: bool = True, of: int = 0) -> None:
    """Record `cases`; on jax the loss of a case that has `differs` in its name is another."""
    for backend in backends:
        digests = {}
        for case in cases:
            loss = 0.7 if backend == "jax" and "differs" in case else 0.5
            digests[case] = write_recording(run / backend, make.recording(case, backend, loss=loss))
        state = ExitState.COMPLETE if ended else ExitState.RUNNING
        collected = (*cases, *(f"later/{number}" for number in range(of - len(cases))))
        fields = {"exit_state": state, "digests": digests if ended else {}, "selection": {"paths": ["cases"]}}
        write_environment(run / backend, make.environment(backend, collected, **fields))


def invoke(*arguments: object) -> tuple[int, str]:
    ended = CliRunner().invoke(cli, [*map(str, arguments)])
    return ended.exit_code, ended.output


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


# --- written and opened ------------------------------------------------------------------------------------------


def report_json(run: Path) -> dict[str, object]:
    report = json.loads((run / "report.json").read_text())
    return {key: value for key, value in report.items() if key != "created"}


def test_the_report_is_that_of_compare(run: Path) -> None:
    record(run, ["a/passes", "a/differs", HOSTILE])
    code, _ = invoke("compare", run)
    compared = report_json(run)
    (run / "index.html").unlink()
    assert (code, invoke("report", run)) == (1, (0, f"report: {run / 'index.html'}\n"))
    assert report_json(run) == compared
    assert "<script>alert" not in (run / "index.html").read_text()


def test_a_leg_that_the_run_had_to_have_is_still_missing(run: Path) -> None:
    record(run, ["a/passes"])
    assert invoke("compare", run, "--expect-backends", "tensorflow,jax,torch")[0] == 3
    expected = report_json(run)
    invoke("report", run)
    assert report_json(run) == expected
    assert "tensorflow: its leg is missing" in str(report_json(run)["problems"])


def test_the_only_leg_is_not_a_whole_run(run: Path) -> None:
    record(run, ["a/passes"], ["jax"])
    assert invoke("compare", run)[0] == 3
    expected = report_json(run)
    invoke("report", run)
    assert report_json(run) == expected


def test_the_page_is_opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    record(run, ["a/passes"])
    assert invoke("report", run, "--open")[0] == 0
    assert opened == [(run / "index.html").as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    code, printed = invoke("report", run, "--open")
    assert code == 0
    assert f"no browser could be started. Open it yourself: {(run / 'index.html').as_uri()}" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nowhere"], "nowhere: no such directory"), (["."], "holds no recordings"), (["--port", "8000"], "without --serve"),
     (["nowhere", "--serve"], "nowhere: no such directory")],
)  # fmt: skip
def test_wrong_use_is_refused(run: Path, arguments: list[str], words: str) -> None:
    code, printed = invoke("report", *arguments)
    assert code == 2
    assert words in printed


def test_a_history_is_shown_and_what_is_no_report_is_named(run: Path, tmp_path: Path) -> None:
    record(run, ["a/differs", HOSTILE])
    invoke("compare", run)
    earlier = json.loads((run / "report.json").read_text())
    for number, environment in enumerate(earlier["environments"].values()):
        environment |= {"run": f"earlier {number}", "checkout": {"commit": "c" * 40, "link": "javascript:alert(1)"}}
    earlier["created"] = "2026-01-01T12:00:00+00:00"
    earlier["results"] = [entry | {"verdict": "PASSED"} for entry in earlier["results"]]
    earlier["results"].append({"case": "<i>old</i>", "verdict": "FAILED"})
    history = tmp_path / "history"
    (history / "1").mkdir(parents=True)
    (history / "1" / "report.json").write_text(json.dumps(earlier))
    (history / "<b>.json").write_text("{}")
    for name in ("report", "compare"):
        _, printed = invoke(name, run, "--history", history)
        assert f"history: {history}: ignored <b>.json (is not a report)" in printed
        page = (run / "index.html").read_text()
        assert "Since the last run, 2026-01-01 12:00, commit cccccccccc: 1 with another verdict, 1 gone" in page
        assert "FAILED in this run; before that PASSED in 1 run" in page
        assert "&lt;i&gt;old" in page
        assert not any(text in page for text in ("<i>old", "<b>.json", "javascript:"))
        report = json.loads((run / "report.json").read_text())
        assert report["history"] == {
            "runs": [{"created": "2026-01-01T12:00:00+00:00", "commit": "c" * 40}], "new": [], "gone": ["<i>old</i>"],
            "changed": ["a/differs"], "flaky": {}, "ignored": f"{history}: ignored <b>.json (is not a report)",
        }  # fmt: skip
    assert invoke("report", run, "--history", tmp_path / "nowhere")[0] == 2


# --- while it is recorded ----------------------------------------------------------------------------------------


def test_a_case_is_there_once_all_legs_have_it(run: Path) -> None:
    record(run, ["a/one", "a/two"], ["jax"], ended=False, of=5)
    record(run, ["a/one"], ["torch"], ended=False)
    so_far = legs_so_far(run)
    assert [sorted(leg.recordings) for leg in so_far.legs] == [["a/one"], ["a/one"]]
    assert so_far.n_cases == 5
    assert so_far.unfinished == (
        "jax: is being recorded, or was killed; 2 of 5 cases so far",
        "torch: is being recorded, or was killed; 1 of 1 case so far",
    )


def test_a_leg_that_has_only_begun_is_waited_for(run: Path) -> None:
    record(run, ["a/one"])
    (run / "tensorflow").mkdir()
    so_far = legs_so_far(run)
    assert so_far.unfinished == ("tensorflow: is starting",)
    assert not any(leg.recordings for leg in so_far.legs)


def test_a_leg_that_ended_without_a_case_is_not_waited_for(run: Path) -> None:
    record(run, ["a/one", "a/two"], ["jax"], ended=False)
    record(run, ["a/one"], ["torch"])
    assert [sorted(leg.recordings) for leg in legs_so_far(run).legs] == [["a/one", "a/two"], ["a/one"]]


def test_a_run_that_has_ended_is_whole(run: Path) -> None:
    record(run, ["a/one"])
    so_far = legs_so_far(run)
    assert (so_far.unfinished, so_far.n_cases) == ((), 1)


# --- served ------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(report_command, "_LEAST_S", 0.0)
    monkeypatch.setattr(report_command, "_SHARE", 0)
    record(run, ["a/passes", "a/differs"], ended=False, of=4)
    files = report_command._ServedRun(
        report_command._Run(
            directory=run, expect_backends=None, known_files=[], strict_known=False, baseline=None, history=None
        )
    )
    server = server_of(files, 0)
    files.make()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Served(server.server_port)
    server.shutdown()
    server.server_close()
    thread.join()


class Served:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
        """The status, the version and the text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers.get("ETag", ""), text


def test_what_is_judged_so_far_is_shown_and_a_new_case_is_a_new_version(run: Path, served: Served) -> None:
    status, version, text = served.ask("/")
    assert (status, "Recording: 2 of 4 cases judged so far, 1 fails" in text) == (200, True)
    assert "jax: is being recorded, or was killed; 2 of 4 cases so far" in text
    assert served.ask("/", "HEAD")[:2] == (200, version)
    record(run, ["a/passes", "a/differs", "b/differs"], ended=False, of=4)
    assert served.ask("/", "HEAD")[1] != version
    _, new, text = served.ask("/index.html")
    assert new != version
    assert "Recording: 3 of 4 cases judged so far, 2 fail" in text
    assert served.ask("/", "HEAD")[1] == new
    record(run, ["a/passes", "a/differs", "b/differs", "b/passes"])
    _, _, text = served.ask("/")
    assert ("Recording" in text.partition("</header>")[0], "2 of 4 cases fail" in text) == (False, True)


def test_all_reports_of_the_run_are_served_and_nothing_else(run: Path, served: Served) -> None:
    assert json.loads(served.ask("/report.json")[2])["counts"]["FAILED"] == 1
    for name in ("summary.md", "junit.xml", "report.sarif", "badge.json"):
        assert served.ask(f"/{name}")[0] == 200
    (run / "secret.txt").write_text("secret")
    outside = ("/../run/secret.txt", "/..%2f..%2fetc/passwd", "//etc/passwd", "/%00")
    for path in ("/secret.txt", "/jax/environment.json", "/run", *outside):
        status, _, text = served.ask(path)
        assert (status, "secret" in text, "root:" in text) == (404, False, False), path
    assert served.ask("/", "POST")[0] == 501
    assert not (run / "index.html").exists()


def test_another_site_reads_nothing(served: Served) -> None:
    assert served.ask("/", Host="evil.example")[0] == 403
    assert served.ask("/", Host=f"localhost:{served.port}")[0] == 200


def test_a_run_that_is_moved_aside_keeps_its_page_and_a_damaged_one_does(run: Path, served: Served) -> None:
    _, _, before = served.ask("/")
    (run / "jax" / "environment.json").write_text("{")
    status, _, text = served.ask("/")
    assert (status, text) == (200, before)
    run.rename(run.with_name("aside"))
    assert served.ask("/")[0] == 200
    record(run, ["c/passes"])
    assert "c/passes" in served.ask("/")[2]


def test_a_port_that_is_in_use_is_refused(served: Served) -> None:
    with pytest.raises(UsageError, match=rf"--port {served.port}: cannot be used on 127\.0\.0\.1"):
        server_of(None, served.port)  # type: ignore[arg-type]


def test_a_run_that_cannot_be_read_is_refused_at_once(run: Path) -> None:
    record(run, ["a/passes"])
    (run / "jax" / "environment.json").write_text("{")
    with pytest.raises(UnreadableInput):
        legs_so_far(run)
    code, printed = invoke("report", run, "--serve")
    assert (code, "environment.json: is damaged" in printed) == (2, True)


def test_nothing_is_recorded_yet(run: Path, served: Served) -> None:
    for leg in BACKENDS:
        (run / leg).rename(run / f"{leg}-aside")
    _, _, text = served.ask("/")
    assert "Recording: no case is judged yet" in text


def test_ctrl_c_ends_it_well(run: Path) -> None:
    record(run, ["a/passes"])
    with subprocess.Popen(
        command("report", run, "--serve"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables(),
        cwd=run.parent,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("report: ").strip()
        assert address.startswith("http://127.0.0.1:")
        port = int(address.rstrip("/").rpartition(":")[2])
        assert Served(port).ask("/")[0] == 200
        process.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "Ctrl-C ends it.\n")
