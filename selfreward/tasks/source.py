"""What a source of prompts gives: the sandbox's world, the English one, and the user's files are such. All is pure."""

from collections.abc import Sequence
from typing import Protocol

from selfreward.records import Labelled, Message, Pool, Prompt, stable_id

EVALUATION_POOLS: tuple[Pool, ...] = ("gate", "selection", "report")


class Source(Protocol):
    @property
    def overlap_words(self) -> int | None:
        """How many words in a row make two prompts overlap; None where only equal texts do."""
        ...

    def training(self, round: int, count: int) -> list[Prompt]:
        """`count` fresh prompts for `round` (from 1); the same for equal seeds, disjoint between rounds.

        A larger `count` than a round's goes on with the next rounds' prompts: from round 1 it gives those of all.
        """
        ...

    def pools(self) -> list[Prompt]:
        """The prompts of the three evaluation pools."""
        ...

    def frozen(self) -> list[Labelled]:
        """Answers with known scores that every round's judge rescores; empty where there are none."""
        ...

    def examples(self) -> list[str]:
        """Prompt texts that may be shown to the model when it writes new prompts."""
        ...

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        """Seed demonstrations for the control `train.method=sft`."""
        ...

    def preferences(self, round: int, count: int) -> list[Prompt]:
        """Prompts on whose answers a reward model is trained after `round`; the policy may be trained on them too."""
        ...

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """The given answers by prompt id, where there are any (SPIN's chosen side)."""
        ...


def prompt_id(messages: tuple[Message, ...]) -> str:
    return stable_id("prompt", [(message.role, message.content) for message in messages])


def by_pool(prompts: Sequence[Prompt]) -> dict[str, list[Prompt]]:
    """Prompts grouped by the pool they belong to."""
    pools: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        pools.setdefault(prompt.pool, []).append(prompt)
    return pools
