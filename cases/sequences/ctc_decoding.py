"""From the frames of a recording back to its labels: `ctc_decode`.

What goes wrong in practice: a recording without a frame, a length beyond the end, a frame whose classes all tie, a
NaN. The last of the three classes is the blank.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import LossCase, Raises, ValueCase

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


@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def case_the_last_class_as_the_blank(strategy):
    """`mask_index=-1` is the last class, as an index of -1 is elsewhere; or it is refused."""
    lengths = np.array([4], dtype="int32")
    return ValueCase(
        lambda: {"labels": ops.ctc_decode(FRAMES, lengths, strategy=strategy, mask_index=-1, beam_width=5)[0][0]},
        reference={"value/labels": np.array([[0, 1, 0, -1]])},
    )


@pytest.mark.parametrize("length", ["of_the_word", "of_the_recording"])
def case_a_loss_with_a_length_beyond_the_end(length):
    """`ctc_loss` refuses a word of 3 letters in a table with 2, and a recording of 9 frames where there are 4."""
    n_letters, n_frames = (3, 4) if length == "of_the_word" else (2, 9)
    return ValueCase(
        lambda: {
            "loss": ops.ctc_loss(
                np.array([[0, 1]], dtype="int32"), FRAMES, np.array([n_letters], dtype="int32"),
                np.array([n_frames], dtype="int32"), mask_index=2,
            )
        },
        expect=Raises(),
    )  # fmt: skip


def case_a_loss_of_an_empty_batch():
    """CTC takes an empty batch, as a filter can leave one, on every backend or on none."""
    return LossCase(loss=keras.losses.CTC(), y_true=np.zeros((0, 2), dtype="int32"), y_pred=np.zeros((0, 4, 3), dtype="float32"))
