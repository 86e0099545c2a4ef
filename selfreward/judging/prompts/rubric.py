"""A judge with a rubric: weighted criteria, each answered with a reason before its score of 0 to 5.

    score = sum_c weight_c * score_c / sum_c weight_c

The reply has one line per criterion, `<name>: <reason> Score: <n>`. A criterion without a line makes the whole reply
unreadable: a mean over the others would be another rubric's score. Two lines of one criterion with different scores
are a contradiction. Lines that name no criterion are prose and are not read.
"""

import math
import re
from dataclasses import dataclass
from functools import cache

from selfreward.engines.protocol import Completion
from selfreward.errors import RecipeError
from selfreward.judging.prompts.written import read_written
from selfreward.records import HIGHEST, LOWEST, Message, Prompt
from selfreward.roles.catalogue import version as template_version
from selfreward.roles.fences import as_question, fill
from selfreward.roles.unreadable import Unreadable, unfinished, without_verdict

_TEMPLATE = "rubric"


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
    return Rubric(version, tuple(criteria))


def version(name: str) -> str:
    """What stands on every row: the template's version and the rubric's."""
    return f"{template_version('judge', _TEMPLATE)}+{load_rubric(name).version}"


def ask(name: str, prompt: Prompt, answer: str) -> tuple[Message, ...]:
    """One user turn: the criteria, then the prompt and the answer, fenced."""
    criteria = "\n".join(f"{criterion.name}: {criterion.text}" for criterion in load_rubric(name).criteria)
    return as_question(fill("judge", _TEMPLATE, prompt.messages, response=answer, criteria=criteria))


def read(name: str, completion: Completion) -> float | Unreadable:
    """The weighted mean of all criteria's scores, or why there is none."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    rubric = load_rubric(name)
    total = 0.0
    for criterion in rubric.criteria:
        score = _score(criterion.name, completion.text)
        if isinstance(score, Unreadable):
            return score
        total += criterion.weight * score
    return total / math.fsum(criterion.weight for criterion in rubric.criteria)


def _score(name: str, text: str) -> float | Unreadable:
    """The score of one criterion's line; a reason must stand before it."""
    line = _line(name)
    found = list(re.finditer(line, text, re.IGNORECASE | re.MULTILINE))
    if not found:
        unread = without_verdict(text)
        return unread if unread.reason == "refused" else Unreadable("no verdict", f"no line for criterion {name!r}")
    if not all(re.search(r"\w", match["reason"]) for match in found):
        return Unreadable("no verdict", f"criterion {name!r} has a score without a reason")
    values = {float(match["n"]) for match in found}
    if len(values) > 1:
        return Unreadable("contradiction", f"criterion {name!r}: {sorted(values)}")
    (value,) = values
    return value if LOWEST <= value <= HIGHEST else Unreadable("out of range", f"criterion {name!r}: {value:g}")


def _line(name: str) -> str:
    """`<name>: <reason> Score: <n>`, with markdown or a list number around it."""
    score = r"\bscore[*_`\s]*[:=][*_`\s]*(?P<n>-?[0-9]+(?:\.[0-9]+)?)(?:\s*/\s*5)?[*_`\s.]*$"
    return rf"^[\W\d_]*{re.escape(name)}[*_`\s]*:(?P<reason>.*?){score}"
