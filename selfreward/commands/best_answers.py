"""Best of N for use: a model answers each prompt N times, a judge scores the answers, and the best one is the answer.

    answer(x) = argmax_k s(x, y_k),   y_1 .. y_N ~ policy(x)

Sampling, judging and aggregation are the loop's own, so what a judge chooses here is what it would call best there. How
much better the choice is than one sample is best_of_n_gain of `judge-bench`; with a judge that scores noise it is no
better, and with one that likes length it is longer.

An answer that was cut off by its token limit is not judged and cannot be chosen. Equal texts are asked about once. Of
equally high scores the first drawn wins, since nothing else that could decide is known to be good. Where no answer
has a score there is no choice: the row says why, and nothing stands in for it. A judge that compares has nothing to
compare where all answers are one text; that text is the answer, without a score.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from selfreward.commands.judge_bench.specs import (
    NamedJudge,
    models_that_know_the_sandbox_only,
    read_judges,
    require_model,
)
from selfreward.commands.preflight_models import model_directory
from selfreward.commands.probe.material import require_words
from selfreward.commands.probe.models import Subject
from selfreward.errors import RecipeError
from selfreward.judging.judge import Judging
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.scoring.answers import score_answers
from selfreward.progress import Progress
from selfreward.recipe import GenerateRecipe, JudgeRecipe, Recipe
from selfreward.records import Judgment, Prompt, Response, Rows, by_id, distinct
from selfreward.roles.cast import Cast
from selfreward.roles.respond import answering
from selfreward.roles.unkept import complete_unkept

CUT = "cut off by its token limit"
ALONE = "all answers are one text: nothing to compare"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the N answers: its score, or why it has none."""

    text: str
    score: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The candidates to a prompt in the order in which they were drawn, and which one was chosen.

    `reason` says why none was, or why the chosen one has no score. `tied`: others as good, of another text.
    """

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    chosen: int | None
    reason: str | None
    tied: int = 0

    def row(self, everything: bool) -> dict[str, Any]:
        """As it is written: one object a prompt."""
        best = None if self.chosen is None else self.candidates[self.chosen]
        row: dict[str, Any] = {"id": self.prompt.id, "prompt": self.prompt.text}
        if len(self.prompt.messages) > 1:
            row["messages"] = [{"role": turn.role, "content": turn.content} for turn in self.prompt.messages]
        row |= {"answer": best and best.text, "score": best and best.score, "reason": self.reason, "tied": self.tied}
        row |= {"drawn": len(self.candidates), "scored": sum(one.score is not None for one in self.candidates)}
        if everything:
            row["candidates"] = [
                {"answer": one.text, "score": one.score, "reason": one.reason} for one in self.candidates
            ]
        return row


def best_answers(
    model: Subject, judge: str, prompts: Sequence[Prompt], samples: int, progress: Progress
) -> list[Answered]:
    """One Answered per prompt. Raises RecipeError or DataError before anything is sampled."""
    named, generate = _prepared(model, judge, prompts, samples, progress)

    recipe = named.recipe.judge
    with closing(Cast(named.recipe, lambda policy, report: None, [model.policy])) as cast:
        complete = partial(complete_unkept, cast=cast, progress=progress, name=model.name)
        asked = Rows(prompts, "asked")
        responses: Rows[Response] = complete(
            answering(cast.player(model.policy), asked, generate, round=0, artifact="answers")
        )
        whole = distinct([row for row in responses if row.finish_reason == "stop"])
        judged = _with_rivals(whole) if recipe.ranks else whole
        judgments: Sequence[Judgment] = []
        if judged:
            judgments = Judging(recipe, cast, complete, 0, 1).judge(by_id(prompts), judged, {}, "answer_judgments")
    return _chosen(prompts, responses, judgments, recipe)


def _prepared(
    model: Subject, judge: str, prompts: Sequence[Prompt], samples: int, progress: Progress
) -> tuple[NamedJudge, GenerateRecipe]:
    """The judge, and how answers are drawn, both found right."""
    judges = read_judges([judge], model.recipe)
    if len(judges) != 1:
        raise RecipeError(f"--judge {judge}: names {len(judges)} judges; expected one (judge.aggregate=ensemble joins)")
    named = judges[0]
    require_model(named)
    if named.recipe.judge.control != "none":
        raise RecipeError("--judge: control=shuffled gives the scores to other answers; leave it out to choose by them")
    for name in [model.name] if model.sandbox else models_that_know_the_sandbox_only(judges, model):
        require_words(name, prompts)
    if not named.recipe.judge.ranks:
        for prompt in prompts:
            judge_prompt(named.recipe.judge).require(prompt)
    generate = dataclasses.replace(model.recipe.generate, samples=samples)
    if model.recipe.engine.kind != "scripted":
        _require_room(named.recipe, model, prompts, progress)
    return named, generate


def _require_room(recipe: Recipe, model: Subject, prompts: Sequence[Prompt], progress: Progress) -> None:
    from selfreward.commands.question_checks import check_judges, check_prompts
    from selfreward.engines.chat import load_renderer

    directory = model.policy.directory
    renderer = load_renderer(directory, recipe.model)
    lengths = check_prompts(recipe, renderer, directory, prompts)
    order = sorted(range(len(prompts)), key=lambda index: -lengths[index])
    check_judges(recipe, [prompts[index] for index in order], lambda name: model_directory(name, None), progress.say)


def _with_rivals(responses: Sequence[Response]) -> list[Response]:
    """The answers that others to the same prompt can be compared with."""
    counts = Counter(row.prompt_id for row in responses)
    return [row for row in responses if counts[row.prompt_id] > 1]


def _chosen(
    prompts: Sequence[Prompt], responses: Sequence[Response], judgments: Sequence[Judgment], recipe: JudgeRecipe
) -> list[Answered]:
    scores, drops = score_answers(judgments, recipe)
    unread = {row.response_id: f"unreadable: {row.unreadable}" for row in judgments if row.unreadable is not None}
    why = unread | {drop.subject: f"{drop.reason}: {drop.detail}" for drop in drops}
    texts = {row.id: (row.prompt_id, row.text) for row in responses}
    value = {texts[name]: score.value for name, score in scores.items()}
    reason = {texts[name]: told for name, told in why.items() if name not in scores}
    of_prompt: dict[str, list[Candidate]] = {prompt.id: [] for prompt in prompts}
    for row in responses:
        key = row.prompt_id, row.text
        if row.finish_reason != "stop":
            found = Candidate(row.text, None, CUT)
        else:
            found = Candidate(row.text, value.get(key), None if key in value else reason.get(key, ALONE))
        of_prompt[row.prompt_id].append(found)
    return [_best(prompt, of_prompt[prompt.id]) for prompt in prompts]


def _best(prompt: Prompt, candidates: Sequence[Candidate]) -> Answered:
    kept = tuple(candidates)
    scored = [(one.score, -number) for number, one in enumerate(kept) if one.score is not None]
    if scored:
        highest, place = max(scored)
        others = {one.text for one in kept if one.score == highest} - {kept[-place].text}
        return Answered(prompt, kept, -place, None, len(others))
    reasons = Counter(one.reason for one in kept)
    if ALONE in reasons:
        return Answered(prompt, kept, next(k for k, one in enumerate(kept) if one.reason == ALONE), ALONE)
    return Answered(prompt, kept, None, "; ".join(f"{told} ({count})" for told, count in reasons.most_common()))


def summary(answered: Sequence[Answered]) -> list[str]:
    """What must be said beside the rows: how many have no answer, and what would help."""
    without: Mapping[str, int] = Counter(
        one.reason or "" for answer in answered if answer.chosen is None for one in answer.candidates
    )
    chosen = sum(answer.chosen is not None for answer in answered)
    lines = [f"{chosen} of {len(answered)} prompts have an answer"]
    if CUT in without:
        lines.append(f"{without[CUT]} answers were {CUT}; a larger generate.sampling.max_tokens may help")
    if unread := sum(count for told, count in without.items() if told.startswith("unreadable")):
        lines.append(
            f"{unread} verdicts could not be read; another question.template or a larger "
            "reading.sampling.max_tokens in --judge may help"
        )
    return lines
