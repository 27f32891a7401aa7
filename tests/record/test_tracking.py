"""What a case depends on is seen: exactly that, and what cannot be seen is not kept. No backend is started."""

from __future__ import annotations

import array
import csv
import itertools
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tracked import Tracked, changed, not_kept, tracked

from backendcheck.record.tracking.module_state import Opaque, state_of

PROJECT = {
    "conftest.py": "",
    "cases/conftest.py": """
        import pytest
        from pathlib import Path

        @pytest.fixture(scope="session")
        def table(): return Path(__file__).with_name("table.txt").read_text()

        @pytest.fixture
        def own(): return Path(__file__).with_name("own.txt").read_text()
    """,
    "cases/a.py": """
        import functools
        import os
        import shutil
        import tempfile
        from pathlib import Path
        import pytest
        from helper import SCALE, memo

        HERE = Path(__file__).parent
        AT_IMPORT = (HERE / "imported.txt").read_text()

        def test_plain(): pass
        def test_file(): (HERE / "data.txt").read_text()
        def test_missing_file(): (HERE / "missing.txt").exists()
        def test_file_of_another_way(): os.close(os.open(HERE / "by_number.txt", os.O_RDONLY))
        def test_listing(): sorted((HERE / "many").glob("*.txt"))
        def test_variable(): os.environ.get("SCALE")
        def test_variable_that_is_not_set(): os.getenv("UNSET", "1")
        def test_variable_that_all_depend_on(): os.getenv("XLA_FLAGS")
        def test_session_fixture(table): pass
        def test_session_fixture_again(table): pass
        def test_fixture(own): pass
        def test_cached(): memo("memo.txt")
        def test_cached_again(): memo("memo.txt")
        def test_late():
            import late
        @pytest.mark.parametrize("n", [1, 2])
        def test_parameter(n): (HERE / f"part{n}.txt").read_text()
        def test_own_file(tmp_path):
            (tmp_path / "x").write_text("x")
            (tmp_path / "x").read_text()
        def test_own_folder(tmp_path):
            (tmp_path / "y").mkdir()
            shutil.rmtree(tmp_path / "y")
        def test_temporary():
            with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as file:
                Path(folder, "x").mkdir()
                Path(folder, "x", "y").write_text("1")
                Path(file.name).read_text()
    """,
    "cases/b.py": """
        def test_alone(): pass
    """,
    "cases/helper.py": """
        import functools
        from pathlib import Path
        from deeper import VALUE
        SCALE = 2.0

        @functools.cache
        def memo(name): return Path(__file__).with_name(name).read_text()
    """,
    "cases/deeper.py": "VALUE = 1\n",
    "cases/late.py": "VALUE = 1\n",
    **{f"cases/{name}.txt": "1\n" for name in (
        "imported", "data", "by_number", "table", "own", "memo", "part1", "part2", "many/one", "many/two")},
}  # fmt: skip
VARIABLES = {"SCALE": "2"}
OF_A = {
    "test_plain", "test_file", "test_missing_file", "test_file_of_another_way", "test_listing", "test_variable",
    "test_variable_that_is_not_set", "test_variable_that_all_depend_on",
    "test_session_fixture", "test_session_fixture_again", "test_fixture", "test_cached",
    "test_cached_again", "test_late", "test_parameter[1]", "test_parameter[2]", "test_own_file",
    "test_own_folder", "test_temporary",
}  # fmt: skip
# What is changed, and exactly the cases that depend on it.
CHANGES: dict[str, set[str]] = {
    "cases/a.py": OF_A,
    "cases/b.py": {"test_alone"},
    "cases/helper.py": OF_A,
    "cases/deeper.py": OF_A,
    "cases/imported.txt": OF_A,
    "cases/late.py": OF_A,
    "cases/data.txt": {"test_file"},
    "cases/missing.txt": {"test_missing_file"},
    "cases/by_number.txt": {"test_file_of_another_way"},
    "cases/table.txt": {"test_session_fixture", "test_session_fixture_again"},
    "cases/own.txt": {"test_fixture"},
    "cases/memo.txt": {"test_cached", "test_cached_again"},
    "cases/part2.txt": {"test_parameter[2]"},
    "cases/many/three.txt": {"test_listing"},
    "cases/conftest.py": OF_A | {"test_alone"},
    "conftest.py": OF_A | {"test_alone"},
    "cases/__init__.py": OF_A | {"test_alone"},
    "cases/unrelated.txt": set(),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tracked]]:
    folder = tmp_path_factory.mktemp("project")
    return folder, tracked(folder, PROJECT, VARIABLES)


@contextmanager
def other_content(path: Path) -> Iterator[None]:
    """Another content of the same size and the same time, where there is one; otherwise a new file."""
    if not path.exists():
        path.write_text("new\n")
        try:
            yield
        finally:
            path.unlink()
        return
    status, text = path.stat(), path.read_text()
    path.write_text(text.replace("1", "3") if "1" in text else f"{text}\n#\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    try:
        yield
    finally:
        path.write_text(text)


def test_all_of_them_can_be_kept_and_nothing_has_changed(recorded: tuple[Path, dict[str, Tracked]]) -> None:
    _, cases = recorded
    assert not_kept(cases) == set(), [case.untracked for case in cases.values() if case.untracked]
    assert {*cases} == OF_A | {"test_alone", ""}
    assert changed(cases, VARIABLES) == set()


@pytest.mark.parametrize("name", CHANGES)
def test_exactly_the_dependent_cases_have_changed(name: str, recorded: tuple[Path, dict[str, Tracked]]) -> None:
    folder, cases = recorded
    with other_content(folder / name):
        assert changed(cases, VARIABLES) == CHANGES[name]
    assert changed(cases, VARIABLES) == set()


def test_a_variable_is_a_dependency_with_its_value_or_its_absence(recorded: tuple[Path, dict[str, Tracked]]) -> None:
    _, cases = recorded
    assert changed(cases, {"SCALE": "3"}) == {"test_variable"}
    assert changed(cases, {}) == {"test_variable"}
    assert changed(cases, {"SCALE": "2", "UNSET": "1"}) == {"test_variable_that_is_not_set"}
    values = {value for case in cases.values() for key, value, _ in case.rows if key == "variable:SCALE"}
    assert [len(value) for value in values] == [64]  # a digest: the value may be a secret
    assert changed(cases, VARIABLES | {"XLA_FLAGS": "x"}) == set()  # all recordings depend on it: see `is_condition`


# Cases that try to be kept although they must not be, each with a part of the reason. `shared` is the module below.
FOOLS = {
    "process": ("it starts a process", "subprocess.run(['true'])"),
    "system": ("it starts a process", "os.system('true')"),
    "thread": ("it starts a process", "t = threading.Thread(target=os.system, args=('true',)); t.start(); t.join()"),
    "network": ("it uses the network", "socket.socket().connect_ex(('127.0.0.1', 9))"),
    "all_variables": ("it reads all environment variables", "dict(os.environ)"),
    "number_of_variables": ("it reads all environment variables", "len(os.environ)"),
    "session_variable": ("it reads the variable PYTEST_CURRENT_TEST", "os.environ['PYTEST_CURRENT_TEST']"),
    "bytes_of_variables": ("it reads all environment variables", "dict(os.environb)"),
    "random": ("it draws random numbers", "np.random.default_rng()"),
    "device": ("it draws random numbers", "open('/dev/urandom', 'rb').read(1)"),
    "bare_seed": ("random numbers of the system", "random.SystemRandom().random()"),
    "no_seed": ("random numbers of the system", "random.Random().random()"),
    "write": ("it writes", "Path('written.txt').write_text('1')"),
    "read_what_was_written": ("was changed while the session ran", "Path('written.txt').read_text()"),
    "removal": ("it writes", "Path('written.txt').unlink()"),
    "folder": ("it writes", "Path('made').mkdir()"),
    "attribute": ("shared.py, which other cases see", "shared.SCALE += 1"),
    "sees_attribute": ("a case has changed the state of", "shared.SCALE"),
    "list": ("shared.py, which other cases see", "shared.NAMES.append('x')"),
    "array": ("shared.py, which other cases see", "shared.ARRAY[0] += 1"),
    "closure": ("shared.py, which other cases see", "shared.remember(3)"),
    "default": ("shared.py, which other cases see", "shared.default()"),
    "class": ("shared.py, which other cases see", "shared.Settings.scale += 1"),
    "instance": ("shared.py, which other cases see", "shared.SETTINGS.names.add('x')"),
    "generator": ("shared.py, which other cases see", "shared.RNG.random()"),
    "counter": ("holds COUNTER, which holds a itertools.count", "next(opaque.COUNTER)"),
    "clock": ("asks for the clock", "time.time()"),
    "clock_by_another_name": ("asks for the clock", "import time as t; t.time()"),
    "clock_as_text": ("asks for the clock", "time.strftime('%d')"),
    "date": ("asks for the clock", "datetime.date.today()"),
    "file_time": ("asks for the times of files", "os.path.getmtime(__file__)"),
    "native": ("asks for native code", "ctypes.CDLL(None)"),
    "posix": ("asks for the system", "__import__('posix').stat('.')"),
}  # fmt: skip
_IMPORTS = {
    "os", "subprocess", "threading", "socket", "random", "time", "datetime", "ctypes", "shared", "opaque",
}  # fmt: skip


@pytest.mark.parametrize(
    "value", [itertools.count(), iter([1]), csv.reader([]), struct.Struct("i"), zlib.compressobj(), array.array("i", [1])],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_c_code_holds_cannot_be_looked_into(value: object) -> None:
    with pytest.raises(Opaque, match="X, which holds a "):
        state_of({"X": value}, lambda _: True)


def _case_file(name: str, body: str) -> str:
    needed = [f"import {module}" for module in sorted(_IMPORTS) if f"{module}." in body]
    needed += ["from pathlib import Path"] * ("Path(" in body) + ["import numpy as np"] * ("np." in body)
    return "\n".join([*needed, f"def test_{name}():", f"    {body}", ""])


SHARED = """
    import numpy as np
    SCALE = 2
    NAMES = []
    ARRAY = np.zeros(3)
    RNG = np.random.default_rng(0)
    class Settings:
        scale = 1
        def __init__(self): self.names = set()
    SETTINGS = Settings()
    def _memory():
        last = []
        return last.append
    remember = lambda x, memory=_memory(): memory(x)
    def default(names=[]): names.append(1)
"""


def test_what_cannot_be_tracked_is_not_kept(tmp_path: Path) -> None:
    files = {f"cases/n{number:02}_{name}.py": _case_file(name, body) for number, (name, (_, body)) in enumerate(FOOLS.items())}
    opaque = "import itertools\nCOUNTER = itertools.count()\n"
    cases = tracked(tmp_path, {**files, "cases/shared.py": SHARED, "cases/opaque.py": opaque})
    kept = {name: cases[f"test_{name}"].untracked for name in FOOLS}
    assert {name for name, reasons in kept.items() if not any(FOOLS[name][0] in reason for reason in reasons)} == set(), kept


COUPLED = {
    "cases/a.py": """
        import os
        import sys
        import shared
        shared.TABLE["a"] = 1
        os.environ["OF_A"] = "1"
        sys.path.insert(0, os.path.join(os.path.dirname(__file__), "first"))
        def test_a(): pass
    """,
    "cases/b.py": """
        import shared
        def test_b(): shared.TABLE["a"]
    """,
    "cases/c.py": """
        import importlib
        def test_c(): importlib.import_module("sha" + "red")
    """,
    "cases/d.py": """
        def test_d(): __import__("sys").modules
    """,
    "cases/e.py": """
        try:
            import optional
        except ImportError:
            optional = None
        def test_e(): pass
    """,
    "cases/f.py": """
        import pydoc
        def test_f(): pydoc.locate("by_text.VALUE")
    """,
    "cases/g.py": """
        import json
        import pkgutil
        from pathlib import Path
        def test_g(): pkgutil.resolve_name(json.loads(Path(__file__).with_name("names.json").read_text())[0])
    """,
    "cases/h.py": """
        import pickle
        def test_h(): pickle.loads(bytes.fromhex("6362795f7069636b6c650a56414c55450a2e"))
    """,
    "cases/early.py": """
        import by_library, by_pickle, by_text  # no import comes after this one
        def test_early(): pass
    """,
    "cases/names.json": '["by_library:VALUE"]',
    "cases/by_text.py": "VALUE = 1\n",
    "cases/by_library.py": "import of_library\nVALUE = 1\n",
    "cases/of_library.py": "",
    "cases/by_pickle.py": "VALUE = 1\n",
    "cases/shared.py": "TABLE = {}\n",
    "cases/first/x.txt": "",
    "sitecustomize.py": "",
}


@pytest.mark.parametrize(
    ("name", "dependent"),
    [
        # The import of a.py changes variables, and where modules are found.
        ("cases/a.py", {"test_a", "test_b", "test_c", "test_d", "test_e"}),
        ("sitecustomize.py", {"test_a", "test_b", "test_c", "test_d", "test_e"}),
        ("cases/optional.py", {"test_e"}),
        ("cases/first/optional.py", {"test_e"}),
        ("cases/by_text.py", {"test_f"}),
        ("cases/by_library.py", {"test_g"}),
        ("cases/of_library.py", {"test_g"}),
        ("cases/by_pickle.py", {"test_h"}),
    ],
)
def test_what_reaches_a_case_by_other_ways_is_a_dependency(
    name: str, dependent: set[str], coupled: Callable[[], tuple[Path, dict[str, Tracked]]]
) -> None:
    folder, cases = coupled()
    with other_content(folder / name):
        assert changed(cases, {}) >= dependent


@pytest.fixture(scope="module")
def coupled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Path, dict[str, Tracked]]]:
    folder = tmp_path_factory.mktemp("coupled")
    cases = tracked(folder, COUPLED)
    return lambda: (folder, cases)
