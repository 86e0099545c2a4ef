"""Sheets of human anchors: what spreadsheets do to them, what is refused, and the key that knows which row is which."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfreward.commands.anchors.candidates import Candidate
from selfreward.commands.anchors.key import Key, KeyRow, read_key, write_key
from selfreward.commands.anchors.labels import settle
from selfreward.commands.anchors.sheet import (
    FORMULA,
    LONGEST_CELL,
    Sheet,
    fits,
    neutralised,
    read_sheet,
    restored,
    write_sheet,
)
from selfreward.errors import DataError
from selfreward.records import Message

NASTY = ("=1+1", "+41 79", "- a list", "@name", "'quoted'", '"so", he said', "two\nlines", "one\r\nmore", "a;b\tc", "")


def row(number, text="fine", question="why?", judge=3.0, **more):
    made = Candidate(f"c{number}", f"p{number}", (Message("user", question),), "", (text,), 1, judge, "judge/x@1")
    return KeyRow(**{"id": f"r{number}", "part": "anchor", "candidate": made, "locked": False, "double": False, **more})


def key_of(*rows, kind="score"):
    return Key(kind, "run", 1, None, "gate", 0, rows, tuple(one.candidate for one in rows))


def cells(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


def save(path, rows, delimiter=",", ends="\r\n", encoding="utf-8"):
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator=ends).writerows(rows)
    path.write_bytes(stream.getvalue().encode(encoding))
    return path


def labelled(path, *labels):
    rows = cells(path)
    for line, label in zip(rows[1:], labels, strict=True):
        line[rows[0].index("label")] = label
    return rows


@pytest.mark.parametrize("delimiter", ",;\t")
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_sheet_survives_spreadsheets(tmp_path, delimiter, ends):
    key = key_of(*(row(number, text, text or "?") for number, text in enumerate(NASTY)))
    write_sheet(tmp_path / "s.csv", "score", key.rows)
    rows = labelled(tmp_path / "s.csv", *(str(number % 6) for number in range(len(NASTY))))
    # What they do: other delimiters, line ends inside cells, and an apostrophe that is taken as "this is text".
    eaten = [[restored(cell).replace("\r\n", "\n") for cell in line] for line in rows]
    for number, changed in enumerate((rows, eaten)):
        saved = save(tmp_path / f"{number}.csv", changed, delimiter, ends, "utf-8-sig" if number else "utf-8")
        found = read_sheet(saved, key)
        assert found.labels == {f"r{number}": number % 6 for number in range(len(NASTY))} and found.empty == 0


@settings(max_examples=200)
@given(st.text(st.characters(codec="utf-8")))
def test_no_cell_is_a_formula_and_every_text_comes_back(text):
    assert restored(neutralised(text)) == text
    shown = neutralised(text)
    assert not shown.startswith(tuple(set(FORMULA) - {"'"}))


def test_any_text_is_recognised_after_a_round_trip(tmp_path):
    @settings(max_examples=60)
    @given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=4))
    def round_trip(texts):
        key = key_of(*(row(number, text) for number, text in enumerate(texts)))
        path = tmp_path / "s.csv"
        path.unlink(missing_ok=True)
        write_sheet(path, "score", key.rows)
        assert read_sheet(path, key).empty == len(texts)

    round_trip()


def test_labels_as_people_and_spreadsheets_write_them(tmp_path):
    key = key_of(*(row(number) for number in range(6)))
    write_sheet(tmp_path / "s.csv", "score", key.rows)
    rows = labelled(tmp_path / "s.csv", "4", " 5 ", "3.0", "2,0", "'1", "  ")
    found = read_sheet(save(tmp_path / "t.csv", rows), key)
    assert found.labels == {"r0": 4, "r1": 5, "r2": 3, "r3": 2, "r4": 1} and found.empty == 1
    pair = Candidate("c", "p", (Message("user", "?"),), "", ("new", "old"), 1, 2.0, "t")
    pairs = key_of(*(KeyRow(f"r{n}", "anchor", pair, False, False, swapped=n == 2) for n in range(3)), kind="pairs")
    write_sheet(tmp_path / "p.csv", "pairs", pairs.rows)
    assert cells(tmp_path / "p.csv")[3][2:4] == ["old", "new"]
    found = read_sheet(save(tmp_path / "q.csv", labelled(tmp_path / "p.csv", "A", "tie", "b")), pairs)
    assert found.labels == {"r0": 2, "r1": 1, "r2": 0}
    assert [one.judge for one in pairs.rows] == [2.0, 2.0, 0.0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: rows[2].__setitem__(3, "6"), r"row 3 \(r1\): label '6'"),
        (lambda rows: rows[2].__setitem__(3, "good"), r"row 3 \(r1\): label 'good'"),
        (lambda rows: rows[2].__setitem__(3, "2.5"), r"row 3 \(r1\): label '2.5'"),
        (lambda rows: rows[1].__setitem__(0, "r9"), r"row 2 \(r9\).*not in the key"),
        (lambda rows: rows[2].__setitem__(0, "r0"), r"row 3 \(r0\).*already that of row 2"),
        (lambda rows: rows[2].__setitem__(2, "fine!"), r"row 3 \(r1\): its answer is not the text"),
        (lambda rows: rows[2].__setitem__(1, "how?"), r"row 3 \(r1\): its prompt is not the text"),
        (lambda rows: rows[2].pop(), r"row 3: 4 cells"),
        (lambda rows: rows[0].__setitem__(3, "mark"), "expected the columns id, prompt, answer, label"),
        (lambda rows: rows.clear(), "expected the columns"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, change, complaint):
    key = key_of(row(0), row(1))
    write_sheet(tmp_path / "s.csv", "score", key.rows)
    rows = labelled(tmp_path / "s.csv", "1", "2")
    change(rows)
    with pytest.raises(DataError, match=complaint):
        read_sheet(save(tmp_path / "t.csv", rows), key)


def test_files_that_are_none_and_files_that_would_be_lost(tmp_path):
    key = key_of(row(0, "grün"))
    write_sheet(tmp_path / "s.csv", "score", key.rows)
    with pytest.raises(DataError, match="never overwritten"):
        write_sheet(tmp_path / "s.csv", "score", key.rows)
    with pytest.raises(DataError, match="cannot be read"):
        read_sheet(tmp_path / "none.csv", key)
    with pytest.raises(DataError, match=r"not UTF-8.*CSV UTF-8"):
        read_sheet(save(tmp_path / "latin.csv", cells(tmp_path / "s.csv"), encoding="latin-1"), key)
    assert fits(row(0, "x" * LONGEST_CELL)) and not fits(row(0, "=" + "x" * (LONGEST_CELL - 1)))


def test_the_key_comes_back_and_an_edited_one_is_refused(tmp_path):
    key = key_of(row(0, "ü\u2028=", judge=10 / 3), row(1, locked=True, double=True))
    path = tmp_path / "s.key.json"
    write_key(path, key)
    assert read_key(path) == key
    found = json.loads(path.read_text(encoding="utf-8"))
    found["key"]["rows"][1]["locked"] = False
    path.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(DataError, match="edited"):
        read_key(path)
    for text, complaint in (("{", "not whole JSON"), ("[]", "not the key"), ('{"sealed": "", "key": {}}', "Key")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=complaint):
            read_key(path)
    with pytest.raises(DataError, match="--key"):
        read_key(tmp_path / "none.key.json")


def test_disputed_rows_wait_until_they_are_adjudicated():
    key = key_of(*(row(number) for number in range(5)))
    one, two = Sheet("one", {"r0": 3, "r1": 4, "r2": 0, "r3": 5}, 1), Sheet("two", {"r0": 3, "r1": 2, "r2": 1}, 0)
    open_ones = settle(key, [one, two])
    assert open_ones.labels == {"r0": 3, "r3": 5} and open_ones.waiting == ("r1", "r2")
    assert open_ones.doubles == [("r0", 3, 3), ("r1", 4, 2), ("r2", 0, 1)] and open_ones.unlabelled == 1
    done = settle(key, [one, two], Sheet("third", {"r1": 3}, 1))
    assert done.labels == {"r0": 3, "r3": 5, "r1": 3} and done.waiting == ("r2",) and done.adjudicated == 1
    with pytest.raises(DataError, match=r"third \(r0\).*do not disagree"):
        settle(key, [one, two], Sheet("third", {"r0": 1}, 0))
    with pytest.raises(DataError, match="no row has a label"):
        settle(key, [Sheet("one", {}, 5)])
