"""From the frames of a recording back to its labels: `ctc_decode`.

What goes wrong in practice: a recording without a frame, a length beyond the end, a frame whose classes all tie, a
NaN. The last of the three classes is the blank.
"""

import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase

FRAMES = np.log(np.array([[[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]]], dtype="float32"))


def decode(frames, length, strategy):
    """The decoded labels (1, T) of one recording, -1 where there is no label."""
    lengths = np.array([length], dtype="int32")
    return ops.ctc_decode(frames, lengths, strategy=strategy, mask_index=2, beam_width=5, top_paths=1)[0][0]


@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def case_the_labels_of_a_recording(strategy):
    """Three distinct frames and a blank give three labels."""
    return ValueCase(lambda: {"labels": decode(FRAMES, 4, strategy)}, reference={"value/labels": np.array([[0, 1, 0, -1]])})


@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def case_a_recording_without_a_frame(strategy):
    """A recording of length 0 has no labels."""
    return ValueCase(lambda: {"labels": decode(FRAMES, 0, strategy)}, reference={"value/labels": np.array([[-1, -1, -1, -1]])})


@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def case_a_length_beyond_the_end(strategy):
    """A length of 9 for a recording of four frames is refused."""
    return ValueCase(lambda: {"labels": decode(FRAMES, 9, strategy)}, expect=Raises())


@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def case_frames_that_say_nothing(strategy):
    """Frames in which all classes tie are decoded the same on every backend."""
    return {"labels": decode(np.zeros((1, 3, 3), dtype="float32"), 3, strategy)}


def case_a_nan_among_the_frames():
    """A frame with a NaN is decoded the same on every backend, or refused."""
    frames = FRAMES.copy()
    frames[0, 1:, 2] = np.nan
    return {"labels": decode(frames, 4, "greedy")}
