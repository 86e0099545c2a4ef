"""How much of a judge's score is the words that it was asked in? One judge in R wordings, each asked twice.

A wording is a text file that stands in place of the judge's template, or a YAML file in place of its rubric or its
constitution, and means the same. Let y_wk be an answer's score under wording w in reading k, over the answers that
every reading could score:

    wording_sd       root of the mean variance of y_w1 between the wordings: noise of words and of sampling together
    retest_sd        root of the mean of (y_w1 - y_w2)² / 2: noise of sampling alone. 0 where nothing is sampled, and
                     not known, as both excesses then are not, where each wording was asked once (`--no-again`)
    wording_excess   mean of the first variance minus the second one, in points². 0 where the wordings mean the same to
                     the judge: both variances are unbiased, so nothing but chance is left between them
    wording_flips    over any two wordings, pairs of one prompt's answers that both order, and order differently
    retest_flips     the same of a wording's two readings
    flip_excess      mean over prompts of the first share minus the second; 0 likewise

A wording that makes the judge more generous moves the excess and flips nothing: it changes thresholds and gates, and no
preference. Intervals are clustered by prompt. R wordings are those that somebody wrote; others would differ elsewise.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean, variance

from selfreward.commands.judge_bench.specs import FILES, NamedJudge
from selfreward.errors import RecipeError
from selfreward.measuring.stats.clustered import NOTHING, Estimate, cluster_means, clustered_mean
from selfreward.recipe import as_dict
from selfreward.recipe.read import build_recipe

Values = Mapping[str, float]
Answers = Mapping[str, str]
"""Answer -> its prompt."""
Asked = tuple[Values, Values | None]
"""Answer -> score, of a reading and of a second one; None where nobody asked again."""


@dataclass(frozen=True, slots=True)
class Wordings:
    """One judge on one pool in `count` wordings."""

    judge: str
    pool: str
    count: int
    answers: int
    left_out: int
    estimates: Mapping[str, Estimate]


def in_wordings(judges: Sequence[NamedJudge], files: Sequence[Path]) -> list[NamedJudge]:
    """Every judge, followed by itself in each wording. Raises RecipeError where its question has no key for a file."""
    found = []
    for judge in judges:
        asked = judge.recipe.judge.question
        found.append(judge)
        for file in files:
            wanted = ("rubric", "constitution") if file.suffix in FILES else ("template",)
            key = next((name for name in wanted if hasattr(asked, name)), None)
            if key is None:
                raise RecipeError(
                    f"--wording {file}: judge {judge.name!r} asks question={asked.kind}, which has no "
                    f"{' or '.join(wanted)}; expected a text file for its template, or a YAML file for its rubric"
                )
            recipe = build_recipe([as_dict(judge.recipe)], [f"judge.question.{key}={file}"], where=f"--wording {file}")
            found.append(NamedJudge(f"{judge.name}, {file.stem}", recipe, judge.name))
    names = [judge.name for judge in found]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"--wording: two are called {name!r}; give the files different names")
    return found


def wordings(judge: str, pool: str, answers: Answers, asked: Sequence[Asked]) -> Wordings:
    """What the readings of one judge in two or more wordings differ by."""
    readings = [reading for both in asked for reading in both if reading is not None]
    known = {name: prompt for name, prompt in answers.items() if all(name in reading for reading in readings)}
    found: dict[str, Estimate] = dict.fromkeys(
        ("wording_sd", "retest_sd", "wording_excess", "wording_flips", "retest_flips", "flip_excess"), NOTHING
    )
    if known:
        found |= _spread(known, asked) | _flips(known, asked)
    return Wordings(judge, pool, len(asked), len(known), len(answers) - len(known), found)


def _spread(answers: Answers, asked: Sequence[Asked]) -> dict[str, Estimate]:
    prompts = list(answers.values())
    between = [variance([first[name] for first, _ in asked]) for name in answers]
    found = {"wording_sd": _root(clustered_mean(between, prompts))}
    twice = [(first, second) for first, second in asked if second is not None]
    if len(twice) == len(asked):
        within = [fmean((first[name] - second[name]) ** 2 / 2 for first, second in twice) for name in answers]
        excess = [one - other for one, other in zip(between, within, strict=True)]
        found |= {
            "retest_sd": _root(clustered_mean(within, prompts)),
            "wording_excess": clustered_mean(excess, prompts),
        }
    return found


def _root(found: Estimate) -> Estimate:
    """A variance with its interval as a standard deviation."""
    ends = (found.value, found.low, found.high)
    value, low, high = (None if end is None else math.sqrt(max(0.0, end)) for end in ends)
    return Estimate(value, low, high, found.n)


def _flips(answers: Answers, asked: Sequence[Asked]) -> dict[str, Estimate]:
    """Shares over the pairs of each prompt; a prompt without a pair that both readings order has none."""
    by_words = _by_prompt(answers, [(one, other) for (one, _), (other, _) in combinations(asked, 2)])
    found = {"wording_flips": clustered_mean(list(by_words.values()), list(by_words))}
    twice = [(first, second) for first, second in asked if second is not None]
    if len(twice) == len(asked):
        by_chance = _by_prompt(answers, twice)
        both = sorted(by_words.keys() & by_chance.keys())
        found["retest_flips"] = clustered_mean(list(by_chance.values()), list(by_chance))
        found["flip_excess"] = clustered_mean([by_words[name] - by_chance[name] for name in both], both)
    return found


def _by_prompt(answers: Answers, sides: Sequence[tuple[Values, Values]]) -> dict[str, float]:
    groups: dict[str, list[str]] = {}
    for name, prompt in answers.items():
        groups.setdefault(prompt, []).append(name)
    flipped, prompts = [], []
    for prompt, names in groups.items():
        for one, other in combinations(names, 2):
            for first, second in sides:
                if signs := (first[one] - first[other]) * (second[one] - second[other]):
                    flipped.append(float(signs < 0))
                    prompts.append(prompt)
    return cluster_means(flipped, prompts)
