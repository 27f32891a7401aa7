"""The fixture `backends_explored`: a search for differences inside a test, bounded by situations and time."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from backendcheck.errors import BackendcheckError
from backendcheck.explore.run import Options, run
from backendcheck.in_pytest.names import base_nodeid
from backendcheck.in_pytest.settings import Settings, settings_of
from backendcheck.sessions.leg_packages import install_packages


def explore_in_test(request: pytest.FixtureRequest, target: Any, *, situations: int, seconds: float, seed: int) -> dict[str, Any]:
    """Explore a target on the backends of the session; fails the test if a finding is new, or nothing was compared."""
    name = target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"
    try:
        settings = settings_of(request.config)
        out = _directory(settings, base_nodeid(request.node))
        for leg in settings.backends:
            install_packages(leg)
        options = Options(
            targets=(name,), legs=tuple(leg.value for leg in settings.backends), out=out, budget_s=seconds,
            n_situations=situations, seed=seed, device=settings.device,
        )  # fmt: skip
        _, content = run(options, lambda _: None)
    except BackendcheckError as error:
        pytest.fail(str(error), pytrace=False)
    new = [finding for finding in content["findings"] if finding["known"] is None]
    if new:
        lines = [f"  {finding['headline']}\n    {out / finding['script']}" for finding in new]
        pytest.fail(f"{name}: {len(new)} new {'finding' if len(new) == 1 else 'findings'}\n" + "\n".join(lines), pytrace=False)
    if not content["compared"]:
        message = f"{name}: nothing was compared in {content['situations']} situations: all were refused or not observed."
        pytest.fail(f"{message} See {out}", pytrace=False)
    return content


def _directory(settings: Settings, nodeid: str) -> Path:
    """An empty directory beside that of the recordings, which holds nothing else than those."""
    out = settings.out.with_name(f"{settings.out.name}-explored") / re.sub(r"[^\w.-]+", "-", nodeid)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return out
