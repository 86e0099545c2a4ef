"""After a gate rolled a round back, nothing of it goes on: neither its policy nor its pairs."""

from pathlib import Path

import pytest

from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Pair
from selfreward.roles.cast import Cast
from selfreward.store.results import Store
from selfreward.store.run import RunView

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = ("meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=16", "measure.report=4", "measure.frozen=0")


def cast(**starts: int) -> Cast:
    return Cast(build_recipe([]), lambda *_: None, starts={int(name[1:]): start for name, start in starts.items()})


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ({}, [[], [1], [1, 2], [1, 2, 3]]),
        ({"r2": 0}, [[], [], [2], [2, 3]]),
        ({"r3": 1}, [[], [1], [1], [1, 3]]),
        ({"r2": 0, "r3": 0, "r4": 0}, [[], [], [], []]),
        ({"r4": 1}, [[], [1], [1, 2], [1]]),
    ],
)
def test_the_lineage_of_a_round_is_what_its_start_was_trained_in(
    starts: dict[str, int], expected: list[list[int]]
) -> None:
    assert [cast(**starts).lineage(number) for number in range(1, 5)] == expected


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def go(results: Path, action: str, earlier: str) -> RunView:
    name, store = f"{action}-{earlier}", Store(results, share=True)
    rule = f"gates.rules=[{{metric: length_tokens, above: 0.5, action: {action}}}]"
    mix = (f"pairs.mix.earlier={earlier}", "pairs.mix.earlier_share=0.5")
    run(load_recipe(SMOKE, [*SMALL, rule, *mix]), store, name, Progress(style="silent"))
    return store.existing(name)


@pytest.mark.parametrize("earlier", ["previous", "all"])
def test_pairs_of_a_round_that_was_rolled_back_are_not_mixed_in(results: Path, earlier: str) -> None:
    kept, undone = (go(results, action, earlier) for action in ("warn", "rollback"))
    from_first = [pair for pair in kept.read(2, "pairs", Pair) if pair.source.startswith("round-1:")]
    assert from_first, "a warning rolls nothing back: round 1's pairs are trained on again"
    pairs = undone.read(2, "pairs", Pair)
    assert pairs and not [pair for pair in pairs if pair.source.startswith("round-1:")]
    assert undone.read(1, "pairs", Pair) == kept.read(1, "pairs", Pair), "up to the gate the runs are the same"
