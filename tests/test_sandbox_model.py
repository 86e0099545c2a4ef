"""The tiny model, its tokenizer, the lessons and the shipped seeds."""

import json
import random
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

import selfreward.tasks.sandbox
from selfreward.tasks.sandbox.annotator import AnnotatorDials, read_score, read_verdict
from selfreward.tasks.sandbox.demonstrator import DemonstratorDials
from selfreward.tasks.sandbox.draws import draw_task, split_of
from selfreward.tasks.sandbox.oracle import oracle_score
from selfreward.tasks.sandbox.prompts import NEW_TASK_PROMPT
from selfreward.tasks.sandbox.seeds.floors import Estimate, estimate_with_interval, skill_table, unmet_floors
from selfreward.tasks.sandbox.seeds.lessons import OwnReply, Teacher
from selfreward.tasks.sandbox.seeds.model import (
    build_model,
    build_tokenizer,
    decode_reply,
    encode_chat,
    encode_reply,
    encode_words,
    save_model,
)
from selfreward.tasks.sandbox.seeds.recipe import CLEAN, FINISH, Mix, SeedRecipe
from selfreward.tasks.sandbox.seeds.sampling import sample_replies
from selfreward.tasks.sandbox.seeds.trainer import MuonAdamW
from selfreward.tasks.sandbox.tasks import Task
from selfreward.tasks.sandbox.words import END, VOCABULARY, WORD_IDS

SEEDS = Path(selfreward.tasks.sandbox.__file__).parent / "seeds"
MIX = Mix(answers=0.3, judgments=0.3, own_judgments=0.1, meta=0.2, new_tasks=0.1)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("untrained")
    save_model(build_model(0), path)
    return path


@pytest.fixture(scope="module")
def tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(directory)


def test_auto_classes_load_what_was_saved(directory: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = AutoModelForCausalLM.from_pretrained(directory)
    assert model.config.head_dim == 32
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == WORD_IDS[END]
    expected = build_model(0).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert not torch.equal(build_model(1).lm_head.weight, expected["lm_head.weight"])


def test_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    rng = random.Random(0)
    for _ in range(200):
        text = " ".join(rng.choices(VOCABULARY, k=12))
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.encode(text) == encode_words(text)
    assert (
        tokenizer.decode(tokenizer.encode("sure : f helps ! <|end|>"), skip_special_tokens=True) == "sure : f helps !"
    )


@pytest.mark.parametrize("roles", [("user",), ("system", "user"), ("user", "assistant", "user")])
def test_chat_template_and_our_encoding_agree(roles: tuple[str, ...], tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [{"role": role, "content": "sort a b ; in brackets"} for role in roles]
    waiting = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert waiting == encode_chat(messages)
    whole = [*messages, {"role": "assistant", "content": "[ a b ]"}]
    assert tokenizer.apply_chat_template(whole, return_dict=False) == waiting + encode_reply("[ a b ]")


def test_assistant_mask_covers_replies_with_their_end(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [{"role": "user", "content": "add 1 and 2"}, {"role": "assistant", "content": "3"}]
    encoded = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    masked = [token for token, mine in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mine]
    assert masked == encode_reply("3")


def test_a_reply_without_end_cannot_be_read() -> None:
    judgment = "; Score: 3"
    assert decode_reply(encode_reply(judgment)) == judgment
    assert read_score(decode_reply(encode_words(judgment))) is None


def test_sampling_is_repeatable_and_keeps_the_order(directory: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(directory)
    prompts = ["sort c a b ; in brackets", "add 1 and 2", NEW_TASK_PROMPT]
    first = sample_replies(model, prompts, longest=6, seed=3, samples=2, temperature=1.0)
    assert first == sample_replies(model, prompts, longest=6, seed=3, samples=2, temperature=1.0)
    assert first != sample_replies(model, prompts, longest=6, seed=4, samples=2, temperature=1.0)
    assert [len(replies) for replies in first] == [2, 2, 2]
    together = sample_replies(model, prompts, longest=6, seed=0)
    alone = [sample_replies(model, [prompt], longest=6, seed=0)[0] for prompt in prompts]
    assert together == alone


def _words(ids: list[int]) -> str:
    return " ".join(VOCABULARY[index] for index in ids)


def test_lessons_keep_out_of_the_evaluation_splits() -> None:
    rng = random.Random(0)
    own = [OwnReply(Task("sort", "sort", ("b", "a")), "b a", ["; Score: 3", "; Score: 1"])]
    lessons = Teacher(rng, DemonstratorDials(), AnnotatorDials(), own).lessons(MIX, 100_000)
    assert sum(len(prompt) + len(reply) for prompt, reply in lessons) == pytest.approx(100_000, rel=0.01)
    seen = {"task": 0, "judge": 0, "meta": 0, "new": 0}
    for prompt, reply in lessons:
        text, answer = _words(prompt), _words(reply).removesuffix(f" {END}")
        assert "<unk>" not in text and "<unk>" not in answer
        question = text.split("<|user|> ")[1].split(f" {END}")[0]
        if question.startswith("compare"):
            seen["meta"] += 1
            assert read_verdict(answer) is not None
        elif question.startswith("judge"):
            seen["judge"] += 1
            assert read_score(answer) is not None
        elif question == NEW_TASK_PROMPT:
            seen["new"] += 1
            assert split_of(answer) == "train"
            continue
        else:
            seen["task"] += 1
        task = question.split("task { ")[1].split(" } reply")[0] if "task {" in question else question
        assert task == "sort b a" or split_of(task) == "train"
    assert min(seen.values()) > 100


def test_a_dial_of_the_judge_leaves_demonstrations_alone() -> None:
    mix = Mix(answers=1.0, judgments=0.0, own_judgments=0.0, meta=0.0, new_tasks=0.0)

    def lessons(annotator: AnnotatorDials) -> list[tuple[list[int], list[int]]]:
        return list(Teacher(random.Random(0), DemonstratorDials(), annotator).lessons(mix, 5000))

    assert lessons(AnnotatorDials()) == lessons(AnnotatorDials(length_bias=1.0, agreement_bias=0.9, noise=0.5))


def test_a_dial_of_the_generator_leaves_judgments_alone() -> None:
    mix = Mix(answers=0.0, judgments=0.7, own_judgments=0.0, meta=0.3, new_tasks=0.0, second_turns=0.0)

    def lessons(demonstrator: DemonstratorDials) -> list[tuple[list[int], list[int]]]:
        return list(Teacher(random.Random(0), demonstrator, AnnotatorDials()).lessons(mix, 5000))

    assert lessons(DemonstratorDials()) == lessons(DemonstratorDials(0.9, 0.9, 0.9))


def test_the_optimizer_obeys_a_schedule_after_its_state_was_reloaded() -> None:
    """Accelerate reloads the state before training; a schedule that then writes into copies once went unheard."""
    model = build_model(0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = MuonAdamW(model, learning_rate=1e-3)
    optimizer.load_state_dict(optimizer.state_dict())
    ids = torch.tensor([encode_words("sort c a b")])
    for rate, moves in ((0.0, False), (1e-3, True)):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert bool(changed) is moves
    assert len(changed) == len(before)


@pytest.mark.parametrize("name", ["seed-0", "seed-1", "seed-2"])
def test_shipped_seed_meets_its_floors(name: str) -> None:
    card = json.loads((SEEDS / name / "seed.json").read_text())
    assert unmet_floors(card["skill"]) == []
    assert card["recipe"]["seed"] == int(name[-1])
    tokenizer = AutoTokenizer.from_pretrained(SEEDS / name)
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab() == WORD_IDS


def test_floors_find_what_is_missed_and_only_that() -> None:
    good = {
        "sampled_accuracy": 0.45,
        "best_of_minus_sampled": 0.4,
        "judge_own_rho": 0.8,
        "judge_own_pairwise": 0.9,
        "judge_greedy_minus_sampled": 0.1,
        "meta_own_accuracy": 0.75,
        "meta_own_slot_a": 0.5,
        "new_task_valid": 0.9,
    }

    def skill(**changed: float) -> dict[str, Any]:
        values = {**good, **changed}
        return {
            "estimates": {name: asdict(Estimate(value, value - 0.05, value, 9, 9)) for name, value in values.items()}
        }

    assert unmet_floors(skill()) == []
    assert [line.split()[0] for line in unmet_floors(skill(meta_own_slot_a=0.7))] == ["meta_own_slot_a"]
    assert [line.split()[0] for line in unmet_floors(skill(meta_own_accuracy=0.64))] == ["meta_own_accuracy"]
    assert [line.split()[0] for line in unmet_floors(skill(judge_greedy_minus_sampled=0.04))] != []
    bad = skill(new_task_valid=0.1)
    assert "MISSED" in skill_table({**bad, "missed": unmet_floors(bad)})


def test_intervals_treat_a_prompt_as_one_draw() -> None:
    """Ten equal values from one prompt tell no more than one value, so the interval must not shrink."""
    rng = random.Random(0)
    prompts = [[float(rng.random() < 0.5)] for _ in range(60)]
    once = estimate_with_interval(prompts, fmean)
    repeated = estimate_with_interval([values * 10 for values in prompts], fmean)
    assert (once.low, once.value, once.high) == pytest.approx((repeated.low, repeated.value, repeated.high))
    assert once.low < once.value < once.high
    assert (once.n, repeated.n, repeated.prompts) == (60, 600, 60)
    assert once.high - once.low == pytest.approx(0.25, abs=0.06)


def test_shipped_seed_knows_the_world() -> None:
    model = AutoModelForCausalLM.from_pretrained(SEEDS / "seed-0")
    rng = random.Random(5)
    tasks = [draw_task(rng, "repeat") for _ in range(40)]
    replies = sample_replies(model, [task.text for task in tasks], longest=32, seed=0)
    right = [oracle_score(task, reply) == 5 for task, (reply,) in zip(tasks, replies, strict=True)]
    assert sum(right) >= 24


@pytest.mark.slow
def test_training_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    from selfreward.tasks.sandbox.seeds.bootstrap import train_seed

    stages = (replace(CLEAN, tokens=40_000), replace(FINISH, tokens=40_000, own_tasks=20))
    recipe = SeedRecipe(stages=stages, warmup_steps=5, probe_every=40_000)
    told: list[str] = []
    reports = [train_seed(recipe, tmp_path / name, progress=told.append) for name in ("first", "second")]
    weights = [(report.directory / "model.safetensors").read_bytes() for report in reports]
    cards = [(report.directory / "seed.json").read_bytes() for report in reports]
    assert weights[0] == weights[1]
    assert cards[0] == cards[1]
    assert reports[0].tokens >= 80_000
    assert reports[0].curve[0]["loss"] > 1.0
    assert any(line.startswith("stage 2") for line in told)
    other = train_seed(replace(recipe, seed=1), tmp_path / "other", progress=told.append)
    assert (other.directory / "model.safetensors").read_bytes() != weights[0]
