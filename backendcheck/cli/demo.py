"""`backendcheck demo`: a dozen built-in cases, one difference of each kind, and what to do next."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

import click

from backendcheck.cli.options import backends_option, overwrite_option
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.results import terminal_width
from backendcheck.cli.terminal import print_lines
from backendcheck.text.escape import visible

DEMO = Path("reports/demo")


class DemoCase(NamedTuple):
    """A built-in case of the demo, by its node id below the directory of the built-in cases."""

    title: str
    node_id: str
    needs: str = ""  # a module that it imports and that is not part of a backend
    alone: bool = False  # whether it has something to show with one backend

    @property
    def file(self) -> str:
        return self.node_id.partition("::")[0]

    @property
    def id(self) -> str:
        name = self.node_id.partition("::case_")[2]
        return f"{Path(self.file).stem}/{name}"


# Those that train a model take longest. They stand first and are recorded last, so that progress is not misjudged.
CASES = (
    DemoCase("Outputs in another order", "outputs/named_outputs.py::case_predict_returns_declared_order", needs="sklearn"),
    DemoCase(
        "Padding counts in fit, not in evaluate",
        "sequences/masked_steps.py::case_padding_counts_neither_in_loss_nor_in_accuracy",
        alone=True,
    ),
    DemoCase("A label that names no class", "invalid/label_range.py::case_one_past_the_last_class", alone=True),
    DemoCase("Labels that lose their loss", "dtypes/label_casts.py::case_a_boolean_mask_in_an_expression[loss_times_mask]"),
    DemoCase("Shuffled one-hot rows fall apart", "soft_labels/mixed_labels.py::case_shuffled_labels_stay_whole[0]"),
    DemoCase("Ids beyond 32 bits", "dtypes/wide_labels.py::case_wide_ids_as_a_tensor[array]"),
    DemoCase("Fewer labels than asked for", "indexing/label_lookups.py::case_past_the_last_label[slice]"),
    DemoCase(
        "The same loss, another gradient",
        "soft_labels/target_mass.py::case_gradient_of_a_row_that_does_not_sum_to_one[nothing]",
    ),
    DemoCase("A right loss, a gradient of NaN", "edges/label_ties.py::case_missing_labels_as_nan[nanmean]", alone=True),
    DemoCase("Weights along the wrong axis", "sequences/step_labels.py::case_a_weight_for_each_sequence[4]", alone=True),
    DemoCase(
        "All backends agree, and all are wrong",
        "dtypes/label_bits.py::case_difference_of_unsigned_labels[MeanAbsoluteError]",
        alone=True,
    ),
    DemoCase("Valid labels train alike", "invalid/labels_in_fit.py::case_fit_on_labels_of_every_class", alone=True),
)


@click.command()
@backends_option
@click.option(
    "--out", type=click.Path(path_type=Path), default=DEMO, show_default=True, metavar="DIR",
    help="Directory of recordings and report. An earlier demo there is replaced.",
)  # fmt: skip
@overwrite_option
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
def demo(backends: str | None, out: Path, overwrite: bool, quiet: bool) -> None:
    """Show what backendcheck finds, in about a minute.

    Records a dozen built-in cases on the installed backends. Shows one difference of each kind in Keras, writes the report, and
    names the next commands. Works in any directory.
    """
    from backendcheck.case_files import builtin_cases
    from backendcheck.files import locked
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.report import write_reports
    from backendcheck.report.formats import demo as demo_report
    from backendcheck.results.results import analyze
    from backendcheck.sessions.processes import check_out, record_all
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.verdicts.known_files import known_in_force
    from backendcheck.vocabulary.backends import installed_backends
    from backendcheck.vocabulary.leg_names import LegName

    end_on_signals()
    selected = installed_backends(backends)
    cases = [
        case for case in CASES
        if (not case.needs or importlib.util.find_spec(case.needs)) and (case.alone or len(selected) > 1)
    ]  # fmt: skip
    paths = [str(builtin_cases() / case.node_id) for case in reversed(cases)]
    replaced = overwrite or _is_demo(out)
    legs_to_record = [LegName(backend=backend) for backend in selected]
    requests = [RecordingRequest(backend=leg, out=out, paths=paths, overwrite=replaced) for leg in legs_to_record]
    check_out(out, requests)
    names = [backend.value for backend in selected]
    width = terminal_width()
    with locked(out, f"{out}: is being written by another process. Wait for it, or choose another --out."):
        print_lines(demo_report.beginning(selected, len(cases), width))
        with progress_of(names, quiet=quiet) as shown:
            ends = record_all(requests, shown)
        for name, end in ends.items():
            for line in end.message.splitlines():
                click.echo(f"{name}: {visible(line)}", err=True)
        legs = read_legs(find_legs([request.leg for request in requests if ends[request.backend.value].recorded]))
        results = analyze(legs, expected=names, known=known_in_force(legs, (), ()))
        write_reports(results, out)
    titles = {case.id: case.title for case in cases}
    print_lines(demo_report.summary(results, titles, out, width))
    sys.exit(results.exit_code)


def _is_demo(out: Path) -> bool:
    """Whether all legs in `out` are of an earlier demo: node ids of built-in cases, perhaps others, and the last one."""
    from backendcheck.case_files import builtin_cases, split_node_id
    from backendcheck.errors import BackendcheckError
    from backendcheck.recordings.files import read_environment
    from backendcheck.recordings.legs import find_legs

    try:
        recorded = [path for leg in find_legs([out]) for path in read_environment(leg).selection.paths]
    except (BackendcheckError, OSError):
        return False
    files = [split_node_id(path)[0] for path in recorded if "::" in path]
    is_built_in = len(files) == len(recorded) and all(builtin_cases().joinpath(*file.parts[-2:]).exists() for file in files)
    return is_built_in and any(path.endswith(CASES[-1].node_id) for path in recorded)
