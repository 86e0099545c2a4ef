"""What a recipe must not say about its rewards: sampling, judge, reference that no policy gradient can work with."""

from collections.abc import Iterator

from selfreward.recipe.recipe import Recipe
from selfreward.recipe.reward import VerifierAndJudgeReward
from selfreward.recipe.train import PolicyGradient

Found = Iterator[tuple[bool, str]]


def rewards_that_cannot_work(recipe: Recipe) -> Found:
    """Contradictions of a `train` that learns from rewards with itself and with the other sections."""
    train, judge, sampling = recipe.train, recipe.judge, recipe.generate.sampling
    if not isinstance(train, PolicyGradient):
        return
    named, reward = f"train.method={train.method}", f"train.reward={train.reward.kind}"
    yield (
        sampling.top_p < 1,
        f"key 'generate.sampling.top_p' is {sampling.top_p:g}; {named} needs the probability of every answer, which is "
        "that of the whole distribution: set it to 1",
    )
    yield (
        sampling.temperature == 0,
        f"key 'generate.sampling.temperature' is 0, which draws nothing; {named} needs one above 0, for example 1",
    )
    yield (
        bool(recipe.generate.mix),
        f"generate.mix takes answers of other policies or temperatures; {named} needs the probability that each was "
        "sampled with, from one distribution for all: remove it, or learn from pairs with train.method=dpo",
    )
    yield (
        recipe.meta.enabled,
        f"meta.enabled makes pairs of judgments, but {named} learns from rewards; set it to false",
    )
    yield (
        "judge" in train.reward.READS and judge.source == "none",
        f"{reward} reads the judge's scores, but judge.source=none gives none",
    )
    yield (
        "judge" not in train.reward.READS and judge.control != "none",
        f"judge.control shuffles the judge's scores, which {reward} does not read",
    )
    yield (
        isinstance(train.reward, VerifierAndJudgeReward) and judge.source != "model",
        f"{reward} asks verifier and judge itself; set judge.source=model",
    )
    yield (
        judge.source == "verifier_and_model",
        f"judge.source=verifier_and_model ranks answers for pairs; for {named} set "
        "train.reward=verifier_and_judge with judge.source=model",
    )
    yield (
        "verifier" in train.reward.READS and recipe.measure.verifier == "none",
        f"{reward} needs a verifier; set measure.verifier",
    )
    yield (
        train.kl == 0 and train.reference != "previous",
        f"key 'train.reference' is {train.reference!r}, which is read with train.kl above 0 only",
    )
    yield (
        train.KL_IN_REWARD and train.kl > 0 and train.reference == "previous",
        f"train.kl under {named} is a price of what the round's policy already is: against train.reference=previous it "
        "is 0; set train.reference=initial, round:K or a path",
    )
