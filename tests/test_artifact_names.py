"""Artifacts' names are put together and taken apart in one place."""

import pytest

from selfreward.store.artifacts import COMPARISONS, FIRST, FURTHER, LISTS, held_out_artifact, part_of, whole_of


@pytest.mark.parametrize("whole", ["judgments", "model_judgments", "eval_judgments", "held_out_gate"])
@pytest.mark.parametrize("part", [FIRST, FURTHER, COMPARISONS, LISTS, 0, 12])
def test_a_part_is_of_its_whole(whole: str, part: str | int) -> None:
    assert whole_of(part_of(whole, part)) == whole == whole_of(whole)


def test_the_held_out_judges_rows_name_pool_and_round() -> None:
    assert held_out_artifact("report") == "held_out_report"
    assert held_out_artifact("report", 2) == "held_out_report_of_round_2"
    assert len({held_out_artifact(pool, number) for pool in ("gate", "report") for number in (None, 0, 1)}) == 6
