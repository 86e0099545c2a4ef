"""How many devices a recipe works on at the same time: engines to sample and judge, processes to train."""

from dataclasses import dataclass

from selfreward.commands.accelerate_checks import is_sharded
from selfreward.recipe import Recipe, Steps, VllmRecipe, replicas_of


@dataclass(frozen=True, slots=True)
class Devices:
    """`replicas` engines, each on `split` devices; `processes` that train. `sharded`: they hold a share of the policy
    each (FSDP2), and not the whole of it (DDP).
    """

    replicas: int = 1
    split: int = 1
    processes: int = 1
    sharded: bool = False

    @property
    def sampling(self) -> int:
        return self.replicas * self.split

    @property
    def all(self) -> int:
        """Devices of the run: those that sample train as well, one after the other."""
        return max(self.sampling, self.processes)

    @property
    def shares(self) -> int:
        """In how many parts weights, gradients and moments lie in training."""
        return self.processes if self.sharded else 1


def devices_of(recipe: Recipe) -> Devices:
    """Raises RecipeError for a train.accelerate_config that cannot be read."""
    split = recipe.engine.tensor_parallel_size if isinstance(recipe.engine, VllmRecipe) else 1
    processes = recipe.train.processes if isinstance(recipe.train, Steps) else 1
    return Devices(replicas_of(recipe.engine), split, processes, is_sharded(recipe))
