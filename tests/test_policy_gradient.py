"""The policy gradient: its loss against TRL's and against differences, its invariances, and what a kill leaves."""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from training_factory import CPU, END_TOKEN, SHORT, plain_logprobs, random_samples, tiny_policy
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from selfreward.engines.checkpoints import FULL_PRECISION
from selfreward.engines.tensors import weights_digest
from selfreward.errors import HandOffError, TrainingError
from selfreward.recipe import LoraRecipe, ModelRecipe
from selfreward.records import Sample, from_line, to_line
from selfreward.training import saved_steps, session
from selfreward.training.output import TrainingReport
from selfreward.training.policy_gradient import (
    TOLERANCE,
    _arguments,
    policy_gradient_trainer,
    train_policy_gradient,
)
from selfreward.training.policy_losses import Moved, PolicyLoss, SampleBatch
from selfreward.training.weighing.likelihoods import Scorer

RLOO = {"ratio": "sequence", "aggregate": "tokens_of_answer"}
ADAPTER = dataclasses.replace(SHORT, lora=LoraRecipe(rank=2, alpha=4))
FACTORY = Path(__file__).with_name("training_factory.py")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture(scope="module")
def samples(start: Path) -> list[Sample]:
    return random_samples(start, 40)


def train(start: Path, samples: list[Sample], where: Path, recipe=SHORT, loss=None, **options) -> TrainingReport:
    known = {"model": CPU, "seed": 7, "out": where / "out", "scratch": where / "scratch", "loss": loss or {}}
    return train_policy_gradient(start, samples, recipe, **(known | options))


def weights(directory: Path) -> bytes:
    return (directory / "model.safetensors").read_bytes()


# The loss as a function of log-probabilities


def batch(seed: int, answers: int = 3, tokens: int = 5, moved: float = 0.4, reference: bool = False) -> SampleBatch:
    source = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    lengths = torch.randint(1, tokens + 1, (answers,), generator=source)
    mask = (torch.arange(tokens)[None] < lengths[:, None]).double()
    old = -draw(answers, tokens).abs() * mask
    now = (old + moved * draw(answers, tokens)) * mask
    asked = (old + moved * draw(answers, tokens)) * mask if reference else None
    return SampleBatch(now.requires_grad_(), old, mask, draw(answers), asked)


def whole(loss: PolicyLoss, given: SampleBatch) -> torch.Tensor:
    return loss(given, loss.denominator(given.mask.sum(dim=1).int().tolist()))


LOSSES = [
    PolicyLoss(),
    PolicyLoss(aggregate="tokens_of_answer", clip_high=0.28),
    PolicyLoss(aggregate="constant", longest=9),
    PolicyLoss(ratio="sequence_mean", aggregate="tokens_of_answer"),
    PolicyLoss(**RLOO),
    PolicyLoss(kl=0.3),
]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_differences(loss, seed):
    made = batch(seed, reference=loss.kl > 0)
    (gradient,) = torch.autograd.grad(whole(loss, made), made.logprobs)
    step = 1e-6
    for place in made.mask.nonzero().tolist():
        sides = []
        for sign in (1, -1):
            shifted = made.logprobs.detach().clone()
            shifted[tuple(place)] += sign * step
            sides.append(whole(loss, dataclasses.replace(made, logprobs=shifted)).item())
        assert gradient[tuple(place)].item() == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=1e-6)
    assert (gradient * (1 - made.mask)).abs().max() == 0


@given(st.integers(0, 200), st.sampled_from(["tokens_of_batch", "tokens_of_answer", "constant"]))
def test_before_any_step_the_loss_is_minus_the_advantages(seed, aggregate):
    made = batch(seed, moved=0.0)
    tokens = made.mask.sum(dim=1)
    loss = PolicyLoss(aggregate=aggregate, longest=7)
    expected = {
        "tokens_of_batch": -(made.advantage * tokens).sum() / tokens.sum(),
        "tokens_of_answer": -made.advantage.mean(),
        "constant": -(made.advantage * tokens).sum() / (7 * len(tokens)),
    }[aggregate]
    assert whole(loss, made).item() == pytest.approx(expected.item())
    seen = Moved()
    seen.add(loss, made)
    assert seen.summary() == {"clip_fraction": 0.0, "ratio_max": 1.0, "effective_samples": pytest.approx(1.0)}


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_padding_and_the_order_of_answers_change_nothing_and_micro_batches_add_up(loss):
    made = batch(5, answers=4, reference=loss.kl > 0)
    value = whole(loss, made).item()

    def part(rows: list[int], padding: int = 0) -> SampleBatch:
        def cut(tensor: torch.Tensor | None) -> torch.Tensor | None:
            wanted = None if tensor is None else tensor[rows]
            return wanted if wanted is None or wanted.dim() == 1 else torch.nn.functional.pad(wanted, (2, padding))

        return SampleBatch(*(cut(getattr(made, field.name)) for field in dataclasses.fields(made)))

    assert whole(loss, part([2, 0, 3, 1], padding=3)).item() == pytest.approx(value)
    total = loss.denominator(made.mask.sum(dim=1).int().tolist())
    assert (loss(part([1]), total) + loss(part([0, 2, 3]), total)).item() == pytest.approx(value)


def test_the_clip_takes_the_gradient_only_of_what_moved_the_way_its_advantage_points():
    for moved, advantage, clipped in ((0.5, 1.0, True), (0.5, -1.0, False), (-0.5, -1.0, True), (-0.5, 1.0, False)):
        now = torch.tensor([[moved]], requires_grad=True)
        one = SampleBatch(now, torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([advantage]))
        (gradient,) = torch.autograd.grad(whole(PolicyLoss(), one), now)
        assert (gradient.item() == 0) is clipped
        seen = Moved()
        seen.add(PolicyLoss(), one)
        assert seen.summary()["clip_fraction"] == float(clipped)


def test_the_effective_share_of_samples_falls_where_few_carry_the_weight():
    ratios = torch.tensor([[4.0], [1.0], [1.0], [1.0]]).log()
    seen = Moved()
    seen.add(PolicyLoss(), SampleBatch(ratios, torch.zeros(4, 1), torch.ones(4, 1), torch.ones(4)))
    assert seen.summary()["effective_samples"] == pytest.approx(49 / (4 * 19))
    assert seen.summary()["ratio_max"] == pytest.approx(4.0)


def test_a_sequence_ratio_has_one_loss_for_each_answer():
    with pytest.raises(ValueError, match="one loss for each answer"):
        PolicyLoss(ratio="sequence")


# The same tensors through TRL's own trainers


def theirs(kind, start: Path, where: Path, samples: list[Sample], **settings):
    """TRL's trainer on this policy and its inputs: prompts padded on the left, answers on the right."""
    config, trainer_class = {"grpo": (GRPOConfig, GRPOTrainer), "rloo": (RLOOConfig, RLOOTrainer)}[kind]
    tokenizer = AutoTokenizer.from_pretrained(start)
    trainer = trainer_class(
        model=AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config(
            output_dir=str(where),
            per_device_train_batch_size=len(samples),
            num_generations=2,
            steps_per_generation=1,
            max_completion_length=32,
            temperature=samples[0].temperature,
            bf16=False,
            use_cpu=True,
            report_to=[],
            gradient_checkpointing=False,
            **settings,
        ),
        train_dataset=Dataset.from_dict({"prompt": ["a"] * 8}),
        processing_class=tokenizer,
    )
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    before = max(len(one.prompt_token_ids) for one in samples)
    after = max(len(one.token_ids) for one in samples)

    def left(values):
        return [[0] * (before - len(one)) + list(one) for one in values]

    def right(values, fill=0):
        return [list(one) + [fill] * (after - len(one)) for one in values]

    inputs = {
        "prompt_ids": torch.tensor(left([one.prompt_token_ids for one in samples])),
        "prompt_mask": torch.tensor(left([[1] * len(one.prompt_token_ids) for one in samples])),
        "completion_ids": torch.tensor(right([one.token_ids for one in samples])),
        "completion_mask": torch.tensor(right([[1] * len(one.token_ids) for one in samples])),
        "advantages": torch.tensor([one.advantage for one in samples]),
        "old_per_token_logps": torch.tensor(right([one.old_logprobs for one in samples], 0.0)),
        "old_logps": torch.tensor([sum(one.old_logprobs) for one in samples]),
        "num_items_in_batch": torch.tensor(float(sum(len(one.token_ids) for one in samples))),
    }
    if samples[0].reference_logprobs:
        inputs["ref_per_token_logps"] = torch.tensor(right([one.reference_logprobs for one in samples], 0.0))
    return trainer, inputs


def ours(start: Path, where: Path, samples: list[Sample], loss: PolicyLoss):
    policy, tokenizer = session.load_start(start, CPU)
    recipe = dataclasses.replace(SHORT, batch_size=len(samples), micro_batch_size=len(samples))
    settings = TrainingArguments(**_arguments(recipe, CPU, where, 0, 1))
    trainer = policy_gradient_trainer(
        policy, tokenizer, samples, recipe, loss, settings, saved_steps.SessionCallback(None)
    )
    return trainer, trainer.data_collator([{"position": i} for i in range(len(samples))])


CONTRACTS = [
    ("dapo", PolicyLoss(), {"beta": 0.0}),
    ("dapo", PolicyLoss(clip=0.1, clip_high=0.4), {"beta": 0.0, "epsilon": 0.1, "epsilon_high": 0.4}),
    ("dapo", PolicyLoss(kl=0.1), {"beta": 0.1}),
    ("grpo", PolicyLoss(aggregate="tokens_of_answer"), {"beta": 0.0}),
    ("dr_grpo", PolicyLoss(aggregate="constant", longest=32), {"beta": 0.0}),
    (
        "grpo",
        PolicyLoss(clip=0.02, ratio="sequence_mean", aggregate="tokens_of_answer"),
        {"beta": 0.0, "epsilon": 0.02, "importance_sampling_level": "sequence"},
    ),
    ("rloo", PolicyLoss(clip=0.05, **RLOO), {"beta": 0.0, "epsilon": 0.05}),
]


@pytest.mark.parametrize(("name", "loss", "settings"), CONTRACTS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_loss_and_gradient_are_those_of_trl(start, tmp_path, name, loss, settings, temperature):
    """Ratios away from 1, on both sides of the clip: the old log-probabilities are those of a policy nearby."""
    nearby = tmp_path / "nearby"
    shutil.copytree(start, nearby)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * parameter.std() * torch.randn_like(parameter)
    model.save_pretrained(nearby)
    made = random_samples(nearby, 16, seed=2, temperature=temperature, reference=start if loss.kl else None)
    mine, batch = ours(start, tmp_path / "mine", made, loss)
    kind = "rloo" if name == "rloo" else "grpo"
    options = settings if kind == "rloo" else {"loss_type": name, **settings}
    trl, inputs = theirs(kind, start, tmp_path / "trl", made, **options)
    mine.model.train()
    value, expected = mine.compute_loss(mine.model, batch), trl.compute_loss(trl.model, inputs)
    assert 0.05 < mine.moved.summary()["clip_fraction"] < 0.95
    assert value.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
    value.backward()
    expected.backward()
    largest = max(parameter.grad.abs().max().item() for parameter in trl.model.parameters())
    for (key, one), (other_key, two) in zip(mine.model.named_parameters(), trl.model.named_parameters(), strict=True):
        assert key == other_key
        assert (one.grad - two.grad).abs().max().item() <= 1e-4 * largest, key


# Training


def test_what_was_better_becomes_likelier_and_the_first_loss_is_known(start, samples, tmp_path):
    steps = []
    report = train(start, samples, tmp_path, progress=lambda *step: steps.append(step))
    found = report.metrics
    assert found["better_logprob_shift"] > 1 > -1 > found["worse_logprob_shift"]
    assert (report.steps, report.pairs) == (10, 40) and [step[:2] for step in steps] == [(n, 10) for n in range(1, 11)]
    assert found["ratio_max"] > 1.2 and 0 < found["clip_fraction"] < 1 and 0 < found["effective_samples"] < 1
    assert report.digest == weights_digest(tmp_path / "out") != weights_digest(start)
    one_step = dataclasses.replace(SHORT, batch_size=40, micro_batch_size=8, epochs=1.0)
    report = train(start, samples, tmp_path / "one", one_step)
    tokens = [len(one.token_ids) for one in samples]
    expected = -sum(one.advantage * n for one, n in zip(samples, tokens, strict=True)) / sum(tokens)
    assert report.metrics["first_loss"] == pytest.approx(expected, abs=1e-4)
    assert report.metrics["ratio_max"] == pytest.approx(1, abs=1e-4) and report.metrics["clip_fraction"] == 0


def test_without_advantages_nothing_moves_and_turned_ones_move_the_other_way(start, samples, tmp_path):
    still = train(start, [dataclasses.replace(one, advantage=0.0) for one in samples], tmp_path / "still")
    assert still.digest == weights_digest(start)
    turned = train(start, [dataclasses.replace(one, advantage=-one.advantage) for one in samples], tmp_path / "turned")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "turned" / "out").eval()
    best = [one for one in samples if one.advantage == 1]
    moved = [sum(plain_logprobs(model, one.prompt_token_ids, one.token_ids)) - sum(one.old_logprobs) for one in best]
    assert sum(moved) / len(moved) == pytest.approx(turned.metrics["worse_logprob_shift"], abs=5)
    assert sum(moved) < 0 < turned.metrics["better_logprob_shift"]


def test_a_kl_to_the_reference_holds_the_policy_back(start, tmp_path):
    made = random_samples(start, 40, reference=start)
    free, held = (train(start, made, tmp_path / str(kl), loss={"kl": kl}) for kl in (0.0, 20.0))
    assert held.metrics["kl"] < 0.75 * free.metrics["kl"]
    assert abs(held.metrics["better_logprob_shift"]) < abs(free.metrics["better_logprob_shift"])


def test_equal_trainings_are_equal_byte_by_byte_and_micro_batches_only_split_the_sum(start, samples, tmp_path):
    first, second = (train(start, samples, tmp_path / name) for name in ("first", "second"))
    assert weights(first.directory) == weights(second.directory) and first.metrics == second.metrics
    assert train(start, samples, tmp_path / "third", seed=8).digest != first.digest
    split = train(start, samples[:38], tmp_path / "4", dataclasses.replace(SHORT, micro_batch_size=4))
    unsplit = train(start, samples[:38], tmp_path / "8", dataclasses.replace(SHORT, micro_batch_size=8))
    for name, value in unsplit.metrics.items():
        assert split.metrics[name] == pytest.approx(value, rel=1e-2, abs=1e-3), name


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "adapter"])
def test_a_killed_training_goes_on_to_the_same_bytes(start, samples, tmp_path, adapter):
    recipe = ADAPTER if adapter else SHORT
    whole = train(start, samples, tmp_path / "whole", recipe)
    child = tmp_path / "child"
    shutil.copytree(start, child / "start")
    command = [sys.executable, str(FACTORY), str(child), "adapter" if adapter else "full", "policy_gradient"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line == "step 5\n":
                break
        os.kill(process.pid, signal.SIGKILL)
    assert not (child / "out").exists() and saved_steps.last_whole_step(child / "scratch") is not None
    steps = []
    again = train(start, samples, child, recipe, progress=lambda *step: steps.append(step[0]))
    assert steps[0] > 2 and weights(again.directory) == weights(whole.directory)
    assert (again.digest, again.metrics) == (whole.digest, whole.metrics)


@pytest.mark.parametrize("temperature", [0.7, 1.3])
def test_the_temperature_of_the_sampling_is_in_the_loss(start, tmp_path, temperature):
    """Log-probabilities at that temperature are ratios of 1; those at another are refused."""
    right = train(start, random_samples(start, 24, temperature=temperature), tmp_path / "right")
    assert right.metrics["first_loss"] == pytest.approx(0, abs=0.5)
    hot = [dataclasses.replace(one, temperature=temperature) for one in random_samples(start, 24)]
    with pytest.raises(HandOffError, match="from that of the policy that sampled"):
        train(start, hot, tmp_path / "hot")
    with pytest.raises(TrainingError, match="one training has one temperature"):
        train(start, [*hot[:12], *random_samples(start, 24)[12:]], tmp_path / "mixed")


def test_the_scorer_gives_the_log_probabilities_that_training_starts_with(start, samples):
    rows = [(one.prompt_token_ids, one.token_ids) for one in samples[:9]]
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32).eval()
    for temperature in (1.0, 0.7):
        scorer = Scorer(start, SHORT, CPU, temperature, starts=True)
        for found, (prompt, answer) in zip(scorer(rows), rows, strict=True):
            assert found == pytest.approx(plain_logprobs(model, prompt, answer, temperature), abs=1e-4)
        scorer.close()


def test_a_half_precision_policy_sums_its_rounds_in_float32(start, samples, tmp_path):
    half = ModelRecipe(device="cpu", dtype="bfloat16")
    begin = tmp_path / "half"
    shutil.copytree(start, begin)
    AutoModelForCausalLM.from_pretrained(start, dtype=torch.bfloat16).save_pretrained(begin)
    recipe = dataclasses.replace(SHORT, learning_rate=1e-5)
    previous = begin
    for number in (1, 2):
        scorer = Scorer(previous, recipe, half, 1.0, starts=True)
        found = scorer([(one.prompt_token_ids, one.token_ids) for one in samples])
        rows = [dataclasses.replace(one, old_logprobs=new) for one, new in zip(samples, found, strict=True)]
        report = train(previous, rows, tmp_path / str(number), recipe, model=half)
        assert report.metrics["first_loss"] == pytest.approx(0, abs=0.5)
        assert (report.directory / FULL_PRECISION).is_dir()
        previous = report.directory
    copies = [
        AutoModelForCausalLM.from_pretrained(tmp_path / str(n) / "out" / FULL_PRECISION, dtype=torch.float32)
        for n in (1, 2)
    ]
    moved = [(one - two).abs().max().item() for one, two in zip(*(copy.parameters() for copy in copies), strict=True)]
    assert 0 < max(moved) < 1e-3


def test_the_first_ratios_are_held_against_the_weights_that_steps_are_added_to(start, samples, tmp_path, monkeypatch):
    """In the arithmetic of a bfloat16 checkpoint a token of a real model was .32 nats away, in the trainer's none."""
    half = ModelRecipe(device="cpu", dtype="bfloat16")
    begin = tmp_path / "half"
    shutil.copytree(start, begin)
    AutoModelForCausalLM.from_pretrained(start, dtype=torch.bfloat16).save_pretrained(begin)
    rows = [(one.prompt_token_ids, one.token_ids) for one in samples]
    found = {}
    for lifted in (True, False):
        scorer = Scorer(begin, SHORT, half, 1.0, starts=lifted)
        found[lifted] = scorer(rows)
        scorer.close()
    both = [[value for row in found[lifted] for value in row] for lifted in (True, False)]
    apart = [abs(one - two) for one, two in zip(*both, strict=True)]
    assert max(apart) > 1e-3, "the two arithmetics differ"
    monkeypatch.setitem(TOLERANCE, "bfloat16", 1e-4)
    known = [dataclasses.replace(one, old_logprobs=new) for one, new in zip(samples, found[True], strict=True)]
    train(begin, known, tmp_path / "lifted", model=half)
    known = [dataclasses.replace(one, old_logprobs=new) for one, new in zip(samples, found[False], strict=True)]
    with pytest.raises(HandOffError, match="before the first step"):
        train(begin, known, tmp_path / "plain", model=half)


def test_samples_that_cannot_be_trained_on_are_named(start, samples, tmp_path):
    def refused(match: str, *changed: Sample, **options) -> None:
        with pytest.raises(TrainingError, match=match):
            train(start, list(changed), tmp_path / "refused", **options)

    one = samples[0]
    refused("no sample is left")
    refused("sample-0: 1 old_logprobs", dataclasses.replace(one, old_logprobs=(-1.0,)))
    refused("sample-0: 0 reference_logprobs", one, loss={"kl": 0.1})
    refused("exactly where it is 'stop'", dataclasses.replace(one, finish_reason="length"))
    cut = dataclasses.replace(one, token_ids=one.token_ids[:-1], old_logprobs=one.old_logprobs[:-1])
    refused("exactly where it is 'stop'", cut)
    refused("train.max_length is 8", *samples, recipe=dataclasses.replace(SHORT, max_length=8))
    assert END_TOKEN not in cut.token_ids
    train(start, [dataclasses.replace(cut, finish_reason="length"), *samples[1:8]], tmp_path / "cut")


@pytest.mark.filterwarnings("ignore")
def test_a_loss_that_is_not_finite_names_its_samples(start, samples, tmp_path):
    with pytest.raises(TrainingError, match="samples of the batch: sample-"):
        train(start, samples, tmp_path, dataclasses.replace(SHORT, learning_rate=1e18, max_grad_norm=1e18))


def test_a_sample_is_one_line_and_comes_back_bit_for_bit(start):
    (one, *_) = random_samples(start, 1, temperature=0.9, reference=start)
    line = to_line(one)
    assert from_line(Sample, line, "here") == one and math.isfinite(json.loads(line)["old_logprobs"][0])
