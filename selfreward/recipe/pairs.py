"""Which answers become a pair: one variant of `pairs` for each rule of pairing/, with the keys that it reads."""

from typing import Annotated, Literal

from pydantic import Field

from selfreward.recipe.doors import Foreign, Options
from selfreward.recipe.pair_filters import FiltersRecipe
from selfreward.recipe.reference import INITIAL, ModelReference
from selfreward.recipe.revising import RevisingRecipe
from selfreward.recipe.section import Section, keyed, needed, part, section, setting
from selfreward.recipe.weights import EqualWeights, WeightsRecipe


@section
class MixRecipe(Section):
    """What is trained on beside the round's own pairs, as shares of all pairs.

    `earlier`: pairs of the previous round, or of all earlier ones, without those that a gate rolled back. `external`:
    a file of pairs (tasks/pairs_file.py), with its provenance on every row. A share of 1 leaves no own pairs: then
    nothing is asked in training, no judge is needed, and each round trains on `prompts.per_round` fresh pairs of it.
    """

    earlier: Literal["previous", "all"] = setting("previous", "which earlier rounds' pairs")
    earlier_share: float = setting(0.0, "their share of all pairs", minimum=0, below=1)
    external: str | None = setting(None, "a file of pairs, or a saved data set, or hub:org/name")
    external_share: float = setting(0.0, "its share of all pairs; 1: nothing else", minimum=0, maximum=1)

    @property
    def alone(self) -> bool:
        """Whether the file's pairs are the only ones."""
        return self.external_share == 1


@section
class JudgedScore(Section):
    """What the judge says. Answers with fewer than `min_judgments` readable judgments are not paired."""

    kind: Literal["judge"] = "judge"
    min_judgments: int = setting(1, "readable judgments of an answer, at least", minimum=1)


@section
class ImplicitReward(Section):
    """log pi(y) - log pi_ref(y) under the round's policy; `reference` is initial or a directory.

    `consistency` softens the labels by the agreement with the previous policy's ranking (CREAM), of the whole round or
    of each prompt; `inconsistent` says what happens where it is below 1/2: `literal` is the paper's formula, which
    reverses the preference.
    """

    kind: Literal["implicit_reward"] = "implicit_reward"
    reference: ModelReference = setting(INITIAL, "initial or a directory")
    consistency: Literal["none", "set", "prompt"] = setting("none", "soften labels by the agreement of two policies")
    inconsistent: Literal["clip", "skip", "literal"] = setting("clip", "what to do where they disagree")


ScoreRecipe = Annotated[JudgedScore | ImplicitReward, Field(discriminator="kind")]


@section
class PairsBase(Section):
    """What every rule reads. Gaps are in score units; `flip` swaps that share of the labels (a control)."""

    min_gap: float = setting(0.0, "scores must differ by more", minimum=0)
    max_chosen_tokens: int | None = setting(None, "tokens of a chosen answer at most", minimum=1)
    flip: float = setting(0.0, "share of the labels that are swapped: a control", minimum=0, maximum=0.5)
    length: Literal["characters", "tokens"] = setting("characters", "what lengths are counted in")
    filters: FiltersRecipe = part(FiltersRecipe, "which picked pairs are dropped again")
    mix: MixRecipe = part(MixRecipe, "pairs beside the round's own")
    balance: Literal["none", "cohort", "source", "cohort_and_source"] = setting(
        "none", "equal weight of every cohort of prompts, or generator of the chosen answer"
    )
    weights: WeightsRecipe = part(EqualWeights, "how far a frozen model believes each pair", later=True)

    @property
    def implicit(self) -> ImplicitReward | None:
        """Where the scores are implicit rewards."""
        return None

    @property
    def min_judgments(self) -> int:
        return 1

    @property
    def soft(self) -> bool:
        """Whether the judge's probability is the label."""
        return False


@section
class Scored(PairsBase):
    """Rules that pair answers by their scores."""

    score: ScoreRecipe = part(JudgedScore, "where the scores come from")

    @property
    def implicit(self) -> ImplicitReward | None:
        return self.score if isinstance(self.score, ImplicitReward) else None

    @property
    def min_judgments(self) -> int:
        return self.score.min_judgments if isinstance(self.score, JudgedScore) else 1


@section
class Labelled(Scored):
    """`label: soft` makes the judge's probability that the chosen answer is better the pair's label (RLAIF)."""

    label: Literal["hard", "soft"] = setting("hard", "soft: the judge's probability that chosen is better")

    @property
    def soft(self) -> bool:
        return self.label == "soft"


@section
class BestVsWorst(Labelled):
    """The best-scored answer against the worst."""

    rule: Literal["best_vs_worst"] = "best_vs_worst"


@section
class BestVsRandom(Labelled):
    """The best-scored answer against another one by lot."""

    rule: Literal["best_vs_random"] = "best_vs_random"


@section
class SweetSpot(Labelled):
    """The best against one in the middle (pairing/rules/sweet_spot.py)."""

    rule: Literal["sweet_spot"] = "sweet_spot"


@section
class Anchored(Labelled):
    """The policy's best answer against the start policy's worst (pairing/rules/anchored.py); needs generate.mix."""

    rule: Literal["anchored"] = "anchored"


@section
class LengthTiers(Labelled):
    """The shortest of the best against the longest of the worst. `rho` is the width of both tiers, from 0 to 1."""

    rule: Literal["length_tiers"] = "length_tiers"
    rho: tuple[float, ...] = setting((0.0,), "width of the tiers by round, the last for all later ones")


@section
class ZLength(Scored):
    """Standardised scores less `rho` times standardised lengths. Labels are hard: probabilities know no length."""

    rule: Literal["z_length"] = "z_length"
    rho: tuple[float, ...] = setting((0.0,), "weight of the length by round, the last for all later ones")


@section
class Sppo(Labelled):
    """Best against worst with their win rates among the answers (for train.loss=sppo)."""

    rule: Literal["sppo"] = "sppo"


@section
class Verified(PairsBase):
    """Correct against incorrect answers by the verifier; the best-judged with judge.source=verifier_and_model."""

    rule: Literal["verified"] = "verified"
    per_prompt: int = setting(1, "pairs of one prompt", minimum=1)


@section
class Spin(PairsBase):
    """The given answer against the policy's own (2401.01335)."""

    rule: Literal["spin"] = "spin"
    per_prompt: int = setting(1, "pairs of one prompt", minimum=1)


@section
class SelfConsistency(PairsBase):
    """The most frequent final answer against the least frequent one."""

    rule: Literal["self_consistency"] = "self_consistency"
    min_vote_share: float = setting(0.5, "share of the samples that must agree", minimum=0, maximum=1)


@section
class Revising(PairsBase):
    """Rules that pair an answer with what a critic and a reviser made of it."""

    revise: RevisingRecipe = part(RevisingRecipe, "how an answer is revised")
    per_prompt: int = setting(1, "answers to one prompt that are revised", minimum=1)


@section
class Revision(Revising):
    """The policy's own answer, criticised and rewritten by principles, against the answer as it was (2212.08073).

    With train.method=sft_chosen this is the first phase of constitutional AI; with dpo the revision is preferred.
    `control: sibling` puts another of the policy's answers to the same prompt in the revision's place.
    """

    rule: Literal["revision"] = "revision"
    control: Literal["none", "sibling"] = setting("none", "sibling: another answer is chosen, a control")


@section
class Daif(Revising, Scored):
    """By how unlike a prompt's answers are: revisions in the middle, preferences where they differ most (DAIF).

    Of all prompts the share `certain`, whose answers are most alike, makes no pair; of the share `refined` after it
    answers are revised; of the others the best-scored answer is set against the worst (pairing/rules/daif.py).
    """

    rule: Literal["daif"] = "daif"
    certain: float = setting(1 / 3, "share of the prompts, the most alike answers, without a pair", minimum=0, below=1)
    refined: float = setting(1 / 3, "share of the prompts, after these, whose answers are revised", above=0, below=1)


@section
class StepPairs(PairsBase):
    """Two steps that go on from one beginning, by the judge of steps (judge.question=steps; pairing/rules/steps.py)."""

    rule: Literal["steps"] = "steps"
    per_prompt: int = setting(3, "pairs of one prompt", minimum=1)


@keyed
class OwnRule(Labelled):
    """A pair rule of your own: `choose(candidates, situation) -> picks or a Refusal`, in a module that says NEEDS.

    `options` are its own; it finds them in `situation.recipe.options`.
    """

    choose: Annotated[Foreign, needed("module:object, FILE.py:object or entry:NAME of the rule")]
    rule: Literal["own"] = "own"
    options: Options = part(dict, "what the rule reads itself")


PairsRecipe = Annotated[
    BestVsWorst
    | BestVsRandom
    | SweetSpot
    | Anchored
    | LengthTiers
    | ZLength
    | Sppo
    | Verified
    | Spin
    | SelfConsistency
    | Revision
    | Daif
    | StepPairs
    | OwnRule,
    Field(discriminator="rule"),
]
