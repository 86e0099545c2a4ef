"""The reward model: its loss, what it reads, that it learns what was planted and no more, and its place in a run."""

import dataclasses
import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from training_factory import CPU, END_TOKEN, tiny_policy
from transformers import AutoModelForSequenceClassification

from selfreward.commands.run import run
from selfreward.engines.hugging_face.reward_model import RewardModel, build_scorer, rewards_at
from selfreward.engines.tensors import weights_digest
from selfreward.errors import DataError, EngineError, HandOffError, RecipeError, TrainingError
from selfreward.judging.scalar import as_score, reward_of
from selfreward.progress import Progress
from selfreward.recipe import ModelReference, RewardModelRecipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Comparison, Judgment, Measurement, Pair, Response, Reward, distinct
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.store.results import Store
from selfreward.store.run import RunView
from selfreward.training.reward_model import HELD_OUT, TRAIN, score_labels
from selfreward.training.reward_rows import GroupCollator, groups_of, preference_loss
from selfreward.training.reward_trainer import train_reward_model

RECIPE = RewardModelRecipe(batch_size=8, epochs=6.0, save_steps=3, learning_rate=3e-3)
SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = (
    *("meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=12", "rounds=2"),
    *("measure.report=4", "measure.gate=2", "measure.selection=2", "measure.frozen=8"),
    *("judge.model=reward_model", "judge.reading=scalar", "reward_model.prompts=12", "reward_model.batch_size=4"),
    *("train.method=rloo", "train.batch_size=16"),
)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


def preferences(prompts: int, better: str, seed: int = 0) -> list[Pair]:
    """Six pairs of the four answers to each prompt; `better` is the shorter one, or a coin's."""
    source, found = random.Random(seed), []
    for number in range(prompts):
        prompt = tuple(source.choices(range(10, 60), k=source.randint(3, 9)))
        lengths = source.sample(range(1, 13), 4)
        answers = [(*source.choices(range(10, 60), k=length), END_TOKEN) for length in lengths]
        for first in range(4):
            for second in range(first):
                label = float(lengths[first] < lengths[second]) if better == "shorter" else float(source.random() < 0.5)
                found.append(
                    Pair(
                        id=f"{number}-{first}-{second}",
                        kind="answer",
                        prompt_id=f"prompt-{number:03}",
                        chosen_id=f"{number}-{first}",
                        rejected_id=f"{number}-{second}",
                        prompt_token_ids=prompt,
                        chosen_token_ids=answers[first],
                        rejected_token_ids=answers[second],
                        chosen_score=label,
                        rejected_score=1 - label,
                        source=TRAIN,
                        label=label,
                    )
                )
    return found


def learn(start: Path, pairs: Sequence[Pair], where: Path, recipe: RewardModelRecipe = RECIPE, **more: object):  # type: ignore[no-untyped-def]
    out, scratch = where / "out", where / "scratch"
    return train_reward_model(start, pairs, recipe, model=CPU, seed=3, out=out, scratch=scratch, **more)  # type: ignore[arg-type]


def rewards(directory: Path, pairs: Sequence[Pair]) -> dict[str, float]:
    rows = {one.chosen_id: (*one.prompt_token_ids, *one.chosen_token_ids) for one in pairs}
    rows |= {one.rejected_id: (*one.prompt_token_ids, *one.rejected_token_ids) for one in pairs}
    scorer = RewardModel(directory, weights_digest(directory), CPU, 512)
    return dict(zip(rows, scorer(list(rows.values())), strict=True))


def accuracy(directory: Path, pairs: Sequence[Pair]) -> float:
    found = rewards(directory, pairs)
    return sum((found[one.chosen_id] > found[one.rejected_id]) == (one.label > 0.5) for one in pairs) / len(pairs)


def test_the_loss_is_bradley_terry_with_soft_labels_and_a_price_of_the_level() -> None:
    first, second = torch.tensor([1.5, -2.0, 0.3]), torch.tensor([0.5, 1.0, 0.3])
    label, weight = torch.tensor([1.0, 0.3, 0.5]), torch.tensor([1.0, 0.5, 2.0])
    by_hand = 0.0
    for a, b, p, w in zip(*(one.tolist() for one in (first, second, label, weight)), strict=True):
        chance = 1 / (1 + math.exp(b - a))
        by_hand += w * (-p * math.log(chance) - (1 - p) * math.log(1 - chance) + 0.1 * (a + b) ** 2)
    assert preference_loss(first, second, label, weight, 0.1).item() == pytest.approx(by_hand, rel=1e-6)
    turned = preference_loss(second, first, 1 - label, weight, 0.1)
    assert turned.item() == pytest.approx(by_hand, rel=1e-6)
    raised = preference_loss(first + 7, second + 7, label, weight, 0.0)
    assert raised.item() == pytest.approx(preference_loss(first, second, label, weight, 0.0).item(), rel=1e-5)


def test_the_loss_is_least_where_the_chance_is_the_label() -> None:
    apart = torch.linspace(-4, 4, 801)
    values = torch.stack([preference_loss(one, -one, torch.tensor(0.7), torch.tensor(1.0), 0.0) for one in apart / 2])
    assert torch.sigmoid(apart[values.argmin()]).item() == pytest.approx(0.7, abs=0.01)


def test_every_prompt_weighs_the_same_and_every_answer_is_read_once() -> None:
    groups = groups_of([*preferences(2, "shorter"), *preferences(3, "shorter", seed=1)[-1:]])
    assert [len(group.rows) for group in groups] == [4, 4, 2]
    batch = GroupCollator(groups, 0)([{"position": position} for position in range(3)])
    assert batch["input_ids"].shape[0] == 10 and len(batch["label"]) == 13
    assert batch["weight"].sum().item() == pytest.approx(3)
    for row, place in zip(batch["input_ids"].tolist(), batch["last"].tolist(), strict=True):
        assert row[place] == END_TOKEN and not any(row[place + 1 :])


def test_a_reward_is_read_at_the_last_token_whatever_the_padding(start: Path) -> None:
    scorer = build_scorer(start, CPU, head=False).eval()
    torch.nn.init.normal_(scorer.score.weight, generator=torch.Generator().manual_seed(0))
    rows = [[5, 9, 7, END_TOKEN], [8, END_TOKEN], [6, 6, 6, 6, 6, END_TOKEN]]
    alone = []
    for row in rows:
        scorer.config.pad_token_id = None  # transformers then reads the last position of its only row
        with torch.no_grad():
            alone.append(scorer(input_ids=torch.tensor([row])).logits.item())
    for padding in (0, END_TOKEN):
        ids = torch.tensor([row + [padding] * (6 - len(row)) for row in rows])
        with torch.no_grad():
            found = rewards_at(scorer, ids, torch.tensor([len(row) - 1 for row in rows]))
        assert found.tolist() == pytest.approx(alone, abs=1e-5)
    assert len({round(one, 4) for one in alone}) == 3


def test_a_head_that_is_not_there_is_refused_and_not_drawn_by_lot(start: Path) -> None:
    with pytest.raises(DataError, match=r"score\.weight"):
        build_scorer(start, CPU, head=True)


def test_it_learns_a_planted_preference_and_nothing_from_a_coin(start: Path, tmp_path: Path) -> None:
    unseen = preferences(40, "shorter", seed=9)
    report = learn(start, preferences(60, "shorter"), tmp_path / "planted")
    assert report.metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert report.metrics["last_loss"] < 0.4
    assert accuracy(tmp_path / "planted" / "out", unseen) > 0.9
    learn(start, preferences(60, "coin"), tmp_path / "null")
    assert 0.3 < accuracy(tmp_path / "null" / "out", preferences(40, "coin", seed=8)) < 0.7


def test_centring_keeps_rewards_about_0(start: Path, tmp_path: Path) -> None:
    pairs, level = preferences(60, "shorter"), {}
    for centre in (0.0, 0.5):
        where = tmp_path / str(centre)
        learn(start, pairs, where, dataclasses.replace(RECIPE, centre=centre))
        found = rewards(where / "out", pairs)
        level[centre] = abs(sum(found.values()) / len(found))
    assert level[0.5] < 0.2 and level[0.5] <= level[0.0] + 0.05


def test_a_stopped_training_goes_on_to_the_same_bytes(start: Path, tmp_path: Path) -> None:
    class StoppedHereError(Exception):
        pass

    def stop(step: int, total: int, loss: float) -> None:
        if step == 5:
            raise StoppedHereError

    pairs = preferences(24, "shorter")
    whole = learn(start, pairs, tmp_path / "whole")
    with pytest.raises(StoppedHereError):
        learn(start, pairs, tmp_path / "stopped", progress=stop)
    again = learn(start, pairs, tmp_path / "stopped")
    assert again.digest == whole.digest
    written = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert written[0] == written[1]
    AutoModelForSequenceClassification.from_pretrained(tmp_path / "whole" / "out", local_files_only=True)


def test_weights_that_were_changed_after_they_were_recorded_are_refused(start: Path) -> None:
    with pytest.raises(HandOffError, match="changed after it was recorded"):
        RewardModel(start, "0" * 64, CPU, 512)([(1, 2, 3)])


def test_nothing_to_learn_from_is_refused(start: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no preference is left"):
        learn(start, [], tmp_path)


def test_a_score_keeps_the_order_and_stays_on_the_scale() -> None:
    found = [as_score(reward) for reward in (-1e4, -3.0, -0.5, 0.0, 0.5, 3.0, 1e4)]
    assert found == sorted(found) and found[0] == 0 and found[3] == 2.5 and found[-1] == 5
    assert as_score(1.2) == pytest.approx(5 / (1 + math.exp(-1.2)))


def readings(answer: str, *scores: float | None, prompt: str = "p") -> list[Judgment]:
    return [
        Judgment(f"{answer}{n}", answer, prompt, n, "j", "", (), "stop", 0, "t", one, "cut" if one is None else None)
        for n, one in enumerate(scores)
    ]


def test_readings_become_the_share_that_puts_one_higher() -> None:
    rows = [*readings("a", 5, 4, 4), *readings("b", 4, None), *readings("c", None), *readings("d", 4, prompt="q")]
    assert score_labels(rows) == {("a", "b"): pytest.approx(2 / 3), ("b", "a"): pytest.approx(1 / 3)}
    assert score_labels([*readings("a", 3), *readings("b", 3)]) == {}
    assert score_labels([*readings("a", 3), *readings("b", 2)]) == {("a", "b"): 1.0, ("b", "a"): 0.0}


def go(where: Path, name: str, *keys: str) -> RunView:
    store = Store(where, share=False)
    run(load_recipe(SMOKE, [*SMALL, *keys]), store, name, Progress(style="silent"))
    return store.existing(name)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return go(tmp_path_factory.mktemp("frozen"), "frozen")


def digest_of(view: RunView, number: int) -> str:
    seal = view.seal(number, "reward_model")
    assert seal is not None
    return str(seal.facts["digest"])


def test_a_frozen_reward_model_judges_every_round_and_its_number_is_the_reward(frozen: RunView) -> None:
    model = digest_of(frozen, 0)
    assert frozen.seal(1, "reward_model") is None
    for number in (1, 2):
        judgments = frozen.read(number, "judgments", Judgment)
        assert {one.judge for one in judgments} == {model}
        responses = frozen.read(number, "responses", Response)
        assert len(judgments) == len(distinct(responses))
        told = {one.response_id: reward_of(one) for one in judgments}
        named = {(one.prompt_id, one.text): one.id for one in distinct(responses)}
        for reward in frozen.read(number, "rewards", Reward):
            (text,) = [(one.prompt_id, one.text) for one in responses if one.id == reward.response_id]
            assert reward.value == pytest.approx(math.tanh(told[named[text]] / 2), abs=1e-9)
    pools = frozen.read(2, "eval_judgments", Judgment)
    assert {one.judge for one in pools} == {model} and all(one.score is not None for one in pools)


def test_held_out_prompts_are_no_training_prompts_and_are_measured(frozen: RunView) -> None:
    pairs = frozen.read(0, "reward_pairs", Pair)
    apart, trained = ({one.prompt_id for one in pairs if one.source == kind} for kind in (HELD_OUT, TRAIN))
    assert apart and trained and not apart & trained
    sides = {frozenset((one.chosen_id, one.rejected_id)) for one in pairs}
    assert len(sides) == len(pairs)
    scored = {one.response_id for one in frozen.read(0, "reward_scores", Judgment)}
    assert scored == {name for one in pairs if one.source == HELD_OUT for name in (one.chosen_id, one.rejected_id)}
    rows = {row.metric: row for row in frozen.read(0, "measurements", Measurement) if row.pool == "train"}
    assert {"reward_model_accuracy", "reward_model_ece", "reward_model_truth"} <= set(rows)
    assert rows["reward_model_accuracy"].n <= len(apart)
    later = {row.metric for row in frozen.read(1, "measurements", Measurement)}
    assert not any(name.startswith("reward_model") for name in later)
    assert {"judge_minus_truth", "judge_best_of_n_gain", "judge_spearman"} <= later


def test_the_same_run_again_computes_nothing(frozen: RunView) -> None:
    before = {path: path.stat().st_mtime_ns for path in frozen.path.rglob("*.jsonl") if path.name != "journal.jsonl"}
    again = go(frozen.path.parent, "frozen")
    assert {path: path.stat().st_mtime_ns for path in again.path.rglob("*.jsonl") if path.name != "journal.jsonl"} == (
        before
    )


def test_a_refreshed_one_is_trained_on_each_rounds_answers_and_judges_the_next(tmp_path: Path) -> None:
    view = go(tmp_path, "every", "reward_model.refresh=every", "reward_model.labels.source=oracle")
    models = [digest_of(view, number) for number in (0, 1, 2)]
    assert len(set(models)) == 3
    for number in (1, 2):
        assert {one.judge for one in view.read(number, "judgments", Judgment)} == {models[number - 1]}
        policy = view.seal(number, "checkpoint")
        assert policy is not None
        assert {one.policy for one in view.read(number, "reward_responses", Response)} == {policy.facts["digest"]}
        assert {one.judge for one in view.read(number, "eval_judgments", Judgment)} == {models[number]}


def test_pairs_are_made_of_its_scores(tmp_path: Path) -> None:
    keys = ("train.method=dpo", "rounds=1")
    view = go(tmp_path, "pairs", *keys)
    told = {one.response_id: one.score for one in view.read(1, "judgments", Judgment)}
    pairs = view.read(1, "pairs", Pair)
    assert pairs
    for one in pairs:
        assert (one.chosen_score, one.rejected_score) == (told[one.chosen_id], told[one.rejected_id])
        assert one.chosen_score > one.rejected_score


def test_outside_of_a_run_nobody_answers_to_the_name(tmp_path: Path) -> None:
    recipe = load_recipe(SMOKE, SMALL)
    with pytest.raises(RecipeError, match="none is trained here"):
        Cast(recipe, lambda *_: None).role(ModelReference("reward_model"), 1)


def test_a_reward_model_is_not_asked_for_words(frozen: RunView) -> None:
    cast = Cast(load_recipe(SMOKE, SMALL), lambda *_: None)
    model = frozen.path / "round-00" / "reward_model"
    cast.reward_models[0] = Policy(0, digest_of(frozen, 0), model)
    with pytest.raises(EngineError, match="gives numbers and no text"):
        cast.role(ModelReference("reward_model"), 1).hold()


def test_a_comparing_judge_gives_soft_labels_of_both_orders(tmp_path: Path) -> None:
    keys = ("question=comparison", "question.comparisons=ring", "reading=probability", "reading.min_mass=1e-12")
    view = go(tmp_path, "soft", *(f"reward_model.labels.{key}" for key in keys), "rounds=1")
    met = {(one.first_id, one.second_id): one for one in view.read(0, "reward_judgments_comparisons", Comparison)}
    pairs = view.read(0, "reward_pairs", Pair)
    assert pairs
    for one in pairs:
        here, there = met[one.chosen_id, one.rejected_id].preference, met[one.rejected_id, one.chosen_id].preference
        assert here is not None and there is not None
        assert one.label == pytest.approx((here + 1 - there) / 2)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["judge.reading=scalar"], "set judge.model=reward_model"),
        (["judge.model=reward_model"], "set judge.reading=scalar"),
        (["judge.model=reward_model", "judge.reading=scalar"], "write a section reward_model"),
        (["reward_model.prompts=10"], "nobody asks it"),
        ([*SMALL[8:12], "judge.question=comparison"], "asked in words"),
        ([*SMALL[8:12], "reward_model.labels.control=shuffled"], r"reward_model\.flip=0\.5"),
        ([*SMALL[8:12], "reward_model.labels.model=reward_model"], "the reward model itself"),
        ([*SMALL[8:12], "reward_model.labels.source=none"], "expected model"),
        ([*SMALL[8:12], "reward_model.labels.reading.min_mass=0.1"], "min_mass"),
        ([*SMALL[8:12], "reward_model.labels.question.template=rubric"], "reward_model.labels, as a judge"),
        ([*SMALL[8:12], "reward_model.micro_batch_size=3"], "divisor"),
        ([*SMALL[8:12], "meta.enabled=true"], "writes none"),
        ([*SMALL[8:12], "judge.question.template=additive"], "asks nothing in words"),
        (
            ["reward_model.refresh=every", "measure.held_out.model=reward_model", "measure.held_out.reading=scalar"],
            "another judge every round",
        ),
    ],
)
def test_what_cannot_work_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        build_recipe([], overrides)


def test_it_may_be_the_judge_that_looks_on() -> None:
    keys = ["measure.held_out.model=reward_model", "measure.held_out.reading=scalar", "reward_model.prompts=20"]
    recipe = build_recipe([], keys)
    assert recipe.judge.model == "policy" and recipe.reward_model is not None
