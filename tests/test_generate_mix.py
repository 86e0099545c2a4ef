"""Answers of several generators: who gave each of them, that prompts are dealt evenly, and what may be made of them."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_factory import random_pairs

from selfreward.commands.run import run
from selfreward.errors import RecipeError
from selfreward.pairing.balance import balanced
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Judgment, Message, Pair, Prompt, Response, distinct
from selfreward.roles.respond import deal
from selfreward.store.results import Store
from selfreward.store.run import RunView

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = (
    *("meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=12", "rounds=3"),
    *("measure.report=4", "measure.gate=2", "measure.selection=2", "measure.frozen=0", "measure.every=3"),
    *("measure.judge_probes.padded=0", "measure.judge_probes.claims=0", "measure.judge_probes.initial=0"),
)
MIX = "generate.mix=[{temperature: 0.2, samples: 2}, {model: earlier, samples: 1}, {model: initial, temperature: 0}]"


def go(where: Path, name: str, *keys: str) -> RunView:
    store = Store(where, share=False)
    run(load_recipe(SMOKE, [*SMALL, *keys]), store, name, Progress(style="silent"))
    return store.existing(name)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return go(tmp_path_factory.mktemp("mixed"), "mixed", MIX, "generate.samples=3", "pairs.balance=cohort_and_source")


def digests(view: RunView) -> list[str]:
    seals = [view.seal(number, "checkpoint") for number in range(4)]
    return [str(seal.facts["digest"]) for seal in seals if seal is not None]


def test_every_answer_names_who_gave_it_and_has_that_policys_digest(mixed: RunView) -> None:
    policies = digests(mixed)
    earlier = {1: {0}, 2: {0}, 3: {0, 1}}
    for number in (1, 2, 3):
        rows = mixed.read(number, "responses", Response)
        of_prompt: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for one in rows:
            assert one.source is not None
            model, _, temperature = one.source.partition("@")
            named = {"policy": policies[number - 1], "initial": policies[0]}
            wanted = named[model] if model in named else policies[int(model.removeprefix("round:"))]
            assert one.policy == wanted and float(temperature) in (0.9, 0.2, 0)
            of_prompt[one.prompt_id]["earlier" if model.startswith("round:") else one.source] += 1
        assert len(of_prompt) == 12
        for counted in of_prompt.values():
            assert counted == {"policy@0.9": 3, "policy@0.2": 2, "earlier": 1, "initial@0": 1}
        asked = Counter(one.source for one in rows if str(one.source).startswith("round:"))
        assert set(asked) == {f"round:{round}@0.9" for round in earlier[number]}
        assert max(asked.values()) - min(asked.values()) <= 1
        numbered = Counter((one.prompt_id, one.sample) for one in rows)
        assert set(numbered.values()) == {1} and len({one.id for one in rows}) == len(rows)


def test_all_of_them_are_judged_and_pairs_cross_generators(mixed: RunView) -> None:
    crossed = 0
    for number in (1, 2, 3):
        rows = mixed.read(number, "responses", Response)
        assert {one.response_id for one in mixed.read(number, "judgments", Judgment)} == {
            one.id for one in distinct(rows)
        }
        sources = {one.id: one.source for one in rows}
        pairs = mixed.read(number, "pairs", Pair)
        crossed += sum(sources[one.chosen_id] != sources[one.rejected_id] for one in pairs)
        # Under one reference, whoever sampled them.
        assert len({one.reference for one in pairs}) == 1
        prompts = {one.id: one.cohort for one in mixed.read(number, "prompts", Prompt)}
        weight: Counter[tuple[str, str | None]] = Counter()
        for one in pairs:
            weight[prompts[one.prompt_id], sources[one.chosen_id]] += one.weight
        assert sum(weight.values()) == pytest.approx(len(pairs))
        assert max(weight.values()) == pytest.approx(min(weight.values()))
    assert crossed


def test_without_a_mix_rows_say_nothing_of_a_source(tmp_path: Path) -> None:
    view = go(tmp_path, "plain", "rounds=1", "measure.every=1")
    text = (view.path / "round-01" / "responses.jsonl").read_text(encoding="utf-8")
    assert '"source"' not in text and not list((view.path / "round-01").glob("responses_*"))


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 6), st.integers(0, 99))
def test_prompts_are_dealt_evenly_over_hands_and_cohorts(cohorts: list[str], hands: int, seed: int) -> None:
    prompts = [Prompt(f"p{n:02}", (Message("user", "x"),), "train", "t", cohort) for n, cohort in enumerate(cohorts)]
    dealt = deal(prompts, hands, seed)
    assert sorted(one.id for hand in dealt for one in hand) == sorted(one.id for one in prompts)
    sizes = [len(hand) for hand in dealt]
    assert max(sizes) - min(sizes) <= 1
    for cohort in set(cohorts):
        counted = [sum(one.cohort == cohort for one in hand) for hand in dealt]
        assert max(counted) - min(counted) <= 1
    assert deal(prompts[::-1], hands, seed) == dealt


def test_balanced_classes_weigh_the_same_and_the_mean_weight_stays() -> None:
    pairs = random_pairs(10)
    weighed = balanced(pairs, ["a"] * 7 + ["b"] * 2 + ["c"])
    assert [one.weight for one in weighed] == pytest.approx([10 / 21] * 7 + [10 / 6] * 2 + [10 / 3])
    assert balanced(pairs, ["a"] * 10) == pairs and balanced([], []) == []


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_a_policy_gradient_refuses_answers_of_another_distribution(method: str) -> None:
    with pytest.raises(RecipeError, match="sampled with, from one distribution"):
        build_recipe([], [f"train.method={method}", "generate.mix=[{temperature: 0.2}]"])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["generate.mix=[{model: sandbox:seed-1}]"], r"generate\.mix\[0\]\.model"),
        (["generate.mix=[{model: 'round:7'}]"], "0 <= K < rounds"),
        (["generate.mix=[{model: initial, samples: 0}]"], "at least 1"),
        (["pairs.balance=source"], "there is one only"),
        (["generate.mix=[{temperature: -1}]"], "at least 0"),
        (["pairs.balance=cohort", "train.method=sft_chosen"], "does not read"),
    ],
)
def test_what_cannot_work_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        build_recipe([], overrides)
