"""Warm processes that end or hang. The process here is a stand-in, which needs no backend."""

import subprocess
import sys

import pytest

from backendcheck.errors import UsageError
from backendcheck.explore import legs as legs_module
from backendcheck.explore.legs import Legs
from backendcheck.vocabulary.states import Status

_WORKER = """
import base64, json, os, sys, time
from backendcheck.recordings.files import as_bytes
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.states import Status
if sys.argv[1] == "broken":
    print(json.dumps({"error": "ImportError: no backend"}), flush=True)
    sys.exit()
print(json.dumps({"ready": True, "versions": {}, "device": "cpu", "settings": {}}), flush=True)
for line in sys.stdin:
    case = json.loads(line)["case"]
    if case == "ends":
        os._exit(3)
    if case == "hangs":
        time.sleep(60)
    recording = Recording(case=case, backend="jax", run="explore", status=Status.RECORDED)
    answer = {"error": "ValueError: no"} if case == "fails" else {"recording": base64.b64encode(as_bytes(recording)).decode()}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def stand_in(monkeypatch):
    def use(state="fine"):
        def start(*_arguments, **options):
            return subprocess.Popen(
                [sys.executable, "-c", _WORKER, state], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                start_new_session=True, env=options["env"],
            )  # fmt: skip

        monkeypatch.setattr(legs_module, "start_python", start)

    return use


def _statuses(legs, *cases):
    recordings = legs.observe([{"case": case} for case in cases])
    assert [of_legs["jax"].case for of_legs in recordings] == list(cases)
    return [of_legs["jax"].status for of_legs in recordings]


@pytest.mark.parametrize(("case", "status"), [("ends", Status.CRASHED), ("hangs", Status.TIMED_OUT)])
def test_a_crash_or_a_hang_costs_one_situation(stand_in, case, status):
    stand_in()
    with Legs(["jax"], answer_s=8) as legs:
        assert _statuses(legs, "a/1", case, "a/2", "a/3") == [Status.RECORDED, status, Status.RECORDED, Status.RECORDED]
        assert legs.n_restarts == 1
        assert _statuses(legs, "a/4") == [Status.RECORDED]


def test_a_situation_that_the_process_cannot_observe_is_an_error_and_the_process_stays(stand_in):
    stand_in()
    with Legs(["jax"]) as legs:
        assert _statuses(legs, "a/1", "fails", "a/2") == [Status.RECORDED, Status.ERROR, Status.RECORDED]
        assert legs.n_restarts == 0


def test_a_leg_that_does_not_start_is_named_with_the_reason(stand_in):
    stand_in("broken")
    with pytest.raises(UsageError, match="jax: cannot be used here: ImportError: no backend"), Legs(["jax"]):
        pass
