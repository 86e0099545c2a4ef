"""Progress: what a log file gets, what a terminal gets, and that a resumed stage does not flatter its rate."""

import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from selfreward import progress
from selfreward.commands.plan.clock import run_clock
from selfreward.progress import LINE_SECONDS, Progress
from selfreward.progress.stage import Stage
from selfreward.progress.words import duration
from selfreward.recipe.read import build_recipe
from selfreward.records import Drop
from selfreward.roles.cast import Cast
from selfreward.roles.round import Round
from selfreward.roles.unkept import complete_unkept
from selfreward.store.results import Store
from selfreward.store.run import Work
from selfreward.store.run_clock import RunClock
from selfreward.tasks.open_source import open_source


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(progress_log: io.StringIO) -> list[str]:
    return progress_log.getvalue().splitlines()


def test_a_log_gets_a_line_at_the_start_after_ten_seconds_every_thirty_and_at_the_end() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress(log, clock=clock).stage("judgments", 200) as stage:
        for _ in range(200):
            clock.now += 0.25
            stage.advance(note="loss 0.5")
    assert lines(log) == [
        "judgments: 200 to do",
        "judgments: 40/200 (20%), 4/s, 40.0 s left, loss 0.5",
        "judgments: 160/200 (80%), 4/s, 10.0 s left, loss 0.5",
        "judgments: 200 in 50.0 s (4/s)",
    ]


def test_tokens_count_inside_a_chunk_and_a_second_call_of_it_takes_nothing_back() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress(log, clock=clock).stage("responses", 100) as stage:
        stage.run_left = lambda s: 60 / s.share
        for step in range(1, 21):
            clock.now += 1
            stage.count(50, step)
        stage.count(50, 3)
        assert (stage.done, stage.tokens, stage.share) == (20, 1050, 0.2)
    assert lines(log)[1] == (
        "responses: 10/100 (10%), 1/s, 500 tokens, 50 tokens/s, 1 min 30 s left, about 10 min 00 s of the run"
    )
    assert lines(log)[-1] == "responses: 20 in 20.0 s (1/s, 52.5 tokens/s)"


def test_a_share_of_a_chunk_is_that_share_of_its_units_and_the_last_one_waits_for_the_chunk(tmp_path: Path) -> None:
    """What an engine says of its call, a share, is counted in units of the stage."""
    log, clock, recipe = io.StringIO(), Clock(), build_recipe([])
    cast = Cast(recipe, lambda *_: None)

    def compute(chunk: Sequence[int], index: int) -> Iterator[Drop]:
        assert cast.listener is not None
        for share in (0.25, 0.5, 1.0):
            clock.now += 40
            cast.listener(7, share)
        for unit in chunk:
            yield Drop(f"drop-{unit}", "pairs", "answer", f"prompt-{unit}", "tie", "")

    with Store(tmp_path).open_run("one", recipe, environment={}) as run:
        told = Progress(log, clock=clock)
        round = Round(1, recipe, cast, run, open_source(recipe), None, told)
        rows = round.complete(Work(1, "dropped", Drop, {}, [range(8), range(8, 24)], compute))
    assert len(rows) == 24 and cast.listener is None
    told_of = [line.split()[3] for line in lines(log) if "/24" in line]
    assert told_of == ["2/24", "4/24", "7/24", "12/24", "16/24", "23/24"]


def test_a_stage_that_says_nothing_is_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """One long forward pass: nobody calls the stage, and the log still grows. None of it after the stage is over."""
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.01)
    log, clock = io.StringIO(), Clock()
    with Progress(log, clock=clock).stage("judgments", 4):
        clock.now += 40
        while len(lines(log)) < 2:
            time.sleep(0.01)
    clock.now += 100
    time.sleep(0.05)
    assert lines(log) == [
        "judgments: 4 to do",
        "judgments: 0/4 (0%), 40.0 s so far",
        "judgments: 0 in 40.0 s",
    ]


def test_a_runs_clock_expects_what_earlier_rounds_took_and_goes_by_cost_before() -> None:
    clock = RunClock(
        {(number, name): 10.0 * (1 + (name == "judge")) for number in (1, 2) for name in ("write", "judge")}
    )
    assert clock.left(1, "write", 0.0, 5.0) is None
    # Half of 10 took 20 s: 4 s a unit, so 20 s of this, then 20 + 10 + 20 units.
    assert clock.left(1, "write", 0.5, 20.0) == pytest.approx(20 + 200)
    clock.done(1, "write", 40.0)
    assert clock.left(1, "judge", 0.5, 10.0) == pytest.approx(10 + 40 + 20 * 50 / 20)
    clock.done(1, "judge", 20.0)
    assert clock.left(2, "write", 0.25, 10.0) == pytest.approx(30 + 20)
    clock.done(2, "write", 40.0)
    assert clock.left(2, "judge", 0.5, 10.0) == pytest.approx(10.0)


def test_what_was_there_before_says_nothing_about_the_pace() -> None:
    costs = {(0, "answers"): 100.0, (0, "judgments"): 100.0}
    # 90 of 100 answers were there. 5 of the 10 others took 5 s: one second a unit, whatever was done before.
    clock, now = RunClock(costs), Clock()
    stage = Stage("answers", 100, 90, now)
    now.now += 5.0
    stage.advance(5)
    left = clock.left(0, "answers", stage.share, stage.seconds, owed=stage.owed)
    assert (stage.share, stage.owed) == (0.5, 0.1) and left == pytest.approx(5.0 + 100.0)
    later = RunClock({(1, "answers"): 10.0, (2, "answers"): 10.0})
    later.done(1, "answers", 50.0)
    assert later.left(2, "answers", 0.0, 0.0, owed=0.1) == pytest.approx(5.0), "a tenth of what the round before took"


def test_a_recipes_clock_names_what_its_runs_write() -> None:
    recipe = build_recipe([], ["rounds=2", "meta.enabled=true"])
    costs = run_clock(recipe).costs
    assert {name for number, name in costs if number == 0} <= {name for number, name in costs if number == 1}
    assert {(1, "responses"), (2, "meta_judgments"), (0, "eval_judgments"), (2, "checkpoint")} <= set(costs)
    assert (0, "responses") not in costs and all(cost > 0 for cost in costs.values())


def test_what_was_done_before_counts_as_done_and_not_as_speed() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress(log, clock=clock).stage("responses", 100, done=90) as stage:
        clock.now += LINE_SECONDS
        stage.advance(5)
        assert stage.rate == pytest.approx(0.5)
        assert stage.left == pytest.approx(10.0)
    assert lines(log)[1] == "responses: 95/100 (95%), 0.5/s, 10.0 s left"
    assert "90 of them from before" in lines(log)[-1]


def test_a_resumed_training_starts_its_rate_where_it_goes_on() -> None:
    clock = Clock()
    with Progress(io.StringIO(), clock=clock).stage("train") as stage:
        clock.now += 1
        stage.reach(61, 80, 0.4)
        clock.now += 1
        stage.reach(62, 80, 0.3)
        assert (stage.done, stage.total, stage.note) == (62, 80, "loss 0.3")
        assert stage.rate == pytest.approx(1.0)


def test_stages_nest_and_an_exception_says_where_it_stopped() -> None:
    log, clock = io.StringIO(), Clock()
    told = Progress(log, prefix="arm 1 | ", clock=clock)
    with pytest.raises(ZeroDivisionError), told.stage("round", 2) as outer:
        with told.stage("inner"):
            told.say("a word")
            clock.now += 2
        outer.advance()
        raise ZeroDivisionError
    said = lines(log)
    assert said[0] == "arm 1 | round: 2 to do"
    assert said[1] == "arm 1 |   inner: started"
    assert said[2] == "arm 1 | a word"
    assert said[3].startswith("arm 1 |   inner: 0 in")
    assert said[4].startswith("arm 1 | round: stopped at 1/2 (50%)")


def test_bars_leave_one_line_for_each_stage_and_survive_an_exception() -> None:
    screen, clock = io.StringIO(), Clock()
    told = Progress(screen, style="bars", clock=clock)
    with pytest.raises(ZeroDivisionError), told.stage("round [1]", 2):
        with told.stage("inner", 3) as inner:
            clock.now += 2
            inner.advance(3)
        raise ZeroDivisionError
    assert "inner: 3 in 2.0 s" in screen.getvalue()
    assert "round [1]: stopped at 0/2" in screen.getvalue()
    with told.stage("again"):
        clock.now += 3
    assert "again: 0 in 3.0 s" in screen.getvalue()


def test_what_is_over_at_once_gets_one_line() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress(log, clock=clock).stage("pairs", 1) as stage:
        clock.now += 0.5
        stage.advance()
    assert lines(log) == ["pairs: 1 to do"]


def test_a_command_without_a_run_counts_rows_and_tokens_inside_its_chunks() -> None:
    log, clock = io.StringIO(), Clock()
    cast = Cast(build_recipe({}), lambda policy, report: None, [])

    def compute(chunk: Sequence[int], index: int) -> Iterator[Drop]:
        assert cast.listener is not None
        clock.now += 10 * LINE_SECONDS
        cast.listener(50, 0.5)  # the engine is half-way through the chunk
        yield from (Drop(str(unit), "pairs", "pair", "none", "tie") for unit in chunk)

    work = Work(0, "answers", Drop, {}, [list(range(10)), list(range(10, 14))], compute)
    rows = complete_unkept(work, cast, Progress(log, clock=clock), "model")
    assert [row.id for row in rows] == [str(unit) for unit in range(14)]
    assert cast.listener is None
    assert "model: answers: 14 to do" in log.getvalue()
    assert "5/14" in log.getvalue() and "12/14" in log.getvalue() and "100 tokens" in log.getvalue()


def test_silence_is_silent() -> None:
    log = io.StringIO()
    told = Progress(log, style="silent")
    with told.stage("a", 1) as stage:
        stage.advance()
        told.say("word")
    assert log.getvalue() == ""


def test_a_row_costs_next_to_nothing() -> None:
    """100,000 rows take minutes to sample; here they may take a tenth of a second of bookkeeping (0.02 s when idle)."""
    best = float("inf")
    for _ in range(3):
        with Progress(io.StringIO()).stage("rows", 100_000) as stage:
            begun = time.perf_counter()
            for _ in range(100_000):
                stage.advance()
            best = min(best, time.perf_counter() - begun)
    assert best < 0.3


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.16, "4.2 s"), (185, "3 min 05 s"), (59.99, "60.0 s"), (7620, "2 h 07 min")]
)
def test_durations_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration(seconds) == words
