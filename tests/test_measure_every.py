"""Measuring less often: which rounds are measured, what `previous` means then, and that the rounds stay the same."""

from pathlib import Path

import pytest

from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.recipe import measured_rounds
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Measurement, Pair
from selfreward.store.results import Store
from selfreward.store.view import RunView

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = ("rounds=3", "prompts.per_round=12", "prompts.writer.share=0", "meta.enabled=false")


@pytest.mark.parametrize(
    ("rounds", "every", "measured"), [(3, 1, [0, 1, 2, 3]), (3, 2, [0, 2, 3]), (4, 2, [0, 2, 4]), (2, 9, [0, 2])]
)
def test_the_first_every_nth_and_the_last_round_are_measured(rounds: int, every: int, measured: list[int]) -> None:
    assert measured_rounds(build_recipe([], [f"rounds={rounds}", f"measure.every={every}"])) == measured


def go(root: Path, name: str, *overrides: str) -> RunView:
    return RunView(
        run(load_recipe(SMOKE, [*SMALL, *overrides]), Store(root, share=False), name, Progress(style="silent"))
    )


def kl(view: RunView, number: int) -> dict[str, float | None]:
    rows = view.read(number, "measurements", Measurement)
    return {m.metric: m.value for m in rows if m.metric.startswith("kl_") and m.cohort == "all"}


@pytest.mark.slow
def test_what_is_not_measured_changes_no_round_and_previous_is_the_last_measured_one(tmp_path: Path) -> None:
    always, seldom = go(tmp_path, "always"), go(tmp_path, "seldom", "measure.every=2")
    assert [bool(seldom.seal(number, "measurements")) for number in range(4)] == [True, False, True, True]
    assert seldom.seal(1, "eval_responses") is None
    for number in (1, 2, 3):
        assert always.read(number, "pairs", Pair) == seldom.read(number, "pairs", Pair)
        assert always.seal(number, "checkpoint").facts["digest"] == seldom.seal(number, "checkpoint").facts["digest"]
    # Before round 2 only round 0 was measured, so there `previous` and `initial` are one policy.
    assert kl(seldom, 2)["kl_previous_k1_token"] == kl(seldom, 2)["kl_initial_k1_token"]
    assert kl(always, 2)["kl_previous_k1_token"] != kl(always, 2)["kl_initial_k1_token"]
    assert kl(seldom, 3) == kl(always, 3)
