"""What is recorded of an exception: the author's last line, whether it comes from there, and a traceback without the harness."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from backendcheck.record.observe import raised as module
from backendcheck.record.observe.raised import Project, as_raised, whole_tracebacks
from backendcheck.recordings.recording import Raised

LIBRARY = """
class Layer:
    def __call__(self, **arguments):
        Signature(arguments)

class Signature:
    def __init__(self, arguments):
        import inspect
        inspect.signature(lambda x: x).bind(**arguments)

def refuse():
    raise ValueError("refused")

def call(function):
    return function()

def error_handler(*arguments, **options):
    return plain(*arguments, **options)

def plain(x):
    return refuse() if x else x

class Lazy:
    def __getattr__(self, name):
        raise AttributeError(f"no {name}")
"""
AUTHOR = '''
import json
import numpy as np
import keras_like as library
from backendcheck import LossCase

def misspelled():
    """A name that is not there."""
    return library.los

def misspelled_in_a_lazy_module():
    return library.Lazy().los

def undefined():
    return np.zeros(3) * factor

def refused_by_another_name():
    return library.refused()

def a_local_name():
    labels = 1
    return lables

def imported():
    from keras_like import cal

def wrong_argument():
    return library.plain(y=1)

def wrong_argument_behind_a_wrapper():
    return library.error_handler(y=1)

def wrong_argument_of_a_layer():
    return library.Layer()(y=1)

def refused():
    return library.refuse()

def refused_behind_a_wrapper():
    return library.error_handler(1)

def inner():
    raise KeyError("mine")

def called_by_the_library():
    return library.call(inner)

def of_python():
    return json.loads("{")

def of_numpy():
    return np.zeros(3) + np.zeros(4)

def no_file():
    return np.load("no_such_file.npy")

def of_a_case():
    return LossCase(loss="mse", y_true=[1.0], y_pred=[1.0], weight=[1.0])

def module_not_found():
    import no_such_module

def caused():
    try:
        library.refuse()
    except ValueError as error:
        raise RuntimeError("mine") from error

def deep(n=0):
    deep(n + 1)

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError

def unprintable():
    raise Unprintable

def long():
    raise ValueError("x" * 100_000)
'''


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of the author, which uses a library that is installed."""
    installed = tmp_path / "venv" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "keras_like.py").write_text(LIBRARY, encoding="utf-8")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "authors_module.py").write_text(AUTHOR, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(installed), str(tmp_path / "project"), *sys.path])
    monkeypatch.setattr(Project, "directory", tmp_path)
    import authors_module  # type: ignore[import-not-found]

    yield authors_module
    del sys.modules["authors_module"], sys.modules["keras_like"]


def raised_by(function: Callable[[], object]) -> Raised:
    with whole_tracebacks():
        try:
            function()
        except Exception as error:  # noqa: BLE001
            return as_raised("case", error)
    raise AssertionError


OF_THE_AUTHOR = (
    "misspelled", "misspelled_in_a_lazy_module", "undefined", "wrong_argument", "wrong_argument_behind_a_wrapper",
    "wrong_argument_of_a_layer", "called_by_the_library", "of_python", "of_numpy", "no_file", "of_a_case", "module_not_found",
    "caused", "unprintable", "deep",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_THE_AUTHOR)
def test_what_comes_from_a_line_of_the_author_is_the_authors(author: ModuleType, name: str) -> None:
    raised = raised_by(getattr(author, name))
    assert raised.by_author
    assert raised.frame is not None
    assert raised.frame.function == {"called_by_the_library": "inner"}.get(name, name)
    assert raised.frame.file == "project/authors_module.py"
    assert AUTHOR.split("\n")[raised.frame.line - 1].strip() == raised.frame.source.strip()


@pytest.mark.parametrize("name", ["refused", "refused_behind_a_wrapper"])
def test_what_a_library_refuses_is_not_the_authors_but_their_line_is_known(author: ModuleType, name: str) -> None:
    raised = raised_by(getattr(author, name))
    assert not raised.by_author
    assert raised.frame is not None
    assert raised.frame.function == name


def test_where_frames_may_have_been_filtered_nothing_is_proved(author: ModuleType) -> None:
    with pytest.raises(TypeError) as caught:
        author.wrong_argument_behind_a_wrapper()
    assert not as_raised("case", caught.value).by_author
    with pytest.raises(TypeError) as caught:
        author.wrong_argument()
    assert as_raised("case", caught.value).by_author


def test_a_filter_that_cannot_be_switched_off_proves_nothing(author: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILTERS", {"authors_module": lambda _: 1 / 0})
    assert not raised_by(author.wrong_argument_behind_a_wrapper).by_author


def test_the_line_comes_with_those_above_it(author: ModuleType) -> None:
    frame = raised_by(author.misspelled).frame
    assert frame is not None
    assert (*frame.before, frame.source) == ("def misspelled():", '    """A name that is not there."""', "    return library.los")
    assert frame.place == "project/authors_module.py:9"


def test_the_traceback_is_as_python_prints_it_without_the_harness(author: ModuleType) -> None:
    lines = raised_by(author.refused).traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert not any("backendcheck/record" in text for text in lines)
    assert lines[3:] == [  # behind this test
        f'  File "project/authors_module.py", line {line("return library.refuse()")}, in refused',
        "    return library.refuse()",
        '  File "site-packages/keras_like.py", line 12, in refuse',
        '    raise ValueError("refused")',
        "ValueError: refused",
    ]


def line(source: str) -> int:
    return next(at for at, text in enumerate(AUTHOR.split("\n"), 1) if text.strip() == source)


def test_the_cause_of_an_exception_is_told_before_it(author: ModuleType) -> None:
    text = raised_by(author.caused).traceback
    assert text.index("ValueError: refused") < text.index("direct cause") < text.index("RuntimeError: mine")


def test_deep_tracebacks_and_long_messages_are_cut(author: ModuleType) -> None:
    deep, long = raised_by(author.deep).traceback, raised_by(author.long)
    assert "frames left out" in deep
    assert len(deep) <= 8100
    assert len(long.traceback) <= 2500
    assert len(long.message) == 100_000


def test_a_message_that_cannot_be_had_costs_nothing_else(author: ModuleType) -> None:
    raised = raised_by(author.unprintable)
    assert raised.message == "(its message is not available)"
    assert raised.traceback.endswith("\nUnprintable")


def test_an_exception_without_a_line_of_the_author_has_none() -> None:
    raised = as_raised("loss", ValueError("no"))
    assert (raised.frame, raised.by_author, raised.traceback) == (None, False, "ValueError: no")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("refused_by_another_name", "refuse"), ("a_local_name", "labels"), ("imported", "call"),
        ("misspelled", ""), ("undefined", ""), ("of_python", ""), ("module_not_found", ""),
    ],
)  # fmt: skip
def test_a_close_name_is_suggested_for_one_that_does_not_exist(author: ModuleType, name: str, meant: str) -> None:
    assert raised_by(getattr(author, name)).suggestion == meant


def test_a_library_that_does_not_find_a_name_gets_no_suggestion(author: ModuleType) -> None:
    assert raised_by(author.refused).suggestion == ""
