"""A run says what it takes over from one that asked the same: a server behind a name may have become another."""

from pathlib import Path

from test_reward_model import SMOKE

from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.store.results import Store


def test_what_another_run_asked_is_said_to_be_taken_over(tmp_path: Path) -> None:
    keys = ["rounds=1", "train.method=none", "measure.report=4", "measure.frozen=4", "prompts.per_round=8"]
    store, said = Store(tmp_path), dict[str, list[str]](first=[], second=[])
    for name, lines in said.items():
        progress = Progress(style="silent")
        progress.say = lines.append  # type: ignore[method-assign]
        run(load_recipe(SMOKE, keys), store, name, progress)
    taken = [line for line in said["second"] if "taken over from a run that asked the same" in line]
    assert any("judgments" in line for line in taken)
    assert not any("taken over" in line for line in said["first"])
