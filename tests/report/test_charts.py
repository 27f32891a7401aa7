"""The pictures of a case: what is in them, what they say of how much they show, and that nothing makes them fail."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import make
import numpy as np
import pytest

from backendcheck.report.charts import charts
from backendcheck.report.charts.error import leading_pair
from backendcheck.report.views.examples import disagreements
from backendcheck.results.results import CaseResult

NAMES = ["cat", "dog", "fox"]
RNG = np.random.default_rng(0)


def case(**by_backend) -> CaseResult:
    return make.results({"a/b": by_backend}).cases[0]


def differing(observation: str, left, right, **more) -> CaseResult:
    """`left` on tensorflow and torch, `right` on jax."""
    seen = {backend: right if backend == "jax" else left for backend in make.BACKENDS}
    return case(**{backend: {"observations": {observation: value}, **more} for backend, value in seen.items()})


class Drawn:
    """A chart taken apart."""

    def __init__(self, chart) -> None:
        self.title, self.caption = chart.title, chart.caption
        self.root = ET.fromstring(str(chart.picture))
        self.said = self.root.get("aria-label")
        assert self.root.get("role") == "img"
        assert self.said
        assert not re.search(r"\b(nan|inf)\b", " ".join(v for e in self.root.iter() for k, v in e.items() if k != "aria-label"))

    @property
    def texts(self) -> list[str]:
        return [one.text for one in self.root.iter("text")]

    @property
    def titles(self) -> list[str]:
        return [one.text for one in self.root.iter("title")]

    def marks(self, kind: str) -> list[ET.Element]:
        return [one for one in self.root.iter() if kind in (one.get("class") or "").split()]

    def path(self, kind: str) -> str:
        return "".join(one.get("d") for one in self.marks(kind))


def drawn(result: CaseResult) -> dict[str, Drawn]:
    found = [Drawn(one) for one in charts(result)]
    assert len({one.title for one in found}) == len(found)
    return {one.title: one for one in found}


def n_cells(chart: Drawn, level: int, side: int = 22) -> int:
    """How many cells have a level, from the lengths of the dashed lines; without the one in the legend."""
    lengths = [
        int(n) for one in chart.marks(f"h{level}") if one.get("stroke-dasharray") for n in re.findall(r"h(\d+)", one.get("d"))
    ]
    return sum((n + 1) // side for n in lengths)


# --- label order ---------------------------------------------------------------------------------------------------


def swapped(names=NAMES) -> CaseResult:
    scores = np.random.default_rng(1).dirichlet(np.ones(3), 12).astype(np.float32)
    other = scores[:, [1, 0, 2]]
    return case(
        **{
            backend: {
                "predictions": value,
                "predicted_class": value.argmax(axis=1),
                "class_names": names,
                "labels": {"y_true": np.arange(12) % 3},
            }
            for backend, value in (("tensorflow", scores), ("jax", scores), ("torch", other))
        }
    )


def test_who_is_called_what():
    chart = drawn(swapped())["Which class appears as which"]
    assert chart.texts == ["elsewhere", "on torch", "cat", "cat", "dog", "dog"]
    assert len(chart.marks("move")) == len(chart.marks("head")) == 2
    assert chart.titles == ["cat appears as dog", "dog appears as cat"]
    assert chart.said == "cat appears as dog; dog appears as cat"
    assert chart.caption == "On torch, a class appears as another than elsewhere."


def test_decided_classes():
    result = swapped()
    chart = drawn(result)["Predicted classes"]
    here, there = (result.recordings[leg].observations["predicted_class"].value for leg in ("tensorflow", "torch"))
    counts = {(a, b): int(((here == a) & (there == b)).sum()) for a in range(3) for b in range(3)}
    off = sum(n for (a, b), n in counts.items() if a != b)
    assert chart.caption == f"{off} of 12 examples have another predicted class on torch than on tensorflow."
    assert chart.texts[0] == "rows tensorflow, columns torch"
    assert sorted(int(text) for text in chart.texts if text.isdigit()) == sorted(n for n in counts.values() if n)
    assert len(chart.marks("other")) == sum(1 for (a, b), n in counts.items() if n and a != b)
    assert [text for text in chart.texts if text in NAMES] == ["cat", "cat", "dog", "dog", "fox", "fox"]


def test_hostile_class_names_are_text():
    hostile = [make.HOSTILE, "</svg><script>alert(2)</script>", "a" * 5000]
    pictures = [str(one.picture) for one in charts(swapped(hostile))]
    assert pictures
    for chart in drawn(swapped(hostile)).values():
        assert {one.tag for one in chart.root.iter()} <= {"svg", "g", "text", "title", "path", "rect", "polyline"}
    assert not any("<script" in one or "\x1b" in one or "\ud800" in one for one in pictures)
    assert any("&lt;script&gt;alert(1)" in one for one in pictures)
    assert max(map(len, pictures)) < 30_000


def test_examples_decided_differently():
    result = swapped()
    [(name, table)] = disagreements(result, make.BACKENDS)
    assert name == "predicted_class"
    assert table.n_examples == 12
    assert table.n_differing == len(table.rows) == int((here(result, "jax") != here(result, "torch")).sum())
    place, label, decided = table.rows[0]
    scores = np.sort(result.recordings["jax"].observations["predictions"].value[int(place)].astype(np.float64))
    assert label == f"{int(place) % 3} {NAMES[int(place) % 3]}"
    assert decided[0] == decided[1]
    assert decided[1][1] == f"{scores[-1] - scores[-2]:.3g}"


def test_examples_whose_loss_differs_worst_first():
    loss = np.linspace(0.5, 1.5, 40).astype(np.float32)
    other = loss.copy()
    other[[3, 30, 7]] += np.float32([0.1, 0.3, 0.2])
    other[12] = np.nan
    labels = np.eye(3)[np.arange(40) % 3]
    result = differing("per_example_loss", loss, other, labels={"y_true": labels}, class_names=NAMES)
    [(name, table)] = disagreements(result, make.BACKENDS)
    assert (name, table.what) == ("per_example_loss", "Examples with different losses")
    assert (table.n_differing, table.n_examples) == (4, 40)
    assert [row[0] for row in table.rows] == ["12", "7", "30", "3"]
    assert table.rows[2] == ("30", "0 cat", tuple((str(value), "") for value in (loss[30], other[30], loss[30])))
    assert table.rows[0][2][1] == ("NaN", "")
    few = differing("per_example_loss", loss[:8], other[:8])
    assert disagreements(few, make.BACKENDS) == []  # all of them are among the values


# --- implied classes -----------------------------------------------------------------------------------------------

CROSS_ENTROPY = {"": {"from_keras": True, "name": "sparse_categorical_crossentropy", "options": {"from_logits": True},
                      "reduction": "sum_over_batch_size", "alone": True}}  # fmt: skip


def gradient(targets) -> np.ndarray:
    """What a softmax cross-entropy on equal logits gives for these classes; -1 gives none."""
    rows = np.full((len(targets), 3), 1 / 3) - np.array([np.eye(3)[t] if t >= 0 else np.full(3, 1 / 3) for t in targets])
    return rows.astype(np.float32)


def test_the_classes_that_two_backends_imply():
    given, turned = [0, 1, 2, 0, 1, 2], [1, 0, 2, 1, 0, 2]
    more = {"losses": CROSS_ENTROPY, "class_names": NAMES, "labels": {"y_true": np.array(given)}}
    result = differing("gradient/y_pred", gradient(given), gradient(turned), **more)
    chart = drawn(result)["Implied classes"]
    assert chart.caption == "The gradients of 4 of 6 examples imply another class on jax than on tensorflow."
    assert chart.texts[0] == "rows tensorflow, columns jax"
    assert sorted(text for text in chart.texts if text.isdigit()) == ["2", "2", "2"]
    assert len(chart.marks("other")) == 2
    assert len(chart.marks("same")) == 1


def test_the_class_that_one_backend_implies_for_a_label_the_others_reject():
    rejects = {"raised": "IndexError: Target 3 is out of bounds.", "expect": {}}
    accepts = {
        "observations": {"gradient/y_pred": gradient([0, 2, -1])}, "losses": CROSS_ENTROPY, "class_names": NAMES,
        "labels": {"y_true": np.array([0, 2, 3])}, "expect": {},
    }  # fmt: skip
    chart = drawn(case(tensorflow=rejects, jax=accepts, torch=rejects))["Implied classes"]
    assert chart.caption == "On jax, the gradients of 1 of 3 examples do not imply the class of the label."
    assert [text for text in chart.texts if text in ("none", "3")] == ["3", "3", "none", "none"]


def test_a_loss_whose_gradient_names_no_class_has_no_implied_classes():
    squared = {"": CROSS_ENTROPY[""] | {"name": "mean_squared_error", "options": {}}}
    more = {"losses": squared, "labels": {"y_true": np.array([0, 1, 2])}}
    result = differing("gradient/y_pred", gradient([0, 1, 2]), gradient([1, 0, 2]), **more)
    assert "Implied classes" not in drawn(result)


def here(result, leg):
    return result.recordings[leg].observations["predicted_class"].value


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["fox", make.HOSTILE], "fox"),
        ([float("nan"), 1.0], "nan"),
        ([1.5, 2.0], "1.5"),
        ([-1, 7], "-1"),
        ([2, 0], "2 fox"),
        ([True, False], "True"),
    ],
)
def test_labels_of_all_types_are_written(labels, said):
    seen = {"tensorflow": [1, 0], "jax": [0, 1], "torch": [1, 0]}
    result = case(**{b: {"predicted_class": v, "labels": {"y_true": labels}, "class_names": NAMES} for b, v in seen.items()})
    [(_, table)] = disagreements(result, make.BACKENDS)
    assert table.rows[0][1] == said


# --- where and how large -------------------------------------------------------------------------------------------


def test_the_heat_map_has_a_cell_for_each_element():
    left = np.full((5, 4), 0.5, np.float32)
    right = left.copy()
    right[3, 2] += 0.25  # some 4e4 times what is allowed
    right[1, 0] += 3e-5  # to 10 times
    chart = drawn(differing("predictions", left, right))["Where: examples by classes"]
    assert [n_cells(chart, level) for level in range(5)] == [18, 1, 0, 0, 1]
    assert len(chart.marks("worst")) == 1
    assert chart.titles[0].startswith("example 3, class 2: ")
    assert chart.said == "2 of 20 elements of predictions differ by more than the tolerance"
    assert chart.caption.startswith(f"{chart.said} (tensorflow and jax). The worst, outlined: example 3, class 2, ")
    assert "Each cell" not in chart.caption


def test_an_array_that_is_not_examples_by_classes_is_not_called_that():
    values = RNG.random((4, 3)).astype(np.float32)
    other = values.copy()
    other[:2] += np.float32(1)
    found = drawn(differing("gradient/layer/kernel", values, other))
    assert "Where: rows by columns" in found
    assert found["Where: rows by columns"].titles[0].startswith("row ")


def test_a_huge_array_is_pooled_and_says_so():
    left = RNG.random((5000, 130)).astype(np.float32)
    right = left.copy()
    right[4999, 129] += 1
    right[0, 0] = np.nextafter(right[0, 0], np.float32(2))
    found = drawn(differing("predictions", left, right))
    chart = found["Where: examples by classes"]
    assert chart.caption.startswith("1 of 650000 elements of predictions differ by more than the tolerance")
    assert chart.caption.endswith(" Each cell is the largest of 70 x 4 elements.")
    assert "example 4970…4999, class 128…129" in chart.caption
    assert sum(n_cells(chart, level, 11) for level in range(5)) == 72 * 33
    assert found["Distance in rounding steps"].texts.count("649998") == 1
    assert sum(len(str(one.picture)) for one in charts(differing("predictions", left, right))) < 20_000


def test_many_examples_of_few_classes_lie_across_under_the_names_of_the_classes():
    left = RNG.random((60, 3)).astype(np.float32)
    right = left.copy()
    right[41, 2] += 1
    chart = drawn(differing("predictions", left, right, class_names=NAMES))["Where: examples by classes"]
    assert chart.texts[:4] == ["class ↓  example 0 … 59 →", *NAMES]
    assert "example 41, class fox" in chart.caption
    assert n_cells(chart, 0, 14) == 60 * 3 - 1


def test_an_axis_of_less_than_a_decade_has_ticks_too():
    left = np.linspace(0.3, 0.8, 30).astype(np.float32).reshape(10, 3)
    chart = drawn(differing("predictions", left, left + np.float32(1e-3)))["Error against magnitude"]
    assert "0.5" in chart.texts


def test_points_that_are_drawn_are_counted():
    left = RNG.random((100, 10)).astype(np.float32) + np.float32(0.1)
    right = left * np.float32(1.001)
    chart = drawn(differing("predictions", left, right))["Error against magnitude"]
    n_drawn = chart.path("point").count("h0")
    stated = re.search(r"(\d+) of (\d+) that differ are shown, including the worst\.", chart.caption)
    assert int(stated[1]) == n_drawn
    assert int(stated[2]) == int((left != right).sum())
    assert 250 <= n_drawn <= 400
    assert chart.said.startswith("1000 of 1000 elements lie above the line of the tolerance")
    assert not chart.marks("under")
    assert {"magnitude (the larger of both values)", "difference"} <= set(chart.texts)
    assert {"above the tolerance", "within", "tolerance"} <= set(chart.texts)
    assert len(chart.marks("bound")) == 1


def test_points_below_the_line_and_those_left_out():
    left = np.linspace(0.1, 1, 12, dtype=np.float32)
    right = left.copy()
    right[0], right[1:6] = right[0] + 1, np.nextafter(right[1:6], np.float32(2))
    right[11] = np.nan
    found = differing("per_example_loss", left, right)
    chart = drawn(found)["Error against magnitude"]
    assert [chart.path(tone).count("h0") for tone in ("over", "under")] == [1, 5]
    assert chart.said == "1 of 12 elements lie above the line of the tolerance; 6 are equal or not finite and not shown"


def test_rounding_steps_are_counted():
    left = np.ones(10, np.float32)
    right = left.copy()
    for _ in range(4):
        right[:2] = np.nextafter(right[:2], np.float32(2))
    right[9] = 2.0
    chart = drawn(differing("per_example_loss", left, right))["Distance in rounding steps"]
    assert [title.partition(": ")[2] for title in chart.titles if not title.endswith(": 0 elements")] == [
        "7 elements",
        "2 elements",
        "1 element",
    ]
    assert chart.texts[0] == "elements"
    assert [text for text in chart.texts if not text.isdigit()][1:-1] == ["equal", "1e4", "1e5", "1e6", "1e7"]
    assert chart.said.startswith("Half of the elements are within 0 rounding steps of float32; the worst is ")
    assert sum(int(re.search(r": (\d+) element", title)[1]) for title in chart.titles) == 10


def test_a_chart_that_says_nothing_is_not_shown():
    left = RNG.random((12, 3)).astype(np.float32) + np.float32(0.1)
    assert "Where: examples by classes" not in drawn(differing("predictions", left, left + np.float32(1)))  # one color
    assert "Distance in rounding steps" not in drawn(differing("predictions", left, left + np.float32(1)))  # far from rounding
    same = np.full(12, 0.5, np.float32)
    assert "Error against magnitude" not in drawn(differing("per_example_loss", same, same + np.float32(1)))  # one point
    nan = np.full((12, 3), np.nan, np.float32)
    assert drawn(differing("predictions", left, nan)) == {}


def test_rounding_steps_of_bfloat16_are_its_own():
    def bfloat16(values):
        return make.observation(np.asarray(values, np.float32), "bfloat16")

    left, right = np.ones(10), np.ones(10)
    right[0] = 1 + 64 * 2.0**-7
    chart = drawn(differing("per_example_loss", bfloat16(left), bfloat16(right)))["Distance in rounding steps"]
    assert chart.said == "Half of the elements are within 0 rounding steps of bfloat16; the worst is 64 away"


# --- layers and training -------------------------------------------------------------------------------------------


def test_gradients_by_layer():
    values = {f"gradient/layer_{n}/kernel": np.ones((2, 2), np.float32) for n in range(25)}
    other = {name: value + n if n < 3 else value for n, (name, value) in enumerate(values.items())}
    seen = {backend: {"observations": other if backend == "jax" else values} for backend in make.BACKENDS}
    chart = drawn(case(**seen))["Gradients by layer"]
    assert chart.said == "The gradients of 2 of 25 weights differ by more than the tolerance"
    assert chart.caption == f"{chart.said}. 5 more are not shown."
    assert len(chart.marks("over-bar")) + len(chart.marks("bar-mark")) == 20
    assert {"tolerance", "difference / tolerance"} <= set(chart.texts)
    assert any(title.startswith("layer_2/kernel: ") for title in chart.titles)


def test_the_worst_layers_are_shown_wherever_they_are():
    values = {f"gradient/layer_{n:02}/kernel": np.ones((2, 2), np.float32) for n in range(25)}
    other = {name: value + 1 if n in (0, 24) else value for n, (name, value) in enumerate(values.items())}
    seen = {backend: {"observations": other if backend == "jax" else values} for backend in make.BACKENDS}
    chart = drawn(case(**seen))["Gradients by layer"]
    assert len(chart.marks("over-bar")) == 2
    assert [text for text in chart.texts if text.startswith("layer_")][::19] == ["layer_00/kernel", "layer_24/kernel"]


def test_training_curves():
    curves = {"tensorflow": [3.0, 2.0, 1.0], "jax": [3.0, 2.5, 2.0], "torch": [3.0, float("nan"), 1.0]}
    seen = {b: {"observations": {"train/loss": np.array(v, np.float32)}} for b, v in curves.items()}
    chart = drawn(case(**seen))["Training"]
    assert len([one for one in chart.marks("curve") if one.tag == "polyline"]) == 3
    assert [len(one.get("points").split()) for one in chart.marks("curve") if one.tag == "polyline"] == [3, 3, 2]
    assert set(make.BACKENDS) <= set(chart.texts)
    assert chart.caption == "Loss by epoch: tensorflow ends at 1; jax ends at 2; torch ends at 1."


# --- anything ------------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
ARRAYS = {
    "0-d": np.float32(1.5),
    "0-d NaN": np.float32(NAN),
    "empty": np.zeros((0,), np.float32),
    "no rows": np.zeros((0, 3), np.float32),
    "no columns": np.zeros((3, 0), np.float32),
    "all NaN": np.full((4, 3), NAN, np.float32),
    "all Inf": np.full((4, 3), INF, np.float32),
    "-Inf": np.full((4, 3), -INF, np.float32),
    "some": np.array([[NAN, INF, -INF], [0, -0.0, 1], [1e-45, 3e38, -3e38], [1, 2, 3]], np.float32),
    "zeros": np.zeros((4, 3), np.float32),
    "largest doubles": np.full((4, 3), 1.7e308),
    "half": np.arange(12).reshape(4, 3).astype(np.float16),
    "integers": np.arange(12).reshape(4, 3),
    "unsigned": np.full((4, 3), 2**31, np.uint64),
    "bools": np.ones((4, 3), bool),
    "deep": np.ones((2, 2, 3, 2), np.float32),
    "wide": np.ones((2, 3000), np.float32),
    "text": np.array(["a", make.HOSTILE], dtype=object),
}
OBSERVATIONS = ["predictions", "predicted_class", "per_example_loss", "gradient/layer/kernel", "train/loss", "value/x"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("tolerance", [{}, {"*": (0, 0)}], ids=["usual", "none"])
def test_nothing_makes_a_picture_fail(observation, tolerance):
    n_drawn = 0
    for left in ARRAYS.values():
        for right in ARRAYS.values():
            with np.errstate(all="ignore"):  # of what is found and diagnosed in such arrays
                result = differing(observation, left, right, tolerance=tolerance)
            n_drawn += len(drawn(result))
            disagreements(result, make.BACKENDS)
    assert n_drawn > 0


def test_a_finding_without_its_recording_has_no_picture():
    result = differing("predictions", np.zeros((4, 3), np.float32), np.ones((4, 3), np.float32))
    assert leading_pair(result) is not None
    bare = {leg: replace(one, observations={}) for leg, one in result.recordings.items()}
    assert leading_pair(replace(result, recordings=bare)) is None
    assert charts(replace(result, recordings=bare, diagnoses=())) == []
