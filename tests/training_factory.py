"""An untrained tiny policy, random pairs, and log-probabilities computed one sequence at a time without any padding."""

import dataclasses
import random
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from selfreward.recipe import LOSS_READS, DpoRecipe, LoraRecipe, LossRecipe, ModelRecipe
from selfreward.recipe.read import build_recipe
from selfreward.records import Pair, Sample
from selfreward.tasks.sandbox.seeds.model import build_model, save_model
from selfreward.tasks.sandbox.words import END, SPECIAL, VOCABULARY, WORD_IDS

END_TOKEN = WORD_IDS[END]
CPU = ModelRecipe(device="cpu")
SHORT = DpoRecipe(batch_size=8, epochs=2.0, save_steps=2, warmup_steps=2, learning_rate=1e-3)


def loss_section(name: str, **keys: float) -> LossRecipe:
    """The loss of this name, with what it would not read left out."""
    loss = {"kind": name, **{key: value for key, value in keys.items() if key in LOSS_READS[name]}}
    pairs = {"rule": "sppo"} if name == "sppo" else {}
    train = build_recipe([{"train": {"loss": loss}, "pairs": pairs}]).train
    assert isinstance(train, DpoRecipe)
    return train.loss


def tiny_policy(directory: Path, seed: int = 0) -> Path:
    save_model(build_model(seed), directory)
    return directory


def random_pairs(count: int, seed: int = 0, **fields: object) -> list[Pair]:
    """Pairs of random words that end as they should; without reference log-probabilities."""
    source = random.Random(seed)
    words = range(len(SPECIAL), len(VOCABULARY))

    def tokens(low: int, high: int) -> tuple[int, ...]:
        return tuple(source.choice(words) for _ in range(source.randint(low, high)))

    return [
        Pair(
            id=f"pair-{number}",
            kind="answer",
            prompt_id=f"prompt-{number}",
            chosen_id="chosen",
            rejected_id="rejected",
            prompt_token_ids=tokens(4, 30),
            chosen_token_ids=(*tokens(1, 20), END_TOKEN),
            rejected_token_ids=(*tokens(1, 20), END_TOKEN),
            chosen_score=5.0,
            rejected_score=1.0,
            source="judge",
            **fields,  # type: ignore[arg-type]
        )
        for number in range(count)
    ]


def random_samples(
    directory: Path, count: int, seed: int = 0, temperature: float = 1.0, reference: Path | None = None, group: int = 4
) -> list[Sample]:
    """Samples of random words in groups of `group`, with the log-probabilities of the policy in `directory`.

    Their advantages fall from 1 to -1 inside each group.
    """
    policy = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    other = AutoModelForCausalLM.from_pretrained(reference, dtype=torch.float32).eval() if reference else None
    source = random.Random(seed)
    words = range(len(SPECIAL), len(VOCABULARY))
    made = []
    for number in range(count):
        prompt = tuple(random.Random(f"{seed}-{number // group}").choices(words, k=5 + number // group % 7))
        answer = (*source.choices(words, k=source.randint(1, 20)), END_TOKEN)
        advantage = 1.0 - 2.0 * (number % group) / (group - 1)
        made.append(
            Sample(
                id=f"sample-{number}",
                prompt_id=f"prompt-{number // group}",
                response_id=f"response-{number}",
                prompt_token_ids=prompt,
                token_ids=answer,
                finish_reason="stop",
                reward=advantage,
                advantage=advantage,
                source="score",
                policy="start",
                temperature=temperature,
                old_logprobs=plain_logprobs(policy, prompt, answer, temperature),
                reference="reference" if other else "",
                reference_logprobs=plain_logprobs(other, prompt, answer, temperature) if other else (),
            )
        )
    return made


@torch.no_grad()
def plain_logprobs(
    model: torch.nn.Module, prompt: tuple[int, ...], completion: tuple[int, ...], temperature: float = 1.0
) -> tuple[float, ...]:
    logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0].double() / temperature
    logprobs = torch.log_softmax(logits, dim=-1)
    return tuple(logprobs[len(prompt) + i - 1, token].item() for i, token in enumerate(completion))


@torch.no_grad()
def plain_logprob(model: torch.nn.Module, prompt: tuple[int, ...], completion: tuple[int, ...]) -> float:
    logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0].double()
    logprobs = torch.log_softmax(logits, dim=-1)
    return sum(logprobs[len(prompt) + i - 1, token].item() for i, token in enumerate(completion))


def with_reference(pairs: list[Pair], directory: Path) -> list[Pair]:
    """`pairs` with the log-probabilities of the policy in `directory`."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    return [
        dataclasses.replace(
            pair,
            reference_chosen=plain_logprob(model, pair.prompt_token_ids, pair.chosen_token_ids),
            reference_rejected=plain_logprob(model, pair.prompt_token_ids, pair.rejected_token_ids),
        )
        for pair in pairs
    ]


def train_child(directory: Path, adapter: bool, method: str) -> None:
    """What a child process runs until it is killed; prints every finished step."""
    start = directory / "start"
    recipe = dataclasses.replace(SHORT, lora=LoraRecipe(rank=2, alpha=4) if adapter else None)
    where: dict[str, Any] = {
        "model": CPU,
        "seed": 7,
        "out": directory / "out",
        "scratch": directory / "scratch",
        "progress": lambda step, *_: print(f"step {step}", flush=True),
    }
    if method == "policy_gradient":
        from selfreward.training.policy_gradient import train_policy_gradient

        report = train_policy_gradient(start, random_samples(start, 40), recipe, loss={}, **where)
    else:
        from selfreward.training.preference import train_preferences

        pairs = with_reference(random_pairs(40), start)
        report = train_preferences(start, pairs, recipe, reference_is_start=True, **where)
    (directory / "report.txt").write_text(repr((report.digest, report.steps, report.metrics)))


if __name__ == "__main__":
    train_child(Path(sys.argv[1]), sys.argv[2] == "adapter", *(sys.argv[3:] or ["preferences"]))
