"""Training a seed model from nothing: a generator that is right half the time, a fair judge, a working meta-judge.

Three stages, all completion-only supervised fine-tuning through TRL. The first teaches the language and the formats.
Before each other stage the model samples replies and judgments of its own and is then taught to judge those, as the
papers build their evaluation data from the seed model's replies. Budgets count tokens, so a seed does not depend on
the speed of a machine; on CPU, with a fixed number of threads, the same recipe gives the same bytes.
"""

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import LlamaForCausalLM, TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments
from trl.trainer.sft_config import SFTConfig

from selfreward.engines.hugging_face.recomputation import RECOMPUTATION
from selfreward.tasks.sandbox.annotator import AnnotatorDials
from selfreward.tasks.sandbox.prompts import judge_prompt
from selfreward.tasks.sandbox.seeds.floors import skill_table
from selfreward.tasks.sandbox.seeds.lessons import Lesson, OwnReply, Teacher, draw_judged_task
from selfreward.tasks.sandbox.seeds.model import build_model, save_model
from selfreward.tasks.sandbox.seeds.recipe import DialledRecipe, SeedRecipe, Stage
from selfreward.tasks.sandbox.seeds.sampling import LONGEST_ANSWER, LONGEST_JUDGMENT, sample_replies
from selfreward.tasks.sandbox.seeds.skill import SKILL_PROMPTS, measure_skill, probe
from selfreward.tasks.sandbox.seeds.trainer import SeedTrainer, length_batches

SEED_CARD = "seed.json"
_OWN_TEMPERATURE = 0.9
_LIBRARIES = ("torch", "transformers", "trl")
Progress = Callable[[str], None]


_DECAY = {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.02}}


@dataclass(frozen=True)
class SeedReport:
    """What came out. `curve` has one row per probe: tokens, loss, accuracy, judge_exact."""

    recipe: SeedRecipe | DialledRecipe
    tokens: int
    curve: list[dict[str, float]]
    skill: dict[str, Any]
    """As `measure_skill` returns it."""
    seconds: float
    directory: Path


def train_seed(recipe: SeedRecipe, out: Path, *, progress: Progress, skill_prompts: int = SKILL_PROMPTS) -> SeedReport:
    """Train a seed model on CPU and write it to `out`; `seed.json`, written last, says that it is whole."""
    started = time.monotonic()
    with threads(recipe.threads):
        model = build_model(recipe.seed)
        curve = Curve(recipe.probe_every, progress)
        for number, stage in enumerate(recipe.stages, start=1):
            annotator = replace(recipe.annotator, noise=recipe.annotator.noise + stage.extra_noise)
            teach(model, recipe, stage, annotator, number, curve)
        save_model(model, out)
        skill = measure_skill(out, skill_prompts)
        progress(skill_table(skill))
    report = SeedReport(recipe, curve.tokens, curve.points, skill, time.monotonic() - started, out)
    write_card(report)
    return report


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Train with `number` threads, on which the last bits depend."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def teach(
    model: LlamaForCausalLM,
    recipe: SeedRecipe,
    stage: Stage,
    annotator: AnnotatorDials,
    number: int,
    curve: "Curve",
    rule_share: float = 0.0,
    teaching: Callable[..., Teacher] = Teacher,
) -> None:
    """One stage, the `number`th of this model: sample it where the stage wants that, then train it in place."""
    seed = recipe.seed * 100 + number
    own = sample_own(model, stage.own_tasks, recipe.own_samples, seed) if stage.own_tasks else []
    teacher = teaching(random.Random(f"lessons {seed}"), recipe.demonstrator, annotator, own, rule_share)
    lessons = teacher.lessons(stage.mix, stage.tokens)
    curve.progress(f"stage {number}: {len(lessons)} lessons, {len(own)} own replies")
    _train_stage(model, lessons, recipe, stage, seed, curve)


def write_card(report: SeedReport) -> None:
    """`seed.json`: what made this model and what it can do. Holds nothing that differs between equal runs."""
    card = {
        "recipe": asdict(report.recipe),
        "tokens": report.tokens,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "curve": report.curve,
        "skill": report.skill,
    }
    (report.directory / SEED_CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def sample_own(model: LlamaForCausalLM, tasks: int, samples: int, seed: int) -> list[OwnReply]:
    """The model's own distinct replies to training tasks, each with `samples` judgments of its own."""
    rng = random.Random(f"own {seed}")
    drawn = [draw_judged_task(rng) for _ in range(tasks)]
    replies = sample_replies(
        model,
        [task.text for task in drawn],
        longest=LONGEST_ANSWER,
        seed=seed,
        samples=samples,
        temperature=_OWN_TEMPERATURE,
    )
    pairs = [(task, reply) for task, given in zip(drawn, replies, strict=True) for reply in dict.fromkeys(given)]
    judgments = sample_replies(
        model,
        [judge_prompt(task.text, reply) for task, reply in pairs],
        longest=LONGEST_JUDGMENT,
        seed=seed + 1,
        samples=samples,
        temperature=_OWN_TEMPERATURE,
    )
    return [OwnReply(task, reply, given) for (task, reply), given in zip(pairs, judgments, strict=True)]


def _train_stage(
    model: LlamaForCausalLM, lessons: Sequence[Lesson], recipe: SeedRecipe, stage: Stage, seed: int, curve: "Curve"
) -> None:
    """Train `model` in place through all lessons once."""
    rows = Dataset.from_dict(
        {
            "input_ids": [lesson.prompt_ids + lesson.completion_ids for lesson in lessons],
            "completion_mask": [[0] * len(lesson.prompt_ids) + [1] * len(lesson.completion_ids) for lesson in lessons],
        }
    )
    lengths = [len(lesson.prompt_ids) + len(lesson.completion_ids) for lesson in lessons]
    batches = length_batches(lengths, recipe.batch_tokens, random.Random(f"order {seed}"))
    named: dict[str, Any] = {"lr_scheduler_type": "constant", RECOMPUTATION: False}
    if stage.decay:
        named |= {**_DECAY, "warmup_steps": recipe.warmup_steps}
    with tempfile.TemporaryDirectory() as scratch:
        arguments = SFTConfig(
            output_dir=scratch,
            num_train_epochs=1,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
            learning_rate=stage.learning_rate,
            max_grad_norm=1.0,
            seed=seed,
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **named,
        )
        trainer = SeedTrainer(model, arguments, rows, batches, recipe.verdict_weight, curve)
        curve.begin_stage([sum(lengths[index] for index in batch) for batch in batches], trainer.losses)
        trainer.train()


class Curve(TrainerCallback):
    """The training curve over all stages: probes the model every `every` tokens and tells how it goes."""

    def __init__(self, every: int, progress: Progress) -> None:
        self.every = every
        self.progress = progress
        self.points: list[dict[str, float]] = []
        self.tokens = 0

    def begin_stage(self, batch_tokens: Sequence[int], losses: Sequence[float]) -> None:
        self.batch_tokens, self.losses = batch_tokens, losses
        self.tokens_before, self.started = self.tokens, time.monotonic()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        point_before = self.tokens // self.every
        self.tokens += self.batch_tokens[state.global_step - 1]
        if self.tokens // self.every == point_before:
            return
        recent = self.losses[-200:]
        point = {"tokens": float(self.tokens), "loss": sum(recent) / len(recent), **probe(kwargs["model"])}
        kwargs["model"].train()
        self.points.append(point)
        speed = (self.tokens - self.tokens_before) / (time.monotonic() - self.started)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in point.items())
        self.progress(f"{shown}; {speed:.0f} tokens/s")
