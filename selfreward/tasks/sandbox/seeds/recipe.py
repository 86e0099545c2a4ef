"""Everything that decides a seed model, and one that goes on from it under a dial. Standard library only.

Budgets count tokens, so a seed does not depend on the speed of a machine.
"""

from dataclasses import dataclass, field, replace
from math import ceil

from selfreward.tasks.sandbox.annotator import AnnotatorDials
from selfreward.tasks.sandbox.demonstrator import DemonstratorDials

SEED_VERSION = 1
"""Of the world, the lessons and how they are taught. Raise it when one of them changes: a cached seed is known by it
and not by the text of our files, which may move. tests/test_seed_cache.py holds the lessons against it.
"""


@dataclass(frozen=True)
class Mix:
    """Share of each kind of lesson, by number of examples."""

    answers: float
    judgments: float
    own_judgments: float
    """Judgments of replies that the model itself sampled; needs `OwnReply`s."""
    meta: float
    new_tasks: float
    second_turns: float = 0.03


@dataclass(frozen=True)
class Stage:
    """One run of supervised fine-tuning."""

    tokens: int
    mix: Mix
    learning_rate: float = 4e-3
    extra_noise: float = 0.0
    """Added to the annotator's noise."""
    own_tasks: int = 0
    """Tasks on which the model is first sampled, to be judged in this stage."""
    decay: bool = False
    """Warm up, then lower the learning rate to nothing along a cosine; otherwise it stays constant from the start."""


CLEAN = Stage(
    tokens=6_500_000,
    mix=Mix(answers=0.35, judgments=0.50, own_judgments=0.0, meta=0.12, new_tasks=0.03),
    extra_noise=0.03,
)
ON_POLICY = Stage(
    tokens=13_000_000,
    mix=Mix(answers=0.22, judgments=0.28, own_judgments=0.30, meta=0.18, new_tasks=0.02),
    own_tasks=3000,
)
FINISH = replace(ON_POLICY, tokens=7_000_000, own_tasks=2000, decay=True)
"""Once more on fresh replies and judgments, which resemble what the finished model will write."""
UNDER_DIALS = replace(FINISH, tokens=4_000_000)
"""The one further stage in which a dialled seed meets an annotator with a bias."""


@dataclass(frozen=True)
class SeedRecipe:
    """Everything that decides a seed model. Dials act on the training labels of one role each."""

    seed: int = 0
    """Initial weights, lessons, their order and all sampling."""
    demonstrator: DemonstratorDials = field(default_factory=DemonstratorDials)
    annotator: AnnotatorDials = field(default_factory=AnnotatorDials)
    stages: tuple[Stage, ...] = (CLEAN, ON_POLICY, FINISH)
    own_samples: int = 3
    """Replies per task, and judgments per reply, that the model samples before a stage with `own_tasks`."""
    batch_tokens: int = 2048
    warmup_steps: int = 100
    verdict_weight: float = 2.0
    """Loss weight of the word after `better`, relative to any other word."""
    threads: int = 1
    probe_every: int = 1_625_000
    """Tokens between two points of the training curve."""

    @property
    def tokens(self) -> int:
        return sum(stage.tokens for stage in self.stages)


@dataclass(frozen=True)
class DialledRecipe:
    """A plain seed model that goes on for one stage with another annotator.

    `rule_share` of the judgment lessons carry the rule `not agree` in their prompt, and there the annotator has no
    agreement bias. That obedience is planted: a loop that judges under the rule shows what a judge that obeys such a
    rule would buy, not that a model obeys one by itself. Shipped seeds never saw the rule.
    """

    start: SeedRecipe
    annotator: AnnotatorDials
    stage: Stage = UNDER_DIALS
    rule_share: float = 0.4

    @property
    def tokens(self) -> int:
        return self.stage.tokens


UNDER_A_CONSTITUTION = Stage(
    tokens=4_000_000,
    mix=Mix(answers=0.45, judgments=0.40, own_judgments=0.0, meta=0.10, new_tasks=0.02),
    decay=True,
)
"""The stage in which a seed learns the bad word and what principles say about it; it judges replies of others only."""


@dataclass(frozen=True)
class ConstitutionRecipe(DialledRecipe):
    """A plain seed model that goes on with the bad word in this share of its answers (constitution_lessons.py)."""

    stage: Stage = UNDER_A_CONSTITUTION
    rule_share: float = 0.0
    bad_word: float = 0.0


WITH_QUESTIONS = replace(FINISH, tokens=4_500_000, own_tasks=400)
"""The stage in which a seed learns to judge in more ways than by one score."""


@dataclass(frozen=True)
class QuestionsRecipe(DialledRecipe):
    """A plain seed model that goes on with this share of lessons about further questions (question_lessons.py)."""

    stage: Stage = WITH_QUESTIONS
    rule_share: float = 0.0
    questions: float = 0.0


def with_budget(recipe: SeedRecipe | DialledRecipe, tokens: int) -> SeedRecipe | DialledRecipe:
    """The same with `tokens` training tokens in all, and as many fewer replies of its own to judge."""
    share = tokens / recipe.tokens
    if isinstance(recipe, DialledRecipe):
        return replace(recipe, stage=_scaled(recipe.stage, share))
    return replace(recipe, stages=tuple(_scaled(stage, share) for stage in recipe.stages))


def _scaled(stage: Stage, share: float) -> Stage:
    return replace(stage, tokens=round(stage.tokens * share), own_tasks=ceil(stage.own_tasks * share))
