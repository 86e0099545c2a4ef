"""How an answer is revised: who criticises it by which principles, who rewrites it, and what of that is kept."""

from selfreward.recipe.model import SamplingRecipe
from selfreward.recipe.reference import POLICY, ModelReference
from selfreward.recipe.section import Section, part, section, setting


@section
class RevisionCheckRecipe(Section):
    """The judge is asked whether the revision really is better, in both orders, by a principle that did not make it.

    Its probability, clamped, is the label of the pair; a revision that it likes less than the answer is dropped.
    """

    constitution: str = setting("honest_help", "a shipped list of principles or a YAML file")
    model: ModelReference = setting(POLICY, "who is asked: policy, initial, round:K or a path")
    template: str = setting("principle", "the words of the question")
    clamp: float | None = setting(None, "the highest probability of a label", above=0.5, below=1)
    min_mass: float = setting(0.01, "probability of both labels together, at least", minimum=0, maximum=1)


@section
class RevisingRecipe(Section):
    """`turns` times a principle of the constitution is drawn by lot, none twice before each was drawn once.

    `min_length` and `max_length` are multiples of the answer's characters. The filters are those of
    judging/revising/faults.py.
    """

    constitution: str = setting("honest_help", "a shipped list of principles or a YAML file")
    turns: int = setting(1, "times that an answer is criticised and rewritten; 4 in the paper", minimum=1, maximum=16)
    model: ModelReference = setting(
        POLICY, "who criticises and rewrites: policy, initial, round:K, served:NAME or a path"
    )
    critic: str = setting("critique", "the words that ask for a critique")
    reviser: str = setting("revision", "the words that ask for a revision")
    sampling: SamplingRecipe = part(lambda: SamplingRecipe(temperature=0.7), "how both are sampled")
    min_length: float = setting(0.1, "of the answer's characters, at least", minimum=0, below=1)
    max_length: float = setting(3.0, "of the answer's characters, at most", above=1)
    check: RevisionCheckRecipe | None = setting(None, "who says whether a revision is better; null: nobody")
