"""The judge, by its axes: who is asked, which question, how the reply is read, how many readings become a score.

question   score | rubric (each answer alone) · comparison | principle (two answers side by side, in both orders)
reading    verdict (what a sampled reply says) · probability (of the score or label words, nothing is decoded) ·
           rationale (a sampled rationale, then the probabilities)
aggregate  mean | median (of N readings) · adaptive (more where it matters) · ensemble (several judges)

A comparison is asked once in each order, and a probability read once: they have no N.
"""

import dataclasses
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.recipe.model import SamplingRecipe
from selfreward.recipe.section import Section, keyed, needed, part, section, setting

Protocol = Literal["pointwise", "expected", "hybrid", "pairwise"]
"""What the combinations of question and reading are called."""


@section
class ScoreQuestion(Section):
    """How good is this answer, from 0 to 5?"""

    kind: Literal["score"] = "score"
    template: str = setting("sandbox", "the words of the question")


@section
class RubricQuestion(Section):
    """A score for each criterion of a rubric: a shipped one, or a YAML file, which brings its own words."""

    rubric: Annotated[str, needed("a shipped rubric or a YAML file")]
    kind: Literal["rubric"] = "rubric"

    @property
    def template(self) -> str:
        return "rubric"


@section
class Compared(Section):
    """Two answers side by side, always in both orders.

    `comparisons`: all pairs of a prompt, a ring (every answer meets two others), or `count` pairs drawn at random on
    top of a chain that joins them all. `ridge` regularises the Bradley-Terry ratings. `clamp` keeps every probability
    of a soft label (`pairs.label`) between 1 - clamp and clamp; constitutional AI's is .6.
    """

    comparisons: Literal["all", "ring", "random"] = setting("all", "which answers to one prompt meet")
    count: int = setting(8, "with comparisons=random: pairs beyond those of a chain", minimum=1)
    ridge: float = setting(0.1, "regularises the Bradley-Terry ratings", above=0)
    clamp: float | None = setting(None, "the highest probability of a soft label", above=0.5, below=1)


@section
class ComparisonQuestion(Compared):
    """Which of two answers is better?"""

    kind: Literal["comparison"] = "comparison"
    template: str = setting("pairwise", "the words of the question")


@keyed
class PrincipleQuestion(Compared):
    """Which of two answers follows a principle better? `principles` of the constitution are drawn for every two."""

    constitution: Annotated[str, needed("a shipped list of principles or a YAML file")]
    kind: Literal["principle"] = "principle"
    template: str = setting("principle", "the words of the question")
    principles: int = setting(1, "principles that are drawn for every two answers", minimum=1)


def constitution_of(question: ComparisonQuestion | PrincipleQuestion) -> str | None:
    return question.constitution if isinstance(question, PrincipleQuestion) else None


QuestionRecipe = Annotated[
    ScoreQuestion | RubricQuestion | ComparisonQuestion | PrincipleQuestion, Field(discriminator="kind")
]


def judge_sampling() -> SamplingRecipe:
    return SamplingRecipe(temperature=0.8, max_tokens=40)


@section
class Reply(Section):
    """A reply that is sampled."""

    sampling: SamplingRecipe = part(judge_sampling, "how a reply is sampled")


@section
class Mass(Section):
    """Probabilities that are read. `min_mass` is the least probability of all score or label words together."""

    min_mass: float = setting(0.5, "least probability of all score or label words together", above=0, maximum=1)


@section
class VerdictReading(Reply):
    """What the reply says. An unreadable one is asked again up to `ask_again` times."""

    kind: Literal["verdict"] = "verdict"
    ask_again: int = setting(0, "how often an unreadable reply is asked again", minimum=0)


@section
class ProbabilityReading(Mass):
    """The expected score, or P(first is better), from the words' probabilities; nothing is decoded."""

    kind: Literal["probability"] = "probability"


@section
class RationaleReading(Mass, Reply):
    """The same, after a sampled rationale."""

    kind: Literal["rationale"] = "rationale"


ReadingRecipe = Annotated[VerdictReading | ProbabilityReading | RationaleReading, Field(discriminator="kind")]


@section
class Drawn(Section):
    """N = `samples` readings of one question."""

    samples: int = setting(3, "readings of each answer (N)", minimum=1)


@section
class MeanAggregate(Drawn):
    """The mean of the readable ones (SRLM)."""

    kind: Literal["mean"] = "mean"


@section
class MedianAggregate(Drawn):
    """Their median."""

    kind: Literal["median"] = "median"


@section
class AdaptiveRecipe(Section):
    """Judge where it matters: `first` judgments of every answer, then more of the contenders for best and worst.

    Up to `cap` per answer, until the leader's and its strongest challenger's intervals of `z` posterior standard
    errors separate, give or take `tolerance` score points (scoring/adaptive.py). `own_noise` trusts an answer's own
    spread beside the pooled one, which then counts as one judgment more.
    """

    kind: Literal["adaptive"] = "adaptive"
    first: int = setting(2, "readings of every answer", minimum=2)
    cap: int = setting(11, "readings of one answer at most", minimum=2)
    z: float = setting(0.8, "posterior standard errors by which two answers are told apart", minimum=0)
    tolerance: float = setting(0.25, "score points that do not matter", minimum=0)
    own_noise: bool = setting(True, "trust an answer's own spread beside the pooled one")


@keyed
class EnsembleAggregate(Drawn):
    """Several judges: `template`, `template@model` or `@model`. The mean of their means (or medians, `average`).

    An answer on which they differ by more than `max_disagreement` points is dropped.
    """

    members: Annotated[tuple[str, ...], needed("template, template@model or @model of each judge")]
    kind: Literal["ensemble"] = "ensemble"
    average: Literal["mean", "median"] = setting("mean", "what each member's readings become")
    max_disagreement: float | None = setting(None, "points by which the members may differ", minimum=0)


AggregateRecipe = Annotated[
    MeanAggregate | MedianAggregate | AdaptiveRecipe | EnsembleAggregate, Field(discriminator="kind")
]


@section
class JudgeRecipe(Section):
    """Who scores the answers, and how: `question`, `reading` and `aggregate` are chosen apart.

    `model`: policy | initial | round:K | served:NAME | a path. `source: oracle` asks the verifier instead of a model
    (a control); `verifier_then_model` asks the model only about the prompts that the verifier leaves open; `none` asks
    nobody, for pair rules that need no judge (the judge is still measured on the frozen pools).
    `control: shuffled` permutes the scores among the answers of each prompt: same marginals, no information.
    """

    model: str = setting("policy", "who is asked: policy, initial, round:K, served:NAME or a path")
    source: Literal["model", "oracle", "verifier_then_model", "none"] = setting(
        "model", "model, or verifier, or nobody"
    )
    control: Literal["none", "shuffled"] = setting("none", "shuffled: the scores of a prompt change places")
    question: QuestionRecipe = part(ScoreQuestion, "what is asked")
    reading: ReadingRecipe = part(VerdictReading, "how a reply is read")
    aggregate: AggregateRecipe = part(MeanAggregate, "how readings become a score")

    NO_MODEL: ClassVar[tuple[str, ...]] = ("oracle", "none")

    @property
    def comparing(self) -> ComparisonQuestion | PrincipleQuestion | None:
        """The question, where it is about two answers."""
        return self.question if isinstance(self.question, ComparisonQuestion | PrincipleQuestion) else None

    @property
    def ridge(self) -> float:
        return (self.comparing or Compared()).ridge

    @property
    def protocol(self) -> Protocol:
        if self.comparing is not None:
            return "pairwise"
        named: dict[str, Protocol] = {"verdict": "pointwise", "probability": "expected", "rationale": "hybrid"}
        return named[self.reading.kind]

    @property
    def draws(self) -> bool:
        """Whether replies about one answer are sampled, so that several differ."""
        return self.protocol in ("pointwise", "hybrid")

    @property
    def samples(self) -> int:
        """Readings that every answer gets."""
        if not self.draws:
            return 1
        return self.aggregate.first if isinstance(self.aggregate, AdaptiveRecipe) else self.aggregate.samples

    @property
    def adaptive(self) -> AdaptiveRecipe | None:
        return self.aggregate if isinstance(self.aggregate, AdaptiveRecipe) else None

    @property
    def ensemble(self) -> EnsembleAggregate | None:
        return self.aggregate if isinstance(self.aggregate, EnsembleAggregate) else None

    @property
    def members(self) -> tuple[str, ...]:
        return self.ensemble.members if self.ensemble else ()

    @property
    def average(self) -> Literal["mean", "median"]:
        """What several readings by one judge become."""
        if isinstance(self.aggregate, EnsembleAggregate):
            return self.aggregate.average
        return "median" if isinstance(self.aggregate, MedianAggregate) else "mean"

    @property
    def template(self) -> str:
        return self.question.template

    @property
    def sampling(self) -> SamplingRecipe:
        """How replies are sampled; where none is, as they would be."""
        return self.reading.sampling if isinstance(self.reading, Reply) else judge_sampling()

    @property
    def ask_again(self) -> int:
        return self.reading.ask_again if isinstance(self.reading, VerdictReading) else 0

    @property
    def min_mass(self) -> float:
        return self.reading.min_mass if isinstance(self.reading, Mass) else Mass().min_mass

    def drawing(self, samples: int) -> "JudgeRecipe":
        """The same judge with one N for every answer. A judge that is asked each question once stays as it is."""
        if not self.draws:
            return self
        if isinstance(self.aggregate, AdaptiveRecipe):
            return dataclasses.replace(self, aggregate=MeanAggregate(samples=samples))
        return dataclasses.replace(self, aggregate=dataclasses.replace(self.aggregate, samples=samples))

    def member(self, name: str) -> "JudgeRecipe":
        """One member of the ensemble: `template`, `template@model` or `@model`."""
        template, _, model = name.partition("@")
        kind = MedianAggregate if self.average == "median" else MeanAggregate
        return dataclasses.replace(
            self,
            model=model or self.model,
            question=ScoreQuestion(template=template) if template else self.question,
            aggregate=kind(samples=self.samples),
        )


@section
class MetaRecipe(Section):
    """The model compares its own judgments, both orders always (Meta-Rewarding, 2407.19594, A2 of its appendix).

    `battles: weighted` counts every verdict, weighted against the slot bias of the whole run; `agreed` counts only
    battles whose two orders name the same winner. `max_share` caps judgment pairs as a share of all pairs,
    `max_class_share` the pairs whose chosen judgment gives one same score; they are
    used only while the share of battles on which both orders agree is at least `min_agreement`.
    `control: coin_flip` keeps the very same pairs and draws their winners by coin.

    While `enabled` is false the other keys may stand idle in a recipe, so that one override switches it on or off.
    """

    enabled: bool = setting(False, "compare judgments and train on the better ones")
    model: str = setting("policy", "who compares: policy, initial, round:K, served:NAME or a path")
    template: str = setting("sandbox", "the words of the question")
    control: Literal["none", "coin_flip"] = setting("none", "coin_flip: the same pairs, winners drawn by coin")
    max_responses: int = setting(300, "answers whose judgments are compared", minimum=1)
    max_judgments: int = setting(4, "judgments of one answer that meet", minimum=2)
    battles: Literal["weighted", "agreed"] = setting("agreed", "which verdicts count")
    ridge: float = setting(0.1, "regularises the judgments' ratings", above=0)
    min_gap: float = setting(0.5, "strength by which best and worst must differ", minimum=0)
    max_share: float = setting(0.2, "share of all pairs that are about judgments", above=0, below=1)
    max_class_share: float = setting(0.4, "share of them whose chosen one gives one same score", above=0, maximum=1)
    max_chosen_chars: int | None = setting(None, "characters of a chosen judgment at most", minimum=1)
    min_agreement: float = setting(0.5, "battles whose orders agree, at least", minimum=0, maximum=1)
    sampling: SamplingRecipe = part(
        lambda: SamplingRecipe(temperature=0.5, max_tokens=64), "how a comparison is sampled"
    )
