"""The meta-judge."""

from typing import Literal

from selfreward.recipe.model import SamplingRecipe
from selfreward.recipe.reference import POLICY, ModelReference
from selfreward.recipe.section import Section, part, section, setting


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
    model: ModelReference = setting(POLICY, "who compares: policy, initial, round:K, served:NAME or a path")
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
