"""What to do about a case, in a sentence or two: from its diagnosis, or from the problem that kept it from being compared."""

from __future__ import annotations

import shlex

from backendcheck.results.results import CaseResult
from backendcheck.text.escape import visible
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.verdict import Verdict, authors_error
from backendcheck.vocabulary.problems import Problem, ProblemCode
from backendcheck.vocabulary.sides import Side

_OF_PROBLEMS = {
    ProblemCode.AUTHORS_ERROR: "Correct that line. If every backend should raise there, say expect=Raises().",
    ProblemCode.NO_RECORDING: "Record it on that backend, or see why its job left it out.",
    ProblemCode.TIMED_OUT: "Make the case smaller, or give it more time with --timeout.",
    ProblemCode.CRASHED: "Read the last lines of its standard error, and record it alone: {command}",
    ProblemCode.SKIPPED: (
        "A case that is skipped proves nothing: install what it asks for, or leave it out on every backend."
    ),
    ProblemCode.OTHER_CASE_FILE: "Record every backend from the same case file.",
    ProblemCode.OTHER_SETTINGS: "Give every backend the same settings: keras.json, conftest.py and the environment set them.",
    ProblemCode.OTHER_INPUTS: "Draw data from the rng fixture, which gives the same on every backend.",
    ProblemCode.OTHER_WEIGHTS: "Leave the weights to backendcheck (weights='seeded'), or set them from NumPy.",
    ProblemCode.ONE_LEG: "Record another backend. On one alone, the case needs a reference or an expectation to be checked.",
    ProblemCode.NOTHING_COMPARED: "Return something that holds numbers or names.",
    ProblemCode.NOT_OBSERVED: "Correct the case as the message says, and record it again.",
}


def what_to_do(result: CaseResult) -> str:
    """What to do about a case; empty if it passed or differs as known."""
    if result.verdict is Verdict.ERROR:
        remedies = (_of_problem(problem, result) for problem in result.problems)
        return next(filter(None, remedies), "Correct what the problem says, then record the case again.")
    if result.verdict is Verdict.XPASSED:
        return f"Delete {_entry(result.known)}, or limit it to the versions that show the difference."
    if result.verdict is Verdict.FAILED and result.known:
        return f"Check the case, then correct {_entry(result.known)}."
    if result.verdict is Verdict.FAILED:
        return next((diagnosis.remedy for diagnosis in result.diagnoses if diagnosis.remedy), "")
    return ""


def _of_problem(problem: Problem, result: CaseResult) -> str:
    backend = Side(problem.legs[0]).backend if problem.legs else "BACKEND"
    command = f"backendcheck record {node_id(result)} --backend {backend} --out DIR"
    remedy = _OF_PROBLEMS.get(problem.code, "").replace("{command}", command)
    error = authors_error(result.recordings) if problem.code is ProblemCode.AUTHORS_ERROR else None
    return f"Did you mean {error.suggestion!r}? {remedy}" if error is not None and error.suggestion else remedy


def node_id(result: CaseResult) -> str:
    """The id of the case in pytest, quoted for a shell; its file alone if the case has no name there."""
    name = result.case.partition("/")[2]
    return shlex.quote(visible(f"{result.file}::case_{name}" if name else result.file))


def _entry(known: tuple[Divergence, ...]) -> str:
    return known[0].name if known else "the entry of known_divergences.toml"
