"""Data from the files that people keep it in, and whatever else lies there."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backendcheck.data import Data, read_data
from backendcheck.data.read import class_indices
from backendcheck.errors import BackendcheckError, UnreadableInput, UsageError

polars = pytest.importorskip("polars")
Image = pytest.importorskip("PIL.Image")


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(BackendcheckError) as error:
        read_data(path, **options)
    message = str(error.value)
    assert message.startswith(str(path.parent))
    return message


# --- NumPy -----------------------------------------------------------------------------------------------------


def npz(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def test_an_archive_holds_inputs_labels_weights_and_names(tmp_path: Path) -> None:
    path = npz(tmp_path, x=np.ones((3, 2)), y=[0, 1, 1], sample_weight=[1.0, 2.0, 0.5], class_names=["cat", "dog"])
    data = read_data(path)
    assert data.x.shape == (3, 2)
    assert data.y.tolist() == [0, 1, 1]
    assert data.sample_weight.tolist() == [1.0, 2.0, 0.5]
    assert data.class_names == ["cat", "dog"]
    assert data.source == str(path)


def test_arrays_are_found_by_the_names_of_inputs_and_outputs(tmp_path: Path) -> None:
    path = npz(tmp_path, age=np.ones(2), scan=np.ones((2, 4)), tumor=[0, 1], Stage=[2, 0])
    data = read_data(path, inputs=["scan", "age"], outputs=["tumor", "Stage"])
    assert list(data.x) == ["scan", "age"]
    assert {name: one.tolist() for name, one in data.y.items()} == {"tumor": [0, 1], "Stage": [2, 0]}


def test_parts_may_be_spelt_out_by_name(tmp_path: Path) -> None:
    arrays = {"x/a": np.ones(2), "x/b": np.ones(2), "y/one": [0, 1], "sample_weight/one": [1, 2]}
    data = read_data(npz(tmp_path, **arrays, **{"class_names/one": ["no", "yes"]}))
    assert list(data.x) == ["a", "b"]
    assert data.class_names == {"one": ["no", "yes"]}
    assert list(data.sample_weight) == ["one"]


def test_inputs_and_labels_may_lie_in_two_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    np.save(tmp_path / "y.npy", [1, 0])
    assert read_data(tmp_path / "x.npy", labels=tmp_path / "y.npy").y.tolist() == [1, 0]
    assert read_data(tmp_path / "x.npy").y is None
    np.save(tmp_path / "y.npy", [1, 0, 2])
    assert "y has 3 examples, x has 2" in refused(tmp_path / "x.npy", labels=tmp_path / "y.npy")
    assert "file not found" in refused(tmp_path / "x.npy", labels=tmp_path / "z.npy")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harm",))

    path = npz(tmp_path, x=np.ones((2, 2)), y=np.array([Harm(), None], dtype=object))
    assert "y holds Python objects, which are never unpickled" in refused(path)
    np.save(tmp_path / "y.npy", np.array([Harm()], dtype=object))
    assert "never unpickled" in refused(tmp_path / "y.npy")
    assert not (tmp_path / "harm").exists()


def test_an_archive_of_something_else_says_what_is_looked_for(tmp_path: Path) -> None:
    assert "expected the arrays x and y, got images, labels" in refused(npz(tmp_path, images=[1], labels=[1]))
    assert "unknown arrays extra" in refused(npz(tmp_path, x=[1], y=[1], extra=[1]))
    assert "x is a single value; expected an array of N examples" in refused(npz(tmp_path, x=1, y=[1]))
    assert "no examples; expected one or more" in refused(npz(tmp_path, x=np.ones((0, 3)), y=[]))
    assert "expected a list of text" in refused(npz(tmp_path, x=[1], y=[1], class_names=[3]))


@pytest.mark.parametrize("cut", [0, 1, 40, 200, -30, -1])
@pytest.mark.parametrize("name", ["data.npz", "data.npy"])
def test_a_file_that_was_cut_is_refused_by_name(tmp_path: Path, name: str, cut: int) -> None:
    path = tmp_path / name
    content = io.BytesIO()
    (np.savez if name.endswith("z") else np.save)(content, np.arange(30.0))
    path.write_bytes(content.getvalue()[:cut])
    with pytest.raises((UnreadableInput, UsageError), match=name):
        read_data(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\3\4 no zip", b"\x93NUMPY rubbish", "näh".encode(), b"\x80\x04N."])
@pytest.mark.parametrize("name", ["d.npz", "d.npy", "d.parquet"])
def test_rubbish_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match=name):
        read_data(path)


def test_an_array_that_would_not_fit_is_refused(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    header += b" " * (118 - len(header)) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member)
    with pytest.raises(UnreadableInput, match=r"not enough memory|damaged"):
        read_data(path)


# --- tables ----------------------------------------------------------------------------------------------------

ROWS = "length,width,species,weight\n1.5,2,fox,1\n2.5,3,cat,2\n3.5,4,fox,1\n"


def csv(folder: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_has_label_columns_and_inputs(tmp_path: Path) -> None:
    data = read_data(csv(tmp_path, ROWS), label_columns=["species"], weight_column="weight")
    assert data.columns == ("length", "width")
    assert data.x.tolist() == [[1.5, 2.0], [2.5, 3.0], [3.5, 4.0]]
    assert data.x.dtype == np.float32
    assert data.y.tolist() == ["fox", "cat", "fox"]
    assert data.sample_weight.tolist() == [1, 2, 1]


def test_a_parquet_file_is_the_same_table(tmp_path: Path) -> None:
    polars.read_csv(csv(tmp_path, ROWS)).write_parquet(tmp_path / "table.parquet")
    one, other = (read_data(tmp_path / f"table.{kind}", label_columns=["species"]) for kind in ("csv", "parquet"))
    assert np.array_equal(one.x, other.x)
    assert one.y.tolist() == other.y.tolist()


def test_columns_of_one_type_keep_it_and_several_inputs_take_those_of_their_names(tmp_path: Path) -> None:
    path = csv(tmp_path, "a,b,tumor,stage\n1,2,0,2\n3,4,1,0\n")
    assert read_data(path, label_columns=["tumor", "stage"]).x.dtype == np.int64
    assert read_data(path, label_columns=["tumor", "stage"]).y.tolist() == [[0, 2], [1, 0]]
    data = read_data(path, inputs=["b", "a"], outputs=["tumor", "stage"])
    assert {name: one.tolist() for name, one in data.x.items()} == {"b": [2, 4], "a": [1, 3]}
    assert {name: one.tolist() for name, one in data.y.items()} == {"tumor": [0, 1], "stage": [2, 0]}


def test_a_byte_order_mark_and_the_text_na_are_no_harm(tmp_path: Path) -> None:
    data = read_data(csv(tmp_path, b"\xef\xbb\xbfa,label\n1,NA\n2,nan\n"), label_columns=["label"])
    assert data.columns == ("a",)
    assert data.y.tolist() == ["NA", "nan"]


def test_a_missing_number_is_nan(tmp_path: Path) -> None:
    data = read_data(csv(tmp_path, "a,label\n1,0\n2,\n"), label_columns=["label"])
    assert data.y.dtype == np.float64
    assert np.isnan(data.y[1])


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (ROWS, {}, "no label column; expected --label-column with one of 'length', 'width', 'species', 'weight'"),
        (ROWS, {"label_columns": ["Species"]}, "column 'Species' not found; expected one of 'length'"),
        (ROWS, {"label_columns": ["species", "species"]}, "a label column is given twice"),
        (ROWS, {"label_columns": ["length"]}, "column 'species' is text, such as 'fox'; expected numbers"),
        (ROWS, {"label_columns": ["species"], "inputs": ["length", "depth"]}, "column for the input 'depth' not found"),
        ("a,a,label\n1,2,3\n", {"label_columns": ["label"]}, "column 'a' occurs twice"),
        ("label\n1\n", {"label_columns": ["label"]}, "no columns beside the labels"),
        ("a,label\n", {"label_columns": ["label"]}, "no examples; expected one or more"),
        ("", {"label_columns": ["label"]}, "unreadable table"),
        ("a,label\n1,2,3\n4\n", {"label_columns": ["label"]}, "unreadable table"),
        ("a,label\n1,fox\n2,\n", {"label_columns": ["label"]}, "column 'label' has 1 empty cell among its text"),
        ("a,when,label\n1,NA,3\n", {"label_columns": ["label"]}, "column 'when' is text, such as 'NA'"),
        ("größe,label\n1,2\n".encode("latin-1"), {"label_columns": ["label"]}, "not UTF-8"),
    ],
)
def test_what_a_table_lacks_is_reported(tmp_path: Path, text: str | bytes, options: dict[str, Any], said: str) -> None:
    assert said in refused(csv(tmp_path, text), **options)


def test_dates_and_lists_are_no_numbers(tmp_path: Path) -> None:
    frame = polars.DataFrame({"a": [[1, 2], [3]], "label": [0, 1]})
    frame.write_parquet(tmp_path / "t.parquet")
    message = refused(tmp_path / "t.parquet", label_columns=["label"])
    assert "invalid column 'a'; expected numbers, bools or text, got List" in message


# --- images ----------------------------------------------------------------------------------------------------


def images(folder: Path, **classes: int) -> Path:
    root = folder / "images"
    for name, n in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(n):
            Image.new("RGB", (4, 3), (number, 10, 20)).save(root / name / f"{number}.png")
    return root


def test_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    data = read_data(images(tmp_path, dog=2, cat=1))
    assert data.class_names == ["cat", "dog"]
    assert data.y.tolist() == [0, 1, 1]
    assert data.x.shape == (3, 3, 4, 3)
    assert data.x[2, 0, 0].tolist() == [1.0, 10.0, 20.0]


def test_images_are_brought_to_the_shape_of_the_input_and_spread_over_the_classes(tmp_path: Path) -> None:
    data = read_data(images(tmp_path, a=4, b=4), image_shape=(8, 6, 1), examples=2)
    assert data.x.shape == (2, 8, 6, 1)
    assert data.y.tolist() == [0, 1]


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    root = images(tmp_path, a=1)
    (root / "a" / "notes.txt").write_text("no image by its name")
    assert len(read_data(root).x) == 1
    (root / "a" / "broken.png").write_bytes(b"\x89PNG no")
    with pytest.raises(UnreadableInput, match=r"broken\.png: unreadable image"):
        read_data(root)
    Image.new("RGB", (5, 5)).save(root / "a" / "broken.png")
    with pytest.raises(UnreadableInput, match="other size; expected"):
        read_data(root)
    with pytest.raises(UsageError, match="with 1, 3 or 4 channels"):
        read_data(root, image_shape=(3, 4, 7))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no images in folders"):
        read_data(tmp_path / "empty")


# --- others ----------------------------------------------------------------------------------------------------


def test_what_is_no_data_by_its_name_is_refused(tmp_path: Path) -> None:
    assert "file or directory not found" in refused(tmp_path / "nothing.npz")
    assert "unknown kind of data" in refused(csv(tmp_path, "", "data.pkl"))


def test_names_become_the_indices_of_their_classes() -> None:
    labels = np.array([["fox", "cat"], ["cat", "fox"]])
    assert class_indices(labels, ["cat", "dog", "fox"], "d").tolist() == [[2, 0], [0, 2]]
    with pytest.raises(UsageError, match="unknown labels 'Fox'; expected one of 'cat'"):
        class_indices(np.array(["Fox"]), ["cat", "fox"], "d.csv")
    with pytest.raises(UsageError, match="'cat' occurs twice"):
        class_indices(labels, ["cat", "cat"], "d")


def test_a_data_set_is_a_value() -> None:
    with pytest.raises(AttributeError):
        Data(x=np.ones(1)).x = None  # type: ignore[misc]
