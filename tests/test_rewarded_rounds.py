"""Rounds of a policy gradient in the whole loop: real engine, trainer and store, on the shipped seed model."""

import dataclasses
from collections import defaultdict
from pathlib import Path

import pytest

from selfreward.commands.environment import environment
from selfreward.commands.preflight import preflight
from selfreward.commands.run import run
from selfreward.errors import HandOffError, RecipeError
from selfreward.judging.scoring.answers import score_answers
from selfreward.loop import Course
from selfreward.progress import Progress
from selfreward.recipe import GrpoRecipe, Recipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Drop, Judgment, Measurement, Prompt, Response, Reward, Rows, Sample, distinct
from selfreward.report.reading import Reading
from selfreward.roles.cast import Cast
from selfreward.store.results import Store
from selfreward.store.run import RunView
from selfreward.tasks.verifiers.sandbox import SandboxVerifier
from selfreward.training.weighing.rewards import scaled
from selfreward.training.weighing.weigh import Weighing

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = (
    *("meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=16", "rounds=2"),
    *("measure.report=4", "measure.gate=2", "measure.selection=2", "measure.frozen=0"),
    *("measure.judge_probes.padded=0", "measure.judge_probes.claims=0", "measure.judge_probes.initial=0"),
)
STEPS = ("train.batch_size=16", "train.micro_batch_size=8", "train.save_steps=2")


class StoppedHereError(Exception):
    """Stands for a process that ends between two steps."""


def recipe(*keys: str) -> Recipe:
    return load_recipe(SMOKE, [*SMALL, *keys])


def go(where: Path, name: str, *keys: str) -> RunView:
    store = Store(where, share=False)
    run(recipe(*keys), store, name, Progress(style="silent"))
    return store.existing(name)


@pytest.fixture(scope="module")
def rloo(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return go(tmp_path_factory.mktemp("rloo"), "rloo", "train.method=rloo", *STEPS)


def checkpoint(view: RunView, number: int) -> dict[str, object]:
    seal = view.seal(number, "checkpoint")
    assert seal is not None
    return dict(seal.facts)


def test_every_answer_is_a_sample_or_named_with_its_reason(rloo: RunView) -> None:
    for number in (1, 2):
        responses = {one.id: one for one in rloo.read(number, "responses", Response)}
        samples = {one.response_id: one for one in rloo.read(number, "samples", Sample)}
        drops = rloo.read(number, "dropped", Drop)
        assert {drop.stage for drop in drops} <= {"samples"}
        groups = {drop.subject for drop in drops if drop.kind == "group"}
        alone = {drop.subject for drop in drops if drop.kind == "sample"}
        for one in responses.values():
            assert (one.id in samples) + (one.id in alone) + (one.prompt_id in groups and one.id not in alone) == 1
        assert {responses[one].finish_reason for one in samples} == {"stop"}
        assert all(responses[one].token_ids == sample.token_ids for one, sample in samples.items())


def test_samples_belong_to_the_policy_that_is_trained_and_their_advantages_cancel(rloo: RunView) -> None:
    for number in (1, 2):
        before, facts = checkpoint(rloo, number - 1), checkpoint(rloo, number)
        samples = rloo.read(number, "samples", Sample)
        assert {one.policy for one in samples} == {before["digest"]} and facts["parent"] == before["digest"]
        assert facts["digest"] != before["digest"] and facts["pairs"] == len(samples) and facts["method"] == "rloo"
        sums: defaultdict[str, float] = defaultdict(float)
        for one in samples:
            sums[one.prompt_id] += one.advantage
            assert len(one.old_logprobs) == len(one.token_ids) and one.temperature == 0.9
        assert all(abs(total) < 1e-9 for total in sums.values())
        logprobs = {one.id: one.logprob for one in rloo.read(number, "responses", Response)}
        # The engine's are at temperature 1; these are not.
        assert any(abs(sum(one.old_logprobs) - (logprobs[one.response_id] or 0)) > 0.01 for one in samples)


def test_equal_texts_are_judged_once_and_each_is_a_sample_with_the_judges_score(rloo: RunView) -> None:
    responses = rloo.read(1, "responses", Response)
    scores, _ = score_answers(rloo.read(1, "judgments", Judgment), recipe("train.method=rloo").judge)
    assert len(distinct(responses)) < len(responses)
    judged = {(one.prompt_id, one.text): one.id for one in distinct(responses)}
    rewards = {one.response_id: one.value for one in rloo.read(1, "rewards", Reward)}
    assert len(rewards) > len(scores)
    for one in responses:
        if one.id in rewards:
            assert rewards[one.id] == scaled(scores[judged[one.prompt_id, one.text]].value)


def test_the_report_has_rewards_and_no_pairs(rloo: RunView) -> None:
    rows = {row.metric: row for row in rloo.read(1, "measurements", Measurement) if row.pool == "train"}
    assert {"reward_mean", "uniform_groups", "samples_kept", "advantage_right", "clip_fraction"} <= set(rows)
    assert not {"pairs_kept", "pair_correct"} & set(rows)
    assert rows["ratio_max"].value is not None and rows["ratio_max"].value > 1


def test_a_stopped_training_goes_on_to_the_same_bytes(
    rloo: RunView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise StoppedHereError

    with monkeypatch.context() as patched:
        patched.setattr("selfreward.progress.stage.Stage.reach", lambda _, step, *__: stop() if step == 3 else None)
        with pytest.raises(StoppedHereError):
            go(tmp_path, "rloo", "train.method=rloo", *STEPS)
    view = go(tmp_path, "rloo", "train.method=rloo", *STEPS)
    for number in (1, 2):
        for name in ("rewards", "samples", "dropped", "measurements", "checkpoint/model.safetensors"):
            name = name if "/" in name else f"{name}.jsonl"
            ours, theirs = (one.directory(number) / name for one in (view, rloo))
            assert ours.read_bytes() == theirs.read_bytes(), name


def test_a_verifiers_word_is_right_or_wrong_and_the_judge_is_not_asked(tmp_path: Path) -> None:
    keys = ["train.method=grpo", "train.reward=verifier", "judge.source=none", "rounds=1", *STEPS]
    view = go(tmp_path, "verified", *keys, "train.reward.truncated=floor", "train.kl=0.05", "train.reference=initial")
    prompts = {one.id: one for one in view.read(1, "prompts", Prompt)}
    responses = {one.id: one for one in view.read(1, "responses", Response)}
    rewards = view.read(1, "rewards", Reward)
    assert len(rewards) == len(responses)
    for one in rewards:
        answer = responses[one.response_id]
        right = SandboxVerifier().check(prompts[one.prompt_id], answer.text).correct
        assert one.value == (1.0 if right and answer.finish_reason == "stop" else -1.0) and one.source == "verdict"
    samples = view.read(1, "samples", Sample)
    assert {one.reference for one in samples} == {checkpoint(view, 0)["digest"]}
    assert all(one.reference_logprobs == one.old_logprobs for one in samples), "the reference is the start policy"
    row = next(row for row in view.read(1, "measurements", Measurement) if row.metric == "advantage_right")
    assert row.value is not None and row.value > 0.9
    assert not (view.directory(1) / "judgments.jsonl").exists()


def test_the_kl_to_the_first_policy_is_a_price_in_the_reward(tmp_path: Path) -> None:
    view = go(tmp_path, "kl", "train.method=rloo", "train.kl=0.5", "train.reference=initial", *STEPS)
    scores, _ = score_answers(view.read(2, "judgments", Judgment), recipe("train.method=rloo").judge)
    first = {one.response_id: one for one in view.read(1, "rewards", Reward)}
    assert {one.source for one in first.values()} == {"score - kl"}
    apart = [
        one.value - scaled(scores[one.response_id].value)
        for one in view.read(2, "rewards", Reward)
        if one.response_id in scores
    ]
    assert any(abs(difference) > 1e-3 for difference in apart)
    samples = view.read(2, "samples", Sample)
    assert samples and not any(one.reference_logprobs for one in samples), "it is not in the loss too"


def test_shuffled_scores_are_the_same_scores_of_other_answers(rloo: RunView, tmp_path: Path) -> None:
    view = go(tmp_path, "shuffled", "train.method=rloo", "judge.control=shuffled", "rounds=1", *STEPS)
    ours, theirs = ({one.response_id: one.value for one in of.read(1, "rewards", Reward)} for of in (view, rloo))
    assert ours.keys() == theirs.keys() and ours != theirs
    own = [
        {row.metric: row.value for row in of.read(1, "measurements", Measurement)}["advantage_right"]
        for of in (view, rloo)
    ]
    assert own[0] < own[1]


def test_answers_of_another_policy_are_refused_by_digest(rloo: RunView, tmp_path: Path) -> None:
    made = recipe("train.method=grpo")
    start, source, verifier = preflight(made)
    assert isinstance(made.train, GrpoRecipe)
    with Store(tmp_path, share=False).open_run("x", made, environment=environment(made)) as artifacts:
        cast = Cast(made, lambda *_: None, policies=[start])
        round = Course(made, source, verifier, artifacts, cast, Progress(style="silent")).round(1)
        responses = rloo.read(2, "responses", Response)
        with pytest.raises(HandOffError, match=r"sampled by policy .*; expected .*, from which training starts"):
            Weighing(round, made.train, Rows(rloo.read(2, "prompts", Prompt)), Rows(responses))
        cast.close()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["generate.sampling.top_p=0.9"], "'generate.sampling.top_p' is 0.9; .* whole distribution"),
        (["generate.sampling.temperature=0"], "'generate.sampling.temperature' is 0, which draws nothing"),
        (["meta.enabled=true"], "meta.enabled makes pairs of judgments"),
        (["judge.source=none"], "train.reward=score reads the judge's scores"),
        (["train.reward=verifier", "judge.control=shuffled"], "which train.reward=verifier does not read"),
        (["train.reward=verifier_and_judge", "judge.source=oracle"], "set judge.source=model"),
        (["train.reward=verifier", "measure.verifier=none"], "needs a verifier"),
        (["train.reference=initial"], "read with train.kl above 0 only"),
        (["train.kl=0.1"], "against train.reference=previous it is 0"),
        (["train.beta=0.1"], "train.method=rloo does not read it"),
        (["train.advantage=group_centred"], "set train.method=grpo"),
        (["pairs.rule=verified"], "learns from rewards: nothing would read it"),
        (["train.reward.length.weight=2"], "'train.reward.length.soft_length' is missing"),
        (["train.micro_batch_size=7"], "expected a divisor of train.batch_size"),
        (["train.clip=1"], "expected below 1"),
    ],
)
def test_what_no_policy_gradient_can_work_with_is_refused(keys: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_recipe([], ["train.method=rloo", *keys])


def test_a_method_is_an_arm_over_a_recipe_of_pairs() -> None:
    base = [{"train": {"beta": 0.1, "batch_size": 8, "learning_rate": 1e-3}, "pairs": {"rule": "verified"}}]
    found = build_recipe(base, ["train.method=grpo"]).train
    assert isinstance(found, GrpoRecipe)
    assert found.learning_rate == 1e-3 and found.batch_size == 96, "pairs of one step are not answers of one step"
    assert dataclasses.replace(found, advantage="group_centred").advantage == "group_centred"


def test_the_report_shows_what_became_of_every_answer(rloo: RunView) -> None:
    reading = Reading(rloo)
    samples = rloo.read(1, "samples", Sample)
    kept, dropped = reading.fates(1)["kept: sample"], reading.fates(1)["dropped group: uniform group"]
    assert kept == len(samples) and dropped > 0
    shown = reading.train_answers(1)
    one = samples[0]
    assert shown[one.prompt_id].fate[one.response_id] == f"advantage {one.advantage:+.2f}"
    notes = [note for row in shown.values() for note in row.notes]
    assert sum(note.startswith("no sample: uniform group") for note in notes) == dropped
