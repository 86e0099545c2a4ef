"""What the benchmarks count: rows, padding, questions asked twice, and a round beside the last table."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from evidence_factory import pair, prompts, response
from run_factory import Story, recipe_of

from selfreward.recipe import DpoRecipe
from selfreward.records import Judgment, Prompt, Response
from selfreward.store.given import given
from selfreward.store.results import Run, Store

STORY = Story((0.5, 0.5))
Benchmark = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Benchmark]:
    path = Path(__file__).parent.parent / "benchmarks"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield importlib.import_module


def test_store_has_as_many_rows_as_were_asked_for(benchmark: Benchmark, tmp_path: Path) -> None:
    found = benchmark("growth").store(1_000, tmp_path)
    assert found["rows"] == 1_000 // 13 * 13
    lines = [len(path.read_bytes().splitlines()) for path in tmp_path.glob("rows/round-01/*.jsonl")]
    assert sorted(lines) == [76, 304, 608] and found["on disk"] > 0.1
    # What makes the rows is not counted, and it does not take longer than everything.
    assert found["written"] >= 0 and found["written by the clock"] > 0


def test_planted_run_has_about_as_many_rows_as_were_asked_for(benchmark: Benchmark, tmp_path: Path) -> None:
    assert benchmark("growth").plant(5_000, 2, tmp_path)["rows"] == pytest.approx(5_000, rel=0.1)


def test_padding_is_what_the_longest_row_leaves_free(benchmark: Benchmark) -> None:
    padding = benchmark("padding")
    (asked, *_) = prompts(1)
    sides = [response(asked, number, "a", tokens=length) for number, length in enumerate((10, 2, 6, 6))]
    pairs = [
        dataclasses.replace(pair(one, other), prompt_token_ids=(1, 2))
        for one, other in ((sides[0], sides[1]), (sides[2], sides[3]))
    ]
    training = padding.Training(pairs, DpoRecipe(batch_size=2, micro_batch_size=2, epochs=1.0), 0)
    rows = [[12, 4], [8, 8]]
    assert sorted(map(sorted, training.widths(padding.two_rows, 1))) == sorted(map(sorted, rows))
    assert training.columns(padding.two_rows, 2) == (32, 48)
    assert training.columns(padding.two_rows, 1) == (32, 40)
    # One row a pair, of 2 - 1 + 10 + 2 and of 2 - 1 + 6 + 6 tokens: nothing is left free.
    assert training.columns(padding.one_row, 2) == (26, 26)
    # 12 | 8 4 | 8: three rows of twelve.
    assert training.in_bins() == (32, 36)


def test_a_question_is_asked_again_only_where_weights_words_and_texts_are_equal(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    asked, *_ = prompts(1)
    first, same, other = (response(asked, number, text) for number, text in enumerate(("x", "x", "y")))
    with Store(tmp_path, share=False).open_run("run", recipe_of(STORY), environment={}) as run:
        _seal(run, 0, "pools", Prompt, [asked])
        _seal(run, 0, "eval_responses", Response, [first, same, other])
        _seal(run, 0, "eval_judgments", Judgment, [_read(first, "a"), _read(other, "b")])
        _seal(run, 1, "held_out_report", Judgment, [_read(same, "c"), _read(other, "d", judge="another model")])
        _seal(run, 1, "judgments", Judgment, [_read(first, "e", template="other words"), *_sampled(first, other)])
    readings, again, where = benchmark("judged_twice").count(run)
    assert readings == {"read": 5, "sampled": 3}
    # The same text of another answer; and of two draws for one answer none, nor of the first question sampled.
    assert again == {"read": 1}
    assert where == {"read: held_out_report, after eval_judgments of the earlier round": 1}


@pytest.mark.parametrize(("seconds", "told"), [(1.0, "faster"), (2.0, "as then"), (3.0, "slower")])
def test_round_is_set_beside_the_last_table(benchmark: Benchmark, seconds: float, told: str) -> None:
    round_, timed = benchmark("round"), benchmark("baselines.timed").Timed
    baseline = [4.0, 4.2, 4.4]
    last = {
        "setting": ["64 prompts"],
        "systems": {
            "B1 one process": {"seconds": baseline, "processor": baseline},
            "ours": {"seconds": [2.0] * 3, "processor": [2.0] * 3},
            "B2 not measured now": {"seconds": baseline, "processor": baseline},
        },
    }
    now = {
        "B1 one process": timed(None, seconds=baseline, processor=baseline),
        "ours": timed(None, seconds=[9.0] * 3, processor=[seconds] * 3),
    }
    (line,) = round_.compared(now, "64 prompts", last)
    assert line.endswith(f"in the last table 2.10 [2.00, 2.20] (n = 3): **{told}**")
    (line,) = round_.compared(now, "8 prompts", last)
    assert "not compared" in line


def _seal(run: Run, number: int, artifact: str, record: type[Any], rows: list[Any]) -> None:
    run.complete(given(number, artifact, record, rows, {}))


def _read(answer: Response, name: str, judge: str = "policy", template: str = "t+expected") -> Judgment:
    rest = ((), "stop", 0, template, 3.0, None)
    return Judgment(name, answer.id, answer.prompt_id, 0, judge, "", *rest, mass=0.9)


def _sampled(first: Response, other: Response) -> list[Judgment]:
    drawn = [(first, "f", 0), (first, "g", 1), (other, "h", 0)]
    return [
        Judgment(name, one.id, one.prompt_id, sample, "policy", "Score: 3", (1, 2), "stop", 0, "sampled", 3.0, None)
        for one, name, sample in drawn
    ]
