"""TRL's supervised trainer as the bootstrap uses it: batches by length, Muon beside AdamW, a loss without waste."""

import random
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import LlamaForCausalLM, PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from selfreward.tasks.sandbox.seeds.model import build_tokenizer
from selfreward.tasks.sandbox.words import PAD, WORD_IDS

_SHUFFLE_WINDOW = 4096
"""Lessons sorted by length at a time, so that batches are full and still mixed."""


class SeedTrainer(SFTTrainer):
    """Trains on rows of `input_ids` and `completion_mask`, in the order of `batches`.

    `losses` grows by one number a step.
    """

    def __init__(
        self,
        model: LlamaForCausalLM,
        arguments: SFTConfig,
        rows: Dataset,
        batches: list[list[int]],
        verdict_weight: float,
        callback: TrainerCallback,
    ) -> None:
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=rows,
            processing_class=build_tokenizer(),
            data_collator=pad_rows,
            callbacks=[callback],
        )
        self.remove_callback(PrinterCallback)
        self.rows = rows
        self.batches = batches
        self.verdict_weight = verdict_weight
        self.losses: list[float] = []

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.rows, batch_sampler=self.batches, collate_fn=pad_rows)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        network = model or self.model
        assert network is not None
        self.optimizer = MuonAdamW(network, self.args.learning_rate)
        return self.optimizer

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean negative log-likelihood of completion words. The head sees their positions only: half the work."""
        ids, mask = inputs["input_ids"], inputs["completion_mask"][:, 1:].bool()  # [rows, time], [rows, time - 1]
        # Rows are padded on the right, so causal attention needs no mask.
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1][mask]  # [words, hidden]
        losses = torch.nn.functional.cross_entropy(model.lm_head(hidden), ids[:, 1:][mask], reduction="none")
        after_better = ids[:, :-1][mask] == WORD_IDS["better"]
        weights = torch.where(after_better, self.verdict_weight, 1.0)
        loss = (losses * weights).sum() / weights.sum()
        self.losses.append(loss.item())
        return loss


class MuonAdamW(torch.optim.Optimizer):
    """Muon at twice the rate on hidden matrices, AdamW on embeddings and norms, behind one optimizer's interface."""

    def __init__(self, model: torch.nn.Module, learning_rate: float) -> None:
        hidden: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for name, parameter in model.named_parameters():
            (hidden if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
        super().__init__([*hidden, *others], {"lr": learning_rate})
        self.parts = (
            torch.optim.Muon(hidden, lr=2 * learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        # Accelerate reloads the state, which replaces our groups by copies, and the schedule writes into those.
        groups = iter(self.param_groups)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = next(groups)["lr"]
            part.step()


def length_batches(lengths: Sequence[int], batch_tokens: int, rng: random.Random) -> list[list[int]]:
    """Indices in batches of similar length that hold at most `batch_tokens` tokens, padding included; shuffled."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), _SHUFFLE_WINDOW):
        batch: list[int] = []
        for index in sorted(order[start : start + _SHUFFLE_WINDOW], key=lambda index: lengths[index]):
            if batch and (len(batch) + 1) * lengths[index] > batch_tokens:
                batches.append(batch)
                batch = []
            batch.append(index)
        batches.append(batch)
    rng.shuffle(batches)
    return batches


def pad_rows(rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Token ids and completion mask, each [rows, longest], padded on the right."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), longest), WORD_IDS[PAD])
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[index, : len(row["completion_mask"])] = torch.tensor(row["completion_mask"])
    return {"input_ids": ids, "completion_mask": mask}
