"""Prompts from whatever people keep them in: one set of rows in every container reads as the same prompts."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from datasets import Dataset, DatasetDict
from pyarrow import parquet

from selfreward.errors import DataError
from selfreward.recipe import ColumnsRecipe, FileSource
from selfreward.recipe.read import build_recipe
from selfreward.records import Prompt, stable_id
from selfreward.tasks.open_source import open_source
from selfreward.tasks.prompts_file import PromptFile, draw_pools, draw_training, read_prompts, split_prompts

ROWS: list[dict[str, Any]] = [
    {"prompt": "Name a river.", "id": "r", "answer": "Rhine", "cohort": "water", "meta": {"kinds": ["a"], "n": 2}},
    {"prompt": 'Say «é, "quoted"»,\nin two lines.', "id": "q", "answer": "42"},
    {"prompt": "No more than this."},
]


def as_lines(path: Path) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


def as_list(path: Path) -> str:
    path.write_text(json.dumps(ROWS, indent=1))
    return str(path)


def as_csv(path: Path) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "id", "answer", "cohort", "meta"])
        writer.writeheader()
        for row in ROWS:
            writer.writerow(row | ({"meta": json.dumps(row["meta"])} if "meta" in row else {}))
    return str(path)


def as_parquet(path: Path) -> str:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return str(path)


def as_saved(path: Path) -> str:
    Dataset.from_list(ROWS).save_to_disk(path)
    return str(path)


def as_splits(path: Path) -> str:
    whole = Dataset.from_list(ROWS)
    DatasetDict({"train": whole, "test": whole.select([0])}).save_to_disk(path)
    return str(path)


CONTAINERS = {
    "rows.jsonl": as_lines,
    "rows.json": as_list,
    "lines.json": as_lines,
    "rows.csv": as_csv,
    "rows.parquet": as_parquet,
    "saved": as_saved,
    "splits": as_splits,
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_prompts(tmp_path: Path, name: str) -> None:
    path = CONTAINERS[name](tmp_path / name)
    assert read_prompts(path, "train") == read_prompts(as_lines(tmp_path / "told.jsonl"), "train")
    assert [prompt.answer for prompt in read_prompts(path, "train")] == ["Rhine", "42", None]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_wrong_row_is_named_in_every_container(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS[1], "prompt", " ")
    path = CONTAINERS[name](tmp_path / name)
    with pytest.raises(DataError, match=rf"{name}(:|, row )2: prompt is empty"):
        read_prompts(path, "train")


def test_a_split_of_a_saved_data_set_is_its_folder_and_none_is_guessed(tmp_path: Path) -> None:
    as_splits(tmp_path / "splits")
    assert [prompt.id for prompt in read_prompts(tmp_path / "splits" / "test", "train")] == ["r"]
    whole = Dataset.from_list(ROWS)
    DatasetDict({"a": whole, "b": whole}).save_to_disk(tmp_path / "two")
    with pytest.raises(DataError, match=r"has the splits a, b; name one as .*two/SPLIT"):
        read_prompts(tmp_path / "two", "train")


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (b'prompt,answer\n"a",1,2\n', "x.csv", r"x\.csv, row 1: more cells than the header"),
        (b"prompt,answer\na\n", "x.csv", r"x\.csv, row 1: fewer cells"),
        (b'prompt\n"a', "x.csv", "not CSV"),
        (b"prompt\n\xff\n", "x.csv", "not UTF-8"),
        (b"prompt,answer\n", "x.csv", r"no prompt in the file.* on each row"),
        (b"no parquet", "x.parquet", "cannot be read as parquet"),
        (b"[1", "x.json", "not JSON"),
        (b"[1]", "x.json", r"x\.json, row 1: found a number"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_a_data_error(
    tmp_path: Path, content: bytes, name: str, found: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=found):
        read_prompts(tmp_path / name, "train")


def read(tmp_path: Path, rows: list[dict[str, Any]], **source: Any) -> list[Prompt]:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = PromptFile(FileSource(str(path), **source), "train")
    return file.prompts(file.numbers(lambda _: "0").kept())


def test_columns_say_where_things_stand(tmp_path: Path) -> None:
    row = {"question": "Six times seven?", "solution": 42, "number": 7, "prompt": "unread", "messages": "unread"}
    columns = ColumnsRecipe(prompt="question", answer="solution", id="number")
    (prompt,) = read(tmp_path, [row], columns=columns)
    assert (prompt.text, prompt.answer, prompt.id) == ("Six times seven?", "42", "7")
    with pytest.raises(DataError, match=r"rows\.jsonl:1: no column 'task'.*the row has question, solution"):
        read(tmp_path, [row], columns=ColumnsRecipe(prompt="task"))


SHARED = {
    "conversations": [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Hello"},
        {"from": "gpt", "value": "Hi"},
        {"from": "human", "value": "Name a river."},
        {"from": "gpt", "value": "Rhine"},
    ]
}


def test_a_last_turn_of_the_assistants_is_what_the_source_says(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the last one user; set last_assistant of the source to answer"):
        read(tmp_path, [SHARED])
    (answered,), (dropped,) = (read(tmp_path, [SHARED], last_assistant=word) for word in ("answer", "drop"))
    assert [turn.role for turn in answered.messages] == ["system", "user", "assistant", "user"]
    assert answered.messages == dropped.messages and answered.text == "Name a river."
    assert (answered.answer, dropped.answer) == ("Rhine", None)
    turns = [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "Rhine"}]
    (plain,) = read(tmp_path, [{"messages": turns}], last_assistant="answer")
    assert (plain.text, plain.answer) == ("Name a river.", "Rhine")
    with pytest.raises(DataError, match="an answer of its own"):
        read(tmp_path, [{"messages": turns, "answer": "Elbe"}], last_assistant="answer")
    odd = {"conversations": [{"from": "bing", "value": "x"}]}
    with pytest.raises(DataError, match="the turns are bing"):
        read(tmp_path, [odd], last_assistant="drop")


def test_a_sequence_of_turns_is_read_as_datasets_keeps_it(tmp_path: Path) -> None:
    columns = {"from": ["human", "gpt", "human"], "value": ["Hello", "Hi", "Name a river."]}
    (prompt,) = read(tmp_path, [{"conversations": columns}])
    assert [(turn.role, turn.content) for turn in prompt.messages] == [
        ("user", "Hello"),
        ("assistant", "Hi"),
        ("user", "Name a river."),
    ]


def test_ultrafeedback_asks_by_its_instruction(tmp_path: Path) -> None:
    (prompt,) = read(tmp_path, [{"instruction": "Name a river.", "completions": [], "source": "x"}])
    assert prompt.text == "Name a river."
    with pytest.raises(DataError, match="keys instruction"):
        read(tmp_path, [{"instruction": "Name a river.", "input": "", "output": "Rhine"}])


def test_repeats_are_refused_or_the_first_is_kept(tmp_path: Path) -> None:
    rows = [{"prompt": text} for text in ("a", "b", "a ", "c", "b")]
    with pytest.raises(DataError, match=r":3: the same prompt as line 1 .*repeated of the source to drop"):
        read(tmp_path, rows)
    assert [prompt.text for prompt in read(tmp_path, rows, repeated="drop")] == ["a", "b", "c"]
    with pytest.raises(DataError, match=r":3: id 'x' is already that of line 1"):
        read(tmp_path, [{"prompt": "a", "id": "x"}, {"prompt": "a"}, {"prompt": "b", "id": "x"}], repeated="drop")


def test_what_is_drawn_of_a_source_is_what_the_whole_would_give(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Count to {number}."}) + "\n" for number in range(200)))
    whole, source = read_prompts(path, "train"), FileSource(str(path))
    drawn, there = draw_training(source, 5, 30)
    assert there == 200
    assert drawn == sorted(whole, key=lambda prompt: stable_id(5, prompt.id))[:30]
    sizes: dict[Any, int] = {"gate": 10, "selection": 7, "report": 20}
    pools, expected = draw_pools(source, sizes), split_prompts(whole, sizes)
    assert all(pools[name] == expected[name] for name in sizes)
    with pytest.raises(DataError, match="200 prompts cannot be split"):
        draw_pools(source, {"gate": 100, "selection": 100})


def test_training_and_measuring_may_come_from_different_kinds_of_file(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([{"q": f"Say {n}."} for n in range(30)]), tmp_path / "train.parquet")
    Dataset.from_list([{"prompt": f"Count to {n}."} for n in range(30)]).save_to_disk(tmp_path / "held_out")
    keys = ["rounds=2", "prompts.per_round=10", "measure.gate=5", "measure.selection=5", "measure.report=5"]
    keys += [f"prompts.source={tmp_path / 'train.parquet'}", "prompts.source.columns.prompt=q"]
    source = open_source(build_recipe([], [*keys, f"measure.source={tmp_path / 'held_out'}", "measure.verifier=none"]))
    rounds = [source.training(number, 10) for number in (1, 2)]
    assert len({prompt.text for drawn in rounds for prompt in drawn}) == 20
    assert len(source.pools()) == 15


@pytest.mark.parametrize("name", ["hub:org/none", "hub:org/none:config", "hub:org/none:config:split"])
def test_a_data_set_that_is_not_in_the_cache_is_one_sentence(name: str) -> None:
    with pytest.raises(DataError, match=r"dataset 'org/none' on the hub cannot be reached \(HF_HUB_OFFLINE is set\)"):
        read_prompts(name, "train")
    with pytest.raises(DataError, match="expected hub:ORG/NAME"):
        read_prompts("hub:a/b/c", "train")


MEASURED = """
import json, resource, sys
from selfreward.recipe import FileSource
from selfreward.tasks.prompts_file import draw_training
drawn, there = draw_training(FileSource(sys.argv[1]), 0, 3000)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"there": there, "drawn": len({prompt.text for prompt in drawn}), "peak": peak}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("write", [as_parquet, as_lines], ids=["parquet", "lines"])
def test_a_million_rows_need_less_than_a_gigabyte(tmp_path: Path, write: Callable[[Path], str]) -> None:
    count, path = 1_000_000, tmp_path / ("rows.parquet" if write is as_parquet else "rows.jsonl")
    texts = [f"Please tell me something about the number {number}, in words." for number in range(count)]
    if write is as_parquet:
        parquet.write_table(pyarrow.table({"prompt": texts}), path)
    else:
        path.write_text("".join(f'{{"prompt": "{text}"}}\n' for text in texts))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True, env=os.environ
    )
    found = json.loads(done.stdout)
    assert (found["there"], found["drawn"]) == (count, 3000)
    assert found["peak"] < 2**30
