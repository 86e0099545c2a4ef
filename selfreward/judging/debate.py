"""Stage: two debaters argue before a comparison is judged (1805.00899; 2402.06782; 2407.04622).

Each order of two answers has a debate of its own: `judge.question.rounds` rounds, in each of which both sides speak at
once, knowing the rounds before, so that nobody has the last word. Every speech is a row. Then the judge of two answers
(pairwise.py) is asked with the transcript, in both orders, and its verdicts are rated as any others are, with one more
tie: where the order hangs on small changes of its readings (scoring/stability.py).

`sides=one` is the control, a consultancy: one slot, drawn by lot for every two answers, has an advocate and the other
has none. Over the two orders each answer has one once.

Assumes debaters that know something which the judge cannot see for itself, as with material of their own: without that
no gain is expected, where debater, judge and policy are one model least of all (2407.04622). Fails where a debater does
not keep to its side: concessions are counted in the facts of the ratings.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from selfreward.engines.protocol import Request
from selfreward.errors import RecipeError
from selfreward.judging.asking import ask
from selfreward.judging.pairwise import Question, questions
from selfreward.judging.prompts import debate as role
from selfreward.judging.stage import Stage
from selfreward.recipe import DebateQuestion, JudgeRecipe, SamplingRecipe, as_dict
from selfreward.records import Message, Prompt, Response, Rows, Speech, seed_for
from selfreward.roles.chunks import longest
from selfreward.roles.player import Player
from selfreward.store.run import Work

VERSION = 1

Debate = dict[int, list[Speech]]
"""What was said so far, by the place of the question in its chunk."""


def hold_debates(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    recipe: JudgeRecipe,
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str,
    asked_as: str,
) -> Work[Question, Speech]:
    """Work that yields the speeches of every question. `asked_as`: the artifact of the comparisons that they serve."""
    question = debated(recipe)
    sampling = SamplingRecipe(question.temperature, 1.0, question.speech)
    stage = Stage(player, sampling, round, artifact, role.version(question))
    asked = questions(responses, recipe, seed_for(player.seed, asked_as, round))

    def compute(chunk: Sequence[Question], index: int) -> Iterator[Speech]:
        seed, engine = stage.seed(index, 0), player.hold()
        said: Debate = defaultdict(list)
        for turn in range(1, question.rounds + 1):
            due = [(at, slot) for at, one in enumerate(chunk) for slot in _slots(question, one, stage)]
            requests = [_request(stage, question, prompts, chunk[at], slot, turn, said[at], seed) for at, slot in due]
            replies = ask(engine, requests, seed)
            # Said at once: nobody of this round has heard the others of it.
            for (at, slot), request, (reply,) in zip(due, requests, replies, strict=True):
                one = chunk[at]
                sources = role.sources_of(prompts[one.first.prompt_id], (one.first.text, one.second.text))
                quotes, found = role.quotations(reply.text, sources)
                said[at].append(
                    Speech(
                        id=request.id,
                        prompt_id=one.first.prompt_id,
                        first_id=one.first.id,
                        second_id=one.second.id,
                        turn=turn,
                        slot=slot,
                        debater=player.policy.digest,
                        text=reply.text,
                        token_ids=reply.token_ids,
                        finish_reason=reply.finish_reason,
                        seed=seed,
                        template=stage.template,
                        quotes=quotes,
                        found=found,
                    )
                )
        for at in range(len(chunk)):
            yield from said[at]

    sides = 1 if question.sides == "one" else 2
    read = longest(prompts[one.first.prompt_id].text + one.first.text + one.second.text for one in asked)
    told = {"inputs": dict(made_from), "question": _told(question)}
    replies = question.rounds * sides
    return stage.work(Speech, asked, compute, told, version=VERSION, replies=replies, tokens=read + question.speech)


def debated(recipe: JudgeRecipe) -> DebateQuestion:
    if not isinstance(recipe.question, DebateQuestion):
        raise RecipeError(f"judge.question={recipe.question.kind} holds no debate; expected debate")
    return recipe.question


def _told(question: DebateQuestion) -> dict[str, object]:
    """What a speech depends on: not what the judge is asked, nor what becomes of its verdicts."""
    spoken = ("rounds", "sides", "debater_template", "temperature", "speech", "comparisons", "count")
    return {key: value for key, value in as_dict(question).items() if key in spoken}


def _slots(question: DebateQuestion, asked: Question, stage: Stage) -> tuple[int, ...]:
    """The slots that have an advocate; of a consultancy one, the same slot in both orders of two answers."""
    if question.sides == "both":
        return (1, 2)
    pair = sorted((asked.first.id, asked.second.id))
    return (random.Random(stage.seed("advocate", *pair)).choice((1, 2)),)


def _request(
    stage: Stage,
    question: DebateQuestion,
    prompts: Mapping[str, Prompt],
    asked: Question,
    slot: int,
    turn: int,
    said: Sequence[Speech],
    seed: int,
) -> Request:
    prompt, answers = prompts[asked.first.prompt_id], (asked.first.text, asked.second.text)
    own, other = answers if slot == 1 else answers[::-1]
    name = stage.name(asked.first.id, asked.second.id, turn, slot)
    shown = role.ask_debater(question.debater_template, prompt, own, other, role.transcript(said, prompt, answers))
    return stage.request(name, shown, 1, seed_for(seed, name))


def judge_of_debates(
    recipe: JudgeRecipe, prompts: Mapping[str, Prompt], speeches: Sequence[Speech]
) -> "partial[tuple[Message, ...]]":
    """What asks the judge about one order of two answers, with what was said about them in that order."""
    of_order: defaultdict[tuple[str, str], list[Speech]] = defaultdict(list)
    for speech in speeches:
        of_order[speech.first_id, speech.second_id].append(speech)
    return partial(_asked, debated(recipe).template, prompts, of_order)


def _asked(
    template: str,
    prompts: Mapping[str, Prompt],
    speeches: Mapping[tuple[str, str], Sequence[Speech]],
    asked: Question,
) -> tuple[Message, ...]:
    prompt, answers = prompts[asked.first.prompt_id], (asked.first.text, asked.second.text)
    said = role.transcript(speeches[asked.first.id, asked.second.id], prompt, answers)
    return role.ask_judge(template, prompt, *answers, said)


def debate_statistics(speeches: Rows[Speech]) -> Mapping[str, float | None]:
    """`found` is the share of quotations that are in the text; `cut` and `silent` are speeches without an end, or any
    word; `concessions` those that plainly give up their side."""
    quotes = sum(row.quotes for row in speeches)
    return {
        "speeches": len(speeches),
        "quotes": quotes,
        "found": sum(row.found for row in speeches) / quotes if quotes else None,
        "cut": sum(row.finish_reason == "length" for row in speeches),
        "silent": sum(not row.text.strip() for row in speeches),
        "concessions": sum(role.concedes(row.text) for row in speeches),
    }
