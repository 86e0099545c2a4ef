"""Preference pairs from outside: the forms of TRL, and UltraFeedback by its rule."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from trl import maybe_extract_prompt
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.errors import DataError
from selfreward.tasks.pairs_file import read_pairs
from selfreward.tasks.ultrafeedback import ultrafeedback_pairs

ASK, GOOD, BAD = "Name a river.", "The Rhine.", "Paris."


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


PLAIN = {"prompt": ASK, "chosen": GOOD, "rejected": BAD}
TALK = {
    "prompt": [turn("user", ASK)],
    "chosen": [turn("assistant", GOOD)],
    "rejected": [turn("assistant", BAD)],
}
IMPLICIT = {side: [turn("user", ASK), *TALK[side]] for side in ("chosen", "rejected")}
BINARIZED = {"prompt": ASK, "messages": IMPLICIT["chosen"], **IMPLICIT, "score_chosen": 8.0}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("row", [PLAIN, TALK, IMPLICIT, BINARIZED], ids=["plain", "talk", "implicit", "binarized"])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_all_forms_of_trl_are_the_same_pair(tmp_path: Path, row: dict[str, Any], ending: str) -> None:
    path = tmp_path / f"human.{ending}"
    if ending == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    else:
        write(path, row)
    (pair,) = read_pairs(path)
    (told,) = read_pairs(write(tmp_path / "told.jsonl", {**PLAIN, "source": "human"}))
    assert pair == told, "the file's name says whose preference it is"


def test_an_implicit_prompt_is_what_trl_extracts(tmp_path: Path) -> None:
    extracted = maybe_extract_prompt(IMPLICIT)
    (pair,) = read_pairs(write(tmp_path / "x.jsonl", IMPLICIT))
    assert [turn(one.role, one.content) for one in pair.prompt.messages] == extracted["prompt"]
    assert [turn("assistant", pair.chosen)] == extracted["chosen"]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({**TALK, "chosen": [turn("user", "x")]}, "the last turn of chosen is of 'user'"),
        ({**IMPLICIT, "rejected": [turn("user", "Name a lake."), turn("assistant", BAD)]}, "of rejected are not those"),
        ({**BINARIZED, "prompt": "Name a lake."}, "before the last of chosen are not those of the prompt"),
        ({**TALK, "chosen": []}, "chosen is an empty list"),
        ({**PLAIN, "chosen": ""}, "chosen is empty"),
        ([1], "found a list"),
    ],
)
def test_a_pair_that_is_none_is_named(tmp_path: Path, row: Any, found: str) -> None:
    with pytest.raises(DataError, match=rf"x\.jsonl:1: .*{found}"):
        read_pairs(write(tmp_path / "x.jsonl", row))


def completion(text: str, *ratings: Any) -> dict[str, Any]:
    names = ("instruction_following", "honesty", "truthfulness", "helpfulness")
    annotations = {name: {"Rating": str(rating)} for name, rating in zip(names, ratings, strict=True)}
    # The overall score is the wrong way round: who reads it fails here.
    return {"response": text, "annotations": annotations, "overall_score": 10 - sum(map(int, ratings[:1]))}


ROWS = [
    {"instruction": f"Task {number}", "completions": [completion(f"{letter}{number}", *ratings) for letter, ratings in
     (("worst", (1, 1, 1, 1)), ("best", (5, 4, 4, 4)), ("middle", (5, 4, 3, 4)), ("unrated", (5, 5, 5, "N/A")))]}
    for number in range(60)
]  # fmt: skip


def test_ultrafeedback_by_its_rule(tmp_path: Path) -> None:
    tied = {"instruction": "Tie", "completions": [completion("a", 3, 3, 3, 3), completion("b", 4, 2, 3, 3)]}
    alone = {"instruction": "Alone", "completions": [completion("a", 3, 3, 3, 3), completion("b", 3, 3, 3, "N/A")]}
    path, dropped = write(tmp_path / "uf.jsonl", *ROWS, tied, alone), Counter[str]()
    pairs = list(ultrafeedback_pairs(path, 0, dropped))
    assert dropped == {"tie": 1, "fewer than two rated completions": 1}
    assert [pair["prompt"] for pair in pairs] == [row["instruction"] for row in ROWS]
    assert {pair["chosen"].rstrip("0123456789") for pair in pairs} == {"best"}
    others = Counter(pair["rejected"].rstrip("0123456789") for pair in pairs)
    # Fair draws of 60: both within 4 standard errors of a half, and never the one without a rating.
    assert set(others) == {"worst", "middle"} and 15 <= others["worst"] <= 45
    assert pairs[0]["chosen_rating"] == 4.25
    backwards = list(ultrafeedback_pairs(write(tmp_path / "b.jsonl", *ROWS[::-1]), 0, Counter()))
    assert backwards[::-1] == pairs, "a row's lot does not depend on its place"
    assert list(ultrafeedback_pairs(path, 1, Counter())) != pairs


def test_the_command_writes_a_file_that_the_reader_of_pairs_takes(tmp_path: Path) -> None:
    path, out = tmp_path / "uf.parquet", tmp_path / "pairs.jsonl"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    asked = ["import", "ultrafeedback", str(path), "--out", str(out)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0 and "60 pairs; rows without one: none" in done.output
    assert {pair.source for pair in read_pairs(out)} == {"ultrafeedback"}
    again = CliRunner().invoke(app, asked)
    assert "never overwritten" in str(again.exception)
    with pytest.raises(DataError, match=r"x\.jsonl:1: expected an UltraFeedback row"):
        list(ultrafeedback_pairs(write(tmp_path / "x.jsonl", PLAIN), 0, Counter()))
