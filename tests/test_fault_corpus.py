"""Faults that were found once, as rows of data: `faults/<kind>_*.jsonl`, each tried by the adapter of its kind.

A row is one input and what is right about it; most rows were wrong at some time. The adapters (`fault_adapters.py`) run
on older checkouts too, see `benchmarks/fault_corpus.py`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from fault_adapters import ADAPTERS, Row

FOLDER = Path(__file__).parent / "faults"


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
    for name in {"mathematics": ["math_verify"], "json_schema": ["jsonschema"]}.get(row.get("verifier", ""), []):
        pytest.importorskip(name)
    assert ADAPTERS[kind](row) == ""


def test_every_adapter_has_its_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == set(ADAPTERS)
