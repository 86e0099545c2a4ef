"""Own responses from a file are judged and paired, in the policy's tokens; nothing is sampled, and it is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_keys import HARDLY_MEASURED

from selfreward.commands.plan.workload import Lengths, generating, judging
from selfreward.commands.preflight import preflight
from selfreward.commands.run import run
from selfreward.engines.chat import load_renderer
from selfreward.errors import DataError, RecipeError
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Judgment, Pair, Prompt, Response
from selfreward.report.reading import Reading
from selfreward.report.verdict import judge_run
from selfreward.roles.own_responses import as_responses
from selfreward.store.results import Store
from selfreward.tasks.responses_file import read_responses
from selfreward.tasks.sandbox.pools import prompt_pool
from selfreward.tasks.sandbox.seeds.cache import SHIPPED

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
KEYS = (
    *("generate.samples=6", "prompts.writer.share=0", "prompts.per_round=6", "rounds=2", "meta.enabled=false"),
    *HARDLY_MEASURED,
)


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answered(path: Path, count: int) -> Path:
    rows = [{"prompt": task.text, "responses": ["a b", "c", "a b c"][: 2 + n % 2]} for n, task in
            enumerate(prompt_pool("train", count))]  # fmt: skip
    return write(path, *rows)


def test_a_run_judges_and_pairs_the_file_and_samples_nothing_in_training(tmp_path: Path) -> None:
    path = answered(tmp_path / "own.jsonl", 12)
    recipe = load_recipe(SMOKE, [*KEYS, f"generate.source={path}", "pairs.min_gap=0.01"])
    store = Store(tmp_path / "results")
    run(recipe, store, "own", Progress(style="silent"))
    view, file = store.existing("own"), {row.prompt.id: row for row in read_responses(path)}
    seen: set[str] = set()
    for number in (1, 2):
        prompts, responses = view.read(number, "prompts", Prompt), view.read(number, "responses", Response)
        assert len(prompts) == 6 and not seen & {one.id for one in prompts}, "fresh prompts in every round"
        seen |= {one.id for one in prompts}
        texts = {(one.prompt_id, one.sample): one.text for one in responses}
        assert texts == {(one.id, n): said.text for one in prompts for n, said in enumerate(file[one.id].responses)}
        judged = {one.response_id for one in view.read(number, "judgments", Judgment)}
        assert judged == {one.id for one in responses}
        said = {one.id: one for one in responses}
        for pair in view.read(number, "pairs", Pair):
            assert pair.chosen_token_ids == said[pair.chosen_id].token_ids
            assert pair.rejected_token_ids == said[pair.rejected_id].token_ids
    assert seen == set(file)
    assert any("off-policy" in line for line in judge_run(Reading(view)).details)
    lengths = Lengths()
    assert generating(recipe, lengths) == []
    assert sum(one.questions for one in judging(recipe, lengths, 1.0)) == 6 * 2.5 * recipe.judge.samples


def test_texts_become_the_tokens_of_the_policys_replies_and_given_tokens_must_spell_them(tmp_path: Path) -> None:
    renderer = load_renderer(SHIPPED / "seed-0")
    tokens = list(renderer.reply_token_ids("a b"))

    def rows(*responses: Any) -> list[Response]:
        answers = read_responses(write(tmp_path / "own.jsonl", {"prompt": "sort a b", "responses": list(responses)}))
        return as_responses([answers[0].prompt], {answers[0].prompt.id: answers[0].responses}, renderer, 1, "own.jsonl")

    plain, told, cut = rows("a b", {"text": "a b", "token_ids": tokens}, {"text": "a", "finish_reason": "length"})
    assert list(plain.token_ids) == tokens and plain.token_ids == told.token_ids and plain.id != told.id
    assert plain.token_ids[-1] in renderer.end_ids and cut.finish_reason == "length"
    assert cut.token_ids[-1] not in renderer.end_ids, "what was cut off has no end of turn"
    with pytest.raises(DataError, match=r"own\.jsonl: responses\[0\] to 'sort a b': its token_ids spell .*a b"):
        rows({"text": "c", "token_ids": tokens})
    with pytest.raises(DataError, match=r"token id 99999999 is not one of"):
        rows({"text": "c", "token_ids": [99999999]})


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"prompt": "x"}, "responses is .*expected a list"),
        ({"prompt": "x", "responses": []}, "responses is an empty list"),
        ({"prompt": "x", "responses": ["y", 3]}, r"responses\[1\]"),
        ({"prompt": "x", "responses": [{"text": "y", "token_ids": "z"}]}, r"responses\[0\].token_ids"),
        ({"prompt": "x", "responses": [{"text": "y", "finish_reason": "tired"}]}, "finish_reason is 'tired'"),
        ({"responses": ["y"]}, "found keys responses"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, row: Any, found: str) -> None:
    with pytest.raises(DataError, match=rf"x\.jsonl:1: .*{found}"):
        read_responses(write(tmp_path / "x.jsonl", row))


def test_a_prompt_stands_once_and_there_are_enough_of_them(tmp_path: Path) -> None:
    row = {"prompt": "x", "responses": ["y"]}
    with pytest.raises(DataError, match=r"x\.jsonl:2: the same prompt as line 1"):
        read_responses(write(tmp_path / "x.jsonl", row, row))
    path = answered(tmp_path / "own.jsonl", 11)
    with pytest.raises(DataError, match=r"11 prompts with responses; expected at least .* = 12"):
        preflight(load_recipe(SMOKE, [*KEYS, f"generate.source={path}"]))


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("generate.samples=4", "'generate.samples' is not read"),
        ("generate.sampling.temperature=0.3", "'generate.sampling' is not read"),
        ("prompts.source=train.jsonl", "'prompts.source' is not read"),
        ("generate.mix=[{temperature: 0.2}]", "'generate.mix' is not read"),
        ("prompts.writer.share=0.5", "prompts.writer"),
        ("train.method=rloo", "learns from what the policy itself sampled"),
        ("pairs.rule=spin", "what the policy itself says"),
    ],
)
def test_what_own_responses_leave_unread_is_refused(key: str, found: str) -> None:
    with pytest.raises(RecipeError, match=found):
        build_recipe([], ["generate.source=own.jsonl", key])
