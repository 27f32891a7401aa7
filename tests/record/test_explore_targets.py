"""What a leg says of a target of one's own. Nothing here imports a backend."""

import pytest

from backendcheck.record.explore_program import metric_described
from backendcheck.record.explore_targets import describe

_PROXY = """
class Proxy:
    def __getattribute__(self, name):
        raise RuntimeError(f"asked for {name}")

proxy = Proxy()

def absolute(y_true, y_pred):
    return abs(y_true - y_pred)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_class_without_a_signature_cannot_be_explored():
    answer = describe("builtins:type")
    assert answer["kind"] == ""
    assert answer["why"].startswith("it cannot be inspected (ValueError: no signature found")


def test_an_object_that_raises_when_it_is_asked_does_not_hide_the_others(package):
    (package / "has_a_proxy.py").write_text(_PROXY)
    answer = describe("has_a_proxy")
    assert (answer["members"], answer["notes"]) == (["has_a_proxy:absolute"], [])


@pytest.mark.parametrize(
    ("source", "why"),
    [("raise RuntimeError('no')", "RuntimeError: no"), ("raise SystemExit(3)", "SystemExit: 3"), ("def f(:", "SyntaxError")],
)
def test_a_module_that_cannot_be_imported_is_refused_with_the_reason(package, source, why):
    name = f"refused_{len(source)}"
    (package / f"{name}.py").write_text(source)
    assert describe(name)["why"].startswith(why)


def test_the_options_of_a_metric_are_those_of_its_function_as_well_because_a_config_may_leave_them_out():
    class Cosine:
        def __init__(self):
            self._fn_kwargs = {"axis": 0}

        def get_config(self):
            return {"name": "cosine"}

    assert metric_described(Cosine())["options"] == {"name": "cosine", "axis": 0}
