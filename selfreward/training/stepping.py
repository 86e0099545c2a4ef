"""What every trainer here does beside its loss: its schedule, its saved steps, and nothing for a hub.

A loss is divided by what the whole batch holds, on all ranks, and not by the number of micro-batches afterwards.
"""

from functools import partial
from typing import Any

from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from selfreward.training import ranks


class Stepping:
    """Mixed into a Trainer, before it."""

    warmup: int
    optimizer: Any
    lr_scheduler: Any
    model: Any

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """Linear warm-up that starts above zero, times a linear decay to a tenth."""
        if self.lr_scheduler is None:
            factor = partial(learning_rate_factor, steps=num_training_steps, warmup=self.warmup)
            self.lr_scheduler = LambdaLR(self.optimizer, factor)
        scheduler: LambdaLR = self.lr_scheduler
        return scheduler

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The weights of a step. Without the pickled arguments that transformers would add: they are in the recipe.

        `state_dict` is given where the weights are spread over ranks; no rank has them in its model then, the first has
        them in that, and all are asked to save.
        """
        if ranks.first():
            self.model.save_pretrained(output_dir, state_dict=state_dict)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """A saved step is no model to publish."""

    def _send_telemetry(self) -> None:
        """Nothing is sent."""


def of_all_ranks(loss: Tensor) -> Tensor:
    """This rank's part of a loss that was divided by the whole batch: gradients are averaged over the ranks."""
    return loss * ranks.world() if ranks.world() > 1 else loss


def learning_rate_factor(step: int, *, steps: int, warmup: int) -> float:
    return min(1.0, (step + 1) / max(1, warmup)) * (1.0 - 0.9 * step / steps)
