"""The command line: thin, and quick to start. No command imports a backend in this process."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from backendcheck import __version__
from backendcheck.errors import BackendcheckError
from backendcheck.noise import MEASURES

if TYPE_CHECKING:
    from backendcheck.leg import Leg
    from backendcheck.results import Results

_EXIT_CODES = """\b
Exit codes
  0  every case PASSED or XFAILED (a known divergence)
  1  some case FAILED or XPASSED
  2  wrong usage, or input that cannot be read
  3  incomplete: some ERROR, a leg missing, or nothing compared
"""
_LATEST = Path("reports/latest")


class _Commands(click.Group):
    """Reports our own errors in one line, with exit code 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BackendcheckError as error:
            for line in str(error).splitlines():
                click.echo(f"backendcheck: {_printable(line)}", err=True)
            context.exit(2)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever reads the output has seen enough; click knows what to do
                raise
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"backendcheck: {_printable(f'{where}{error.strerror or error}')}.", err=True)
            context.exit(2)
        except KeyboardInterrupt:
            message = "interrupted; what was recorded so far is kept, and its legs are marked unfinished."
            click.echo(f"backendcheck: {message}", err=True)
            context.exit(130)


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXIT_CODES)
@click.version_option(__version__, prog_name="backendcheck")
def cli() -> None:
    """Do your labels mean the same under every Keras 3 backend?

    Runs label-handling cases under TensorFlow, JAX and PyTorch, each in a process of its own, and says whether and where losses,
    gradients or predictions differ.

    \b
    backendcheck run                         the built-in cases on all three backends
    backendcheck run cases/labels.py         your own cases
    backendcheck show labels/one_hot         one case in full
    """


# --- options that commands share -------------------------------------------------------------------------------


def _parse_oracles(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    from backendcheck.record.session import ORACLES

    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ORACLES]:
        message = f"{', '.join(unknown)}: no such oracle; expected some of {', '.join(ORACLES)}."
        raise click.BadParameter(message, context, parameter)
    return tuple(name for name in ORACLES if name in names or name == "agreement")


_paths = click.argument("paths", nargs=-1, metavar="[PATH]...")
_keyword = click.option("-k", "keyword", metavar="EXPR", default="", help="Only cases whose names match, as in pytest.")
_marks = click.option("-m", "marks", metavar="EXPR", default="", help="Only cases with these marks, as in pytest.")
_workers = click.option(
    "-n", "workers", type=click.IntRange(1), default=1, show_default=True, help="Worker processes per backend."
)


def _seconds(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not 0 < value <= _LONGEST_S:  # which is no number is neither
        message = f"{value:g} is not in the range 0<x<={_LONGEST_S}."
        raise click.BadParameter(message)
    return value


_LONGEST_S = 10_000_000
_timeout = click.option(
    "--timeout", type=float, callback=_seconds, default=300.0, show_default=True, metavar="S",
    help="Seconds a case may take before it is ended and recorded as timed out.",
)  # fmt: skip
_device = click.option(
    "--device", type=click.Choice(["cpu", "gpu", "auto"]), default="cpu", show_default=True,
    help="cpu hides accelerators from every backend; gpu and auto leave the choice to the backend.",
)  # fmt: skip
_oracles = click.option(
    "--oracles", "oracles", default="agreement,paths,order,reference", show_default=True, metavar="LIST", callback=_parse_oracles,
    help="What to hold against what: backends (agreement is always on), paths inside one, orders, a float64 reference.",
)  # fmt: skip
_plugins = click.option(
    "-p", "plugins", multiple=True, metavar="NAME", help="Load this pytest plugin too (others are not loaded)."
)
_overwrite = click.option("--overwrite", is_flag=True, help="Replace another run that lies in the output directory.")
_known = click.option(
    "--known", "known_files", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="Known divergences. Default: known_divergences.toml beside the cases, and the one pyproject.toml names.",
)  # fmt: skip
_strict_known = click.option(
    "--strict-known", is_flag=True, help="Entries that match no case, or have expired, fail (exit code 1)."
)


@cli.command()
@_paths
@click.option("--backend", required=True, metavar="B", help="tensorflow, jax or torch.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, metavar="DIR",
              help="The recordings go to DIR/<backend>.")  # fmt: skip
@_workers
@_timeout
@_keyword
@_marks
@_device
@_oracles
@_plugins
@_overwrite
@click.option("--events", is_flag=True, hidden=True, help="Tell the progress on standard output, one JSON object a line.")
@click.option("--noise", hidden=True, default="", type=click.Choice(["", *MEASURES]), help="Make this noise recording.")
@click.option("--noise-of", hidden=True, default="", metavar="RUN", help="The run that the noise recording belongs to.")
def record(paths: Sequence[str], backend: str, out: Path, events: bool, **options: Any) -> None:
    """Record cases under one backend.

    PATH is a case file, a directory of them, or a pytest node id. Without a PATH the built-in cases are recorded. Exit code 3
    if a case crashed, hung or could not be observed; what differs between backends is for 'compare' to say.

    \b
    backendcheck record cases --backend jax --out reports
    """
    from backendcheck.backends import parse_backend
    from backendcheck.configuration import load_configuration
    from backendcheck.record.session import Request
    from backendcheck.record.session import record as record_session

    _end_on_signals(with_parent=events)
    request = Request(
        backend=parse_backend(backend), out=out, paths=paths or load_configuration(Path.cwd()).paths, report_events=events,
        **_renamed(options),
    )  # fmt: skip
    outcome = record_session(request)
    environment = outcome.environment
    if not events:
        from collections import Counter

        counts = ", ".join(f"{n} {status}" for status, n in Counter(outcome.statuses.values()).most_common())
        click.echo(f"{environment.backend}: {counts or 'no case'} in {environment.duration_s:.1f} s -> {request.leg}")
    for problem in environment.problems:
        click.echo(_printable(f"backendcheck: {problem['file']}:{problem['line']}: {problem['message']}."), err=True)
    if outcome.exit_code == 2:  # noqa: PLR2004 - see the exit codes
        chosen = "".join(f" {flag} {value!r}" for flag, value in (("-k", request.keyword), ("-m", request.marks)) if value)
        by = f" by{chosen}" if chosen else ""
        click.echo(f"backendcheck: {', '.join(paths) or 'built-in cases'}: no case is selected{by}.", err=True)
    sys.exit(outcome.exit_code)


def _end_on_signals(*, with_parent: bool = False) -> None:
    """Have SIGTERM, which CI systems send, end a command as Ctrl-C does: tidily, and whatever a shell has set.

    Only the first signal counts. Of the death of a parent with several threads the system may tell several times, and cleaning up
    takes no time worth interrupting.
    """
    import signal

    def end(_number: int, _frame: object) -> NoReturn:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, end)
    if with_parent:
        from backendcheck.record.isolation import end_with_parent

        end_with_parent(signal.SIGINT)


def _renamed(options: dict[str, Any]) -> dict[str, Any]:
    options["timeout_s"] = options.pop("timeout")
    return options


@cli.command()
@click.argument("directories", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="Where the report goes. Default: DIR, if there is one; else reports/latest.",
)  # fmt: skip
@click.option("--expect-backends", metavar="LIST", help="Legs that have to be there, such as tensorflow,jax,torch.")
@_known
@_strict_known
@_overwrite
def compare(
    directories: Sequence[Path], out: Path | None, expect_backends: str | None, known_files: Sequence[Path],
    strict_known: bool, overwrite: bool,
) -> None:  # fmt: skip
    """Compare recordings and write the report. Needs no backend.

    Each DIR is a leg (what 'record' wrote for one backend) or holds legs. The same backend twice is compared with itself.

    \b
    backendcheck compare reports --expect-backends tensorflow,jax,torch
    backendcheck compare monday/jax tuesday/jax --out reports/a-a
    """
    from backendcheck.leg import find_legs, read_legs

    legs = read_legs(find_legs(directories))
    out = out or (directories[0] if len(directories) == 1 else _LATEST)
    _check_report_place(out, legs, overwrite=overwrite)
    results = _analysed(legs, _expected(expect_backends), known_files)
    _report(results, out, strict_known=strict_known)


@cli.command()
@_paths
@click.option("--backends", metavar="LIST", help="Default: those that pyproject.toml names, or tensorflow,jax,torch.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help=f"Default: {_LATEST}; an earlier run there is moved aside."
)
@_workers
@_timeout
@_keyword
@_marks
@_device
@_oracles
@_plugins
@_known
@_strict_known
@_overwrite
@click.option(
    "--noise-floor", is_flag=True,
    help="Measure healthy noise, too: record again as it is, with inputs moved by one unit in the last place, and in float64.",
)
def run(
    paths: Sequence[str], backends: str | None, out: Path | None, known_files: Sequence[Path], strict_known: bool,
    noise_floor: bool, **options: Any,
) -> None:  # fmt: skip
    """Record cases under all backends at once, compare, and report.

    PATH is a case file, a directory of them, or a pytest node id. Without a PATH the built-in cases are run.

    \b
    backendcheck run
    backendcheck run tests/cases -k one_hot --backends tensorflow,torch
    backendcheck run tests/cases --noise-floor
    """
    from backendcheck.backends import parse_backends
    from backendcheck.case_files import builtin_cases, find_case_files
    from backendcheck.configuration import load_configuration
    from backendcheck.leg import find_legs, read_legs
    from backendcheck.record.session import Request, check_expressions
    from backendcheck.recording import read_environment
    from backendcheck.run import LegEnd, check_out, move_aside, record_all
    from backendcheck.run_noise import clear_noise, record_noise

    _end_on_signals()
    configuration = load_configuration(Path.cwd())
    paths = paths or configuration.paths
    find_case_files([*paths] or [str(builtin_cases())])
    wanted = parse_backends(backends or ",".join(configuration.backends) or "tensorflow,jax,torch")
    directory = out or _LATEST
    options = _renamed(options)
    requests = [Request(backend=backend, out=directory, paths=paths, **options) for backend in wanted]
    check_expressions(requests[0])
    if out is None and not options["overwrite"] and (moved := move_aside(directory, requests)):
        click.echo(f"{directory} held another run; it is now {moved}", err=True)
    check_out(directory, requests)
    clear_noise(directory)
    there: list[Request] = []
    ends: dict[str, LegEnd] = {}
    for request in requests:
        if missing := request.backend.missing_modules():
            names = " and ".join(missing)
            remedy = f"Install with: {request.backend.install_command}"
            click.echo(f"{request.backend}: {names} is not installed here, so this leg will be missing. {remedy}", err=True)
        else:
            there.append(request)
    if there:
        with _progress([str(request.backend) for request in there]) as progress:
            ends = record_all(there, progress)
        for name, end in ends.items():
            _tell_messages(name, end.message)
    # What an earlier run left there is not this one's.
    paths_of_legs = [request.leg for request in there if ends[request.backend.value].recorded]
    if noise_floor:
        runs = {leg.name: read_environment(leg).run for leg in paths_of_legs}
        for name, backend, noise_end in record_noise(there, runs, _progress):
            _tell_messages(f"{backend} {name}", noise_end.message)
    legs = read_legs(find_legs(paths_of_legs)) if paths_of_legs else []
    results = _analysed(legs, [str(backend) for backend in wanted], known_files)
    _report(results, directory, strict_known=strict_known)


def _tell_messages(name: str, message: str) -> None:
    for line in message.splitlines():
        click.echo(f"{name}: {_printable(line.removeprefix('backendcheck: '))}", err=True)


def _progress(backends: Sequence[str]) -> Any:
    from rich.console import Console

    from backendcheck.progress import Bars, Lines

    console = Console(stderr=True)
    return Bars(backends, console) if console.is_terminal else Lines(console)


@cli.command()
@click.argument("case")
@click.option(
    "--out", type=click.Path(path_type=Path), default=_LATEST, show_default=True, metavar="DIR", help="A directory with legs."
)
@click.option("-v", "--verbose", is_flag=True, help="The comparisons that passed, too.")
@_known
def show(case: str, out: Path, verbose: bool, known_files: Sequence[Path]) -> None:
    """Print one case in full: verdict, findings, values on every backend.

    CASE is a case id as reports name it, or a pytest node id.

    \b
    backendcheck show label_range/one_past_the_last_class
    """
    from backendcheck.leg import find_legs, known_cases, read_legs
    from backendcheck.node_id import case_id
    from backendcheck.report import text

    paths = find_legs([out])
    case = case_id(case) if "::" in case else case
    cases = known_cases(paths)
    if case not in cases:
        import difflib

        close = difflib.get_close_matches(case, cases, n=3, cutoff=0.4) or cases[:3]
        message = f"{case}: no such case in {out}; expected one of its {len(cases)}, such as {', '.join(close)}."
        raise _usage(message)
    results = _analysed(read_legs(paths, only=case), None, known_files)
    result = results.result(case)
    if result is not None:
        _print(text.case(result, results, width=_width(), verbose=verbose))
    sys.exit(0)


@cli.group()
def known() -> None:
    """Known divergences: what was looked at, with its reason, and is expected to be seen again."""


@known.command("add")
@click.argument("case")
@click.option("--reason", required=True, metavar="TEXT", help="What happens and why; a sentence a reader understands by itself.")
@click.option("--link", default="", metavar="URL", help="The issue about it.")
@click.option("--expires", default="", metavar="DATE", help="When somebody should look again, such as 2027-06-30.")
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Default: the file in force, or known_divergences.toml beside the case.")  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), default=_LATEST, show_default=True, metavar="DIR", help="A directory with legs."
)
def known_add(case: str, reason: str, link: str, expires: str, file: Path | None, out: Path) -> None:
    """Write the entry for what was just seen of CASE, and leave the rest of the file as it is.

    \b
    backendcheck known add labels/one_hot --reason "JAX drops the label silently, the others raise."
    """
    from backendcheck.known import FILE_NAME, find_known
    from backendcheck.known_add import add, entries_for
    from backendcheck.leg import find_legs, read_legs

    legs = read_legs(find_legs([out]), only=case)
    result = _analysed(legs, None, ()).result(case)
    if result is None:
        message = f"{case}: no such case in {out}. See 'backendcheck show' for those that are there."
        raise _usage(message)
    if expires:
        _check_date(expires)
    versions = sorted(version for leg in legs if (version := leg.environment.versions.get("keras")))
    seen_on = ".".join(versions[0].split(".")[:2]) if versions else ""
    entries = entries_for(result, reason=reason, keras=seen_on, link=link, expires=expires)
    path = file or next(iter(find_known(legs, ())), Path(FILE_NAME))
    add(path, entries)
    click.echo(f"{path}: {len(entries)} {'entry' if len(entries) == 1 else 'entries'} added.")


def _check_date(text: str) -> None:
    import datetime

    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        message = f"--expires {text}: is no date; expected one such as 2027-06-30."
        raise _usage(message) from None


@cli.command("list")
@_paths
@click.option("-k", "keyword", metavar="TEXT", default="", help="Only cases whose id or claim contains this.")
def list_cases(paths: Sequence[str], keyword: str) -> None:
    """List cases with their claims, from their source: nothing is imported or run.

    A case with parameters is listed once, as name[...]; what its parameters are is known once it is recorded.
    """
    from backendcheck.case_files import builtin_cases, case_functions, find_case_files
    from backendcheck.configuration import load_configuration

    files = find_case_files([*(paths or load_configuration(Path.cwd()).paths)] or [str(builtin_cases())])
    n_cases = n_parametrized = 0
    for file in files:
        functions = [one for one in case_functions(file) if keyword.lower() in f"{one.id} {one.claim}".lower()]
        if functions:
            click.secho(_printable(f"{file.parent.name}/{file.name}"), bold=True)
        for one in functions:
            n_cases += 1
            n_parametrized += one.parametrized
            click.echo(f"  {one.id}{'[...]' if one.parametrized else ''}")
            if claim := one.claim.partition("\n")[0].strip():
                click.secho(_printable(f"      {claim}"), dim=True)
    parametrized = f", {n_parametrized} of them with parameters" if n_parametrized else ""
    click.echo(f"{n_cases} cases in {len(files)} files{parametrized}")


# --- what commands share ---------------------------------------------------------------------------------------


def _usage(message: str) -> BackendcheckError:
    from backendcheck.errors import UsageError

    return UsageError(message)


def _expected(option: str | None) -> list[str] | None:
    from backendcheck.backends import parse_backends
    from backendcheck.configuration import load_configuration

    names = option or ",".join(load_configuration(Path.cwd()).backends)
    return [backend.value for backend in parse_backends(names)] if names else None


def _analysed(legs: Sequence[Leg], expected: Sequence[str] | None, known_files: Sequence[Path]) -> Results:
    from backendcheck.configuration import load_configuration
    from backendcheck.known import find_known, load
    from backendcheck.results import analyse

    configuration = load_configuration(Path.cwd())
    files = [*known_files] or find_known(legs, configuration.known)
    known = [entry for file in files for entry in load(file)]
    return analyse(legs, expected=expected, expected_cases=configuration.cases, known=known, overrides=configuration.tolerances)


def _check_report_place(out: Path, legs: Sequence[Leg], *, overwrite: bool) -> None:
    """Never put a report beside legs that it is not about."""
    from backendcheck.errors import OutputInTheWay
    from backendcheck.leg import find_legs
    from backendcheck.record.session import describe
    from backendcheck.recording import read_environment
    from backendcheck.report.earlier import runs_in

    compared = {leg.path.resolve() for leg in legs}
    try:
        there = find_legs([out]) if out.is_dir() else []
    except BackendcheckError:
        there = []
    strangers = [leg for leg in there if leg.resolve() not in compared]
    remedy = "Choose another --out, or say --overwrite."
    if strangers and not overwrite:
        message = f"{strangers[0]}: holds a leg that is not compared here: {describe(read_environment(strangers[0]))}. {remedy}"
        raise OutputInTheWay(message)
    runs = {leg.environment.run for leg in legs}
    if not overwrite and (earlier := runs_in(out)) is not None and earlier != runs and not there:
        message = f"{out}: holds the report of another run. {remedy}"
        raise OutputInTheWay(message)


def _report(results: Results, out: Path, *, strict_known: bool) -> NoReturn:
    import os

    from backendcheck.report import markdown, text, write_reports

    write_reports(results, out)
    if job_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(job_summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(markdown.render(results))
    _print(text.summary(results, width=_width()))
    click.echo(f"report: {out / 'index.html'}")
    exit_code = results.exit_code
    if strict_known and exit_code == 0 and (results.unmatched or results.expired):
        exit_code = 1
    sys.exit(exit_code)


def _width() -> int | None:
    """The width of the terminal; None where there is none, so that lines of a log stay whole."""
    import shutil

    return max(80, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else None


_COLOURS = {"FAILED": "red", "ERROR": "magenta", "XPASSED": "yellow", "XFAILED": "cyan", "PASSED": "green"}


def _print(lines: Any) -> None:
    """Lines in the colour of the verdict they begin with; click leaves colour out where there is no terminal."""
    for line in lines:
        word, space, rest = line.partition(" ")
        click.echo(click.style(word, fg=_COLOURS[word], bold=True) + space + rest if word in _COLOURS else line)


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a headline may hold what an ASCII log cannot
    cli.main(prog_name="backendcheck")
