"""Alarms about a judge and about lengths: they fire where the whole interval is beyond the limit, and not before."""

from types import SimpleNamespace

import pytest
from run_factory import Story, write_run

from selfreward.measuring.metrics.worries import Beyond
from selfreward.recipe import Recipe
from selfreward.records import Measurement
from selfreward.report.alarms import alarms, worried
from selfreward.report.catalogue import by_metric
from selfreward.report.reading import Key, Reading
from selfreward.store.results import Store


def fired(metric, pool, value, half, n=50):
    low, high = (None, None) if half is None else (value - half, value + half)
    rows = {1: Measurement(1, "policy", metric, "all", pool, value, low, high, n, 0, "")}
    reading = SimpleNamespace(
        rounds=[1], by_key={Key(metric, pool): rows}, measurements=list(rows.values()), recipe=Recipe()
    )
    return alarms(reading)


@pytest.mark.parametrize(("metric", "worry"), worried(Beyond))
def test_a_judge_beyond_its_limit_is_called_out(metric, worry):
    pool, limit, upward, meaning = worry.pool, worry.limit, worry.upward, worry.meaning
    assert metric in by_metric(), "people have words for it"
    away = 0.08 if upward else -0.08
    (alarm,) = fired(metric, pool, limit + away, 0.05)
    assert meaning in alarm.evidence and f"{limit + away:.3f}".lstrip("0")[:3] in alarm.evidence
    assert not fired(metric, pool, limit + away, 0.1), "the interval holds the limit"
    assert not fired(metric, pool, limit - away, 0.05)
    assert not fired(metric, pool, limit + away, None), "without an interval nothing is shown"


def test_a_fact_without_an_interval_is_called_out_by_its_value():
    assert fired("held_out_is_training_judge", "report", 1.0, None, n=0)
    assert not fired("held_out_is_training_judge", "report", 0.0, None, n=0)


@pytest.mark.parametrize(("last", "said"), [(60, "grew by more than 25%"), (24, "lost more than 25%"), (36, "")])
def test_answers_that_became_longer_or_shorter_are_called_out(tmp_path, last, said):
    run = write_run(Store(tmp_path, share=False), "lengths", Story((0.5, 0.5), tokens=(40, last)))
    found = [alarm.evidence for alarm in alarms(Reading(run)) if alarm.name == "length:"]
    assert [said in evidence for evidence in found] == ([True] if said else [])
