"""What every stage of a judge shares: names, seeds, requests, rows and the sealed work of one artifact.

A name or a seed is made of the artifact, the round and what tells this one apart, so that neither order nor chunks show
in a reply. What is asked, and how a reply is read, is each stage's own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from selfreward.engines.protocol import Completion, Request
from selfreward.recipe import SamplingRecipe
from selfreward.records import Judgment, Message, Response, seed_for, stable_id
from selfreward.roles.chunks import chunks_for
from selfreward.roles.player import Player
from selfreward.roles.unreadable import Unreadable
from selfreward.store.run import Work

Unit = TypeVar("Unit")
Row = TypeVar("Row")
Verdict = TypeVar("Verdict")


@dataclass(frozen=True, slots=True)
class Stage:
    """Who is asked in which round for which artifact. `template` is what the rows say that they were asked with."""

    player: Player
    sampling: SamplingRecipe
    round: int
    artifact: str
    template: str

    def name(self, *parts: object) -> str:
        return stable_id(self.artifact, self.round, *parts)

    def seed(self, *parts: object) -> int:
        return seed_for(self.player.seed, self.artifact, self.round, *parts)

    def request(self, name: str, messages: tuple[Message, ...], n: int, seed: int) -> Request:
        """`n` replies, sampled as the judge samples. No judgment keeps its log-probability."""
        how = self.sampling
        return Request(name, messages, n, how.temperature, how.top_p, how.max_tokens, seed, False)

    def judgment(
        self,
        name: str,
        response: Response,
        sample: int,
        reply: Completion,
        verdict: float | Unreadable,
        seed: int,
        mass: float | None = None,
        template: str | None = None,
    ) -> Judgment:
        """The reply and its verdict, or why there is none. `template`: where it is not the whole stage's."""
        score, unreadable = read_or_not(verdict)
        return Judgment(
            id=name,
            response_id=response.id,
            prompt_id=response.prompt_id,
            sample=sample,
            judge=self.player.policy.digest,
            text=reply.text,
            token_ids=reply.token_ids,
            finish_reason=reply.finish_reason,
            seed=seed,
            template=template or self.template,
            score=score,
            unreadable=unreadable,
            mass=mass,
        )

    def work(
        self,
        record: type[Row],
        units: Sequence[Unit],
        compute: Callable[[Sequence[Unit], int], Iterable[Row]],
        made_from: Mapping[str, Any],
        *,
        version: int,
        replies: int,
        tokens: int,
    ) -> Work[Unit, Row]:
        """Work on `units`, each of them `replies` replies of `tokens` tokens; in `made_from` the stage's own part."""
        return Work(
            round=self.round,
            artifact=self.artifact,
            record=record,
            made_from={
                "version": version,
                "round": self.round,
                "template": self.template,
                **made_from,
                **self.player.determines(),
            },
            chunks=chunks_for(self.player, units, replies, tokens),
            compute=compute,
            ahead=self.player.ahead,
        )


def read_or_not(verdict: Verdict | Unreadable) -> tuple[Verdict | None, str | None]:
    """(what the reply says, why it says nothing): one of them is None."""
    return (None, verdict.reason) if isinstance(verdict, Unreadable) else (verdict, None)


def unwritten(
    name: str, response: Response, *, judge: str, template: str, source: str, score: float | None, why: str | None
) -> Judgment:
    """A judgment that has no text of its own: its score comes from other rows or from a verifier; `why` it has none."""
    return Judgment(
        id=name,
        response_id=response.id,
        prompt_id=response.prompt_id,
        sample=0,
        judge=judge,
        text="",
        token_ids=(),
        finish_reason="stop",
        seed=0,
        template=template,
        score=score,
        unreadable=why,
        source=source,
    )
