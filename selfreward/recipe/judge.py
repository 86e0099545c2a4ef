"""The judge, by its axes: who is asked, which question, how the reply is read, how many readings become a score.

question   score | rubric | claims | trajectory (each answer alone) · steps (each step of an answer) ·
           comparison | principle | debate (two answers side by side, in both orders) ·
           list (all answers, in balanced orders)
reading    verdict (what a sampled reply says) · probability (of the score or label words, nothing is decoded) ·
           rationale (a sampled rationale, then the probabilities) · scalar (a reward model's number)
aggregate  mean | median (of N readings) · adaptive (more where it matters) · ensemble (several judges)

A comparison and a list are asked once in each order, a step once, and a probability read once: they have no N.
"""

import dataclasses
from typing import ClassVar, Literal

from selfreward.recipe.aggregates import (
    AdaptiveRecipe,
    AggregateRecipe,
    EnsembleAggregate,
    MeanAggregate,
    MedianAggregate,
)
from selfreward.recipe.model import SamplingRecipe
from selfreward.recipe.questions import (
    Compared,
    ComparisonQuestion,
    DebateQuestion,
    ListQuestion,
    PrincipleQuestion,
    QuestionRecipe,
    ScoreQuestion,
    StepsQuestion,
)
from selfreward.recipe.readings import Mass, ReadingRecipe, Reply, VerdictReading, judge_sampling
from selfreward.recipe.reference import POLICY, ModelReference
from selfreward.recipe.section import Section, part, section, setting

Protocol = Literal["pointwise", "expected", "hybrid", "pairwise", "listwise", "stepwise", "scalar"]
"""What the combinations of question and reading are called."""


@section
class JudgeRecipe(Section):
    """Who scores the answers, and how: `question`, `reading` and `aggregate` are chosen apart.

    `model`: policy | initial | round:K | served:NAME | a path | reward_model. `source: oracle` asks the verifier
    instead of a model (a control); `verifier_then_model` asks the model only about the prompts that the verifier leaves
    open; `none` asks nobody, for pair rules that need no judge (the judge is still measured on the frozen pools).
    `verifier_and_model` asks the model to rank the answers that the verifier accepts: a failing answer is never chosen.
    `control: shuffled` permutes the scores among the answers of each prompt: same marginals, no information.
    """

    model: ModelReference = setting(
        POLICY, "who is asked: policy, initial, round:K, served:NAME, a path or reward_model"
    )
    source: Literal["model", "oracle", "verifier_then_model", "verifier_and_model", "none"] = setting(
        "model", "model, or verifier, or both in turn, or nobody"
    )
    control: Literal["none", "shuffled"] = setting("none", "shuffled: the scores of a prompt change places")
    question: QuestionRecipe = part(ScoreQuestion, "what is asked")
    reading: ReadingRecipe = part(VerdictReading, "how a reply is read")
    aggregate: AggregateRecipe = part(MeanAggregate, "how readings become a score")

    NO_MODEL: ClassVar[tuple[str, ...]] = ("oracle", "none")

    @property
    def asks_model(self) -> bool:
        """Whether a model judges answers that are trained on."""
        return self.source not in self.NO_MODEL

    @property
    def verifier_first(self) -> bool:
        """Whether a verifier is asked before the model, whose judgments then are an artifact of their own."""
        return self.source in ("verifier_then_model", "verifier_and_model")

    @property
    def comparing(self) -> ComparisonQuestion | PrincipleQuestion | DebateQuestion | None:
        """The question, where it is about two answers."""
        asked = self.question
        return asked if isinstance(asked, ComparisonQuestion | PrincipleQuestion | DebateQuestion) else None

    @property
    def debating(self) -> DebateQuestion | None:
        """The question, where two answers are debated before they are compared."""
        return self.question if isinstance(self.question, DebateQuestion) else None

    @property
    def debater(self) -> ModelReference:
        """Whoever argues in a debate."""
        return (self.debating.debater if self.debating else None) or self.model

    @property
    def listing(self) -> ListQuestion | None:
        """The question, where it is about all answers."""
        return self.question if isinstance(self.question, ListQuestion) else None

    @property
    def stepping(self) -> StepsQuestion | None:
        """The question, where it is about the steps of an answer and asked in words."""
        asked = isinstance(self.question, StepsQuestion) and self.reading.kind != "scalar"
        return self.question if asked and isinstance(self.question, StepsQuestion) else None

    @property
    def ranks(self) -> bool:
        """Whether scores only rank the answers to one prompt, so that one answer alone has none."""
        return self.comparing is not None or self.listing is not None

    @property
    def ridge(self) -> float:
        return (self.comparing or Compared()).ridge

    @property
    def protocol(self) -> Protocol:
        if self.comparing is not None:
            return "pairwise"
        if self.listing is not None:
            return "listwise"
        if self.stepping is not None:
            return "stepwise"
        named: dict[str, Protocol] = {"verdict": "pointwise", "probability": "expected", "rationale": "hybrid"}
        return named.get(self.reading.kind, "scalar")

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
    def models(self) -> list[ModelReference]:
        """Whoever is asked: every member's, or its own."""
        return [self.member(name).model for name in self.members] or [self.model]

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

    @property
    def scale(self) -> Literal["0-5", "1-10"]:
        """The words of a score, where probabilities are read."""
        return self.reading.scale if isinstance(self.reading, Mass) else "0-5"

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
        named: QuestionRecipe = self.question
        if template and isinstance(named, ComparisonQuestion | ScoreQuestion):
            named = dataclasses.replace(named, template=template)
        elif template:
            named = ScoreQuestion(template=template)
        return dataclasses.replace(
            self,
            model=ModelReference(model) if model else self.model,
            question=named,
            aggregate=kind(samples=self.samples),
        )
