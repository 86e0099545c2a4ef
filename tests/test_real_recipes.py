"""The recipes for real models, on small random models of the same families; only paths, sizes and lengths change.

A random model never writes "Score: 4", so it is judged by the expected score. Its weights are larger than a trained
model's and it is trained for three steps, so the learning rate is a size too: the recipes' own would leave every
bfloat16 weight where it is.
"""

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import save_random_model
from safetensors.torch import load_file

from selfreward.commands.run import run
from selfreward.engines.chat import load_renderer
from selfreward.engines.checkpoints import FULL_PRECISION
from selfreward.engines.handoff import NOISE
from selfreward.engines.tensors import weights_digest
from selfreward.judging.prompts.pairwise import load_constitution
from selfreward.pairing.consistency import Consistency
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Checkpoint, Comparison, Judgment, MetaJudgment, Pair, Prompt, Response
from selfreward.store.results import Store
from selfreward.store.run import RunView

RECIPES = Path(__file__).parent.parent / "recipes"
THINGS = ["river", "bridge", "lamp", "garden", "clock", "letter", "train", "window", "market", "violin"]
OTHERS = ["mountain", "kitchen", "poem", "coat", "horse", "island"]
ASKED = ["What is a {}?", "Write two lines about my {}.", "Name four kinds of {}.", "How old is your {}, 12 years?"]
SMALL = (
    "keep.checkpoints=all",
    "engine.chunk=512",
    "engine.batch_tokens=32768",
    "generate.samples=5",
    "generate.sampling.max_tokens=128",
    "prompts.per_round=36",
    "judge.reading.min_mass=1e-6",
    "train.max_length=512",
    "train.learning_rate=3e-3",
    "train.warmup_steps=1",
    "train.batch_size=16",
    "train.micro_batch_size=8",
    "train.epochs=2",
    "measure.gate=4",
    "measure.selection=4",
    "measure.report=6",
    "measure.samples=2",
    "measure.sampling.max_tokens=48",
)
BY_EXPECTED_SCORE = ("engine.kind=transformers", "judge.reading=probability")
ADAPTER = ("train.lora.rank=8", "train.lora.alpha=16")


def write_prompts(path: Path, things: Sequence[str], *more: dict[str, Any]) -> Path:
    rows = [*more, *({"prompt": form.format(thing)} for form in ASKED for thing in things)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def go(tmp_path: Path, recipe: str, family: str, *overrides: str, dtype: str = "bfloat16", rounds: int = 1) -> RunView:
    model = save_random_model(family, tmp_path / "model", dtype)
    talk = [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "Is it late?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Are you sure?"},
    ]
    either = [{"prompt": f"Which do you like better, {one} or {other}?"} for one, other in combinations(THINGS, 2)]
    training = write_prompts(tmp_path / "train.jsonl", THINGS, {"messages": talk}, *either)
    held_out = write_prompts(tmp_path / "held_out.jsonl", OTHERS)
    paths = (f"model.path={model}", f"prompts.source={training}", f"measure.source={held_out}", f"rounds={rounds}")
    store = Store(tmp_path / "results", share=False)
    loaded = load_recipe(RECIPES / f"{recipe}.yaml", [*paths, *SMALL, *ADAPTER, *overrides])
    run(loaded, store, recipe, Progress(style="silent"))
    return store.existing(recipe)


def made(view: RunView, number: int) -> Checkpoint:
    seal = view.seal(number, "checkpoint")
    assert seal is not None
    return Checkpoint(**{"round": number, **seal.facts})


def check_run(view: RunView, rounds: int) -> None:
    """What must hold of every run: pairs, weights, hand-offs, lineage, and the tokens that were trained on."""
    renderer = load_renderer(view.read_directory(0))
    digests = [made(view, number).digest for number in range(rounds + 1)]
    assert len(set(digests)) == rounds + 1, "training must change the weights"
    for number in range(1, rounds + 1):
        facts, directory = made(view, number), view.read_directory(number)
        assert facts.parent == facts.reference == digests[number - 1]
        assert weights_digest(directory) == facts.digest
        responses = {row.id: row for row in view.read(number, "responses", Response)}
        prompts = {row.id: row for row in view.read(number, "prompts", Prompt)}
        pairs = view.read(number, "pairs", Pair)
        assert {row.policy for row in responses.values()} == {digests[number - 1]}
        assert {row.judge for row in view.read(number, "eval_judgments", Judgment)} == {facts.digest}
        assert len(pairs) >= 20 and facts.pairs == len(pairs)
        for pair in pairs:
            assert pair.reference == digests[number - 1]
            assert (pair.prompt_token_ids,) == tuple(renderer.prompt_token_ids([prompts[pair.prompt_id].messages]))
            assert pair.chosen_token_ids == responses[pair.chosen_id].token_ids
            assert pair.rejected_token_ids == responses[pair.rejected_id].token_ids
            assert {pair.chosen_token_ids[-1], pair.rejected_token_ids[-1]} <= renderer.end_ids
            assert pair.chosen_score > pair.rejected_score
    handoffs = [event for event in view.events() if event["event"] == "handoff"]
    assert {event["digest"] for event in handoffs} == set(digests)
    reports = [event["report"] for event in handoffs]
    decided = [report for report in reports if report["kind"] == "probes"]
    assert {report["digest"] for report in decided} == set(digests[1:])
    for report in decided:
        assert report["movement"] >= view.recipe().handoff.noise
        assert report["distance_new"] < report["distance_old"] / 2


@pytest.mark.slow
def test_the_recipe_for_one_consumer_card_on_a_tied_qwen(tmp_path: Path) -> None:
    view = go(tmp_path, "self_rewarding_qwen2.5_0.5b", "qwen25", rounds=2)
    check_run(view, 2)
    judged = view.read(1, "judgments", Judgment)
    assert {row.template.split("@")[0] for row in judged} == {"judge/additive"}
    assert len({row.score for row in judged}) > 10 and all(row.mass and row.mass > 0 for row in judged)
    weights = load_file(view.read_directory(2) / "model.safetensors")
    assert "lm_head.weight" not in weights and {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    copied = load_file(view.read_directory(2) / FULL_PRECISION / "model.safetensors")
    assert {tensor.dtype for tensor in copied.values()} == {torch.float32}
    start = load_file(view.read_directory(0) / "model.safetensors")
    moved = {name for name, tensor in weights.items() if not torch.equal(tensor, start[name])}
    assert moved and all(name.endswith("_proj.weight") for name in moved), "an adapter moves what it is put on"


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama3", "qwen3"])
def test_self_rewarding_with_an_untied_head(tmp_path: Path, family: str) -> None:
    view = go(tmp_path, "self_rewarding_llama3_8b", family, *BY_EXPECTED_SCORE, rounds=2)
    check_run(view, 2)
    assert "lm_head.weight" in load_file(view.read_directory(1) / "model.safetensors")


def test_bfloat16_that_hardly_moved_is_verified_by_checksums(tmp_path: Path) -> None:
    view = go(tmp_path, "self_rewarding_qwen2.5_0.5b", "qwen25", "train.learning_rate=1e-4")
    digests = [made(view, number).digest for number in range(2)]
    assert digests[0] != digests[1]
    reports = [event["report"] for event in view.events() if event["event"] == "handoff"]
    (report,) = [report for report in reports if report["digest"] == digests[1]]
    assert report["kind"] == "checksums" and 0 < report["movement"] < view.recipe().handoff.noise
    assert report["distance_new"] > NOISE["float32"], "the float32 default would take noise for a movement"


def test_self_rewarding_without_an_adapter_in_float32(tmp_path: Path) -> None:
    exact = ("model.dtype=float32", "handoff.noise=0.01", "train.lora=null", "train.learning_rate=3e-4")
    view = go(tmp_path, "self_rewarding_llama3_8b", "llama3", *BY_EXPECTED_SCORE, *exact, dtype="float32")
    check_run(view, 1)


@pytest.mark.slow
def test_cream_softens_the_second_round(tmp_path: Path) -> None:
    view = go(tmp_path, "cream_llama3_8b", "llama3", *BY_EXPECTED_SCORE, rounds=2)
    check_run(view, 2)
    assert {pair.label for pair in view.read(1, "pairs", Pair)} == {1.0}
    whole = next(row for row in view.read(2, "consistency", Consistency) if row.id == "set")
    assert {pair.label for pair in view.read(2, "pairs", Pair)} == {whole.label}


@pytest.mark.slow
def test_meta_rewarding_asks_its_meta_judge_and_leaves_out_what_it_cannot_read(tmp_path: Path) -> None:
    hybrid = (
        "engine.kind=transformers",
        "judge.reading=rationale",
        "judge.aggregate.samples=4",
        "measure.judge_samples=1",
    )
    short = ("judge.reading.sampling.max_tokens=96", "meta.sampling.max_tokens=16", "meta.max_judgments=2")
    less = ("meta.max_responses=8", "gates.min_readable=0.1", "pairs.max_chosen_tokens=96")
    view = go(tmp_path, "meta_rewarding_llama3_8b", "llama3", *hybrid, *short, *less)
    check_run(view, 1)
    metas = view.read(1, "meta_judgments", MetaJudgment)
    assert len(metas) == 16 and all(row.winner is None and row.unreadable for row in metas)


@pytest.mark.slow
def test_a_constitution_compares_in_both_orders_under_one_principle_each(tmp_path: Path) -> None:
    less = ("generate.samples=3", "prompts.per_round=40", "pairs.min_gap=0")
    view = go(tmp_path, "constitution_qwen2.5_0.5b", "qwen3", *less)
    check_run(view, 1)
    rows = view.read(1, "judgments_comparisons", Comparison)
    asked = {(row.first_id, row.second_id): row for row in rows}
    for (first, second), row in asked.items():
        assert row.template.endswith(load_constitution("honest_help")[0])
        assert asked[second, first].principle == row.principle, "both orders are under the same principle"
    assert len({row.principle for row in rows}) > 4


@pytest.mark.slow
def test_revisions_by_a_real_renderer_are_whole_replies_to_the_prompt_alone(tmp_path: Path) -> None:
    less = ("pairs.revise.turns=2", "pairs.revise.sampling.max_tokens=64", "pairs.revise.max_length=99")
    view = go(tmp_path, "constitutional_qwen2.5_0.5b", "qwen25", *less, "pairs.revise.min_length=0", "train.lora=null")
    renderer = load_renderer(view.read_directory(0))
    prompts = {row.id: row for row in view.read(1, "prompts", Prompt)}
    answers = {row.id: row for row in view.read(1, "responses", Response)}
    revised = {row.id: row for row in view.read(1, "revisions", Response)}
    pairs = view.read(1, "pairs", Pair)
    assert pairs and made(view, 1).pairs == len(pairs) and made(view, 1).digest != made(view, 0).digest
    for pair in pairs:
        revision = revised[pair.chosen_id]
        assert revision.parent == pair.rejected_id and revision.text != answers[pair.rejected_id].text
        assert pair.chosen_token_ids == revision.token_ids and pair.chosen_token_ids[-1] in renderer.end_ids
        assert (pair.prompt_token_ids,) == tuple(renderer.prompt_token_ids([prompts[pair.prompt_id].messages]))
