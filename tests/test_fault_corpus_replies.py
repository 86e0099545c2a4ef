"""Judges' replies that people read without doubt, and such that nobody may read: two frozen lists, by kind.

The lists were written before the parsers that are tested here. A reply of the first list is read as the value that
people read, or not at all; the share that is not read is bounded, and those are listed. A reply of the second list has
no value. A rubric's value is the scores of its criteria, from which the weighted mean is taken here.
"""

import json
from pathlib import Path

import pytest
from fault_adapters import expected, k2_unreadable, read

from selfreward.roles.unreadable import Unreadable

FAULTS = Path(__file__).parent / "faults"
VERDICT_FIRST = "verdict first"
"""The one form that people read and the parsers do not: the last line is the verdict, so that no quotation is one."""


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (FAULTS / name).read_text(encoding="utf-8").splitlines()]


READABLE, UNREADABLE = rows("k2_readable.jsonl"), rows("k2_unreadable.jsonl")


def test_the_lists_are_large_and_hold_no_reply_twice() -> None:
    for listed, least in ((READABLE, 150), (UNREADABLE, 150)):
        assert len({(row["kind"], row["reply"]) for row in listed}) == len(listed) >= least
        assert {row["kind"] for row in listed} == {"score", "pairwise", "meta", "rubric"}
    assert not {(row["kind"], row["reply"]) for row in READABLE} & {(row["kind"], row["reply"]) for row in UNREADABLE}


def test_what_people_read_is_read_as_they_read_it() -> None:
    found = [(row, read(row["kind"], row["reply"])) for row in READABLE]
    misread = [
        (row, value)
        for row, value in found
        if not isinstance(value, Unreadable) and value != pytest.approx(expected(row))
    ]
    assert misread == []
    unread = [row for row, value in found if isinstance(value, Unreadable)]
    assert [row for row in unread if row["form"] != VERDICT_FIRST] == []
    assert 1 - len(unread) / len(found) >= 0.98


def test_what_nobody_can_read_has_no_value() -> None:
    assert [(row, wrong) for row in UNREADABLE if (wrong := k2_unreadable(row))] == []
