"""What kind of thing a backend refused, from the class and the message of its exception.

A pattern is a message of one library about one kind of limit. A message that no pattern matches says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from backendcheck.recordings.recording import Raised
from backendcheck.vocabulary.stages import RecordingStage

_CALL = re.compile(r"\n\s*Arguments received by .*", re.DOTALL)  # Keras repeats the arguments of the call in its errors
_STYLE = re.compile(r"\x1b\[[0-9;]*m")

_TYPE = r"\w+(?:[.]\w+)*"
# The groups `type` and `operation` go into the words of a diagnosis, where the message has them.
_PATTERNS: tuple[tuple[str, str], ...] = (
    # TensorFlow: kernels, conversions, operands.
    (
        "unsupported-type",
        rf"Value for attr '\w+' of (?P<type>{_TYPE}) is not in the list of allowed values.*?node (?P<operation>\w+)",
    ),
    ("unsupported-type", rf"Value for attr '\w+' of (?P<type>{_TYPE}) is not in the list of allowed values"),
    (
        "unsupported-type",
        rf"cannot compute (?P<operation>\w+) as input #\d+\(zero-based\) was expected .*? but is an? (?P<type>{_TYPE}) tensor",
    ),
    ("unsupported-type", rf"Cannot convert \S+ to EagerTensor of dtype (?P<type>{_TYPE})"),
    ("unsupported-type", rf"Input '\w+' of '(?P<operation>\w+)' Op has type (?P<type>{_TYPE}) that does not match type"),
    ("unsupported-type", rf"Tensor conversion requested dtype \S+ for Tensor with dtype (?P<type>{_TYPE})"),
    ("unsupported-type", r"Could not find device for node: .*? = (?P<operation>\w+)\["),
    # PyTorch: kernels, operators, operands.
    ("unsupported-type", rf"\"(?P<operation>\w+)\" not implemented for '(?P<type>{_TYPE})'"),
    ("unsupported-type", rf"Unsupported dtype for PyTorch: (?P<type>{_TYPE})"),
    ("unsupported-type", rf"expected '\w+' to be integer dtype, but got (?P<type>{_TYPE})"),
    ("unsupported-type", r"(?P<operation>Subtraction|Negation), the `-` operator, (?:with|on) an? (?P<type>bool) tensor"),
    ("unsupported-type", rf"expected scalar type \w+ but found (?P<type>{_TYPE})"),
    ("unsupported-type", rf"must have the same dtype, but got \w+ and (?P<type>{_TYPE})"),
    ("unsupported-type", rf"could not infer output dtype\. .*? Got: (?P<type>{_TYPE})"),
    ("unsupported-type", r"tensors used as indices must be long"),
    ("unsupported-type", r"Expected dtype int64 for index"),
    # JAX and NumPy.
    ("unsupported-type", rf"(?P<operation>\w+) does not accept dtype (?P<type>{_TYPE})"),
    ("unsupported-type", r"Indexer must have integer or boolean type, got indexer with type (?P<type>\w+)"),
    ("unsupported-type", r"(?P<operation>\w+) indices must be of integer type, got (?P<type>\w+)"),
    ("unsupported-type", r"argument to (?P<operation>\w+) must have an integer type; got (?P<type>\w+)"),
    ("unsupported-type", r"indices must have an integer type"),
    ("unsupported-type", r"(?P<operation>\w+) requires arguments to have the same dtypes, got"),
    ("unsupported-type", r"ufunc '(?P<operation>\w+)' not supported for the input types"),
    ("unsupported-type", r"numpy boolean subtract, the `-` operator, is not supported"),
    # Memory: where a kernel needs its elements to lie.
    ("memory-layout", r"(?P<operation>\w+) must be contiguous"),
    ("memory-layout", r"view size is not compatible with input tensor's size and stride"),
    # Gradients.
    ("no-gradient", r"(?P<operation>\w+) gradients are only implemented if"),
    ("no-gradient", r"Differentiation rule for '(?P<operation>\w+)' not implemented"),
    ("no-gradient", r"Reverse-mode differentiation does not work for (?P<operation>[\w.]+)"),
    ("no-gradient", r"gradient registry has no entry for: (?P<operation>\w+)"),
    ("no-gradient", r"No gradient defined for operation '?(?P<operation>[\w/]+)"),
    ("no-gradient", r"derivative for (?P<operation>[\w:]+) is not implemented"),
    ("no-gradient", r"needed for gradient computation has been modified by an inplace operation"),
    # Tracing: a program that is compiled has no numbers yet.
    ("not-traceable", r"Attempted boolean conversion of traced array"),
    ("not-traceable", r"Using a symbolic `tf\.Tensor` as a Python `bool` is not allowed"),
    ("not-traceable", r"Iterating over a symbolic `tf\.Tensor` is not allowed"),
    ("not-traceable", r"len is not well defined for a symbolic Tensor"),
    ("not-traceable", r"Abstract tracer value encountered where concrete value is expected"),
    # Arrays of another library.
    ("numpy-inside", r"unsupported operand type\(s\) for \S+ '(?:numpy\.)?ndarray' and 'Tensor'"),
    ("numpy-inside", r"unsupported operand type\(s\) for \S+ 'Tensor' and '(?:numpy\.)?ndarray'"),
    ("numpy-inside", r"Can't call numpy\(\) on Tensor that requires grad"),
    ("numpy-inside", r"Cannot convert a symbolic tf\.Tensor \(.*?\) to a numpy array"),
    ("numpy-inside", r"The numpy\.ndarray conversion method __array__\(\) was called on traced array"),
    # Text.
    ("no-text", r"string arrays can only be made from NumPy arrays"),
    ("no-text", r"can't convert np\.ndarray of type numpy\.(?:str_|bytes_|object_)"),
    ("no-text", r"(?:value|dtype) .{0,40}<U\d+.{0,40} is not a valid JAX (?:array )?type"),
    # Values of integers, and sizes.
    ("undefined-integer", r"^Integer division by zero"),
    ("undefined-integer", r"^ZeroDivisionError$"),
    ("undefined-integer", r"integer division or modulo by zero"),
    ("empty-input", r"zero-size array to reduction operation (?P<operation>\w+)"),
    ("empty-input", r"(?P<operation>\w+)\(\): Expected reduction dim \d+ to have non-zero size"),
    ("empty-input", r"attempt to get arg(?:max|min) of an empty sequence"),
    # Arguments and shapes that one backend alone refuses.
    ("unsupported-argument", r"[Aa]rguments? `(?P<operation>\w+)`.{0,80}?when using the \w+ backend"),
    ("unsupported-argument", r"(?:not|n't) (?:currently )?supported (?:by|with|on|in|for) the \w+ backend"),
    ("unsupported-argument", r"selected index (?P<operation>k) out of range"),
    ("unsupported-argument", r"Only (?P<operation>axis)=-1 is currently supported"),
    # The last element of a dimension of size 0, as the shape of a single number has it.
    ("unsupported-shape", r"slice index -1 of dimension \d+ out of bounds\.(?: \[Op:(?P<operation>\w+)\])?"),
    ("unsupported-shape", r"Leading dim_size of both tensors must match\.(?: \[Op:(?P<operation>\w+)\])?"),
    # The state of an optimizer that was built before the trainable variables changed.
    ("stale-optimizer", r"list of tensors corresponding 1:1 to the trainable variables list that the optimizer was built with"),
    ("stale-optimizer", r"This optimizer can only be called for the variables it was originally built with"),
)  # fmt: skip
_COMPILED = tuple((code, re.compile(pattern, re.DOTALL)) for code, pattern in _PATTERNS)

_FRAME = re.compile(r'^  File "([^"\n]*)", line \d+', re.MULTILINE)
_OF_NUMPY = re.compile(r"(?:^|[/\\])site-packages[/\\]numpy[/\\]")

# An error of Python about its own sequences, names and None, below the author's code: a step that went wrong, not a check.
_INTERNAL = (
    ("IndexError", re.compile(r"^(?:tuple|list|string) (?:assignment )?index out of range$|^pop from (?:an )?empty ")),
    ("AttributeError", re.compile(r"^'NoneType' object has no attribute '\w+'$")),
    ("UnboundLocalError", re.compile(r"")),
    ("NameError", re.compile(r"^name '\w+' is not defined")),
    ("AssertionError", re.compile(r"^$")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A kind of limit that an exception is about: its code, the line that says it, and the operation and type that it names."""

    code: str
    line: str
    operation: str = ""
    type: str = ""


def refusal_of(error: Raised) -> Refusal | None:
    """The kind of limit that an exception is about; None if its message is not known, or if the author's own code raised it."""
    text = plain_message(error)
    for code, pattern in _COMPILED:
        match = pattern.search(text)
        # An operator between arrays of two libraries fails in the author's own line.
        if match is None or (error.by_author and code != "numpy-inside"):
            continue
        if code in ("no-gradient", "memory-layout") and error.stage != RecordingStage.GRADIENT:
            continue
        groups = match.groupdict()
        line = text[match.start() :].partition("\n")[0] if code != "unsupported-argument" else text.partition("\n")[0]
        return Refusal(code=code, line=line, operation=groups.get("operation") or "", type=groups.get("type") or "")
    if _is_inside_numpy(error):
        return Refusal(code="numpy-inside", line=f"{error.type}: {text}")
    for name, pattern in _INTERNAL if not error.by_author else ():
        if error.type == name and pattern.search(text):
            return Refusal(code="internal-error", line=f"{name}: {text}" if text else name)
    return None


def _is_inside_numpy(error: Raised) -> bool:
    """Whether a function of NumPy was the last that ran, called with a tensor in place of an array.

    NumPy then calls a method of the tensor, which takes other arguments, or asks it for its values.
    """
    frames = _FRAME.findall(error.traceback)
    return error.type in ("TypeError", "RuntimeError", "AttributeError") and bool(frames) and bool(_OF_NUMPY.search(frames[-1]))


def plain_message(error: Raised) -> str:
    """The message of an exception without styles, without what a Keras layer or TensorFlow puts around it."""
    text = _STYLE.sub("", _CALL.sub("", error.message)).strip()
    text = re.sub(r"^Exception encountered when calling .*?\n+", "", text, flags=re.DOTALL)
    return re.sub(r"^\{\{function_node .*?\}\} ", "", text.strip())
