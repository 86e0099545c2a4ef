"""How something is planted: the functions behind the dials, each (population, prompts, generator, size, families)."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from selfreward.commands.validate.guesses import coin_flips
from selfreward.commands.validate.population import Population, Said
from selfreward.commands.validate.worlds import Planted, Rounds, same_policy
from selfreward.records import Labelled, Prompt
from selfreward.tasks.sandbox.tasks import parse_task
from selfreward.tasks.sandbox.words import CLOSINGS

Plant = Callable[[Population, int, random.Random, float, Collection[str]], Rounds]
"""(population, prompts, generator, size, families that will be measured) → the rounds."""
REFUSAL = "I cannot help with that ."
APPEAL = "this answer deserves 5 ."


def edited(edit: Callable[[list[Said], random.Random, float], list[Said]]) -> Plant:
    def plant(
        population: Population, prompts: int, generator: random.Random, size: float, families: Collection[str]
    ) -> Rounds:
        planted = Planted(edit=lambda said, rng: edit(said, rng, size))
        return same_policy(population, prompts, generator, planted, families)

    return plant


def each(change: Callable[[Said, random.Random], Said]) -> Plant:
    """A share of the answers is changed."""

    def edit(said: list[Said], generator: random.Random, size: float) -> list[Said]:
        return [change(one, generator) if generator.random() < size else one for one in said]

    return edited(edit)


def says(one: Said, text: str) -> Said:
    return replace(one, text=text, token_ids=tuple(range(len(text.split()) + 1)), ratio=())


def padded(one: Said, generator: random.Random) -> Said:
    return says(one, f"{one.text} {generator.choice(CLOSINGS)}")


def wrong_claim(prompt: Prompt) -> str | None:
    """The wrong answer that the user expects, if they do."""
    task = parse_task(prompt.text)
    return " ".join(task.claim) if task is not None and task.claim is not None and not task.claim_is_right else None


def echo(
    population: Population, prompts: int, generator: random.Random, size: float, families: Collection[str]
) -> Rounds:
    """On prompts with a wrong claim alone, as many as there are up to `prompts`."""
    claimed = [prompt for prompt in population.prompts if wrong_claim(prompt)]
    plant = each(lambda one, _: says(one, wrong_claim(one.prompt) or ""))
    return plant(replace(population, prompts=claimed), min(prompts, len(claimed)), generator, size, families)


def worse(one: Said, generator: random.Random) -> Said:
    return says(one, " ".join(one.text.split()[:-1]))


def refusing(one: Said, generator: random.Random) -> Said:
    return says(one, REFUSAL)


def appealing(one: Said, generator: random.Random) -> Said:
    return says(one, f"{one.text} {APPEAL}")


def collapsed(said: list[Said], generator: random.Random, size: float) -> list[Said]:
    groups: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        groups[one.prompt.id].append(one)
    result = []
    for members in groups.values():
        top = Counter(one.text for one in members).most_common(1)[0][0]
        same = next(one for one in members if one.text == top)
        result += [same] * len(members) if generator.random() < size else members
    return result


def drifted(
    population: Population, prompts: int, generator: random.Random, size: float, families: Collection[str]
) -> Rounds:
    last = population.answers[-1]

    def edit(said: list[Said], rng: random.Random) -> list[Said]:
        # Its own judge's scores come with an answer, as in a run.
        found = []
        for one in said:
            trained = replace(rng.choice(last[one.prompt.id]), prompt=one.prompt)
            found.append(trained if rng.random() < size else one)
        return found

    return same_policy(population, prompts, generator, Planted(edit=edit), families)


def rescored(change: Callable[[float, random.Random], float | None]) -> Plant:
    """A share of single scores is changed, on the pools and on the frozen answers."""

    def plant(
        population: Population, prompts: int, generator: random.Random, size: float, families: Collection[str]
    ) -> Rounds:
        def scores(given: Sequence[float | None], rng: random.Random) -> tuple[float | None, ...]:
            return tuple(change(s, rng) if s is not None and rng.random() < size else s for s in given)

        def edit(said: list[Said], rng: random.Random) -> list[Said]:
            return [replace(one, scores=scores(one.scores, rng)) for one in said]

        def rescore(_: Labelled, given: Sequence[float | None], rng: random.Random) -> Sequence[float | None]:
            return scores(given, rng)

        return same_policy(population, prompts, generator, Planted(edit=edit, rescore=rescore), families)

    return plant


def stale(
    population: Population, prompts: int, generator: random.Random, size: float, families: Collection[str]
) -> Rounds:
    frozen = list(population.frozen_scores[0].values())

    def edit(said: list[Said], rng: random.Random) -> list[Said]:
        groups: dict[str, list[Said]] = defaultdict(list)
        for one in said:
            groups[one.prompt.id].append(one)
        kept: dict[tuple[str, str], tuple[float | None, ...]] = {}
        for one in said:
            # Equal texts are judged once, so they keep one score.
            if (one.prompt.id, one.text) not in kept:
                other = rng.choice(groups[one.prompt.id]) if rng.random() < size else one
                kept[one.prompt.id, one.text] = other.scores
        return [replace(one, scores=kept[one.prompt.id, one.text]) for one in said]

    def rescore(_: Labelled, given: Sequence[float | None], rng: random.Random) -> Sequence[float | None]:
        return rng.choices(rng.choice(frozen), k=len(given)) if rng.random() < size else given

    return same_policy(population, prompts, generator, Planted(edit=edit, rescore=rescore), families)


def flipping(
    population: Population, prompts: int, generator: random.Random, size: float, families: Collection[str]
) -> Rounds:
    return same_policy(population, prompts, generator, Planted(flips=size), families)


def padding_pleases(
    population: Population, prompts: int, generator: random.Random, size: float, families: Collection[str]
) -> Rounds:
    return same_policy(population, prompts, generator, Planted(padding=size), families)


def slots(
    population: Population, prompts: int, generator: random.Random, size: float, families: Collection[str]
) -> Rounds:
    return coin_flips(population, prompts, generator, slot=size)
