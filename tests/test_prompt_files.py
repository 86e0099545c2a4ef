"""Prompt files: what is read, what is refused with file and line, and how one file becomes disjoint pools."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import DataError
from selfreward.records import Message, Pool, Prompt
from selfreward.tasks.prompts_file import read_prompts, split_prompts

GOOD = '{"prompt": "Name a river."}'


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_both_forms_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Name a river."},
    ]
    lines = [GOOD, json.dumps({"messages": turns, "id": "talk", "cohort": "chat", "license": "CC0"})]
    first, second = read_prompts(write(tmp_path / "p.jsonl", *lines), "train")
    assert first.messages == (Message("user", "Name a river."),)
    assert (first.pool, first.source, first.cohort) == ("train", "file", "")
    assert [(turn.role, turn.content) for turn in second.messages] == [(t["role"], t["content"]) for t in turns]
    assert (second.id, second.cohort, second.text) == ("talk", "chat", "Name a river.")


def test_an_id_is_made_from_the_text_alone(tmp_path: Path) -> None:
    here = read_prompts(write(tmp_path / "a.jsonl", GOOD, '{"prompt": "b"}'), "train")
    there = read_prompts(write(tmp_path / "b.jsonl", '{"prompt": "b"}', GOOD), "gate")
    assert {prompt.text: prompt.id for prompt in here} == {prompt.text: prompt.id for prompt in there}
    assert here[0].id != here[1].id


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ('{"prompt": "cut off', "not JSON"),
        ("", "the line is empty"),
        ("   ", "the line is empty"),
        ('["prompt"]', "found a list"),
        ("17", "found a number"),
        ("{}", "keys none"),
        ('{"promt": "x"}', "keys promt"),
        ('{"prompt": "x", "messages": []}', "both prompt and messages"),
        ('{"prompt": ""}', "prompt is empty"),
        ('{"prompt": " \\n "}', "prompt is empty"),
        ('{"prompt": null}', "prompt is null"),
        ('{"prompt": 3}', "prompt is a number"),
        ('{"prompt": "x", "id": 3}', "id is a number"),
        ('{"prompt": "x", "cohort": ["a"]}', "cohort is a list"),
        ('{"prompt": "\\ud800"}', "half a surrogate pair"),
        ('{"messages": []}', "messages is an empty list"),
        ('{"messages": "hi"}', "messages is a string"),
        ('{"messages": ["hi"]}', "messages[0] is"),
        ('{"messages": [{"role": "user"}]}', "messages[0] is"),
        ('{"messages": [{"role": "user", "content": ""}]}', "messages[0].content is empty"),
        ('{"messages": [{"role": "tool", "content": "x"}]}', "the turns are tool"),
        ('{"messages": [{"role": "system", "content": "x"}]}', "the turns are system"),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}',
            "the turns are user, assistant",
        ),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]}',
            "the turns are user, user",
        ),
        ("[" * 100_000, "not JSON"),
        ('{"prompt": "x", "answer": ' + "9" * 5_000 + "}", "not JSON"),
        ('{"prompt": "Name a river."}', "the same prompt as line 1"),
        ('{"prompt": "  Name a river. "}', "the same prompt as line 1"),
        ('{"messages": [{"role": "user", "content": "Name a river."}]}', "the same prompt as line 1"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_file_and_line(tmp_path: Path, row: str, found: str) -> None:
    path = write(tmp_path / "prompts.jsonl", GOOD, row, '{"prompt": "another"}')
    with pytest.raises(DataError) as caught:
        read_prompts(path, "train")
    assert str(caught.value).startswith(f"{path}:2: ")
    assert found in str(caught.value)


def test_two_prompts_with_one_id_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", '{"prompt": "a", "id": "same"}', '{"prompt": "b", "id": "same"}')
    with pytest.raises(DataError, match=r"p\.jsonl:2: id 'same' is already that of line 1"):
        read_prompts(path, "train")


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_file_without_prompts_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=r"empty|no prompt"):
        read_prompts(path, "train")


def test_files_that_cannot_be_read_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_prompts(tmp_path / "missing.jsonl", "train")
    with pytest.raises(DataError, match="cannot be read"):
        read_prompts(tmp_path, "train")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes('{"prompt": "é"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_prompts(latin, "train")


def test_line_ends_and_marks_of_other_systems_are_no_part_of_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\r\n{"prompt": "b\xe2\x80\xa8c"}\r\n')
    assert [prompt.text for prompt in read_prompts(path, "train")] == ["a", "b\u2028c"]


@given(
    st.lists(st.text(min_size=1).filter(lambda text: text.strip()), min_size=1, max_size=8, unique_by=str.strip),
    st.booleans(),
)
def test_every_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, texts: list[str], ascii_: bool) -> None:
    path = tmp_path_factory.mktemp("texts") / "p.jsonl"
    rows = [json.dumps({"prompt": text}, ensure_ascii=ascii_) for text in texts]
    path.write_text("\n".join(rows), encoding="utf-8", newline="")
    assert [prompt.text for prompt in read_prompts(path, "report")] == texts


def make(count: int) -> list[Prompt]:
    return [Prompt(f"p{i}", (Message("user", f"question {i}"),), "train", "file", f"c{i % 3}") for i in range(count)]


SIZES: Mapping[Pool, int] = {"gate": 10, "selection": 20, "report": 30}


def ids(pools: Mapping[Pool, list[Prompt]]) -> dict[str, set[str]]:
    return {pool: {prompt.id for prompt in prompts} for pool, prompts in pools.items()}


def test_pools_are_disjoint_complete_and_of_the_wanted_sizes() -> None:
    prompts = make(100)
    pools = split_prompts(prompts, SIZES)
    assert {pool: len(rows) for pool, rows in pools.items()} == {**SIZES, "train": 40}
    assert sorted(prompt.id for rows in pools.values() for prompt in rows) == sorted(p.id for p in prompts)
    for pool, rows in pools.items():
        assert {prompt.pool for prompt in rows} == {pool}
        assert all(prompt.cohort == prompts[int(prompt.id[1:])].cohort for prompt in rows)


def test_the_split_depends_on_the_texts_only() -> None:
    prompts = make(100)
    shuffled = random.Random(0).sample(prompts, len(prompts))
    assert ids(split_prompts(prompts, SIZES)) == ids(split_prompts(shuffled, SIZES))
    renamed: list[Any] = [Prompt(f"x{p.id}", p.messages, "train", "file") for p in prompts]
    expected = {pool: {f"x{i}" for i in group} for pool, group in ids(split_prompts(prompts, SIZES)).items()}
    assert ids(split_prompts(renamed, SIZES)) == expected


def test_the_split_does_not_follow_the_order_of_the_file() -> None:
    numbers = [int(prompt.id[1:]) for prompt in split_prompts(make(1000), {"gate": 500})["gate"]]
    assert 430 < sum(numbers) / len(numbers) < 570, "a random half of 0..999 has its mean near 500"


def test_too_few_prompts_and_duplicates_are_refused() -> None:
    with pytest.raises(DataError, match=r"60 prompts cannot be split into gate 10, selection 20, report 30"):
        split_prompts(make(60), SIZES)
    with pytest.raises(DataError, match="duplicates"):
        split_prompts([*make(100), Prompt("again", make(1)[0].messages, "train", "file")], SIZES)
