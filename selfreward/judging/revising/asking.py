"""The two questions of a turn as work: one critique of every draft, and one revision of those that need one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from selfreward.engines.protocol import Completion
from selfreward.judging.asking import ask
from selfreward.judging.prompts.pairwise import Principle
from selfreward.judging.revising.drafts import Draft
from selfreward.judging.revising.faults import fault_of_critique, fault_of_revision, finds_nothing, without_opening
from selfreward.judging.revising.rows import Critique, Revision
from selfreward.judging.revising.words import ask_critic, ask_reviser, critic_version, reviser_version
from selfreward.judging.stage import Stage
from selfreward.recipe import RevisingRecipe, as_dict
from selfreward.records import Message, Prompt, seed_for
from selfreward.roles.chunks import longest
from selfreward.roles.player import Player
from selfreward.store.artifacts import part_of
from selfreward.store.run import Work

VERSION = 1
CRITIQUES, REVISIONS = "critiques", "revisions"
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a round: who is asked, how, and of which rows the answers are made."""

    player: Player
    prompts: Mapping[str, Prompt]
    recipe: RevisingRecipe
    number: int
    round: int
    made_from: Mapping[str, str]

    def principle(self, draft: Draft) -> Principle:
        return draft.principles[self.number - 1]

    def prompt(self, draft: Draft) -> Prompt:
        return self.prompts[draft.answer.prompt_id]


def criticising(turn: Turn, drafts: Sequence[Draft]) -> Work[Draft, Critique]:
    """Work that yields one Critique of every draft."""
    stage = _stage(turn, CRITIQUES, critic_version(turn.recipe))

    def compute(chunk: Sequence[Draft], index: int) -> Iterator[Critique]:
        shown = [ask_critic(turn.recipe, turn.prompt(draft), draft.text, turn.principle(draft)) for draft in chunk]
        for draft, (name, reply, seed) in zip(chunk, _replies(stage, chunk, shown, index), strict=True):
            fault = fault_of_critique(reply, draft.text)
            yield Critique(
                **_row(stage, name, turn, draft, reply, seed),
                critic=turn.player.policy.digest,
                text=reply.text,
                finding=None if fault else "fine" if finds_nothing(reply.text) else "change",
                unusable=fault,
            )

    return _work(turn, stage, Critique, drafts, compute)


def rewriting(turn: Turn, drafts: Sequence[Draft], critiques: Mapping[str, Critique]) -> Work[Draft, Revision]:
    """Work that yields one Revision of every draft; `critiques` is by the id of the answer that it began as."""
    stage = _stage(turn, REVISIONS, reviser_version(turn.recipe))

    def compute(chunk: Sequence[Draft], index: int) -> Iterator[Revision]:
        said = [critiques[draft.answer.id] for draft in chunk]
        shown = [
            ask_reviser(turn.recipe, turn.prompt(draft), draft.text, turn.principle(draft), critique.text)
            for draft, critique in zip(chunk, said, strict=True)
        ]
        replies = _replies(stage, chunk, shown, index)
        for draft, critique, (name, reply, seed) in zip(chunk, said, replies, strict=True):
            text, cut = without_opening(reply.text)
            yield Revision(
                **_row(stage, name, turn, draft, reply, seed),
                critique_id=critique.id,
                reviser=turn.player.policy.digest,
                text=text,
                cut=cut,
                reasoning=reply.reasoning,
                unusable=fault_of_revision(reply, text, draft.text, critique.text, turn.prompt(draft), turn.recipe),
            )

    return _work(turn, stage, Revision, drafts, compute)


def _stage(turn: Turn, artifact: str, template: str) -> Stage:
    return Stage(turn.player, turn.recipe.sampling, turn.round, part_of(artifact, turn.number), template)


def _replies(
    stage: Stage, chunk: Sequence[Draft], shown: Sequence[tuple[Message, ...]], index: int
) -> list[tuple[str, Completion, int]]:
    """The id of each row, the reply, and the seed of the call."""
    seed = stage.seed(index)
    names = [stage.name(draft.answer.id) for draft in chunk]
    requests = [
        stage.request(name, messages, 1, seed_for(seed, name)) for name, messages in zip(names, shown, strict=True)
    ]
    replies = ask(stage.player.hold(), requests, seed)
    return [(name, reply, seed) for name, (reply,) in zip(names, replies, strict=True)]


def _row(stage: Stage, name: str, turn: Turn, draft: Draft, reply: Completion, seed: int) -> dict[str, Any]:
    """What critiques and revisions say alike."""
    return {
        "id": name,
        "prompt_id": draft.answer.prompt_id,
        "response_id": draft.answer.id,
        "about": draft.about,
        "turn": turn.number,
        "principle": turn.principle(draft).name,
        "token_ids": reply.token_ids,
        "finish_reason": reply.finish_reason,
        "seed": seed,
        "template": stage.template,
    }


def _work(
    turn: Turn,
    stage: Stage,
    record: type[Row],
    drafts: Sequence[Draft],
    compute: Callable[[Sequence[Draft], int], Iterable[Row]],
) -> Work[Draft, Row]:
    recipe = turn.recipe
    told = {
        "inputs": dict(turn.made_from),
        "revise": {
            "sampling": as_dict(recipe.sampling),
            "turn": turn.number,
            "lengths": [recipe.min_length, recipe.max_length],
        },
    }
    tokens = recipe.sampling.max_tokens + longest(turn.prompt(draft).text + draft.text for draft in drafts)
    return stage.work(record, drafts, compute, told, version=VERSION, replies=1, tokens=tokens)
