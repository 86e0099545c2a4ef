"""What preflight costs grows with the prompts that it looks at, not with their square."""

from pathlib import Path

from selfreward.commands.preflight import preflight, said_when_slow
from selfreward.commands.prompt_checks import check_truth
from selfreward.recipe.read import load_recipe
from selfreward.tasks.open_source import open_source
from selfreward.tasks.sandbox.source import SandboxSource

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


def test_all_rounds_prompts_are_one_draw() -> None:
    """The rounds' own draws, one after the other, are the draw of all of them."""
    recipe = load_recipe(SMOKE, ["rounds=5", "prompts.per_round=7"])
    source = open_source(recipe)
    apart = [prompt for number in range(1, 6) for prompt in source.training(number, 7)]
    assert source.training(1, 35) == apart and len({prompt.id for prompt in apart}) == 35
    assert source.training(2, 14) == apart[7:21]


def test_preflight_draws_the_training_prompts_once_however_many_rounds(monkeypatch) -> None:
    drawn: list[tuple[int, int]] = []
    plain = SandboxSource.training

    def counted(self: SandboxSource, round: int, count: int):
        drawn.append((round, count))
        return plain(self, round, count)

    monkeypatch.setattr(SandboxSource, "training", counted)
    for rounds in (2, 40):
        drawn.clear()
        preflight(load_recipe(SMOKE, [f"rounds={rounds}", "prompts.per_round=5"]))
        assert drawn == [(1, 5 * rounds)]


def test_what_takes_long_says_what_it_does(monkeypatch) -> None:
    import threading

    monkeypatch.setattr("selfreward.commands.preflight.PATIENCE", 0.01)
    said, told = [], threading.Event()

    def say(line: str) -> None:
        said.append(line)
        told.set()

    with said_when_slow(say, "comparing"):
        told.wait(10)
    assert said == ["comparing"]
    monkeypatch.setattr("selfreward.commands.preflight.PATIENCE", 3600)
    with said_when_slow(say, "quick"):
        pass
    assert said == ["comparing"]


def test_the_truth_is_asked_about_every_prompt_of_every_round() -> None:
    recipe = load_recipe(SMOKE, ["rounds=3", "prompts.per_round=4"])
    source = open_source(recipe)
    asked = []

    class Counting:
        def require(self, prompt) -> None:
            asked.append(prompt.id)

    training = source.training(1, 12)
    check_truth(recipe, source, Counting(), training)
    assert {prompt.id for prompt in training} <= set(asked)
