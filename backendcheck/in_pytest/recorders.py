"""The recording sessions of a pytest session: one per backend, in the background. They end with the pytest session."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path

from backendcheck.errors import OutputInTheWay, UnreadableInput
from backendcheck.files import locked
from backendcheck.in_pytest.files import Exchange
from backendcheck.progress.progress import Progress
from backendcheck.recordings.files import read_environment
from backendcheck.recordings.leg_directory import WORK, clear_leg, describe, legs_below, make_writable
from backendcheck.sessions.processes import LegEnd, Stopped, record_all
from backendcheck.sessions.request import RecordingRequest


class Recorders:
    """Starts and follows the recording sessions in a thread, which writes their ends to `exchange`."""

    def __init__(self, requests: Sequence[RecordingRequest], exchange: Exchange, out: Path) -> None:
        self.requests = requests
        self.exchange = exchange
        self.out = out
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = contextlib.ExitStack()

    def start(self) -> None:
        """Remove the legs of an earlier session, and start a recording session for each installed backend.

        Raises:
            OutputInTheWay: if the directory has other content than legs of an earlier session, is in use, or cannot be written.
        """
        make_writable(self.out)
        remedy = "Wait for it, or choose another --backendcheck-out."
        self._lock.enter_context(locked(self.out, f"{self.out}: is being recorded into by another pytest session. {remedy}"))
        names = [request.leg.name for request in self.requests] + [leg.name for leg in legs_below(self.out)]
        legs = [self.out / name for name in dict.fromkeys(names)]  # of all backends, so that every leg is of this session
        for leg in legs:
            _check_removable(leg)
        for leg in legs:
            clear_leg(leg)
            with contextlib.suppress(OSError):
                leg.rmdir()
        for abandoned in self.exchange.of_other_sessions():
            if not abandoned.owner_lives():
                abandoned.remove()
        installed = []
        for request in self.requests:
            if missing := request.backend.missing_in_words():
                self.exchange.end(request.backend.value, LegEnd(exit_code=2, message=missing, recorded=False))
            else:
                installed.append(request)
        self.exchange.begin()
        self._thread = threading.Thread(target=self._follow, args=(installed,), name="backendcheck-recorders", daemon=True)
        self._thread.start()

    def _follow(self, requests: Sequence[RecordingRequest]) -> None:
        message = "its recording ended with the pytest session"
        try:
            record_all(requests, _EndsToExchange(self.exchange), self._stop)
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, waiting for recordings must end
            message = f"its recording could not be followed ({type(error).__name__}: {error})"
        finally:
            for request in requests:
                if self.exchange.ended(request.backend.value) is None:
                    with contextlib.suppress(OutputInTheWay):
                        self.exchange.end(request.backend.value, LegEnd(exit_code=3, message=message, recorded=False))

    def finish(self, patience_s: float) -> None:
        """Wait for the recording sessions to end; stop those still running after `patience_s`."""
        if self._thread is not None:
            self._thread.join(patience_s)
            self._stop.set()
            self._thread.join()

    def release(self) -> None:
        """Release the directory and remove the exchanged files."""
        self.exchange.remove()
        self._lock.close()


class _EndsToExchange(Progress):
    """Passes on the ends of recording sessions; what they record they note in the exchange themselves."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def ended(self, leg: str, exit_code: int, message: str) -> None:
        self.exchange.end(leg, LegEnd(exit_code=exit_code, message=message, recorded=True))


def _check_removable(leg: Path) -> None:
    """Check that the directory of a leg is of an earlier pytest session, so that it may be removed."""
    try:
        if not leg.exists() or (leg.is_dir() and {entry.name for entry in leg.iterdir()} <= {WORK}):
            return
        environment = read_environment(leg)
    except (UnreadableInput, OSError) as error:
        message = f"{leg}: not written by a pytest session ({error}). Choose another --backendcheck-out, or remove it."
        raise OutputInTheWay(message) from error
    if not environment.selection.selected_by:
        message = f"{leg}: holds another run: {describe(environment)}. It is not overwritten. Choose another --backendcheck-out."
        raise OutputInTheWay(message)
