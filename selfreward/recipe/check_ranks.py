"""What a recipe must not say about training in several processes: a batch they cannot share, nobody to start them."""

from collections.abc import Iterator

from selfreward.recipe.recipe import Recipe
from selfreward.recipe.train import Steps


def ranks_that_cannot_work(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    train = recipe.train
    if not isinstance(train, Steps):
        return
    count, alone = train.processes, train.processes == 1
    yield (
        not alone and train.launch == "in_process",
        f"train.processes is {count}, but train.launch=in_process trains in this one; set train.launch=accelerate",
    )
    yield (
        train.accelerate_config is not None and alone,
        "train.accelerate_config says how several processes train together, but train.processes is 1; raise it or "
        "remove the file",
    )
    if alone:
        return
    for section, method in {"train": train, "reward_model": recipe.reward_model}.items():
        if method is not None:
            yield from _divided(section, method.batch_size, method.micro_batch_size, count)


def _divided(section: str, batch: int, micro: int | None, count: int) -> Iterator[tuple[bool, str]]:
    yield (
        batch % count > 0,
        f"key '{section}.batch_size' is {batch}; expected a multiple of train.processes ({count}): each takes an equal "
        "share of every step",
    )
    yield (
        micro is not None and batch // count % micro > 0,
        f"key '{section}.micro_batch_size' is {micro}; expected a divisor of {batch // count}, the share of "
        f"{section}.batch_size ({batch}) that each of {count} processes takes",
    )
