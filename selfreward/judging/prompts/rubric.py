"""A judge with a rubric: weighted criteria, each answered with a reason before its score of 0 to 5.

    score = sum_c weight_c * score_c / sum_c weight_c

A prompt's row may bring criteria of its own in `meta.rubric` (Rubrics as Rewards, 2507.17746): a list of mappings with
`name`, `text` and perhaps `weight`, as in a rubric's file. They take the place of the recipe's for its answers; where
the recipe has none, every row must bring some. Scores are then comparable among the answers of one prompt, and between
prompts only as far as their rubrics are equally hard.

The reply has one line per criterion, `<name>: <reason> Score: <n>`; the score may stand on the line below. A criterion
without a line makes the whole reply unreadable: a mean over the others would be another rubric's score. Two lines of
one criterion with different scores, or one with a score that cannot be read, are a contradiction. Lines that name no
criterion are prose and are not read; neither are quotations (`>`, quotation marks, a code fence beside other lines).
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from selfreward.engines.protocol import Completion
from selfreward.errors import DataError, RecipeError
from selfreward.judging.prompts.pointwise import SCORE, opening
from selfreward.judging.prompts.prompt import JudgePrompt
from selfreward.judging.prompts.replies import is_endless, is_verdict, lines_of, own_lines
from selfreward.judging.prompts.spoken import points
from selfreward.judging.prompts.verdicts import plain, read_line
from selfreward.judging.prompts.written import named_entries, read_written
from selfreward.recipe.questions import RubricQuestion
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import template as look_up
from selfreward.roles.catalogue import version as template_version
from selfreward.roles.catalogue import words
from selfreward.roles.fences import as_question, fill
from selfreward.roles.unreadable import Unreadable, unfinished, without_verdict

OF_ROWS = "rows"
"""In place of a rubric's version, where every row brings its own."""
_FARTHEST = 200
_MOST_LINES = 100
_OPENING = re.compile(
    r"[^\w\"“‘«'\0]{0,9}(?:[0-9]{1,2}[.)\]] ?)?[<\[( ]{0,9}(?P<name>[^\W\d][^:：>\])]{0,100}?)[>\])]{0,3} ?[:：] ?"
)
_TOTAL = re.compile(r"\b(?:final|total|overall|average|mean)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Criterion:
    name: str
    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Rubric:
    """`version` names id, version and content; it is part of the template's version on every judgment."""

    version: str
    criteria: tuple[Criterion, ...]


@cache
def load_rubric(name: str) -> Rubric:
    """A shipped rubric or a YAML file. Raises RecipeError for one without id, version or usable criteria."""
    version, entries, where = read_written(name, "rubrics", "criteria")
    return Rubric(version, _criteria(entries, where))


def _criteria(entries: Sequence[Mapping[str, Any]], where: str) -> tuple[Criterion, ...]:
    criteria = []
    for entry in entries:
        unknown = sorted(entry.keys() - {"name", "text", "weight"})
        if unknown:
            raise RecipeError(f"{where}: {entry['name']!r} has an unknown key {unknown[0]!r}; expected text, weight")
        weight = entry.get("weight", 1)
        usable = isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight)
        if not usable or weight <= 0:
            raise RecipeError(f"{where}: {entry['name']!r} has weight {weight!r}; expected a finite number above 0")
        criteria.append(Criterion(entry["name"], " ".join(entry["text"].split()), float(weight)))
    if len({spoken(criterion.name) for criterion in criteria}) < len(criteria):
        raise RecipeError(f"{where}: two names differ in case or underscores only; a judge's reply could not tell them")
    return tuple(criteria)


@cache
def _written_in_a_row(text: str) -> Rubric:
    return Rubric("row", _criteria(named_entries(json.loads(text), "rubric", "meta.rubric"), "meta.rubric"))


def rubric_of(question: str | None, prompt: Prompt) -> Rubric:
    """The row's own criteria, else those of the recipe. Raises DataError where one has none, or unusable ones."""
    own, named = prompt.meta.get("rubric"), f"prompt {prompt.id} ({prompt.text[:40]!r}...)"
    if own is None and question is not None:
        return load_rubric(question)
    if own is None:
        raise DataError(
            f"{named}: has no meta.rubric, and the recipe no rubric for those without; expected a list of criteria "
            "with name and text in its row, or a judge.question.rubric"
        )
    try:
        return _written_in_a_row(json.dumps(own, sort_keys=True))
    except RecipeError as problem:
        raise DataError(f"{named}: {problem}") from problem


def spoken(name: str) -> str:
    """A criterion's name as it is compared: judges write `Does the task` for `does_the_task`."""
    return " ".join(name.lower().replace("_", " ").split()) or name


def wording(question: RubricQuestion) -> JudgePrompt:
    name, template = question.rubric, question.template
    if "{criteria}" not in words("judge", template):
        raise RecipeError(
            f"judge.question.template={template} has no place for criteria; expected {{criteria}} in the words of a "
            "rubric's question, as rubric and sandbox_rubric have"
        )

    def require(prompt: Prompt) -> None:
        rubric_of(name, prompt)

    return JudgePrompt(
        version=f"{template_version('judge', template)}+{load_rubric(name).version if name else OF_ROWS}",
        ask=partial(ask, template, name),
        read=lambda prompt, completion: read(template, rubric_of(name, prompt), completion),
        opening=partial(opening, template),
        require=require,
        version_of=partial(version_of, template, name),
    )


def version_of(template: str, name: str | None, prompt: Prompt) -> str:
    """What stands on the judgments of a prompt: the template's version, and the rubric's or that it is the row's."""
    return f"{template_version('judge', template)}+{rubric_of(name, prompt).version}"


def ask(template: str, name: str | None, prompt: Prompt, answer: str) -> tuple[Message, ...]:
    """One user turn: the criteria, then the prompt and the answer, fenced."""
    criteria = rubric_of(name, prompt).criteria
    if look_up("judge", template).reply == "last_words":
        listed = " ; ".join(criterion.text for criterion in criteria)
    else:
        listed = "\n".join(f"{criterion.name}: {criterion.text}" for criterion in criteria)
    return as_question(fill("judge", template, prompt.messages, response=answer, criteria=listed))


def read(template: str, rubric: Rubric, completion: Completion) -> float | Unreadable:
    """The weighted mean of all criteria's scores, or why there is none."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    if look_up("judge", template).reply != "last_words" and is_endless(completion.text):
        return without_verdict(completion.text)
    scores = _points(template, rubric, completion.text)
    return scores if isinstance(scores, Unreadable) else _mean(rubric, scores)


def points_of(template: str, rubric: Rubric, text: str) -> dict[str, float]:
    """The points of each criterion in a reply that could be read; none where `text` is not one."""
    scores = _points(template, rubric, text)
    if isinstance(scores, Unreadable):
        return {}
    return {criterion.name: score for criterion, score in zip(rubric.criteria, scores, strict=True)}


def _points(template: str, rubric: Rubric, text: str) -> list[float] | Unreadable:
    if look_up("judge", template).reply == "last_words":
        return points(text, [criterion.text for criterion in rubric.criteria])
    lines = _scores([criterion.name for criterion in rubric.criteria], text)
    scores = []
    for criterion in rubric.criteria:
        score = _agreed(criterion.name, lines[criterion.name], text)
        if isinstance(score, Unreadable):
            return score
        scores.append(score)
    return scores


def _mean(rubric: Rubric, scores: Sequence[float]) -> float:
    total = 0.0
    for criterion, score in zip(rubric.criteria, scores, strict=True):
        total += criterion.weight * score
    return total / math.fsum(criterion.weight for criterion in rubric.criteria)


def _scores(names: Sequence[str], text: str) -> dict[str, list[float | Unreadable]]:
    """What each criterion's lines say, in their order."""
    known = {spoken(name): name for name in names}
    listed = re.compile("|".join(re.escape(words.split()[0]) for words in known), re.IGNORECASE)
    found: dict[str, list[float | Unreadable]] = {name: [] for name in names}
    open_name = ""
    for line in own_lines(lines_of(text)):
        if line.is_quoted:
            continue
        if not listed.search(line.text, 0, _FARTHEST) or (named := _named(plain(line.text), known)) is None:
            if open_name and is_verdict(line.text, SCORE) and not _TOTAL.search(line.text, 0, _FARTHEST):
                found[open_name].append(_score(f"reason: {plain(line.text)}"))
            open_name = ""
            continue
        name, reason = named
        open_name = name if re.search(r"[^\W_]", reason) else ""
        if len(found[name]) > _MOST_LINES:
            found[name][:] = [Unreadable("contradiction", f"criterion {name!r}: more than {_MOST_LINES} lines")]
        elif SCORE.label.search(reason):
            found[name].append(_score(reason))
    return found


def _named(line: str, known: Mapping[str, str]) -> tuple[str, str] | None:
    """(criterion, what follows its colon) of a line that opens with a criterion."""
    found = _OPENING.match(line)
    name = known.get(spoken(found["name"])) if found else None
    return (name, line[found.end() :]) if found and name else None


def _score(reason: str) -> float | Unreadable:
    """The score that ends a criterion's line; a reason must stand before it."""
    value = read_line(reason, SCORE, free=True)
    label = SCORE.label.search(reason)
    if value is None or label is None:
        return Unreadable("no verdict", reason[-80:])
    if not isinstance(value, Unreadable) and not re.search(r"[^\W_]", reason[: label.start()]):
        return Unreadable("no verdict", "a score without a reason")
    return value


def _agreed(name: str, values: Sequence[float | Unreadable], text: str) -> float | Unreadable:
    """The score of a criterion whose lines all say the same."""
    if not values:
        unread = without_verdict(text)
        return unread if unread.reason == "refused" else Unreadable("no verdict", f"no line for criterion {name!r}")
    first = values[0]
    if any(value != first for value in values):
        return Unreadable("contradiction", f"criterion {name!r}: its lines disagree")
    return Unreadable(first.reason, f"criterion {name!r}: {first.detail}") if isinstance(first, Unreadable) else first
