"""The first line of a message is what the backend says, without what Keras and TensorFlow put around it."""

from __future__ import annotations

import pytest

from backendcheck.text.words import first_line

GATHER = "__wrapped__GatherV2_device_/job:localhost/replica:0/task:0/device:CPU:0"
MESSAGES = {
    f"{{{{function_node {GATHER}}}}} indices[2,0] = 3 is not in [0, 3) [Op:GatherV2] name: ": "indices[2,0] = 3 is not in [0, 3)",
    """Exception encountered when calling Embedding.call().

\x1b[1mindex out of range in self\x1b[0m

Arguments received by Embedding.call():
  • inputs=torch.Tensor(shape=torch.Size([2]), dtype=float32)""": "index out of range in self",
    """Exception encountered when calling Layer.call().

\x1b[1mCould not automatically infer the output shape / dtype of 'layer' (of type Layer). Error encountered:

module 'keras.ops' has no attribute 'softmaxx'\x1b[0m

Arguments received by Layer.call():
  • x=1""": "module 'keras.ops' has no attribute 'softmaxx'",
    """Exception encountered when calling A.call().

\x1b[1m\x1b[0m

Arguments received by A.call():
  • x=1""": "Exception encountered when calling A.call().",
    """Graph execution error:

Detected at node loss/Softmax defined at (most recent call last):
  File "a.py", line 1, in f
    return x

Received a label value of 3.  Label values: 3
\t [[{{node loss/Softmax}}]] [Op:__inference_step_1]""": "Received a label value of 3. Label values: 3",
    """2 root error(s) found.
  (0) INVALID_ARGUMENT:  assertion failed: [a]
\t [[{{node a/b}}]]
  (1) INVALID_ARGUMENT:  assertion failed: [b]""": "assertion failed: [a]",
    """in user code:

    File "a.py", line 3, in f  *
        return g(x)

    ValueError: no such thing
""": "no such thing",
    "sizes differ for '{{node loss/mul}} = Mul[T=DT_FLOAT](a, b)' with shapes: [3]": "sizes differ for Mul with shapes: [3]",
    "target.shape=torch.Size([3, 5]), output.shape=torch.Size([3])": "target.shape=(3, 5), output.shape=(3,)",
    "Value of uint8 is not allowed\n\t; NodeDef: {{node A}}; Op<name=A>": "Value of uint8 is not allowed",
    "\n\n  Only this line.\nNot this one.": "Only this line.",
    "": "",
}


@pytest.mark.parametrize(("message", "line"), MESSAGES.items())
def test_what_backends_put_around_a_message_is_left_out(message: str, line: str) -> None:
    assert first_line(message) == line


REPEATED = (
    "\n", " ", "{{node ", "[Op:", "\t; NodeDef", "'{{node x}} = ", "\nArguments received by x", "Error encountered:",
    "torch.Size([",
)  # fmt: skip


@pytest.mark.parametrize("text", REPEATED)
def test_no_message_takes_long(text: str) -> None:
    for begin in ("", "in user code:\n", "Exception encountered when calling x\n"):
        assert len(first_line(begin + text * 20_000)) <= 200
