"""Links to the documentation: none until the public address is known, and then to the place that explains."""

from __future__ import annotations

import dataclasses
from email.message import Message
from pathlib import Path

import make
import pytest
from click.testing import CliRunner

from backendcheck.case_files import builtin_cases
from backendcheck.cli import cli
from backendcheck.report.html import page
from backendcheck.text import documentation
from backendcheck.verdicts.known_entries import load_causes

ADDRESS = "https://git.test/ada/backendcheck"
NAME = "sorted-output-names"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata of a package whose public address is known."""
    metadata = Message()
    metadata["Project-URL"] = "Issues, https://git.test/ada/backendcheck/issues"
    metadata["Project-URL"] = f"Repository, {ADDRESS}"
    monkeypatch.setattr(documentation.importlib.metadata, "metadata", lambda _: metadata)
    monkeypatch.setattr(documentation, "repository", documentation.repository.__wrapped__)


def explained() -> str:
    known = str(builtin_cases() / "known_divergences")
    return CliRunner().invoke(cli, ["known", "list", "--known", known, "--cause", NAME]).output


def test_known_list_and_the_rules_lead_to_the_pages(published: None) -> None:
    assert f"  {ADDRESS}/blob/main/docs/what-differs.md#{NAME}\n" in explained()
    rule = CliRunner().invoke(cli, ["labels", "--explain", "L104"]).output
    assert f"more        {ADDRESS}/blob/main/docs/label-rules.md#l104-starts-at-one" in rule


def test_the_page_explains_a_known_cause_and_leads_to_it(published: None) -> None:
    cause = load_causes(builtin_cases() / "known_divergences")[NAME]
    entry = make.divergence("a/b", "jax", cause=cause)
    differs = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}
    html = page.render(make.results({"a/b": differs}, known=[entry]))
    assert f'<a href="{ADDRESS}/blob/main/docs/what-differs.md#{NAME}"' in html
    assert "Code that reads outputs by position gets other outputs" in html
    own = dataclasses.replace(entry, cause=dataclasses.replace(cause, path=Path("known_divergences.toml")))
    assert ADDRESS not in page.render(make.results({"a/b": differs}, known=[own]))


def test_without_an_address_there_is_no_link() -> None:
    documentation.repository.cache_clear()
    if documentation.repository():
        pytest.skip("the address is known")
    assert "blob/main" not in explained()
    assert "more  " not in CliRunner().invoke(cli, ["labels", "--explain", "L104"]).output
