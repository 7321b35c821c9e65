"""Lists of pictures in every form and encoding that people keep them in."""

import json

import pytest

from pipeline.acquire.lists import is_missing, read_list
from pipeline.errors import ConfigError
from pipeline.tables import write_table

ROWS = [{"file": "a.jpg", "caption": "un café, “rouge”"}, {"file": "b.jpg", "caption": "a\nball"}]
CSV = 'file,caption\r\na.jpg,"un café, “rouge”"\r\nb.jpg,"a\nball"\r\n'
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    ("name", "text"),
    [("list.csv", CSV), ("list.tsv", CSV.replace(",", "\t", 2).replace("b.jpg,", "b.jpg\t")), ("list.jsonl", JSONL)],
)
def test_a_list_is_read_in_any_encoding(tmp_path, name, text, encoding):
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert read_list(tmp_path / name) == ROWS


def test_one_line_in_another_encoding_is_read_as_that(tmp_path):
    lines = "file,caption\na.jpg,ein Käfer\n".encode(), "b.jpg,un café\n".encode("latin-1")
    (tmp_path / "list.csv").write_bytes(b"".join(lines))
    assert [row["caption"] for row in read_list(tmp_path / "list.csv")] == ["ein Käfer", "un café"]


def test_a_very_long_value_is_a_value(tmp_path):
    (tmp_path / "list.csv").write_text("file,caption\na.jpg," + "a" * 1_200_000 + "\n")
    assert len(read_list(tmp_path / "list.csv")[0]["caption"]) == 1_200_000


def test_values_of_parquet_are_text(tmp_path):
    write_table(
        tmp_path / "list.parquet", {"n": [1.5, None], "x": [float("nan"), 2.0], "b": ["é".encode("latin-1"), b"a"]}
    )
    assert read_list(tmp_path / "list.parquet") == [{"n": "1.5", "x": "", "b": "é"}, {"n": "", "x": "2.0", "b": "a"}]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", b"a,b\n1,2,3\n"),
        ("a.jsonl", b"[1]\n"),
        ("a.jsonl", b"[" * 100_000),
        ("a.parquet", b"PAR1"),
        ("a.xls", b""),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, name, body):
    (tmp_path / name).write_bytes(body)
    with pytest.raises(ConfigError) as caught:
        read_list(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", " \t\n", "nan", "NaN", "null", "NULL", "None", "N/A", "<NA>", "\u200b\u200d\ufeff", "\u00a0\u3000"]
)
def test_words_for_nothing_are_nothing(text):
    assert is_missing(text)


@pytest.mark.parametrize("text", ["nan bread", "0", "-", "?", "😀", "a null result"])
def test_other_words_are_something(text):
    assert not is_missing(text)
