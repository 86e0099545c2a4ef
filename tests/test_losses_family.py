"""Every preference loss: a second implementation by hand, gradients, TRL's own where it has one, what is refused."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_factory import CPU, SHORT, loss_section, random_pairs, tiny_policy, with_reference
from trl.trainer.utils import add_fused_lm_head

from selfreward.errors import RecipeError, TrainingError
from selfreward.recipe import LOSS_READS
from selfreward.recipe.read import build_recipe
from selfreward.records import Pair
from selfreward.training.losses import LOSSES, Loss, PairBatch
from selfreward.training.preference import train_preferences

# A pair: log-probabilities of chosen and rejected, references, lengths, label, win rates.
VALUES: dict[str, Any] = {
    "chosen": st.floats(-60, -0.5),
    "rejected": st.floats(-60, -0.5),
    "reference_chosen": st.floats(-60, -0.5),
    "reference_rejected": st.floats(-60, -0.5),
    "chosen_tokens": st.integers(1, 40).map(float),
    "rejected_tokens": st.integers(1, 40).map(float),
    "label": st.floats(0, 1),
    "chosen_win_rate": st.floats(0, 1),
    "rejected_win_rate": st.floats(0, 1),
}
pair_values = st.fixed_dictionaries(VALUES)
beta = st.floats(0.05, 3)
smoothing = st.floats(0, 0.45)
EXAMPLE = {
    "chosen": -14.0,
    "rejected": -9.0,
    "reference_chosen": -12.0,
    "reference_rejected": -10.5,
    "chosen_tokens": 7.0,
    "rejected_tokens": 3.0,
    "label": 1.0,
    "chosen_win_rate": 0.8,
    "rejected_win_rate": 0.3,
}


def batch_of(values: dict[str, float], **replaced: torch.Tensor) -> PairBatch:
    tensors = {name: torch.tensor([value], dtype=torch.float64) for name, value in values.items()}
    return PairBatch(**(tensors | replaced))


def settings_of(name: str, b: float, e: float = 0.0, gamma: float = 0.0) -> Loss:
    reads = LOSS_READS[name]
    return Loss(name, b, e if "label_smoothing" in reads else 0.0, gamma if "gamma" in reads else 0.0)


def by_hand(name: str, v: dict[str, float], b: float, e: float, gamma: float) -> float:
    """The table of training/losses.py again, on plain numbers."""
    h_c, h_r = v["chosen"] - v["reference_chosen"], v["rejected"] - v["reference_rejected"]
    n_c, n_r, p = v["chosen_tokens"], v["rejected_tokens"], v["label"]

    def softplus(x: float) -> float:
        return float(np.logaddexp(0, x))

    def odds(mean: float) -> float:
        return mean - math.log1p(-math.exp(mean))

    if name == "sppo":
        targets = (v["chosen_win_rate"] - 0.5) / b, (v["rejected_win_rate"] - 0.5) / b
        return ((h_c - targets[0]) ** 2 + (h_r - targets[1]) ** 2) / 2
    if name == "sppo_hard":
        return (h_c - (p - 0.5) / b) ** 2 + (h_r + (p - 0.5) / b) ** 2
    m = {
        "dpo": b * (h_c - h_r),
        "robust": b * (h_c - h_r),
        "hinge": b * (h_c - h_r),
        "dpo_length_normalised": b * (h_c / n_c - h_r / n_r),
        "ipo_sum": h_c - h_r,
        "ipo_token": h_c / n_c - h_r / n_r,
        "simpo": b * (v["chosen"] / n_c - v["rejected"] / n_r),
        "orpo": odds(v["chosen"] / n_c) - odds(v["rejected"] / n_r),
    }[name]

    def cost(x: float) -> float:
        if name == "hinge":
            return max(0.0, 1 - x)
        if name.startswith("ipo"):
            return (x - 0.5 / b) ** 2
        if name == "robust":
            return ((1 - e) * softplus(-x) - e * softplus(x)) / (1 - 2 * e)
        return softplus(-(x - gamma)) if name == "simpo" else softplus(-x) * (b if name == "orpo" else 1)

    q = p if name == "robust" else (1 - e) * p + e * (1 - p)
    return q * cost(m) + (1 - q) * cost(-m)


@pytest.mark.parametrize("name", LOSSES)
@given(pair_values, beta, smoothing, st.floats(0, 2))
def test_a_loss_equals_its_second_implementation(name, values, b, e, gamma):
    settings = settings_of(name, b, e, gamma)
    expected = by_hand(name, values, b, settings.label_smoothing, settings.gamma)
    assert settings(batch_of(values)).item() == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_reads_what_the_recipe_says_that_it_reads_and_nothing_else(name):
    """Each input in turn is moved; the loss moves with it if and only if LOSS_READS names it."""
    values = EXAMPLE | {"label": 0.9}

    def value(settings: Loss, **moved: float) -> float:
        return settings(batch_of(values | moved)).item()

    before = value(Loss(name, 0.7))
    moves = {
        "reference": value(Loss(name, 0.7), reference_chosen=-11.0),
        "label": value(Loss(name, 0.7), label=0.6),
        "label_smoothing": value(Loss(name, 0.7, label_smoothing=0.2)),
        "gamma": value(Loss(name, 0.7, gamma=0.5)),
        "win_rates": value(Loss(name, 0.7), rejected_win_rate=0.4),
    }
    read = {what for what, after in moves.items() if abs(after - before) > 1e-9}
    assert read == LOSS_READS[name] - {"nll"}
    assert value(Loss(name, 0.9)) != pytest.approx(before)


@pytest.mark.parametrize("name", [name for name in LOSSES if "reference" not in LOSS_READS[name]])
def test_a_reference_free_loss_needs_no_reference(name):
    values = {key: value for key, value in EXAMPLE.items() if not key.startswith("reference")}
    assert Loss(name)(batch_of(values)).item() == Loss(name)(batch_of(EXAMPLE)).item()


def slope(name: str, values: dict[str, float], **settings: float) -> float:
    """How a gradient step moves the margin: minus d loss / d chosen."""
    chosen = torch.tensor([values["chosen"]], dtype=torch.float64, requires_grad=True)
    Loss(name, **settings)(batch_of(values, chosen=chosen)).sum().backward()
    assert chosen.grad is not None
    return -chosen.grad.item()


SOFT = [name for name in LOSSES if "label" in LOSS_READS[name] and name not in ("hinge", "robust")]


@pytest.mark.parametrize("name", [*SOFT, "robust"])
def test_a_label_of_one_half_pulls_the_margin_back_to_0(name):
    ahead = EXAMPLE | {"label": 0.5, "chosen": -5.0, "reference_chosen": -12.0, "chosen_tokens": 6.0}
    behind = EXAMPLE | {"label": 0.5, "chosen": -40.0, "reference_chosen": -12.0, "chosen_tokens": 6.0}
    assert Loss(name).margin(batch_of(ahead)).item() > 0 > Loss(name).margin(batch_of(behind)).item()
    assert slope(name, ahead) < 0 < slope(name, behind)


@pytest.mark.parametrize("name", [name for name in LOSSES if "label" in LOSS_READS[name]])
def test_a_label_below_one_half_reverses_the_preference(name):
    level = EXAMPLE | {"chosen": -9.0, "reference_chosen": -10.5, "chosen_tokens": 3.0}
    assert Loss(name).margin(batch_of(level)).item() == pytest.approx(0, abs=1e-12)
    # sppo_hard reads each side on its own, so it stands still only where that side's ratio is 0.
    level |= {"chosen": -10.5, "rejected": -10.5} if name == "sppo_hard" else {}
    forward, backward = (slope(name, level | {"label": label}) for label in (0.8, 0.2))
    assert forward > 0 > backward
    assert forward == pytest.approx(-backward)


@given(pair_values, beta)
def test_without_flips_robust_is_dpo_and_win_rates_1_and_0_are_half_of_the_hard_form(values, b):
    batch = batch_of(values)
    assert Loss("robust", b)(batch).item() == pytest.approx(Loss("dpo", b)(batch).item(), rel=1e-9, abs=1e-12)
    sure = batch_of(values | {"label": 1.0, "chosen_win_rate": 1.0, "rejected_win_rate": 0.0})
    assert 2 * Loss("sppo", b)(sure).item() == pytest.approx(Loss("sppo_hard", b)(sure).item(), rel=1e-9)


@given(pair_values, beta, smoothing)
def test_robust_is_unbiased_under_symmetric_flips(values, b, flips):
    """Its mean over labels that were turned with probability `flips` is plain DPO on the true label."""
    loss = Loss("robust", b, flips)
    true, turned = (loss(batch_of(values | {"label": label})).item() for label in (1.0, 0.0))
    plain = Loss("dpo", b)(batch_of(values | {"label": 1.0})).item()
    assert (1 - flips) * true + flips * turned == pytest.approx(plain, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("name", "b", "best"), [("ipo_sum", 0.5, 1.0), ("sppo_hard", 0.1, 5.0)])
def test_a_squared_loss_is_0_at_its_finite_target(name, b, best):
    values = EXAMPLE | {"reference_chosen": -20.0, "chosen": -20.0 + best, "rejected": -10.5}
    if name == "sppo_hard":
        values |= {"rejected": -10.5 - best}
    assert Loss(name, b)(batch_of(values)).item() == pytest.approx(0, abs=1e-12)


def test_orpo_stays_finite_for_a_completion_that_is_certain():
    chosen = torch.tensor([0.0], dtype=torch.float64, requires_grad=True)
    loss = Loss("orpo", 0.1)(batch_of(EXAMPLE, chosen=chosen))
    loss.sum().backward()
    assert math.isfinite(loss.item()) and math.isfinite(chosen.grad.item())


TRLS = {
    "dpo": ("sigmoid", 0.0),
    "robust": ("robust", 0.2),
    "hinge": ("hinge", 0.0),
    "ipo_token": ("ipo", 0.0),
    "dpo_length_normalised": ("sigmoid_norm", 0.0),
    "sppo_hard": ("sppo_hard", 0.0),
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def pairs(start: Path) -> list[Pair]:
    return with_reference(random_pairs(24), start)


@pytest.mark.parametrize("name", TRLS)
def test_a_loss_that_trl_has_equals_trls(name, start, pairs, tmp_path):
    """Contract with TRL 1.16: TRL's collator, forward and loss code on the same model and pairs."""
    from test_losses import trainer_of
    from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

    from selfreward.training.rows import PairCollator, side_by_side

    theirs_name, flips = TRLS[name]
    moved = [
        dataclasses.replace(pair, reference_chosen=pair.reference_chosen - 2.0 + 0.7 * number)
        for number, pair in enumerate(pairs[:8])
    ]
    recipe = dataclasses.replace(SHORT, nll=0.0, loss=loss_section(name, label_smoothing=flips))
    trainer, tokenizer = trainer_of(start, tmp_path, moved, recipe)
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    rows = [{"position": position} for position in range(8)]
    ours = trainer.compute_loss(trainer.model, PairCollator(moved, tokenizer.pad_token_id, side_by_side)(rows))
    trainer.loss_types, trainer.label_smoothing = [theirs_name], flips
    batch = DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id)(
        [
            {
                "prompt_ids": list(pair.prompt_token_ids),
                "chosen_ids": list(pair.chosen_token_ids),
                "rejected_ids": list(pair.rejected_token_ids),
                "ref_chosen_logps": pair.reference_chosen,
                "ref_rejected_logps": pair.reference_rejected,
            }
            for pair in moved
        ]
    )
    # TRL's own loss reads more of its head than ours has.
    add_fused_lm_head(trainer.model, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    theirs = DPOTrainer._compute_loss(trainer, trainer.model, batch, False)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5, abs=1e-5)
    if name != "dpo":
        assert abs(ours.item() - Loss("dpo", recipe.beta)(_pair_batch(trainer, moved)).mean().item()) > 1e-3


def _pair_batch(trainer: Any, pairs: list[Pair]) -> PairBatch:
    from selfreward.training.rows import score

    rows = [(pair.prompt_token_ids, ids) for pair in pairs for ids in (pair.chosen_token_ids, pair.rejected_token_ids)]
    values = torch.tensor(score(trainer.model, rows, 0)).view(-1, 2)
    references = torch.tensor([[pair.reference_chosen, pair.reference_rejected] for pair in pairs])
    one = torch.ones(len(pairs))
    return PairBatch(values[:, 0], values[:, 1], one, one, one, references[:, 0], references[:, 1])


BETAS = {"sppo": 0.05, "sppo_hard": 0.05, "simpo": 2.0, "ipo_sum": 0.1, "ipo_token": 0.5, "orpo": 1.0}


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "dpo"])
def test_every_loss_trains_and_its_metrics_mean_something(name, start, pairs, tmp_path):
    """The margin that is logged grows from its start, and the accuracy is that of the margin."""
    rated = [dataclasses.replace(pair, chosen_win_rate=0.9, rejected_win_rate=0.1) for pair in pairs]
    if "reference" not in LOSS_READS[name]:
        rated = [dataclasses.replace(pair, reference_chosen=None, reference_rejected=None) for pair in rated]
    recipe = dataclasses.replace(SHORT, nll=0.1, loss=loss_section(name), beta=BETAS.get(name, 0.3), epochs=6.0)
    report = train_preferences(
        start,
        rated,
        recipe,
        model=CPU,
        seed=1,
        reference_is_start=True,
        out=tmp_path / "out",
        scratch=tmp_path / "scratch",
    )
    metrics = report.metrics
    assert metrics["last_loss"] < metrics["first_loss"]
    assert metrics["accuracy"] > 0.75
    assert metrics["margin"] > 0
    assert metrics["chosen_logprob_shift"] > metrics["rejected_logprob_shift"]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("sppo", {}, "no win rates"),
        ("sppo", {"chosen_win_rate": 0.9, "rejected_win_rate": 0.2, "label": 0.7}, "label is 0.7"),
        ("ipo_sum", {"reference_chosen": None}, "no reference log-probabilities"),
    ],
)
def test_a_pair_without_what_the_loss_reads_is_refused_by_its_id(name, change, words, start, pairs, tmp_path):
    changed = (
        [pairs[0], dataclasses.replace(pairs[1], **change)]
        if "label" not in change
        else [dataclasses.replace(pairs[1], **change)]
    )
    with pytest.raises(TrainingError, match=f"pair-[01]: .*{words}"):
        train_preferences(
            start,
            changed,
            dataclasses.replace(SHORT, loss=loss_section(name)),
            model=CPU,
            seed=1,
            reference_is_start=True,
            out=tmp_path / "out",
            scratch=tmp_path / "scratch",
        )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.loss.label_smoothing=0.5"], "expected below 0.5"),
        (["train.loss.label_smoothing=0.6", "train.loss=robust"], "expected below 0.5"),
        (["train.loss.gamma=0.5"], "'train.loss.gamma': train.loss.kind=dpo does not read it.*simpo"),
        (["train.loss=sppo", "pairs.rule=sppo", "train.loss.label_smoothing=0.1"], "does not read"),
        (["train.loss=simpo", "train.reference=initial"], "'train.reference' is 'initial'.* does not read"),
        (["train.loss=orpo", "train.nll=0"], "train.nll is 0"),
        (["train.loss=sppo"], "only pairs.rule=sppo gives"),
        (["train.loss=sppo", "pairs.rule=sppo", "meta.enabled=true"], "the pairs of meta.enabled"),
        (["train.loss=sppo", "pairs.rule=sppo", "pairs.flip=0.1"], "pairs.flip changes nothing"),
        (["train.method=sft", "train.loss=ipo_sum"], "train.method=sft does not read"),
        (["train.method=none", "train.prefix_sharing=always"], "train.method=none does not read"),
        (["train.loss=cpo"], "train.loss"),
    ],
)
def test_a_setting_that_nothing_would_read_is_refused(overrides, words):
    with pytest.raises(RecipeError, match=words):
        build_recipe([], overrides)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_a_recipe_value(name):
    extra = ["pairs.rule=sppo"] if "win_rates" in LOSS_READS[name] else []
    assert build_recipe([], [f"train.loss={name}", *extra]).train.loss.kind == name
    assert set(LOSSES) == set(LOSS_READS)
