"""benchmarks/round.py --model: all sides get the same work, and where they did not do it nothing is compared."""

import copy
import dataclasses
import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from selfreward.recipe.read import build_recipe
from selfreward.tasks.open_source import open_source

Benchmark = Callable[[str], ModuleType]
B1, OURS = "B1 one process, generate", "ours, transformers"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Benchmark]:
    path = Path(__file__).parent.parent / "benchmarks"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield importlib.import_module


def work_of(benchmark: Benchmark, root: Path, *options: str) -> Any:
    real = benchmark("round_real")
    return real.work_of(real.options_of([f"--model={root}", "--prompts=4", "--repeats=2", *options]), root)


def side(seconds: list[float], **changed: Any) -> dict[str, Any]:
    fact = {"prompts": "p", "answers": 8, "judgments": 24, "answer_tokens": 200, "judge_tokens": 500, "pairs": 4}
    fact |= {"steps": 2, "stages": {"generate": 0.25, "judge": 0.5}, **changed}
    return {"seconds": seconds, "processor": seconds, "facts": [copy.deepcopy(fact) for _ in seconds]}


def test_a_ratio_is_that_of_two_rounds_of_one_turn(benchmark: Benchmark) -> None:
    table = benchmark("baselines.real_table")
    kept = {B1: side([6.0, 9.0, 8.0]), OURS: side([2.0, 3.0, 4.0])}
    (line,) = table.ratios(kept, 3)
    assert "3.00 [2.00, 3.00] (n = 3) times as fast, by turn 3.00, 3.00, 2.00" in line
    assert line.endswith("wanted at least 2.6: **yes**")
    (line,) = table.ratios(kept, 11)
    assert line.endswith("wanted at least 3.8: **no**")
    (line,) = table.ratios(kept, 5)
    assert "wanted" not in line


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"prompts": "other"}, "was asked other prompts"),
        ({"judgments": 23}, "judgments: ours, transformers 69, B1 one process, generate 72"),
        ({"answers": 9}, "answers: "),
        ({"judge_tokens": 580}, "judge tokens: ours, transformers 1740"),
        ({"pairs": 3}, "pairs: ours, transformers 9, B1 one process, generate 12"),
    ],
)
def test_other_work_is_not_compared(benchmark: Benchmark, changed: dict[str, Any], told: str) -> None:
    table = benchmark("baselines.real_table")
    kept = {B1: side([6.0] * 3), OURS: side([2.0] * 3, **changed)}
    text = table.render({"N = 3": {"setting": ["x"], "judgments": 3, "loads": [1.0], "systems": kept}})
    assert told in text and "Not compared" in text and "times as fast" not in text


def test_tokens_may_be_a_little_apart(benchmark: Benchmark) -> None:
    table = benchmark("baselines.real_table")
    assert not table.differences({B1: side([6.0]), OURS: side([2.0], judge_tokens=540, answer_tokens=185)})


def test_what_no_stage_accounts_for_is_the_rest(benchmark: Benchmark) -> None:
    lines = benchmark("baselines.real_table").seconds_table({B1: side([6.0, 7.0])})
    assert lines[-1].split(" | ")[-1] == "5.8 [5.2, 6.2] |"


def test_turns_of_the_same_work_are_added(benchmark: Benchmark) -> None:
    added = benchmark("round_real").added
    first, second = (
        {"setting": ["x"], "judgments": 3, "loads": [1.0], "systems": {B1: side([value])}} for value in (6.0, 7.0)
    )
    assert added(first, second)["systems"][B1]["seconds"] == [6.0, 7.0]
    assert len(added(first, second)["systems"][B1]["facts"]) == 2
    assert added({**first, "setting": ["y"]}, second) == second == added(None, second)


def test_no_turn_is_begun_that_would_not_end_in_time(benchmark: Benchmark) -> None:
    turning, timed = benchmark("baselines.taking_turns"), benchmark("baselines.timed").Timed
    systems = {"one": timed(Slow(), repeats=9), "other": timed(Slow(), repeats=9)}
    turning.take_turns(systems, 9, 1.0)
    taken = [one.system.rounds for one in systems.values()]
    assert taken[0] == taken[1] == list(range(1, len(taken[0]) + 1)) and 2 <= len(taken[0]) <= 6


class Slow:
    """A system that stays in this process: a round takes a tenth of a second."""

    root = None

    def __init__(self) -> None:
        self.rounds: list[int] = []

    def start(self) -> None:
        """Nothing."""

    def round(self, number: int) -> dict[str, Any]:
        time.sleep(0.1)
        self.rounds.append(number)
        return {}

    def close(self) -> None:
        """Nothing."""


def test_ours_is_asked_what_the_others_are(benchmark: Benchmark, tmp_path: Path) -> None:
    work = work_of(benchmark, tmp_path, "--judgments=11")
    keys = benchmark("round_real").ours_keys(work, tmp_path)
    recipe = build_recipe([], [*keys, "model.path=sandbox:seed-0"])
    source = open_source(recipe)
    rounds = [source.training(number, recipe.prompts.per_round) for number in (1, 2, 3)]
    assert [[one.text for one in asked] for asked in rounds] == [
        [one.text for one in work.asked(number)] for number in (1, 2, 3)
    ]
    assert len({one.text for asked in rounds for one in asked}) == 12
    assert work.asked(0) == work.asked(1)[:2]
    assert (recipe.judge.samples, recipe.generate.samples, recipe.generate.deduplicate) == (11, 4, False)
    assert recipe.judge.sampling.max_tokens == work.tokens["judge"] == 32
    assert (recipe.train.batch_size, recipe.train.nll) == (work.batch, 0)


def test_work_comes_back_from_its_file(benchmark: Benchmark, tmp_path: Path) -> None:
    work = work_of(benchmark, tmp_path)
    assert benchmark("baselines.workload").Work.from_file(work.write(tmp_path / "work.json")) == work


def test_a_verdict_is_read_where_none_is_planted(benchmark: Benchmark, tmp_path: Path) -> None:
    work, reply = work_of(benchmark, tmp_path), benchmark("baselines.workload").Reply
    asked, drawn = work.asked(1)[0], [work.read(work.asked(1)[0], reply(f"reply {n}", n % 2 == 0)) for n in range(60)]
    assert (
        len(set(drawn)) == 60
        and min(drawn) < 0.5
        and max(drawn) > 4.5
        and sum(drawn) / 60 == pytest.approx(2.5, abs=0.6)
    )
    assert work.read(asked, reply("Score: 4", True)) == work.read(asked, reply("Score: 4", False))
    work = dataclasses.replace(work, planted=False)
    assert work.read(asked, reply("It is right.\nScore: 4", True)) == 4
    assert work.read(asked, reply("It is right.\nScore: 4", False)) is None


def test_best_against_worst_of_what_is_finished_and_read(benchmark: Benchmark, tmp_path: Path) -> None:
    work, reply = work_of(benchmark, tmp_path), benchmark("baselines.workload").Reply
    work, asked = dataclasses.replace(work, planted=False), work.asked(1)[:2]
    answers = [[reply(text, text != "cut") for text in ("good", "bad", "cut", "unread")]] * 2
    scores = {"good": ("Score: 4", "Score: 5"), "bad": ("Score: 2", "?"), "cut": ("Score: 0",), "unread": ("?",)}
    judgments = [[reply(one, True) for one in scores[answer.text]] for answer in answers[0]]
    tied = [[reply("Score: 3", True)]] * 4
    (pair,) = work.pairs(asked, answers, [*judgments, *tied])
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == ("good", "bad")
    assert pair["prompt"][0]["content"] == asked[0].text and pair["truth"] == []


def test_batches_hold_no_more_than_they_may(benchmark: Benchmark) -> None:
    pytest.importorskip("trl")
    batches = benchmark("baselines.one_process").batches
    lengths = [50, 10, 30, 90, 20]
    found = batches(lengths, 2, 10, 240)
    assert sorted(index for one in found for index in one) == [0, 1, 2, 3, 4]
    assert found == [[1, 4, 2], [0], [3]]
    assert all(2 * len(one) * (max(lengths[index] for index in one) + 10) <= 240 or len(one) == 1 for one in found)
