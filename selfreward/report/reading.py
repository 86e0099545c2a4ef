"""A run as the report reads it: what is sealed, and nothing else. An unfinished run shows the rounds it has."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

from selfreward.errors import StoreError
from selfreward.measuring.evidence import PoolRows
from selfreward.recipe import Recipe
from selfreward.records import Drop, Judgment, Labelled, Measurement, Pair, Prompt, Response, Sample
from selfreward.report.answers import PromptRound, by_prompt, per_prompt
from selfreward.store.seals import Seal
from selfreward.store.view import RunView
from selfreward.tasks.verifiers.protocol import Truth, Verifier, load_verifier

Row = TypeVar("Row")


class Remembered:
    """A verifier that checks no answer twice: plots, comparisons and prompts ask about the same ones."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._known: dict[tuple[str, str], Truth] = {}

    def require(self, prompt: Prompt) -> None:
        self._verifier.require(prompt)

    def check(self, prompt: Prompt, text: str) -> Truth:
        if (key := (prompt.id, text)) not in self._known:
            self._known[key] = self._verifier.check(prompt, text)
        return self._known[key]

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return self._verifier.judgment_quality(prompt, answer, judgment)


@dataclass(frozen=True, slots=True)
class Key:
    """Which measurement: a metric on a pool, over a cohort."""

    metric: str
    pool: str
    cohort: str = "all"


class Reading:
    """One run, read lazily; every artifact is read once. Rounds are those whose measurements are sealed."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.name = view.name
        self.rounds = [number for number in view.rounds() if view.seal(number, "measurements")]
        if not self.rounds:
            raise StoreError(
                f"run {view.name!r}: no round is measured yet, so there is nothing to report; run it again to go on"
            )
        self.pool_answers = lru_cache(maxsize=None)(self._pool_answers)
        self.train_answers = lru_cache(maxsize=None)(self._train_answers)
        self.per_prompt = lru_cache(maxsize=None)(self._per_prompt)

    def rows(self, number: int, artifact: str, record: type[Row]) -> Sequence[Row]:
        """The rows of an artifact, or none where the recipe did not make it."""
        return self.view.read(number, artifact, record) if self.view.seal(number, artifact) else []

    @cached_property
    def recipe(self) -> Recipe:
        return self.view.recipe()

    @cached_property
    def verifier(self) -> Verifier | None:
        measure = self.recipe.measure
        return None if measure.verifier == "none" else Remembered(load_verifier(measure.verifier, measure.code))

    @cached_property
    def measurements(self) -> list[Measurement]:
        return [row for number in self.rounds for row in self.view.read(number, "measurements", Measurement)]

    @cached_property
    def by_key(self) -> dict[Key, dict[int, Measurement]]:
        """Metric, pool and cohort → round → measurement."""
        found: dict[Key, dict[int, Measurement]] = {}
        for row in self.measurements:
            found.setdefault(Key(row.metric, row.pool, row.cohort), {})[row.round] = row
        return found

    @cached_property
    def pools(self) -> dict[str, Prompt]:
        return {prompt.id: prompt for prompt in self.rows(0, "pools", Prompt)}

    @cached_property
    def frozen(self) -> Sequence[Labelled]:
        return self.rows(0, "frozen", Labelled)

    def _pool_answers(self, number: int) -> dict[str, PromptRound]:
        """Pool prompt id → the answers of round `number`'s policy with its judge's scores."""
        rows = PoolRows(
            list(self.pools.values()),
            self.rows(number, "eval_responses", Response),
            self.rows(number, "eval_judgments", Judgment),
        )
        return by_prompt(rows, f"run {self.name!r}, the pools of round {number}", number=number)

    def _train_answers(self, number: int) -> dict[str, PromptRound]:
        """Training prompt id → the answers that became (or did not become) pairs of round `number`."""
        rows = PoolRows(
            self.prompts_of(number),
            [*self.rows(number, "responses", Response), *self.rows(number, "revisions", Response)],
            self.rows(number, "judgments", Judgment),
        )
        where = f"run {self.name!r}, round {number}"
        pairs, samples, drops = self.pairs(number), self.samples(number), self.drops(number)
        return by_prompt(rows, where, number=number, pairs=pairs, samples=samples, drops=drops)

    def _per_prompt(self, number: int, pool: str = "report") -> dict[str, dict[str, float]]:
        """Metric → prompt id → value of round `number` on one pool."""
        rows = [row for row in self.pool_answers(number).values() if row.prompt.pool == pool]
        return per_prompt(rows, self.verifier)

    def prompts_of(self, number: int) -> Sequence[Prompt]:
        """The training prompts of a round."""
        return self.rows(number, "prompts", Prompt)

    def pairs(self, number: int) -> Sequence[Pair]:
        return self.rows(number, "pairs", Pair)

    def samples(self, number: int) -> Sequence[Sample]:
        """Of a round of a policy gradient, which has no pairs."""
        return self.rows(number, "samples", Sample)

    def drops(self, number: int) -> Sequence[Drop]:
        return self.rows(number, "dropped", Drop)

    def fates(self, number: int) -> Counter[str]:
        """How many pairs of each kind were kept and how many subjects were dropped, by reason, in round `number`."""
        counted: Counter[str] = Counter(f"kept: {pair.kind}" for pair in self.pairs(number))
        counted.update("kept: sample" for _ in self.samples(number))
        counted.update(f"dropped {drop.kind}: {drop.reason}" for drop in self.drops(number))
        return counted

    def seals(self, number: int) -> list[Seal]:
        """The seals of round `number`, in the order in which they were finished."""
        names = [path.name.removesuffix(".done.json") for path in self.view.directory(number).glob("*.done.json")]
        seals = [seal for name in names if (seal := self.view.seal(number, name))]
        return sorted(seals, key=lambda seal: (seal.finished, seal.artifact))
