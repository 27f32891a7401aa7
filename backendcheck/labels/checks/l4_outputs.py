"""L407: labels and losses for outputs that do not exist, and outputs with a loss but no labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backendcheck.labels.contract.finding import TRAINING, LabelFinding, Place
from backendcheck.labels.contract.rules import make_finding
from backendcheck.labels.inputs.task import LabelTask
from backendcheck.text.words import some_of

_MOST_NAMED = 10


def find_in_losses(task: LabelTask) -> Iterator[LabelFinding]:
    """L407 for losses that fit no output."""
    for note in task.loss_notes:
        yield make_finding("L407", Place(where="losses of the model"), note, expected="a loss for each output")
    for name in task.unknown_losses:
        yield _no_such_output(Place(where=f"loss of {name}", output=name), task.outputs, variant="loss")
    if task.n_losses is not None:
        problem = f"{task.n_losses} losses for {len(task.outputs)} outputs"
        yield make_finding("L407", Place(where="losses"), problem, expected=f"a loss for each of {_quoted(task.outputs)}")


def find_in_outputs(task: LabelTask, labeled_outputs: Sequence[str], split: str) -> Iterator[LabelFinding]:
    """L407 for labels that fit no output, and for outputs with a loss and without labels."""
    if len(task.outputs) == len(labeled_outputs) == 1 and "" in (task.outputs[0], labeled_outputs[0]):
        return  # a single output needs no name
    where = "labels" if split == TRAINING else f"{split} labels"
    for name in labeled_outputs:
        if name not in task.outputs:
            place = Place(where=f"{where} of {name}" if name else where, output=name, split=split)
            if name:
                yield _no_such_output(place, task.outputs, variant="labels")
            else:
                problem = f"one array for {len(task.outputs)} outputs"
                expected = f"a dict with labels of {_quoted(task.outputs)}"
                yield make_finding("L407", place, problem, expected=expected, variant="labels")
    if list(labeled_outputs) == [""]:
        return
    for name, loss in task.losses.items():
        if name not in labeled_outputs and name in task.outputs:
            yield make_finding(
                "L407", Place(where=where, output=name, split=split),
                f"output {name!r} has a loss ({loss.name}) but no labels", variant="missing",
                expected=f"labels of {name!r}, got labels of {', '.join(map(repr, labeled_outputs)) or 'no output'}",
            )  # fmt: skip


def _no_such_output(place: Place, outputs: Sequence[str], variant: str) -> LabelFinding:
    expected = f"one of {_quoted(outputs)}" if any(outputs) else "a single output without a name"
    return make_finding("L407", place, "this output does not exist", expected=expected, variant=variant)


def _quoted(outputs: Sequence[str]) -> str:
    return some_of([repr(name) for name in outputs], _MOST_NAMED)
