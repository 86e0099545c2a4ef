"""Faults that were found once, as rows of data: `faults/<kind>_*.jsonl`, each tried by the adapter of its kind.

A row is one input and what is right about it; most rows were wrong at some time. Adapters use public names only, so
that a file can be laid beside an older checkout.
"""

import importlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from selfreward.errors import DataError
from selfreward.records import Message, Prompt
from selfreward.tasks.verifiers import VERIFIERS
from selfreward.tasks.verifiers.final_answer import final_answer

FOLDER = Path(__file__).parent / "faults"
Row = dict[str, Any]


@lru_cache(maxsize=1)
def database() -> str:
    """A table t with the one column x and three rows."""
    import tempfile

    path = Path(tempfile.mkdtemp()) / "t.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('a'), ('b'), ('c');")
    return str(path)


@lru_cache(maxsize=16)
def verifier(name: str) -> Any:
    module, attribute = VERIFIERS[name].split(":")
    return getattr(importlib.import_module(module), attribute)()


def verdict(row: Row) -> str:
    """K1: what a verifier, or the vote's final answer, says of a reply."""
    if row["verifier"] == "votes":
        return final_answer(row["reply"])
    meta = {name: database() if value == "@sqlite" else value for name, value in row["meta"].items()}
    prompt = Prompt("p", (Message("user", "How much?"),), "train", "file", answer=row["answer"], meta=meta)
    if "refused" in row:
        try:
            verifier(row["verifier"]).require(prompt)
        except DataError as problem:
            return str(problem)
        return "accepted"
    verifier(row["verifier"]).require(prompt)
    truth = verifier(row["verifier"]).check(prompt, row["reply"])
    return "open" if truth.open else "correct" if truth.correct else "wrong"


def k1_verifiers(row: Row) -> None:
    if row["verifier"] in ("mathematics", "json_schema"):
        pytest.importorskip({"mathematics": "math_verify", "json_schema": "jsonschema"}[row["verifier"]])
    said = verdict(row)
    if "refused" in row:
        assert row["refused"] in said and "prompt p" in said
    elif row["verifier"] == "votes":
        assert said == row["form"]
    else:
        assert said in (("wrong", "open") if row["verdict"] == "not correct" else (row["verdict"],))


ADAPTERS: dict[str, Callable[[Row], None]] = {"k1_verifiers": k1_verifiers}
"""File name without its ending -> what tries a row of it."""


def rows() -> list[Any]:
    found = []
    # The judges' replies (k2) are read by test_fault_corpus_replies.py, which needs no verifier, and
    # recipes (k6) by test_fault_corpus_recipes.py.
    for path in sorted(set(FOLDER.glob("*.jsonl")) - set(FOLDER.glob("k[26]_*.jsonl"))):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found.append(pytest.param(path.stem, json.loads(line), id=f"{path.stem}:{number}"))
    return found


@pytest.mark.parametrize(("kind", "row"), rows())
def test_what_was_found_stays_mended(kind: str, row: Row) -> None:
    ADAPTERS[kind](row)


def test_every_adapter_has_its_file() -> None:
    elsewhere = {path.stem for path in FOLDER.glob("k[26]_*.jsonl")}
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == set(ADAPTERS) | elsewhere
