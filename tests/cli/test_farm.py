"""`--farm` and its options, and the recipes of docs/farm.md, as far as they go without a cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from backendcheck.cli import cli
from backendcheck.cli.farm import worker
from backendcheck.cli.options import settle_workers
from backendcheck.farm import cluster

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--farm", "local:0"], "--farm local:0: expected a number of workers from 1 to 999, such as local:2"),
        (["--farm", "desk"], "--farm desk: not an address; expected one of a Dask scheduler"),
        (["--farm", "local:1", "--shard", "1/2"], "--farm: does not go with --shard"),
        (["--farm", "local:1", "--noise-floor"], "--farm: does not go with --noise-floor"),
        (["--farm", "local:1", "--watch"], "--farm: does not go with --watch"),
        (["--farm", "local:1", "-n", "auto"], "--farm: does not go with -n auto"),
    ],
)
def test_what_does_not_go_with_a_farm_is_refused(arguments: list[str], words: str) -> None:
    ended = CliRunner().invoke(cli, ["run", *arguments])
    assert ended.exit_code == 2
    assert words in ended.output


def test_without_distributed_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda _: None)
    ended = CliRunner().invoke(cli, ["record", "--backend", "jax", "--farm", "local:1"])
    assert ended.exit_code == 2
    assert "distributed is not installed here. Install with: pip install" in ended.output


def test_a_worker_that_a_scheduler_elsewhere_could_not_reach_is_refused() -> None:
    ended = CliRunner().invoke(cli, ["farm", "worker", "tcp://192.0.2.1:8786", "--legs", "numpy"])
    assert ended.exit_code == 2
    assert "listens at 127.0.0.1 only" in ended.output


def test_the_number_of_processes_stays_where_it_is_named() -> None:
    options = {"workers": 3, "worker_memory": None}
    settle_workers(options, [], farm=True)
    assert options["workers"] == 3


def test_without_a_farm_nothing_of_dask_is_imported() -> None:
    code = "import sys, backendcheck.cli; print([name for name in sys.modules if name.startswith(('dask', 'distributed'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_leg_that_only_this_machine_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.backendcheck.legs.mine]\nbackend = "jax"\n', encoding="utf-8")
    ended = CliRunner().invoke(cli, ["run", "--legs", "mine", "--farm", "local:1"])
    assert ended.exit_code == 2
    assert "--farm: does not go with mine" in ended.output


def test_the_pods_of_the_recipe_are_called_as_the_commands_are() -> None:
    documents = [*YAML(typ="safe").load_all((RECIPES / "farm-kubernetes.yml").read_text(encoding="utf-8"))]
    specs = [document["spec"]["template"]["spec"] for document in documents if document["kind"] == "Deployment"]
    commands = {spec["containers"][0]["name"]: spec["containers"][0]["command"] for spec in specs}
    assert commands["worker"][:3] == ["backendcheck", "farm", "worker"]
    given = worker.make_context("worker", commands["worker"][3:]).params
    service = next(document for document in documents if document["kind"] == "Service")
    assert given["address"] == f"tcp://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert given["host"] == f"$({specs[1]['containers'][0]['env'][0]['name']})"
