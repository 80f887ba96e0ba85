"""Tables in every form that people have; whatever is wrong with one row, the others are there, and it is known which is missing."""

import csv
import json

import pytest

from hp_bench.text.records import read_records

ROWS = [
    {"prompt": f"The keeper of lamp {n} is", "completion": f' Nora "Q" Quill,\nof lamp {n}; née Pérez.'}
    for n in range(9)
]


def lines(rows):
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def table(path, rows, delimiter=","):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "completion"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path):
    """The rows that can be read, and what is said of the others."""
    records = read_records(path)
    whole = [record.fields for record in records if record.fields is not None]
    return whole, [(record.place, record.problem) for record in records if record.problem]


@pytest.mark.parametrize(
    "content",
    [
        lines(ROWS), lines(ROWS).replace("\n", "\r\n"), "\ufeff" + lines(ROWS), lines(ROWS).replace("}\n", "},\n"),
        "\n\n" + lines(ROWS).replace("\n", "\n\n"), lines(ROWS).encode("utf-16"), json.dumps(ROWS), json.dumps(ROWS, indent=2),
        json.dumps(ROWS).removesuffix("]") + ",]", json.dumps(ROWS).removesuffix("]"),
        json.dumps(ROWS[:4]) + "\n" + json.dumps(ROWS[4:]),
    ],
    ids=[
        "lines", "Windows line ends", "byte order mark", "comma after each line", "blank lines", "UTF-16", "list", "indented list",
        "comma after the last", "unclosed list", "two lists",
    ],
)  # fmt: skip
def test_json_in_every_form_gives_the_same_rows(tmp_path, content):
    assert read(written(tmp_path / "rows.jsonl", content)) == (ROWS, [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_quotation_marks_and_line_breaks_gives_the_same_rows(tmp_path, delimiter):
    for name in ("rows.csv", "rows.TSV"):
        assert read(table(tmp_path / name, ROWS, delimiter)) == (ROWS, [])


def test_separators_of_unicode_are_no_line_ends(tmp_path):
    rows = [{"prompt": "a", "completion": "one\u2028two\x85three\x0cfour"}]
    assert read(written(tmp_path / "rows.jsonl", lines(rows))) == (rows, [])


@pytest.mark.parametrize(
    "broken, problem",
    [
        ('{"prompt": "a", "comp', "not a JSON object"),
        ("17", "not a JSON object"),
        ("[1, 2]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('{"n": ' + "9" * 5000 + "}", "not a JSON object"),
        ('{"prompt": "caf\xe9"}'.encode("latin-1"), "not UTF-8 text"),
    ],
)
def test_a_broken_line_costs_itself_alone_and_is_named(tmp_path, broken, problem):
    broken = broken if isinstance(broken, bytes) else broken.encode()
    content = lines(ROWS[:4]).encode() + b"\n" + broken + b"\n" + lines(ROWS[4:]).encode()
    whole, said = read(written(tmp_path / "rows.jsonl", content))
    assert whole == ROWS
    ((place, what),) = said
    assert place == "line 6" and what.startswith(problem)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("broken", ['{"prompt": "a" "completion": "b"}', '{"prompt": {"prompt": "a"}, "b}', "{]}"])
def test_a_broken_entry_of_a_list_costs_itself_alone(tmp_path, broken, indent):
    texts = [json.dumps(row, indent=indent) for row in ROWS]
    content = "[" + ",\n".join([*texts[:4], broken, *texts[4:]]) + "]"
    whole, said = read(written(tmp_path / "rows.json", content))
    assert whole == ROWS
    assert [place for place, _ in said] == ["entry 5"]


def test_a_list_that_is_cut_off_loses_its_last_entry(tmp_path):
    whole, said = read(written(tmp_path / "rows.json", json.dumps(ROWS, indent=1)[:-30]))
    assert whole == ROWS[:-1]
    assert [place for place, _ in said] == ["entry 9"]


@pytest.mark.parametrize(
    "broken, problem",
    [
        ("a,b,c,d", "4 cells under 2 names"),
        ('"a" and so on,b', "not CSV: ',' expected after '\"'"),
        ('a,"never closed', "not CSV: "),
        ("caf\xe9,b".encode("latin-1"), "not UTF-8 text"),
    ],
)
def test_a_broken_row_of_a_csv_costs_itself_alone(tmp_path, broken, problem):
    broken = broken if isinstance(broken, bytes) else broken.encode()
    rows = [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(9)]
    content = table(tmp_path / "rows.csv", rows).read_bytes().split(b"\r\n")
    whole, said = read(written(tmp_path / "rows.csv", b"\r\n".join([*content[:5], broken, *content[5:]])))
    assert whole == rows
    ((place, what),) = said
    assert place == "line 6" and what.startswith(problem)


def test_empty_cells_and_blank_lines_are_nothing(tmp_path):
    records = read_records(written(tmp_path / "rows.csv", "prompt,completion\na,\n\n,b\nc\n"))
    assert [record.fields for record in records] == [{"prompt": "a"}, None, {"completion": "b"}, {"prompt": "c"}]
    assert [record.blank for record in records] == [False, True, False, False]


def test_an_empty_file_has_no_rows_and_a_missing_one_is_named(tmp_path):
    assert read_records(written(tmp_path / "rows.jsonl", " \n")) == []
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match="cannot be read: "):
            read_records(path)


@pytest.mark.parametrize("end", [".parquet", ".xlsx", ".gz"])
def test_a_table_that_is_no_text_is_said_to_be_one(tmp_path, end):
    """It was "not UTF-8 text" in each of its lines."""
    with pytest.raises(ValueError, match=rf"is a table of another kind \({end}\): save it as CSV or as JSON lines"):
        read_records(written(tmp_path / f"rows{end}", b"PAR1\xff"))
