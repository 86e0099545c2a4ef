"""Bad recipes of every section, through the command: one line, its exit code, no traceback, and nothing was sampled.

`faults/k6_recipes.jsonl`: `overrides` of the smoke recipe, or a whole `file` (`bytes` in hexadecimal where it is no
text), the `exit` code, and how the message begins, or the key that it names (`says`).
"""

import dataclasses
import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfreward.commands import cli
from selfreward.recipe import Recipe

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "faults" / "k6_recipes.jsonl").read_text(encoding="utf-8").splitlines()
]
SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


@pytest.fixture(autouse=True)
def signals_stay() -> Iterator[None]:
    """The command takes these over; a test's process has its own."""
    held = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in held.items():
        signal.signal(number, handler)


def recipe_of(row: dict[str, Any], folder: Path) -> Path:
    if "overrides" in row:
        return SMOKE
    content = bytes.fromhex(row["bytes"]) if "bytes" in row else row["file"].encode()
    (folder / "bad.yaml").write_bytes(content)
    return folder / "bad.yaml"


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['section']}:{number}" for number, row in enumerate(ROWS, 1)])
def test_a_bad_recipe_is_one_sentence(
    row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "bad-script.yaml").write_text("rules: []")
    recipe = recipe_of(row, tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["selfreward", "run", str(recipe), *row.get("overrides", [])])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == row["exit"], err
    (line,) = err.strip().split("\n")
    assert row["says"] in line and "Traceback" not in line and out == ""
    assert len(line) < 1000, "a sentence, not the input again"
    assert sorted(tmp_path.iterdir()) == before, "nothing was begun"


def test_every_section_has_its_rows() -> None:
    found = Counter(row["section"] for row in ROWS)
    assert {field.name for field in dataclasses.fields(Recipe)} <= set(found)
    assert sum(found.values()) >= 100 and len({json.dumps(row, sort_keys=True) for row in ROWS}) == len(ROWS)
