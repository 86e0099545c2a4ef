"""Verdicts against a second reader: replies made from parts, and the time that a reply of any size takes."""

import random
import time

import pytest
from reply_factory import LABELS, Made, one, strict
from test_fault_corpus_replies import read

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts import pairwise as judge_pairwise
from selfreward.judging.prompts import pointwise as judge
from selfreward.roles import prompt_writer
from selfreward.roles.unreadable import Unreadable

KINDS = ["score", "pairwise", "meta", "rubric"]


def readings(seed: int, count: int) -> tuple[list[tuple[Made, object]], dict[str, float]]:
    """(replies whose value is not the one that was put in, share of the readable ones that are read by kind)."""
    chance = random.Random(seed)
    wrong: list[tuple[Made, object]] = []
    written, seen = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    for number in range(count):
        made = one(chance, KINDS[number % 4])
        value = read(made.kind, made.text)
        is_read = not isinstance(value, Unreadable)
        written[made.kind] += made.value is not None
        seen[made.kind] += made.value is not None and is_read
        if is_read and (made.value is None or value != pytest.approx(made.value)):
            wrong.append((made, value))
        strictly = strict(made.kind, made.text) if made.kind != "rubric" else None
        if strictly is not None and (value != strictly or made.value != strictly):
            wrong.append((made, value))
        if made.is_plain and not is_read:
            wrong.append((made, value))
    return wrong, {kind: seen[kind] / written[kind] for kind in KINDS}


def test_no_made_reply_is_misread_and_most_are_read() -> None:
    wrong, share = readings(1, 20_000)
    assert wrong[:5] == []
    assert min(share.values()) >= 0.9, share


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_no_made_reply_is_misread_at_length(seed: int) -> None:
    assert readings(seed, 200_000)[0][:5] == []


def test_the_strict_reader_reads_the_plain_form_alone() -> None:
    assert strict("score", "Fine.\nScore: 4") == 4.0 and strict("pairwise", "Preferred: tie\n") == 0.5
    others = [
        "Score: 6",
        "Score: 4.",
        "**Score: 4**",
        "Score: 3\nScore: 4",
        "If so:\nScore: 4",
        "> x\nScore: 4",
        "",
        "Score:4",
    ]
    assert [strict("score", text) for text in others] == [None] * len(others)
    plain = [one(random.Random(seed), "meta") for seed in range(400)]
    assert all(strict("meta", made.text) == made.value for made in plain if made.is_plain)


def endless(kind: str, size: int) -> list[str]:
    """Replies of one size in which a pattern that goes back would go back often."""
    label = LABELS[kind]
    units = [
        " ",
        "\n",
        "*",
        "(",
        "1",
        "> x\n",
        "```\n",
        f"{label}: 4. ",
        f"{label}: 4\n",
        "complete: a. Score: 4\n",
        "\n- ",
        '"',
        "a (",
        "~",
        "\\text{",
    ]
    filled = [(unit * (size // len(unit) + 1))[:size] for unit in units]
    return [f"{label}:{text}" for text in filled] + [f"{text}\n{label}: 4" for text in filled]


def seconds(kind: str, text: str) -> float:
    start = time.process_time()
    read(kind, text)
    return time.process_time() - start


@pytest.mark.parametrize("kind", KINDS)
def test_time_grows_with_the_reply_and_not_with_its_square(kind: str) -> None:
    """Quadratic time would be 100 times as much for ten times the letters, and minutes for the longer ones."""
    for short, long in zip(endless(kind, 6_000), endless(kind, 60_000), strict=True):
        least = min(seconds(kind, short) for _ in range(3))
        assert min(seconds(kind, long) for _ in range(3)) < 40 * max(least, 1e-3), long[:40]


def test_a_body_of_8_megabytes_takes_less_than_two_seconds() -> None:
    for text in ("Score:" + " " * 8_000_000, "> x\n" * 2_000_000 + "Score: 4", "Score: 4\n" * 900_000):
        assert seconds("score", text) < 2.0
    assert isinstance(read("score", "Score:" + " " * 8_000_000 + "x"), Unreadable)


@pytest.mark.parametrize("unit", ["\n", "\n- ", " ", "task ", "<request-0a1b2c3d>", "```\n", "Score: 4\n"])
def test_what_else_reads_a_judges_words_is_linear_too(unit: str) -> None:
    readers = [
        judge.without_scores,
        lambda text: judge.opening("additive", text),
        lambda text: judge_pairwise.opening("pairwise", text),
        lambda text: prompt_writer.read("few_shot", Completion(f"task{text}x", "", (5,), "stop")),
        lambda text: prompt_writer.read("few_shot", Completion(f"<request-0a1b2c3d>{text}x", "", (5,), "stop")),
    ]
    for reader in readers:
        spent = []
        for size in (6_000, 60_000):
            text = unit * (size // len(unit))
            start = time.process_time()
            reader(text)
            spent.append(time.process_time() - start)
        assert spent[1] < 40 * max(spent[0], 2e-3)
