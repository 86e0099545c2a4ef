"""The planted teacher of benchmarks/: its error is the one that it was given, and english_teacher runs with it."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from random_models import save_random_model

from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Judgment, Pair, Prompt, Response
from selfreward.store.results import Store
from selfreward.tasks.verifiers.protocol import load_verifier

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from planted_teacher import grade, known_prompts, serve  # noqa: E402

RECIPE = ROOT / "recipes" / "english_teacher.yaml"


def question(request: str, response: str) -> str:
    shown = f"<request-ab12>\n{request}\n</request-ab12>\n\n<response-ab12>\n{response}\n</response-ab12>"
    return f"Grade it.\n{shown}\nScore?"


@contextmanager
def teaching(recipe: Recipe, right: float) -> Iterator[str]:
    server = serve(recipe, right, port=0)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def test_the_share_of_its_errors_is_the_one_it_was_given() -> None:
    recipe = load_recipe(RECIPE)
    prompts, verifier = known_prompts(recipe), load_verifier("ifeval")
    asked = [question(text, f"Hello there, {number}.") for text in prompts for number in range(2)]
    truth = [grade(one, prompts, verifier, 1.0) for one in asked]
    assert [grade(one, prompts, verifier, 0.0) for one in asked] == [5 - points for points in truth]
    given = [grade(one, prompts, verifier, 0.85) for one in asked]
    share = sum(mine == its for mine, its in zip(given, truth, strict=True)) / len(asked)
    assert len(asked) > 500 and 0.80 < share < 0.90  # three standard errors of 600 draws are .044
    assert given == [grade(one, prompts, verifier, 0.85) for one in asked], "the same answer gets the same grade"


def test_what_it_cannot_know_it_does_not_grade() -> None:
    recipe = load_recipe(RECIPE)
    prompts, verifier = known_prompts(recipe), load_verifier("ifeval")
    with pytest.raises(ValueError, match="additive"):
        grade("Which is better?", prompts, verifier, 1.0)
    with pytest.raises(KeyError):
        grade(question("Never asked", "Well."), prompts, verifier, 1.0)


@pytest.mark.slow
def test_the_recipe_runs_with_it_and_its_judgments_are_as_right_as_planted(tmp_path: Path) -> None:
    small = ["rounds=1", "prompts.per_round=40", "generate.samples=4", "train.max_length=256", "train.epochs=1"]
    small += ["measure.report=6", "measure.selection=4", "measure.cohorts.unseen.count=4"]
    lengths = ["generate.sampling.max_tokens=24", "measure.sampling.max_tokens=24", "engine.threads=1"]
    model = save_random_model("llama3", tmp_path / "model", "bfloat16")
    recipe = load_recipe(RECIPE, [f"model.path={model}", *small, *lengths])
    with teaching(recipe, 0.85) as url:
        recipe = load_recipe(RECIPE, [f"model.path={model}", *small, *lengths, f"served.teacher.url={url}"])
        store = Store(tmp_path / "results", share=False)
        run(recipe, store, "teacher", Progress(style="silent"))
    done = store.existing("teacher")
    prompts = {one.id: one for one in done.read(1, "prompts", Prompt)}
    answers = {one.id: one for one in done.read(1, "responses", Response)}
    judged = done.read(1, "judgments", Judgment)
    verifier = load_verifier("ifeval")
    right = [
        one.score == round(verifier.check(prompts[one.prompt_id], answers[one.response_id].text).quality)
        for one in judged
    ]
    assert all(one.score is not None for one in judged) and len(judged) >= 100
    assert 0.70 < sum(right) / len(right) < 0.97
    assert done.read(1, "pairs", Pair)
