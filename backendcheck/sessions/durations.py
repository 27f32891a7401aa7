"""How long cases took before. Shards of about equal duration are made from that, and all of them have to know the same."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import read_text
from backendcheck.recordings.files import read_environment
from backendcheck.sessions.conditions import selection_key
from backendcheck.sessions.kept import store_of
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.leg_names import LegName


def read_durations(path: Path) -> dict[str, float]:
    """The seconds by case in a report.json, an environment.json, or a JSON object of seconds by case.

    Raises:
        UsageError: if it is not one of these, or has no durations.
    """
    expected = "expected a report.json, an environment.json, or a JSON object of seconds by case id"
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path}: cannot be read ({error}); {expected}."
        raise UsageError(message) from None
    try:
        seconds = _seconds(content)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        message = f"{path}: invalid durations; {expected}."
        raise UsageError(message) from None
    if not seconds:
        message = f"{path}: has no durations; {expected}."
        raise UsageError(message)
    return seconds


def _seconds(content: Any) -> dict[str, float]:
    if isinstance(content.get("results"), list):
        by_case = {str(result["case"]): sum(result.get("seconds", {}).values()) for result in content["results"]}
    elif isinstance(content.get("seconds"), dict):
        by_case = content["seconds"]
    else:
        by_case = content
    seconds = {str(case): round(float(n), 3) for case, n in by_case.items() if not isinstance(n, str | bool)}
    if len(seconds) < len(by_case) or not all(n >= 0 and math.isfinite(n) for n in seconds.values()):
        raise ValueError
    return {case: n for case, n in sorted(seconds.items()) if n}


def with_durations(request: RecordingRequest) -> RecordingRequest:
    """The request of a shard with the durations that divide the cases: those given, or those of an earlier run at hand.

    A resumed session has those that it began with. What only a shard has recorded is not used. It says nothing of the
    others, and shards on other machines would be divided in another way.
    """
    if request.shard is None or request.seconds_before:
        return request
    if request.resume:
        with contextlib.suppress(UnreadableInput):
            return replace(request, seconds_before=read_environment(request.leg).durations)
    seconds = Counter[str]()
    for backend in dict.fromkeys([*(LegName(backend=backend) for backend in DEFAULT_BACKENDS), request.backend]):
        whole = replace(request, backend=backend, shard=None)
        if (store := store_of(whole)) is not None and (plan := store.read().plans.get(selection_key(whole))):
            seconds.update(plan.seconds)
    return replace(request, seconds_before={case: round(n, 3) for case, n in sorted(seconds.items()) if n})
