"""Answers' log-probabilities under the policy that sampled them, and under the reference, in the trainer's arithmetic.

At the temperature of the sampling, with the weights that training starts from (the float32 copy of a half-precision
policy, `full_precision.py`) and its autocast: a ratio is then 1 until a step is taken. Prompts are the renderer's
tokens, answers the sampled ones. One model is in memory at a time, and none when the scorer is closed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.engines.checkpoints import FULL_PRECISION
from selfreward.engines.tensors import weights_digest
from selfreward.recipe import ModelRecipe, Steps
from selfreward.records import Likelihood, Rows, stable_id
from selfreward.roles.chunks import chunks_for
from selfreward.roles.player import Player, Policy
from selfreward.roles.round import Round
from selfreward.store.run import Work

if TYPE_CHECKING:
    from selfreward.training.rows import Row

VERSION = 1


@dataclass
class Scorer:
    """The policy in `directory`, loaded when it is first asked and there is room. `starts`: training starts from it."""

    directory: Path
    recipe: Steps
    model: ModelRecipe
    temperature: float
    starts: bool
    make_room: Callable[[], None] = lambda: None
    _loaded: Any = field(default=None, init=False)
    _pad: int = field(default=0, init=False)

    def __call__(self, rows: "Sequence[Row]") -> list[tuple[float, ...]]:
        import torch

        from selfreward.training.sample_rows import score_tokens

        if self._loaded is None:
            self._load()
        return score_tokens(self._loaded, rows, self._pad, getattr(torch, self.model.dtype))

    def _load(self) -> None:
        from selfreward.training import session
        from selfreward.training.head import put_head

        session.be_quiet()
        self.make_room()
        policy, tokenizer = session.load_start(self.directory, self.model)
        if self.starts:
            session.lift(policy, self.directory, self.recipe, self.model)
        policy.to(session.device_name(self.model))
        put_head(policy, self.temperature)
        self._loaded, self._pad = policy.eval(), tokenizer.pad_token_id

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        from selfreward.training.jobs import release

        if self._loaded is not None:
            self._loaded = None
            release()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in tokens; `id` is the response's."""

    id: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]


def likelihoods(
    scorer: "Callable[[Sequence[Row]], list[tuple[float, ...]]]",
    player: Player,
    answers: Sequence[Answer],
    *,
    made_from: Mapping[str, Any],
    round: int,
    artifact: str,
) -> Work[Answer, Likelihood]:
    """Work that yields each answer's log-probabilities by `scorer`, which holds the player's policy."""

    def compute(part: Sequence[Answer], index: int) -> Iterator[Likelihood]:
        found = scorer([(one.prompt_token_ids, one.token_ids) for one in part])
        for one, logprobs in zip(part, found, strict=True):
            yield Likelihood(stable_id(artifact, round, one.id), one.id, player.policy.digest, logprobs)

    read = max((len(one.prompt_token_ids) + len(one.token_ids) for one in answers), default=0)
    return Work(
        round=round,
        artifact=artifact,
        record=Likelihood,
        made_from={
            "version": VERSION,
            "round": round,
            "answers": stable_id([(one.id, one.prompt_token_ids, one.token_ids) for one in answers]),
            **made_from,
            **player.determines(),
        },
        chunks=chunks_for(player, answers, 1, read),
        compute=compute,
    )


def logprobs_under(
    round: Round, steps: Steps, policy: Policy, answers: Sequence[Answer], *, starts: bool
) -> dict[str, tuple[float, ...]]:
    """Sealed log-probabilities by response id; `starts`: of the policy that training starts from, else the reference's.

    The engine gives its memory to the scorer, while something is owed.
    """
    temperature = round.recipe.generate.sampling.temperature
    scorer = Scorer(policy.directory, steps, round.recipe.model, temperature, starts, round.cast.rest)
    copy = policy.directory / FULL_PRECISION
    work = likelihoods(
        scorer,
        round.cast.player(policy),
        answers,
        made_from={
            "temperature": temperature,
            "starts": starts,
            "copy": weights_digest(copy) if starts and copy.is_dir() else "",
        },
        round=round.number,
        artifact=f"sample_likelihoods_{'policy' if starts else 'reference'}",
    )
    with closing(scorer):
        rows: Rows[Likelihood] = round.complete(work)
    return {row.response_id: row.logprobs for row in rows}
