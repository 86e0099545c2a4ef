"""What packing could save in preference training: the padding in the batches of finished runs, and what is paid for it.

    python benchmarks/padding.py RUN [RUN ...] [--timed RUN --turns 2]

The pairs of every round, in the order, batches and micro-batches in which they were trained on, or would have been with
other keys; long rows come first inside a batch. `padding` is the share of the columns that hold no token, the most that
packing could save, whatever its form. `bins` packs the rows of each micro-batch of the recipe, first fit from the
longest on, into rows as wide as the longest: a wider row would cost attention more than packing saves. Columns are
those of the recipe's micro-batch with two rows a pair, 1, and what is left of them with other keys.

`--timed` trains one batch of a run's first pairs in each of these ways (forward and backward, seconds of the
processor, the sides in turn) with one thread, from the model that its recipe names.
"""

import argparse
import dataclasses
import itertools
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from selfreward.recipe import DpoRecipe
from selfreward.records import Pair, seed_for
from selfreward.store.given import chunked
from selfreward.store.view import RunView
from selfreward.training.prefix import row_length
from selfreward.training.rows import pair_length, training_order
from selfreward.training.session import default_micro_batch

Rows = Callable[[Pair], tuple[int, ...]]
MICRO = (8, 2, 1)


def two_rows(pair: Pair) -> tuple[int, ...]:
    prompt = len(pair.prompt_token_ids)
    return prompt + len(pair.chosen_token_ids), prompt + len(pair.rejected_token_ids)


def one_row(pair: Pair) -> tuple[int, ...]:
    return (row_length(pair),)


@dataclasses.dataclass(frozen=True)
class Training:
    """The pairs of a round and how they were trained on."""

    pairs: Sequence[Pair]
    recipe: DpoRecipe
    seed: int

    def order(self, length: Callable[[Pair], int]) -> list[int]:
        lengths, how = list(map(length, self.pairs)), self.recipe
        return training_order(lengths, how.epochs, how.batch_size, self.seed)

    @property
    def micro(self) -> int:
        return self.recipe.micro_batch_size or default_micro_batch(self.recipe.batch_size)

    def widths(self, rows: Rows, micro: int) -> Iterator[list[int]]:
        """The lengths of the rows of every micro-batch."""
        order = self.order(row_length if rows is one_row else pair_length)
        for step in chunked(order, self.recipe.batch_size):
            for part in chunked(step, micro):
                yield [length for position in part for length in rows(self.pairs[position])]

    def columns(self, rows: Rows, micro: int) -> tuple[int, int]:
        """(columns that hold tokens, all columns)."""
        batches = list(self.widths(rows, micro))
        return sum(map(sum, batches)), sum(max(lengths) * len(lengths) for lengths in batches)

    def in_bins(self) -> tuple[int, int]:
        batches = list(self.widths(two_rows, self.micro))
        return sum(map(sum, batches)), sum(max(lengths) * bins(lengths) for lengths in batches)


def bins(lengths: Sequence[int]) -> int:
    """Rows as wide as the longest that all fit into, first fit."""
    free: list[int] = []
    for length in sorted(lengths, reverse=True):
        place = next((place for place, room in enumerate(free) if room >= length), None)
        if place is None:
            free.append(max(lengths) - length)
        else:
            free[place] -= length
    return len(free)


def trainings(run: RunView) -> Iterator[tuple[int, Training]]:
    recipe = run.recipe()
    for number in run.rounds()[1:]:
        pairs = run.read(number, "pairs", Pair)
        if pairs and isinstance(recipe.train, DpoRecipe):
            yield number, Training(pairs, recipe.train, seed_for(recipe.seed, "train", number))


def line(name: str, number: int, one: Training) -> str:
    tokens, whole = one.columns(two_rows, one.micro)
    cells = [len(one.pairs), f"{tokens / 2 / len(one.order(pair_length)):.0f}", one.micro, f"{1 - tokens / whole:.0%}"]
    cells.append(f"{1 - tokens / one.in_bins()[1]:.0%}")
    for rows in (two_rows, one_row):
        for micro in MICRO:
            if one.recipe.batch_size % micro == 0:
                held, columns = one.columns(rows, micro)
                cells.append(f"{1 - held / columns:.0%} ({columns / whole:.2f})")
            else:
                cells.append("")
    return f"| {name} | {number} | {' | '.join(map(str, cells))} |"


def timed(run: RunView, turns: int) -> Iterator[str]:
    """Seconds a batch of each way to train on it, and the loss, which is the same."""
    import torch

    torch.set_num_threads(1)
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(turns):
        for sharing, micro in itertools.product(("never", "always"), MICRO):
            seconds, loss = batch(run, micro, sharing == "always")
            found.setdefault((sharing, micro), []).append(seconds)
            print(f"sharing {sharing}, micro-batch {micro}: {seconds:.2f} s, loss {loss:.6f}", flush=True)
    first = found["never", MICRO[0]]
    for (sharing, micro), seconds in found.items():
        ratios = [a / b for a, b in zip(first, seconds, strict=True)]
        told = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        yield f"| {sharing} | {micro} | {statistics.median(seconds):.1f} | {told} |"


def batch(run: RunView, micro: int, share: bool) -> tuple[float, float]:
    """Forward and backward of the first batch, as the trainer computes them."""
    import torch
    from trl.trainer.dpo_config import DPOConfig

    from selfreward.training import saved_steps, session
    from selfreward.training.preference_trainer import preference_trainer

    whole = run.recipe()
    (_, training), *_ = trainings(run)
    session.be_quiet()
    start = Path(whole.model.path)
    policy, tokenizer = session.load_start(start, whole.model)
    recipe = dataclasses.replace(training.recipe, micro_batch_size=micro, epochs=1.0)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = session.arguments(recipe, whole.model, Path(scratch), training.seed, 1)
        settings = DPOConfig(**arguments, beta=recipe.beta, precompute_ref_log_probs=True, router_aux_loss_coef=0.0)
        callback = saved_steps.SessionCallback(None)
        trainer = preference_trainer(policy, tokenizer, training.pairs, recipe, settings, callback, share=share)
        session.lift(trainer.model, start, recipe, whole.model)
        parts = list(itertools.islice(trainer.get_train_dataloader(), recipe.batch_size // micro))
        trainer.current_gradient_accumulation_steps = len(parts)
        trainer.model.train()
        begun, losses = os.times(), 0.0
        for part in parts:
            with torch.autocast("cpu", getattr(torch, whole.model.dtype), enabled=whole.model.dtype != "float32"):
                loss = trainer.compute_loss(trainer.model, dict(part), num_items_in_batch=recipe.batch_size)
            loss.backward()
            losses += loss.item()
        ended = os.times()
    return ended.user + ended.system - begun.user - begun.system, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--timed", type=Path, help="a run whose first batch is trained on")
    parser.add_argument("--turns", type=int, default=2)
    asked = parser.parse_args()
    if asked.runs:
        sides = [f"{rows}, {micro}" for rows in ("two rows", "shared") for micro in MICRO]
        head = ["run", "round", "pairs", "tokens a row", "micro-batch", "padding", "in bins", *sides]
        print(f"| {' | '.join(head)} |\n|---{'|---:' * (len(head) - 1)}|")
    for run in map(RunView, asked.runs):
        for number, one in trainings(run):
            print(line(run.name, number, one), flush=True)
    if asked.timed:
        told = list(timed(RunView(asked.timed), asked.turns))
        print("\n| sharing | micro-batch | s a batch | times as fast |\n|---|---:|---:|---:|", *told, sep="\n")


if __name__ == "__main__":
    main()
