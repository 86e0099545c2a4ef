"""The order in which a reward model sees its prompts: from what is easy to tell to what is not (Curriculum-RLAIF).

    ease of a prompt = mean over its pairs of |2 P(first is better) - 1|        1: every label is certain, 0: all ties
    stages           = the prompts by ease, in parts of equal size; each is trained on for all its epochs, shuffled
                       within, before the next one begins

Curriculum-RLAIF (2505.20075) makes its stages by construction: pairs of an answer that was asked to be good and one
that was asked to be bad, then of one of them and a plain one, then of plain ones with an AI's label. It finds that the
order helps the reward model. Here all pairs are of plain answers and only their order is a curriculum, by the label's
own certainty: that is ours, and how long the paper's stages last was not seen (unverified). `hard_first` is the
control with the same rows in the opposite order, `shuffled` the null.

Assumption: a sure label is an easy one, and a right one. A judge that is surely wrong teaches its mistakes first.
Labels of one reading each are 0 or 1 for all pairs: every prompt is as easy as any other, ties go by id, and the order
says nothing; ask for several readings or for probabilities. The learning rate falls along all stages, so that what
comes last moves the weights least.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from selfreward.recipe import RewardModelRecipe
from selfreward.training.reward_rows import Group
from selfreward.training.rows import training_order


def ease(group: Group) -> float:
    """How far from a tie the prompt's labels are."""
    return math.fsum(abs(2 * label - 1) for _, _, label in group.preferences) / len(group.preferences)


def staged_order(groups: Sequence[Group], recipe: RewardModelRecipe, seed: int) -> list[int]:
    """Positions of `groups` in the order in which they are trained on, all epochs in one list."""
    if recipe.order == "shuffled":
        return training_order([group.tokens for group in groups], recipe.epochs, recipe.batch_size, seed)
    way = -1 if recipe.order == "easy_first" else 1
    eased = [(way * round(ease(group), 9), group.prompt_id) for group in groups]
    ranked = sorted(range(len(groups)), key=lambda place: eased[place])
    bounds = [round(stage * len(ranked) / recipe.stages) for stage in range(recipe.stages + 1)]
    order: list[int] = []
    for stage, (begin, end) in enumerate(pairwise(bounds)):
        members = ranked[begin:end]
        if members:
            lengths = [groups[place].tokens for place in members]
            order += [members[at] for at in training_order(lengths, recipe.epochs, recipe.batch_size, seed + stage)]
    return order
