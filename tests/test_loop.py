"""The whole loop on the shipped seed model: real engine, real trainer, real store, a tiny recipe."""

import json
import math
import shutil
from pathlib import Path

import pytest
from small_keys import HARDLY_MEASURED

from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.commands.run import run
from selfreward.engines.protocol import Engine
from selfreward.errors import GateError, HandOffError, StoreError
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Drop, Judgment, Measurement, MetaJudgment, Pair, Prompt, Response
from selfreward.roles.player import Player, Policy
from selfreward.store.results import Store
from selfreward.store.run import RunView
from selfreward.tasks.open_source import open_source
from selfreward.training.train import building

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def go(results: Path, name: str, *overrides: str, share: bool = True) -> RunView:
    store = Store(results, share=share)
    run(load_recipe(SMOKE, overrides), store, name, Progress())
    return store.existing(name)


@pytest.fixture(scope="module")
def smoke(results: Path) -> RunView:
    return go(results, "smoke")


def checkpoint(view: RunView, number: int) -> dict[str, object]:
    seal = view.seal(number, "checkpoint")
    assert seal is not None
    return dict(seal.facts)


def measured(view: RunView, number: int, metric: str, pool: str = "report", cohort: str = "all") -> Measurement:
    rows = view.read(number, "measurements", Measurement)
    return next(row for row in rows if (row.metric, row.pool, row.cohort) == (metric, pool, cohort))


def test_every_round_starts_from_the_policy_before_it(smoke: RunView) -> None:
    digests = [checkpoint(smoke, number)["digest"] for number in range(3)]
    assert len(set(digests)) == 3, "training must change the weights"
    for number in (1, 2):
        facts = checkpoint(smoke, number)
        assert facts["parent"] == facts["reference"] == digests[number - 1]
        assert {row.policy for row in smoke.read(number, "responses", Response)} == {digests[number - 1]}
        assert {row.judge for row in smoke.read(number, "judgments", Judgment)} == {digests[number - 1]}
        assert {row.reference for row in smoke.read(number, "pairs", Pair)} == {digests[number - 1]}


def test_the_first_loss_is_ln_2_plus_the_likelihood_term(results: Path) -> None:
    view = go(results, "plain", "train.nll=0", "rounds=1", *HARDLY_MEASURED)
    metrics = checkpoint(view, 1)["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-3)


def test_rows_join_by_id_and_every_prompt_is_accounted_for(smoke: RunView) -> None:
    for number in (1, 2):
        prompts = {row.id for row in smoke.read(number, "prompts", Prompt)}
        responses = {row.id: row for row in smoke.read(number, "responses", Response)}
        judgments = {row.id: row for row in smoke.read(number, "judgments", Judgment)}
        pairs = smoke.read(number, "pairs", Pair)
        drops = smoke.read(number, "dropped", Drop)
        assert len(prompts) == 24 and {row.prompt_id for row in responses.values()} == prompts
        answers = [pair for pair in pairs if pair.kind == "answer"]
        dropped = [drop for drop in drops if drop.stage == "pairs" and drop.kind == "answer"]
        assert {pair.prompt_id for pair in answers} | {drop.subject for drop in dropped} == prompts
        assert len(answers) + len(dropped) == len(prompts)
        for pair in answers:
            assert pair.chosen_token_ids == responses[pair.chosen_id].token_ids
            assert pair.chosen_score > pair.rejected_score
        for pair in pairs:
            if pair.kind == "judgment":
                assert judgments[pair.chosen_id].response_id == judgments[pair.rejected_id].response_id
        for meta in smoke.read(number, "meta_judgments", MetaJudgment):
            assert judgments[meta.first_id].response_id == judgments[meta.second_id].response_id == meta.response_id


def test_some_prompts_are_written_by_the_model_itself(smoke: RunView) -> None:
    sources = {row.source for row in smoke.read(1, "prompts", Prompt)}
    assert sources == {"sandbox", "self"}


def test_measurements_are_there_for_every_round_and_have_their_n(smoke: RunView) -> None:
    for number in range(3):
        accuracy = measured(smoke, number, "true_accuracy")
        assert accuracy.oracle and accuracy.n == 16
        assert accuracy.value is not None and accuracy.low is not None and accuracy.high is not None
        assert accuracy.low <= accuracy.value <= accuracy.high
    assert not measured(smoke, 1, "judge_mean").oracle


def test_every_hand_off_is_verified(smoke: RunView) -> None:
    handoffs = [event for event in smoke.events() if event["event"] == "handoff"]
    held = {event["digest"] for event in handoffs}
    assert held == {checkpoint(smoke, number)["digest"] for number in range(3)}


def test_a_finished_run_computes_nothing_again_and_goes_on_for_more_rounds(results: Path) -> None:
    short = ("meta.enabled=false", *HARDLY_MEASURED)
    view = go(results, "horizon", "rounds=1", *short)
    before = len([event for event in view.events() if event["event"] == "chunk_started"])
    go(results, "horizon", "rounds=1", *short)
    assert len([event for event in view.events() if event["event"] == "chunk_started"]) == before
    longer = go(results, "horizon", "rounds=2", *short)
    assert checkpoint(longer, 2)["parent"] == checkpoint(view, 1)["digest"]


def test_another_recipe_is_refused_with_the_field_named(results: Path, smoke: RunView) -> None:
    with pytest.raises(StoreError, match=r"train\.beta.*0\.3.*0\.7"):
        go(results, smoke.name, "train.beta=0.7")


def test_another_chat_template_is_another_policy_though_the_weights_are_equal(results: Path, tmp_path: Path) -> None:
    """Two model directories with the same weights share nothing that was made from text."""
    short = ("rounds=1", "train.method=none", "prompts.per_round=8", *HARDLY_MEASURED, "meta.enabled=false")
    views = []
    for name in ("as_it_is", "changed"):
        directory = tmp_path / name
        shutil.copytree(SANDBOX_SEEDS / "seed-0", directory)
        if name == "changed":
            template = directory / "chat_template.jinja"
            template.write_text("{# changed #}" + template.read_text())
        views.append((directory, go(results, name, f"model.path={directory}", *short)))
    for directory, view in views:
        copied = view.directory(0) / "checkpoint" / "chat_template.jinja"
        assert copied.read_bytes() == (directory / "chat_template.jinja").read_bytes(), "not another model's template"
    for number, artifact in ((0, "checkpoint"), (0, "eval_responses"), (1, "responses"), (1, "judgments")):
        first, second = (view.seal(number, artifact) for _, view in views)
        assert first is not None and second is not None
        assert first.fingerprint != second.fingerprint, artifact


def test_arms_share_what_is_really_equal(results: Path, smoke: RunView) -> None:
    view = go(results, "shuffled", "judge.control=shuffled", "rounds=1")
    linked = {(event["round"], event["artifact"]) for event in view.events() if event["event"] == "linked"}
    assert {(0, "checkpoint"), (0, "eval_responses"), (1, "responses"), (1, "judgments")} <= linked
    assert (1, "pairs") not in linked


def test_shuffled_scores_keep_the_judgments_and_change_the_pairs(results: Path, smoke: RunView) -> None:
    view = go(results, "shuffled", "judge.control=shuffled", "rounds=1")
    own, shuffled = (run_view.read(1, "pairs", Pair) for run_view in (smoke, view))
    picks = {pair.prompt_id: pair.chosen_id for pair in own if pair.kind == "answer"}
    others = {pair.prompt_id: pair.chosen_id for pair in shuffled if pair.kind == "answer"}
    assert picks != others
    assert view.read(1, "judgments", Judgment) == smoke.read(1, "judgments", Judgment)


@pytest.mark.slow
def test_controls_do_what_they_say(results: Path) -> None:
    still = go(results, "still", "train.method=none", "rounds=1", "meta.enabled=false")
    assert checkpoint(still, 1)["digest"] == checkpoint(still, 0)["digest"]
    oracle = go(results, "oracle", "judge.source=oracle", "rounds=1", "meta.enabled=false")
    assert measured(oracle, 1, "pair_correct", "train").value == 1.0
    flipped = go(results, "flipped", "judge.source=oracle", "pairs.flip=0.5", "rounds=1", "meta.enabled=false")
    correct = measured(flipped, 1, "pair_correct", "train").value
    assert correct is not None and correct < 0.9
    frozen = go(results, "frozen", "judge.model=initial", "meta.enabled=false")
    assert {row.judge for row in frozen.read(2, "judgments", Judgment)} == {checkpoint(frozen, 0)["digest"]}
    distilled = go(results, "distilled", "train.method=sft_chosen", "rounds=1", "meta.enabled=false")
    assert checkpoint(distilled, 1)["digest"] != checkpoint(distilled, 0)["digest"]
    assert checkpoint(distilled, 1)["method"] == "sft_chosen"
    taught = go(results, "taught", "train.method=sft", "train.sft_examples=32", "rounds=1", "meta.enabled=false")
    assert checkpoint(taught, 1)["digest"] != checkpoint(taught, 0)["digest"]


def test_coin_flips_keep_the_judgment_pairs(results: Path, smoke: RunView) -> None:
    coin = go(results, "coin", "meta.control=coin_flip", "rounds=1", *HARDLY_MEASURED)

    def sides(view: RunView) -> set[frozenset[str]]:
        pairs = view.read(1, "pairs", Pair)
        return {frozenset((pair.chosen_id, pair.rejected_id)) for pair in pairs if pair.kind == "judgment"}

    assert sides(coin) == sides(smoke) != set()


def test_reference_initial_is_the_start_policy(results: Path) -> None:
    view = go(results, "anchored", "train.reference=initial", "meta.enabled=false", *HARDLY_MEASURED)
    facts = checkpoint(view, 2)
    assert facts["reference"] == checkpoint(view, 0)["digest"] != facts["parent"]
    assert {row.reference for row in view.read(2, "pairs", Pair)} == {facts["reference"]}, "not in name only"


def test_pairs_under_another_reference_are_not_trained_on(smoke: RunView, tmp_path: Path) -> None:
    """Round 2's pairs were scored under round 1's policy; a training that names another one must not begin."""
    recipe = load_recipe(SMOKE, ["train.reference=initial"])
    policies = [
        Policy(number, str(checkpoint(smoke, number)["digest"]), smoke.read_directory(number)) for number in (0, 1)
    ]

    def nobody() -> Engine:
        raise AssertionError("no text is needed")

    start = Player(policies[1], hold=nobody, facts={}, chunk=1, seed=0)
    quiet = {"progress": lambda *_: None, "say": lambda _: None}
    build = building(recipe, start, policies[0], smoke.read(2, "pairs", Pair), open_source(recipe), round=2, **quiet)
    with pytest.raises(HandOffError, match="reference log-probabilities are those of policy"):
        build(tmp_path / "out", tmp_path / "scratch")
    assert list(tmp_path.iterdir()) == []


def test_lora_accumulates_over_rounds(results: Path) -> None:
    view = go(results, "lora", "train.lora.rank=2", "meta.enabled=false", *HARDLY_MEASURED)
    assert len({checkpoint(view, number)["digest"] for number in range(3)}) == 3
    assert checkpoint(view, 2)["parent"] == checkpoint(view, 1)["digest"]


def test_an_unreadable_judge_stops_the_run_and_loses_nothing(results: Path) -> None:
    overrides = ("judge.reading.sampling.max_tokens=3", "rounds=1", "meta.enabled=false", *HARDLY_MEASURED)
    with pytest.raises(GateError, match=r"0 of .* verdicts could be read.*truncated"):
        go(results, "mute", *overrides)
    view = Store(results).existing("mute")
    assert view.seal(1, "judgments") is not None
    assert {row.score for row in view.read(1, "judgments", Judgment)} == {None}


def test_a_fork_goes_on_from_the_round_it_names(results: Path, smoke: RunView) -> None:
    store = Store(results)
    recipe = load_recipe(smoke.path / "recipe.yaml", ["train.beta=0.7"])
    store.fork(smoke.name, 1, "forked", recipe, {})
    run(recipe, store, "forked", Progress())
    view = store.existing("forked")
    assert checkpoint(view, 1) == checkpoint(smoke, 1)
    assert checkpoint(view, 2)["parent"] == checkpoint(smoke, 1)["digest"]
    assert checkpoint(view, 2)["digest"] != checkpoint(smoke, 2)["digest"]


def test_nothing_of_the_machine_is_in_a_row(smoke: RunView) -> None:
    for path in smoke.path.glob("round-*/*.jsonl"):
        text = path.read_text(encoding="utf-8")
        assert str(smoke.path) not in text and smoke.name not in {
            json.loads(line).get("run") for line in text.splitlines()
        }


def test_a_role_directory_with_other_text_files_is_another_policy(results: Path, tmp_path: Path) -> None:
    overrides = ("rounds=1", "meta.enabled=false", "prompts.writer.share=0", *HARDLY_MEASURED)
    judge = tmp_path / "judge"
    shutil.copytree(SANDBOX_SEEDS / "seed-0", judge)
    one = go(results, "own-judge", *overrides, f"judge.model={judge}")
    template = judge / "chat_template.jinja"
    template.write_text(template.read_text() + "{# another template #}")
    other = go(results, "same-weights", *overrides, f"judge.model={judge}")
    seals = [view.seal(1, "judgments") for view in (one, other)]
    assert all(seals) and seals[0].fingerprint != seals[1].fingerprint  # type: ignore[union-attr]
    assert "linked" not in {e["event"] for e in other.events() if (e["round"], e["artifact"]) == (1, "judgments")}


def test_a_bfloat16_run_is_verified_too(results: Path) -> None:
    short = ("rounds=1", "meta.enabled=false", "prompts.writer.share=0", *HARDLY_MEASURED)
    view = go(results, "half", "model.dtype=bfloat16", *short)
    assert checkpoint(view, 1)["digest"] != checkpoint(view, 0)["digest"]
