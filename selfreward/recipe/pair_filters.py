"""Which picked pairs are dropped again (pairing/filters.py)."""

from typing import Literal

from selfreward.recipe.section import Section, section, setting


@section
class FiltersRecipe(Section):
    """Which picked pairs are dropped again, each with its reason; None switches a filter off.

    `max_similarity`: ROUGE-L F1 of the two texts. `max_length_ratio`: the longer over the shorter, in `pairs.length`.
    `max_spread`: sample variance of the judgments of either answer (low agreement). `min_logprob_margin`: nats between
    the two answers' summed log-probabilities under `train.reference`, the round's start where the method has none (.6
    is a used value). `min_judge_margin`: nats between the two labels of the judge that compares, |log P - log(1 - P)|
    with P that the chosen answer is better (.6 is P >= .65). `verifier_conflict`: the verifier ranks the two the other
    way. `internal_agreement`: the policy's implicit reward against the start policy does not rank them as the judge
    does (SCIR). `max_class_share`: pairs whose chosen answer is of one class, `class_of` being its rounded score or its
    final answer.
    """

    max_similarity: float | None = setting(None, "ROUGE-L F1 of the two texts, at most", above=0, maximum=1)
    max_length_ratio: float | None = setting(None, "the longer over the shorter, at most", minimum=1)
    max_spread: float | None = setting(None, "variance of either answer's judgments, at most", minimum=0)
    min_logprob_margin: float | None = setting(None, "nats between the two under the reference", minimum=0)
    min_judge_margin: float | None = setting(None, "nats between the judge's own two labels", minimum=0)
    verifier_conflict: bool = setting(False, "drop pairs that the verifier ranks the other way")
    internal_agreement: bool = setting(
        False, "drop pairs that the policy's implicit reward ranks the other way", later=True
    )
    max_class_share: float | None = setting(None, "share of pairs with one class of chosen", above=0, maximum=1)
    class_of: Literal["score", "answer"] = setting("score", "what a class is")
