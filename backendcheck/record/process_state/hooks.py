"""State of Python that calls back later: import hooks, loggers, event loops, functions for the end of the process."""

from __future__ import annotations

import atexit
import logging
import sys
import sysconfig
from typing import Any

from backendcheck.record.process_state.item import Item


def items() -> list[Item]:
    finders, exits = _Finders(), _ExitFunctions()
    return [
        Item("sys.meta_path", finders.read, finders.restore),
        Item("sys.path_hooks", lambda: list(sys.path_hooks), lambda value: set_list(sys.path_hooks, value)),
        Item("logging", _root_logger, _restore_root_logger),
        Item("loggers", _loggers, _restore_loggers),
        Item("asyncio event loop policy", _loop_policy, _restore_loop_policy),
        Item("asyncio event loop", _loop, _restore_loop),
        # The first use of asyncio makes the policy, and notes that a loop was set.
        Item("asyncio as it was first used", lambda: _events("_event_loop_policy"), _restore_loop_policy, is_told=False),
        Item("functions registered with atexit", exits.read, exits.restore),
    ]


def set_list(target: list[Any], value: list[Any]) -> None:
    target[:] = value


class _Finders:
    """The finders of modules. One that came with the import of the module that defines it belongs to a library and stays."""

    def __init__(self) -> None:
        self.modules = set(sys.modules)
        self.own: list[Any] = []
        self.of_libraries: list[Any] = []

    def read(self) -> list[Any]:
        for finder in sys.meta_path:
            if any(finder is known for known in (*self.own, *self.of_libraries)):
                continue
            module = getattr(finder, "__module__", None) or type(finder).__module__
            came_with_import = module not in self.modules or module.startswith("backendcheck.")
            (self.of_libraries if came_with_import else self.own).append(finder)
        self.modules = set(sys.modules)
        return [finder for finder in sys.meta_path if any(finder is own for own in self.own)]

    def restore(self, value: list[Any]) -> None:
        of_libraries = [finder for finder in sys.meta_path if any(finder is known for known in self.of_libraries)]
        sys.meta_path[:] = [*of_libraries, *value]


def _root_logger() -> tuple[Any, ...]:
    root = logging.getLogger()
    return root.level, root.manager.disable, list(root.handlers), logging.getLoggerClass()


def _restore_root_logger(value: tuple[Any, ...]) -> None:
    root = logging.getLogger()
    root.setLevel(value[0])
    logging.disable(value[1])
    root.handlers[:] = value[2]
    logging.setLoggerClass(value[3])


class _Loggers(dict[str, tuple[Any, ...]]):
    """Loggers by name. Two moments are equal if the loggers of both are: a library makes new ones at any time."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Loggers) and all(other[name] == self[name] for name in self.keys() & other.keys())

    def __ne__(self, other: object) -> bool:
        return not self == other


def _loggers() -> _Loggers:
    loggers = {name: logger for name, logger in logging.root.manager.loggerDict.items() if isinstance(logger, logging.Logger)}
    return _Loggers({
        name: (logger.level, logger.disabled, logger.propagate, (*logger.handlers,), (*logger.filters,))
        for name, logger in loggers.items()
    })  # fmt: skip


def _restore_loggers(value: _Loggers) -> None:
    for name in value.keys() & _loggers().keys():
        logger = logging.getLogger(name)
        logger.setLevel(value[name][0])
        logger.disabled, logger.propagate = value[name][1:3]
        logger.handlers[:], logger.filters[:] = value[name][3:]


# --- asyncio: read from its module, because its functions make what they return ---------------------------------


def _events(name: str) -> Any:
    return getattr(sys.modules.get("asyncio.events"), name, None)


def _loop_policy() -> Any:
    """None if it is the usual one."""
    policy = _events("_event_loop_policy")
    usual = getattr(sys.modules.get("asyncio"), "DefaultEventLoopPolicy", None)
    return None if usual is not None and type(policy) is usual else policy


def _restore_loop_policy(policy: Any) -> None:
    events: Any = sys.modules["asyncio.events"]
    events._event_loop_policy = policy  # noqa: SLF001 - None makes a new one at the next use


def _loop() -> Any:
    """The loop that is set in this thread, or the one that runs here."""
    running = _events("_get_running_loop")
    if running is not None and running() is not None:
        return running()
    return getattr(getattr(_events("_event_loop_policy"), "_local", None), "_loop", None)


def _restore_loop(loop: Any) -> None:
    events: Any = sys.modules["asyncio.events"]
    events._set_running_loop(None)  # noqa: SLF001 - no public function ends it from outside
    if _loop() is not loop:
        events._event_loop_policy.set_event_loop(loop)  # noqa: SLF001


# --- the end of the process ----------------------------------------------------------------------------------------


_INSTALLED = ("/site-packages/", "/dist-packages/", "<frozen ", f"{sysconfig.get_path('stdlib')}/")


class _ExitFunctions:
    """The functions that code of the user has registered with `atexit`. Those of libraries stay."""

    def __init__(self) -> None:
        self.functions: list[Any] = []
        self.register = atexit.register
        atexit.register = self._registered

    def _registered(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001
        if not any(place in caller for place in _INSTALLED):
            self.functions.append(function)
        return self.register(function, *args, **kwargs)

    def read(self) -> list[Any]:
        return [*self.functions]

    def restore(self, value: list[Any]) -> None:
        for function in self.functions[len(value) :]:
            atexit.unregister(function)
        self.functions[:] = value
