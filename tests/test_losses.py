"""The losses against closed forms, a second implementation in numpy, and TRL's own loss on the same batch."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_factory import CPU, END_TOKEN, SHORT, random_pairs, tiny_policy, with_reference
from trl.trainer.utils import add_fused_lm_head

from selfreward.errors import RecipeError
from selfreward.training import losses, saved_steps, session
from selfreward.training.rows import IGNORED, PairCollator, pad, score, side_by_side
from selfreward.training.stepping import learning_rate_factor

logprob = st.floats(-80, 0, allow_nan=False)
quadruple = st.tuples(logprob, logprob, logprob, logprob)
share = st.floats(0, 1)
beta = st.floats(0.01, 2)


def tensors(values: tuple[float, ...]) -> list[torch.Tensor]:
    return [torch.tensor([value], dtype=torch.float64) for value in values]


def batch(values: list[torch.Tensor], label: float) -> losses.PairBatch:
    chosen, rejected, reference_chosen, reference_rejected = values
    one = torch.ones(1, dtype=torch.float64)
    return losses.PairBatch(
        chosen,
        rejected,
        one,
        one,
        label * one,
        reference_chosen=reference_chosen,
        reference_rejected=reference_rejected,
    )


def soft(values: tuple[float, ...], b: float, label: float) -> float:
    return losses.Loss("dpo", b)(batch(tensors(values), label)).item()


def numpy_soft(values: tuple[float, ...], b: float, label: float) -> float:
    m = b * ((values[0] - values[2]) - (values[1] - values[3]))
    return label * np.logaddexp(0, -m) + (1 - label) * np.logaddexp(0, m)


@given(quadruple, beta, share)
def test_soft_label_dpo_equals_a_second_implementation(values, b, label):
    assert soft(values, b, label) == pytest.approx(numpy_soft(values, b, label), rel=1e-9, abs=1e-12)


@given(logprob, logprob, beta, share)
def test_policy_equal_to_reference_costs_ln_2_at_margin_0(chosen, rejected, b, label):
    values = (chosen, rejected, chosen, rejected)
    assert losses.margin(*tensors(values), b).item() == 0
    assert soft(values, b, label) == pytest.approx(math.log(2), rel=1e-12)


@given(quadruple, beta, share)
def test_swapping_sides_negates_the_margin_and_turns_the_label(values, b, label):
    swapped = (values[1], values[0], values[3], values[2])
    assert losses.margin(*tensors(swapped), b).item() == -losses.margin(*tensors(values), b).item()
    assert soft(swapped, b, 1 - label) == pytest.approx(soft(values, b, label), rel=1e-9, abs=1e-12)


@given(quadruple, beta, st.floats(0, 0.49))
def test_label_smoothing_is_a_soft_label_and_no_smoothing_is_dpo(values, b, smoothing):
    m = losses.margin(*tensors(values), b)
    conservative = -(1 - smoothing) * torch.nn.functional.logsigmoid(m) - smoothing * torch.nn.functional.logsigmoid(-m)
    assert soft(values, b, 1 - smoothing) == pytest.approx(conservative.item(), rel=1e-9, abs=1e-12)
    assert soft(values, b, 1.0) == pytest.approx(np.logaddexp(0, -m.item()), rel=1e-9, abs=1e-12)


@given(quadruple, beta, share, st.floats(-50, 50), st.booleans())
def test_only_log_ratios_matter(values, b, label, constant, on_chosen):
    moved = list(values)
    for position in (0, 2) if on_chosen else (1, 3):
        moved[position] += constant
    assert soft(tuple(moved), b, label) == pytest.approx(soft(values, b, label), rel=1e-6, abs=1e-9)


@given(st.floats(0.05, 0.95), beta)
def test_the_best_margin_of_a_soft_label_is_its_logit(label, b):
    h = torch.tensor([math.log(label / (1 - label)) / b], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(1, dtype=torch.float64)
    losses.Loss("dpo", b)(batch([h, zero, zero, zero], label)).sum().backward()
    assert h.grad is not None and abs(h.grad.item()) < 1e-12


def test_likelihood_term_is_per_sequence_and_weights_scale_their_own_pair():
    nll = losses.mean_token_nll(torch.tensor([-10.0, -10.0]), torch.tensor([10.0, 2.0]))
    assert nll.tolist() == [1.0, 5.0]
    assert losses.batch_mean(nll, torch.tensor([1.0, 0.5]), 2).item() == pytest.approx((1.0 + 2.5) / 2)
    assert losses.batch_mean(nll, torch.tensor([1.0, 0.0]), 2).item() == pytest.approx(0.5)


token_ids = st.lists(st.integers(20, 60), min_size=1, max_size=12)


@given(st.lists(st.tuples(token_ids, token_ids), min_size=1, max_size=5))
def test_every_completion_token_is_counted_and_no_other(rows):
    rows = [(prompt, [*completion, END_TOKEN]) for prompt, completion in rows]
    ids, labels = pad(rows, pad_token=0)
    for index, (prompt, completion) in enumerate(rows):
        start, end = len(prompt), len(prompt) + len(completion)
        assert ids[index, :end].tolist() == [*prompt, *completion]
        assert labels[index, start:end].tolist() == completion
        assert labels[index, end - 1] == END_TOKEN
        assert set(labels[index, :start].tolist()) | set(labels[index, end:].tolist()) <= {IGNORED}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


def trainer_of(start: Path, scratch: Path, pairs, recipe=SHORT, **options):
    from trl.trainer.dpo_config import DPOConfig

    from selfreward.training.preference_trainer import preference_trainer

    session.be_quiet()
    policy, tokenizer = session.load_start(start, CPU)
    known = session.arguments(recipe, CPU, scratch, 0, 1) | {
        "beta": recipe.beta,
        "precompute_ref_log_probs": True,
        "router_aux_loss_coef": 0.0,
        "disable_dropout": False,
    }
    settings = DPOConfig(**(known | options))
    return preference_trainer(policy, tokenizer, pairs, recipe, settings, saved_steps.SessionCallback(None)), tokenizer


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_padding_never_changes_a_log_probability(start, seed, count):
    model, tokenizer = session.load_start(start, CPU)
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(model)
    rows = [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in random_pairs(count, seed)]
    alone = [score(model, [row], tokenizer.pad_token_id)[0] for row in rows]
    assert score(model, rows, tokenizer.pad_token_id) == pytest.approx(alone, abs=1e-4)


def test_plain_loss_is_trls_own(start, tmp_path):
    """Contract with TRL 1.16: same model, same pairs, TRL's collator and TRL's loss code."""
    from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

    pairs = random_pairs(8, seed=3)
    pairs = [
        dataclasses.replace(pair, reference_chosen=pair.reference_chosen - 2.0 + 0.7 * number)
        for number, pair in enumerate(with_reference(pairs, start))
    ]
    trainer, tokenizer = trainer_of(start, tmp_path, pairs, dataclasses.replace(SHORT, nll=0.0))
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    ours = trainer.compute_loss(
        trainer.model, PairCollator(pairs, tokenizer.pad_token_id, side_by_side)([{"position": i} for i in range(8)])
    )
    theirs_batch = DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id)(
        [
            {
                "prompt_ids": list(pair.prompt_token_ids),
                "chosen_ids": list(pair.chosen_token_ids),
                "rejected_ids": list(pair.rejected_token_ids),
                "ref_chosen_logps": pair.reference_chosen,
                "ref_rejected_logps": pair.reference_rejected,
            }
            for pair in pairs
        ]
    )
    # TRL's own loss reads more of its head than ours has.
    add_fused_lm_head(trainer.model, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    theirs = DPOTrainer._compute_loss(trainer, trainer.model, theirs_batch, False)
    assert abs(ours.item() - math.log(2)) > 0.05
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    gradients = []
    for loss in (ours, theirs):
        trainer.model.zero_grad()
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]).clone())
    assert gradients[0].norm() > 0.01
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)


def test_hooks_that_we_override_exist_in_trl():
    from transformers import Trainer
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.sft_trainer import SFTTrainer

    for name in ("_prepare_dataset", "_precompute_ref_logps", "_send_telemetry", "compute_loss", "create_model_card"):
        assert hasattr(DPOTrainer, name), name
    for name in ("_send_telemetry", "compute_loss", "create_model_card"):
        assert hasattr(SFTTrainer, name), name
    for name in ("_save", "get_batch_samples", "create_scheduler"):
        assert hasattr(Trainer, name), name


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("label_smoothing", 0.1),
        ("padding_free", True),
        ("loss_type", ["ipo"]),
        ("ld_alpha", 0.5),
        ("use_weighting", True),
        ("max_length", 64),
        ("sync_ref_model", True),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(start, tmp_path, option, value):
    with pytest.raises(RecipeError, match=option):
        trainer_of(start, tmp_path, with_reference(random_pairs(2), start), **{option: value})


def test_the_schedule_warms_up_from_the_first_step_and_decays_to_a_tenth():
    factors = [learning_rate_factor(step, steps=100, warmup=5) for step in range(100)]
    assert factors[0] == pytest.approx(0.2)
    assert max(factors) == factors[4]
    assert factors[99] == pytest.approx(0.109)
    assert all(late < early for early, late in itertools.pairwise(factors[4:]))
