"""Progress: what a log file gets, what a terminal gets, and that a resumed stage does not flatter its rate."""

import io
import time

import pytest

from selfreward.progress import LINE_SECONDS, Progress, duration


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(progress_log: io.StringIO) -> list[str]:
    return progress_log.getvalue().splitlines()


def test_a_log_gets_a_line_at_the_start_about_every_ten_seconds_and_at_the_end() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress(log, clock=clock).stage("judgments", 100) as stage:
        for _ in range(100):
            clock.now += 0.25
            stage.advance(note="loss 0.5")
    assert lines(log) == [
        "judgments: 100 to do",
        "judgments: 40/100 (40%), 4/s, 15.0 s left, loss 0.5",
        "judgments: 80/100 (80%), 4/s, 5.0 s left, loss 0.5",
        "judgments: 100 in 25.0 s (4/s)",
    ]


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
    progress = Progress(log, prefix="arm 1 | ", clock=clock)
    with pytest.raises(ZeroDivisionError), progress.stage("round", 2) as outer:
        with progress.stage("inner"):
            progress.say("a word")
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
    progress = Progress(screen, style="bars", clock=clock)
    with pytest.raises(ZeroDivisionError), progress.stage("round [1]", 2):
        with progress.stage("inner", 3) as inner:
            clock.now += 2
            inner.advance(3)
        raise ZeroDivisionError
    assert "inner: 3 in 2.0 s" in screen.getvalue()
    assert "round [1]: stopped at 0/2" in screen.getvalue()
    with progress.stage("again"):
        clock.now += 3
    assert "again: 0 in 3.0 s" in screen.getvalue()


def test_what_is_over_at_once_gets_one_line() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress(log, clock=clock).stage("pairs", 1) as stage:
        clock.now += 0.5
        stage.advance()
    assert lines(log) == ["pairs: 1 to do"]


def test_silence_is_silent() -> None:
    log = io.StringIO()
    progress = Progress(log, style="silent")
    with progress.stage("a", 1) as stage:
        stage.advance()
        progress.say("word")
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
