"""Files as spreadsheets, pandas, R, Keras and cameras leave them: each is read as it is meant, or refused with what to do."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backendcheck.data import read_data
from backendcheck.errors import BackendcheckError

polars = pytest.importorskip("polars")
Image = pytest.importorskip("PIL.Image")


def table(folder: Path, text: str | bytes, *, label: str = "label", name: str = "t.csv", **options: Any) -> Any:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_data(path, label_columns=[label], **options)


def refused(folder: Path, text: str | bytes, **options: Any) -> str:
    with pytest.raises(BackendcheckError) as error:
        table(folder, text, **options)
    return str(error.value)


# --- separators ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a,b,label\n1.5,2,0\n2.5,3,1\n",
        "a;b;label\n1.5;2;0\n2.5;3;1\n",
        "a\tb\tlabel\n1.5\t2\t0\n2.5\t3\t1\n",
        "a|b|label\n1.5|2|0\n2.5|3|1\n",
        "sep=,\na,b,label\n1.5,2,0\n2.5,3,1\n",
        "\ufeffsep=;\r\na;b;label\r\n1.5;2;0\r\n2.5;3;1\r\n",
        '"sep=;"\na;b;label\n1,5;2;0\n2,5;3;1\n',
        "a;b;label\n1,5;2;0\n2,5;3;1\n",
        'a,b,label\n"1,5",2,0\n"2,5",3,1\n',
        " a, b , label\n 1.5, 2, 0\n2.5, 3, 1\n",
        "a,b,label\r1.5,2,0\r2.5,3,1\r",
        "a,b,label,\n1.5,2,0,\n2.5,3,1,\n",
        ",a,b,label\n0,1.5,2,0\n1,2.5,3,1\n",
        '"","a","b","label"\n"1",1.5,2,0\n"2",2.5,3,1\n',
        "Unnamed: 0,a,b,label\n7,1.5,2,0\n3,2.5,3,1\n",
    ],
)
def test_a_table_is_the_same_however_it_is_written(tmp_path: Path, text: str) -> None:
    data = table(tmp_path, text)
    assert data.columns == ("a", "b")
    assert data.x.tolist() == [[1.5, 2.0], [2.5, 3.0]]
    assert data.y.tolist() == [0, 1]
    assert data.y.dtype == np.int64


def test_text_that_holds_a_separator_does_not_change_it(tmp_path: Path) -> None:
    data = table(tmp_path, "a,label\n1,red|dry\n2,red;old\n3,dry|old\n")
    assert data.y.tolist() == ["red|dry", "red;old", "dry|old"]
    assert table(tmp_path, "label;a\n1,5;2\n", label="a", as_found=True).y.tolist() == [2]
    assert table(tmp_path, "label\nfox\ncat\n", as_found=True).y.tolist() == ["fox", "cat"]


def test_what_was_understood_is_told(tmp_path: Path) -> None:
    assert table(tmp_path, "a;label\n1,5;2\n").notes == ("decimal commas are read as decimal points in 'a'",)
    notes = table(tmp_path, ",a,label\n4,1,2\n9,1,2\n").notes
    assert notes == ("the column without a name numbers the rows, and is not an input",)
    assert table(tmp_path, "a,label\n1.5,2\n").notes == ()


def test_commas_that_may_separate_thousands_are_not_read_as_decimal(tmp_path: Path) -> None:
    assert "column 'a' is text, such as '1,234'; expected numbers" in refused(tmp_path, 'a,label\n"1,234",0\n"5,678",1\n')
    assert table(tmp_path, "a;label\n1,234;0\n5,678;1\n").x.tolist() == [[1.234], [5.678]]


def test_a_blank_belongs_to_the_separator_only_if_each_value_has_one(tmp_path: Path) -> None:
    assert table(tmp_path, "a, label\n1, fox\n2, cat\n").y.tolist() == ["fox", "cat"]
    assert table(tmp_path, "a,label\n1, fox\n2,fox\n").y.tolist() == [" fox", "fox"]


def test_a_column_without_a_name_that_does_not_number_the_rows_is_not_dropped(tmp_path: Path) -> None:
    assert "a column has no name" in refused(tmp_path, ",a,label\n0.5,1,0\n0.5,2,1\n")
    assert list(table(tmp_path, ",a,label\n0.5,1,0\n0.5,2,1\n", as_found=True).x) == ["", "a"]


def test_numbers_of_any_size_keep_their_digits(tmp_path: Path) -> None:
    assert table(tmp_path, "a,label\n1,9007199254740993\n2,0\n").y.tolist() == [9007199254740993, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,label\n1,0\n1,2,3\n", "line 3 has 3 fields for 2 column names"),
        ("a,b\n1,2,0\n3,4,1\n", "line 2 has 3 fields for 2 column names"),
        ("a,label\n1,0\n".encode("utf-16"), 'UTF-16, which Excel calls "Unicode text"; expected .csv in UTF-8. Save it as CSV'),
        (gzip.compress(b"a,label\n1,0\n", mtime=0), "not a text file but compressed"),
        (b"PK\3\4 workbook", "not a text file but an Excel workbook"),
        (b"PAR1 table", "a Parquet file; expected .csv in UTF-8. Rename it"),
        (b"a,label\n\xe9,0\n", "not UTF-8"),
        (" a,a ,label\n1,2,0\n", "column 'a' occurs twice"),
    ],
)
def test_what_is_not_such_a_table_is_refused_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in refused(tmp_path, text)


# --- labels ----------------------------------------------------------------------------------------------------


def test_codes_that_are_the_class_names_stay_text(tmp_path: Path) -> None:
    codes = "a,label\n1,007\n2,010\n3,100\n"
    assert table(tmp_path, codes).y.tolist() == [7, 10, 100]
    assert table(tmp_path, codes, class_names=["007", "010", "100"]).y.tolist() == ["007", "010", "100"]
    assert table(tmp_path, codes, class_names={"label": ["007", "010", "100"]}).y.tolist() == ["007", "010", "100"]
    assert table(tmp_path, codes, class_names=["007", "010"]).y.tolist() == ["007", "010", "100"]  # L505 names 100
    assert table(tmp_path, "a,label\n1,10\n2,7\n", class_names=["7", "10"]).y.tolist() == ["10", "7"]


@pytest.mark.parametrize("names", [["cat", "dog", "fox"], ["0.5", "1.5", "2.5"], []])
def test_indices_are_not_taken_for_names(tmp_path: Path, names: list[str]) -> None:
    assert table(tmp_path, "a,label\n1,0\n2,1\n3,2\n", class_names=names).y.tolist() == [0, 1, 2]


def test_columns_of_text_alone_are_inputs_of_text(tmp_path: Path) -> None:
    data = table(tmp_path, "words,label\nthe cat sat,0\na dog,1\n,1\n")
    assert data.x.tolist() == [["the cat sat"], ["a dog"], [""]]


def test_an_empty_cell_is_an_empty_text_among_inputs_and_missing_among_labels(tmp_path: Path) -> None:
    data = table(tmp_path, "words,more,label\nthe cat,a,0\n,b,1\n", inputs=["words", "more"])
    assert data.x["words"].tolist() == ["the cat", ""]
    assert "column 'label' has 1 empty cell among its text" in refused(tmp_path, "a,label\n1,fox\n2,\n")
    assert table(tmp_path, "a,label\n1,fox\n2,\n", as_found=True).y.tolist() == ["fox", ""]


# --- other kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("data.xlsx", "a workbook; .*Save the sheet as CSV UTF-8"), ("data.csv.gz", "a compressed file; .*Decompress it first"),
        ("data.jsonl", r"lines of JSON; .*polars\.read_ndjson"), ("data.pkl", "a pickle, which is never loaded"),
        ("data.tar.gz", "an archive; .*Unpack it first"), ("data.h5", "unknown kind of data; .*Save the arrays"),
        ("data.json", "JSON; .*Convert it"), ("cat.PNG", "a single image; .*Give the directory"), ("data.txt", "name it .csv"),
        ("model.keras", "a model; .*Give it as the model"), ("data", "unknown kind of data; expected a .npz"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_refused_with_what_to_do(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(BackendcheckError, match=remedy):
        read_data(tmp_path / name)


def test_text_in_objects_is_refused_with_what_to_do(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.ones((2, 2)), y=np.array(["cat", "dog"], dtype=object))
    with pytest.raises(BackendcheckError, match=r"y holds Python objects, which are never unpickled; .* y\.astype\(str\)"):
        read_data(tmp_path / "d.npz")


@pytest.mark.parametrize(
    "names", [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels"),
              ("X_train", "Y_train", "X_test", "Y_test")],
)  # fmt: skip
def test_an_archive_with_several_splits_is_read_by_split(tmp_path: Path, names: tuple[str, ...]) -> None:
    arrays = [np.ones((3, 2)), np.arange(3), np.zeros((2, 2)), np.arange(2)]
    np.savez(tmp_path / "mnist.npz", **dict(zip(names, arrays, strict=True)))
    data = read_data(tmp_path / "mnist.npz")
    assert data.x.shape == (3, 2)
    assert data.y.tolist() == [0, 1, 2]
    assert data.splits["test"].y.tolist() == [0, 1]
    assert data.notes == ("training data of a file that holds several splits",)
    assert read_data(tmp_path / "mnist.npz", split="test").y.tolist() == [0, 1]
    with pytest.raises(BackendcheckError, match="no validation data; expected arrays for it"):
        read_data(tmp_path / "mnist.npz", split="validation")


# --- images ----------------------------------------------------------------------------------------------------


def images(root: Path, *folders: str) -> Path:
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        Image.new("RGB", (4, 3), (number, 10, 20)).save(root / folder / "a.png")
    return root


def test_folders_that_are_splits_are_not_classes(tmp_path: Path) -> None:
    root = images(tmp_path / "photos", "train/cat", "train/dog", "val/cat", "val/dog", "val/fox", "test/dog")
    data = read_data(root, as_found=True)
    assert data.class_names == ["cat", "dog"]
    assert data.splits["validation"].class_names == ["cat", "dog", "fox"]
    assert data.splits["test"].y.tolist() == [0]
    assert data.notes == ("test, train and val are read as splits, not as classes",)
    assert read_data(root, split="validation").y.tolist() == [0, 1, 2]
    assert "splits" not in str(read_data(images(tmp_path / "things", "train", "plane", "test")).notes)  # a train is a thing


@pytest.mark.parametrize(("folders", "message"), [
    (("train", "val"), "folders train and val are named for splits and not for classes; expected a folder for each class"),
    (("images", "masks"), "folders images and masks are images and their masks; .*np.savez"),
])  # fmt: skip
def test_folders_of_another_layout_are_not_classes(tmp_path: Path, folders: tuple[str, ...], message: str) -> None:
    with pytest.raises(BackendcheckError, match=message):
        read_data(images(tmp_path, *folders), as_found=True)


def test_images_without_folders_are_told_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BackendcheckError, match=r"expected a folder for each class, with .* Put them into one"):
        read_data(images(tmp_path / "x", "cat") / "cat")


def test_each_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = images(tmp_path, "cat", "dog")
    whole = (root / "cat" / "a.png").read_bytes()
    (root / "cat" / "cut.png").write_bytes(whole[:-20])
    (root / "cat" / "empty.png").write_bytes(b"")
    (root / "dog" / "page.jpg").write_bytes(b"<html>404</html>")
    data = read_data(root, as_found=True)
    assert data.y.tolist() == [0, 0, 0, 1, 1]
    assert [Path(file).name for file in data.unreadable] == ["cut.png", "empty.png", "page.jpg"]
    assert "unreadable image" in data.unreadable[str(root / "cat" / "cut.png")]
    assert "empty" in data.unreadable[str(root / "cat" / "empty.png")]
    assert "not BMP, GIF, JPEG, PNG or WEBP" in data.unreadable[str(root / "dog" / "page.jpg")]


@pytest.mark.skipif(os.name == "nt", reason="names of files are text there")
def test_a_folder_with_a_name_in_another_encoding_is_a_class(tmp_path: Path) -> None:
    try:
        root = images(tmp_path, os.fsdecode(b"caf\xe9"), "dog")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert read_data(root, as_found=True).class_names == ["caf\\xe9", "dog"]
