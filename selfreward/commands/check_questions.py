"""What each role of a recipe would be asked: real prompts of its source, with a stand-in for what a model would say.

The generator's questions are those of the run, word for word. A judge is shown an answer, and nothing is sampled here:
the gold answer stands in where the row has one, a line that says so elsewhere. The lengths of such questions are taken
with the longest answers (and judgments) that the recipe lets a model give: an upper bound.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from selfreward.commands.check_reading import how_it_is_read
from selfreward.commands.question_checks import speeches
from selfreward.judging.prompts import debate, listwise, meta, pairwise
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.revising.check import judge_of
from selfreward.judging.revising.words import ask_critic, ask_reviser
from selfreward.recipe import (
    POLICY,
    DebateQuestion,
    JudgeRecipe,
    ModelReference,
    PrincipleQuestion,
    Recipe,
    Revising,
    RevisingRecipe,
    held_out_judge,
)
from selfreward.records import Message, Prompt, seed_for
from selfreward.roles import generator, prompt_writer

Turns = tuple[Message, ...]
ANSWER = "(an answer of the model stands here)"
OTHER = "(another answer of the model stands here)"
JUDGMENT = "(a judgment of this answer stands here)"
CRITIQUE = "(a critique of this answer stands here)"
DEBATE = "(what was said about both answers stands here)"


@dataclass(frozen=True, slots=True)
class Role:
    """`ask` makes the question about one prompt; `given` tokens of a model's own text at most stand in it.

    `read`: how the reply comes about, where the question's words do not say it.
    """

    name: str
    model: ModelReference
    ask: Callable[[Prompt], Turns]
    reply: int
    given: int = 0
    read: str = ""

    @property
    def is_served(self) -> bool:
        return self.model.server is not None


def roles(recipe: Recipe, prompts: Sequence[Prompt]) -> Iterator[Role]:
    """The roles that somebody plays in this recipe. `prompts` are those that a prompt writer is shown."""
    answer, samples = recipe.generate.sampling.max_tokens, recipe.generate.samples
    yield Role("generator", POLICY, lambda prompt: generator.ask(recipe.generate.template, prompt), answer)
    # Whoever labels the training answers, the judge is measured on the pools.
    asked = {"judge": recipe.judge}
    if recipe.measure.held_out is not None:
        asked["held-out judge"] = held_out_judge(recipe, recipe.measure.held_out)
    if recipe.reward_model is not None and recipe.reward_model.labels.source == "model":
        asked["labelling judge"] = recipe.reward_model.labels
    # A reward model is shown the answer as it stands.
    yield from (judge_role(name, one, answer, samples) for name, one in asked.items() if one.reading.kind != "scalar")
    for one in asked.values():
        yield from debater_role(one, answer)
    if recipe.meta.enabled:
        judgment = recipe.judge.sampling.max_tokens
        ask = lambda prompt: meta.ask(recipe.meta.template, prompt, answer_to(prompt), JUDGMENT, JUDGMENT)  # noqa: E731
        yield Role("meta-judge", recipe.meta.model, ask, recipe.meta.sampling.max_tokens, answer + 2 * judgment)
    if isinstance(recipe.pairs, Revising):
        yield from revising_roles(recipe.pairs.revise, answer)
    writer = recipe.prompts.writer
    if writer.share > 0:
        count = min(writer.seed_examples + writer.written_examples, len(prompts))

        def write(prompt: Prompt) -> Turns:
            shown = random.Random(seed_for(recipe.seed, "check", prompt.id)).sample(list(prompts), count)
            return prompt_writer.ask(writer.template, [one.text for one in shown])

        yield Role("prompt writer", writer.model, write, writer.sampling.max_tokens)


def revising_roles(recipe: RevisingRecipe, answer: int) -> Iterator[Role]:
    """Critic and reviser, by the first principle, about an answer of at most `answer` tokens."""
    principle, reply = pairwise.load_constitution(recipe.constitution)[1][0], recipe.sampling.max_tokens

    def criticise(prompt: Prompt) -> Turns:
        return ask_critic(recipe, prompt, answer_to(prompt), principle)

    def rewrite(prompt: Prompt) -> Turns:
        return ask_reviser(recipe, prompt, answer_to(prompt), principle, CRITIQUE)

    longest = max(answer, reply if recipe.turns > 1 else 0)
    yield Role("critic", recipe.model, criticise, reply, longest)
    yield Role("reviser", recipe.model, rewrite, reply, longest + reply)
    if recipe.check is not None:
        yield judge_role("judge of revisions", judge_of(recipe.check), longest, 2)


def judge_role(name: str, judge: JudgeRecipe, answer: int, samples: int) -> Role:
    """One answer, two or all `samples` of at most `answer` tokens, as the judge's question wants them."""
    reply = judge.sampling.max_tokens if judge.reading.kind != "probability" else 1

    def role(ask: Callable[[Prompt], Turns], given: int) -> Role:
        return Role(name, judge.model, ask, reply, given, how_it_is_read(judge))

    if judge.listing is not None:
        words, others = judge.listing.template, (OTHER,) * (samples - 1)
        return role(lambda one: listwise.ask(words, one, (answer_to(one), *others)), samples * answer)
    if judge.comparing is None:
        asked = judge_prompt(judge)
        return role(lambda prompt: asked.ask(prompt, answer_to(prompt)), answer)
    question = judge.comparing
    principle = None
    if isinstance(question, PrincipleQuestion):
        principle = pairwise.load_constitution(question.constitution)[1][0]

    if isinstance(question, DebateQuestion):
        return role(partial(_debated, question), 2 * answer + speeches(judge))

    def compare(prompt: Prompt) -> Turns:
        return pairwise.ask(question.template, prompt, answer_to(prompt), OTHER, principle)

    return role(compare, 2 * answer)


def _debated(question: DebateQuestion, prompt: Prompt) -> Turns:
    return debate.ask_judge(question.template, prompt, answer_to(prompt), OTHER, DEBATE)


def debater_role(judge: JudgeRecipe, answer: int) -> Iterator[Role]:
    """Whoever argues before two answers are compared, in the last round."""
    question = judge.debating
    if question is not None:
        template, given = question.debater_template, 2 * answer + speeches(judge)
        ask = lambda prompt: debate.ask_debater(template, prompt, answer_to(prompt), OTHER, DEBATE)  # noqa: E731
        yield Role("debater", judge.debater, ask, question.speech, given)


def answer_to(prompt: Prompt) -> str:
    return ANSWER if prompt.answer is None else str(prompt.answer)
