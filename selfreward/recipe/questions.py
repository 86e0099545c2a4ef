"""What a judge is asked.

About one answer (score, rubric, steps, claims, trajectory), two (comparison, principle, debate) or all (list).
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.recipe.reference import ModelReference
from selfreward.recipe.section import Section, keyed, needed, section, setting


@section
class Question(Section):
    """What every question is, about one answer unless it is one of `Compared`."""

    WORDING: ClassVar[str] = "selfreward.judging.prompts.pointwise:wording"
    """What asks it and reads the reply (judging/prompts/prompt.py)."""
    WHY_VERDICT: ClassVar[str] = ""
    """Why only judge.reading=verdict can read the reply, where that is so."""


@section
class ScoreQuestion(Question):
    """How good is this answer, from 0 to 5? Where `examples` names a file, `shots` judged answers are shown first."""

    kind: Literal["score"] = "score"
    template: str = setting("sandbox", "the words of the question")
    examples: str | None = setting(None, "a file of judged answers: prompt, response, judgment", later=True)
    shots: int = setting(4, "how many of them are shown, balanced over their scores", minimum=2, later=True)


@section
class RubricQuestion(Question):
    """A score for each criterion of a rubric: a shipped one, or a YAML file, which brings its own words.

    A prompt's row with criteria of its own (`meta.rubric`) is judged by these; with `rubric` null every row must have
    some.
    """

    kind: Literal["rubric"] = "rubric"
    template: str = setting("rubric", "the words around the criteria", later=True)
    rubric: str | None = setting(None, "a shipped rubric or a YAML file; null: every row's own (meta.rubric)")

    WORDING: ClassVar[str] = "selfreward.judging.prompts.rubric:wording"
    WHY_VERDICT: ClassVar[str] = "has a score per criterion"


@section
class Compared(Question):
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


@section
class DebateQuestion(Compared):
    """Which of two answers is better, after a debate in which each of them has an advocate?

    `debater` argues, the judge's own model where it is null; a row's `meta.material` is for debaters alone. Two answers
    tie where their order hangs on changes of `epsilon` in the readings, in more than `unstable` of all patterns of
    changes (scoring/stability.py).
    """

    kind: Literal["debate"] = "debate"
    template: str = setting("debate", "the words of the question")
    debater_template: str = setting("argue", "what a debater is told")
    debater: ModelReference | None = setting(None, "who argues; null: the judge's own model")
    rounds: int = setting(2, "rounds of speeches, in each of which both sides speak at once", minimum=1)
    sides: Literal["both", "one"] = setting("both", "one: one side, drawn by lot, has an advocate (consultancy)")
    speech: int = setting(256, "tokens of a speech at most", minimum=1)
    temperature: float = setting(0.8, "at which speeches are sampled", minimum=0)
    epsilon: float = setting(0.05, "changes of the readings that an order must bear", minimum=0, below=0.5)
    unstable: float = setting(0.1, "share of patterns of changes that may turn an order", minimum=0, below=1)


@section
class ListQuestion(Question):
    """In which order are all answers to a prompt, from best to worst?

    They are shown in `orders` orders, each also reversed, and their ranks are averaged.
    """

    kind: Literal["list"] = "list"
    template: str = setting("list", "the words of the question")
    orders: int = setting(2, "orders in which the answers are shown, each also reversed", minimum=1)

    WHY_VERDICT: ClassVar[str] = "has one reply about all answers"


@section
class StepsQuestion(Question):
    """Is every step of an answer right, given the steps before it?

    Each step is asked about by itself. `combine`: the score is that of the worst step, or the product over all, of the
    verdicts or, with judge.reading=probability, of P(right).
    """

    kind: Literal["steps"] = "steps"
    template: str = setting("steps", "the words of the question")
    combine: Literal["min", "product"] = setting("min", "how the steps' verdicts become a score")
    mark: str | None = setting(
        None, "where a step begins, a regular expression; null: Step 1:, 1., paragraphs", later=True
    )
    most: int = setting(20, "steps that are told apart; the last one holds all further ones", minimum=1)

    WORDING: ClassVar[str] = "selfreward.judging.prompts.steps:wording"


@section
class ClaimsQuestion(Question):
    """Which words of its context support each claim of an answer?

    A prompt's row brings the text to keep to (`meta.context`). A quotation that is not in it supports nothing.
    """

    kind: Literal["claims"] = "claims"
    template: str = setting("claims", "the words of the question")

    WORDING: ClassVar[str] = "selfreward.judging.prompts.claims:wording"
    WHY_VERDICT: ClassVar[str] = "lists claims with their quotations"


@section
class TrajectoryQuestion(Question):
    """How good is a finished trajectory of an agent with tools as a whole, from 0 to 5?

    Its goal, calls and results are shown; of a long result the middle is left out (judging/prompts/trajectory.py). Each
    call by itself is what `steps` with the template `calls` asks.
    """

    kind: Literal["trajectory"] = "trajectory"
    template: str = setting("plan", "the words of the question")

    WORDING: ClassVar[str] = "selfreward.judging.prompts.trajectory:wording"


def constitution_of(question: Compared) -> str | None:
    return question.constitution if isinstance(question, PrincipleQuestion) else None


QuestionRecipe = Annotated[
    ScoreQuestion
    | RubricQuestion
    | StepsQuestion
    | ClaimsQuestion
    | TrajectoryQuestion
    | ComparisonQuestion
    | PrincipleQuestion
    | DebateQuestion
    | ListQuestion,
    Field(discriminator="kind"),
]
