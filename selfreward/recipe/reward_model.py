"""A reward model: a judge that is trained in the run, on another judge's preferences."""

from typing import Literal

from selfreward.recipe.judge import JudgeRecipe
from selfreward.recipe.section import Section, part, section, setting
from selfreward.recipe.train import LoraRecipe


@section
class RewardModelRecipe(Section):
    """A scalar head on the policy's backbone, trained on preferences between the policy's own answers (RLAIF).

    It is asked where `judge.model` (or `measure.held_out.model`) is reward_model, with reading=scalar. `labels` says
    who prefers: any judge by its own axes, or with source=oracle the verifier. `prompts` are answered as `generate`
    says; of `held_out` of them nothing is trained on. It is trained before anything is judged, on the start policy's
    answers, and with `refresh: every` again after each round, on the new policy's.

    `confidence` is for labels by a weaker judge (2312.09390): that share of the loss asks it to be sure of what it
    itself says, reached after `confidence_ramp` of the steps. 0 is the plain loss. `lora` trains an adapter and the
    head, beside frozen weights in single precision, and merges them. `order` is a curriculum by how sure the labels
    are (Curriculum-RLAIF; training/curriculum.py).
    """

    labels: JudgeRecipe = part(JudgeRecipe, "whose preferences it learns")
    refresh: Literal["first", "every"] = setting("first", "trained once, or again after every round")
    prompts: int = setting(600, "prompts whose answers are labelled", minimum=4)
    held_out: float = setting(0.2, "share of them that it is not trained on", above=0, below=1)
    flip: float = setting(0.0, "share of the labels that are turned: noise", minimum=0, maximum=0.5)
    centre: float = setting(0.01, "weight of the squared sum of two rewards, which centres them", minimum=0)
    confidence: float = setting(0.0, "weight of its own word beside a weaker judge's", minimum=0, below=1, later=True)
    confidence_ramp: float = setting(
        0.1, "share of the steps until that weight is whole", above=0, maximum=1, later=True
    )
    order: Literal["shuffled", "easy_first", "hard_first"] = setting(
        "shuffled", "in which order prompts are trained on; hard_first is easy_first's control", later=True
    )
    stages: int = setting(3, "parts of equal size that follow one another", minimum=2, later=True)
    max_length: int = setting(256, "tokens of prompt and answer at most", minimum=8)
    learning_rate: float = setting(3e-3, "the highest learning rate; it falls to a tenth", above=0)
    batch_size: int = setting(16, "prompts of one step, each with all pairs of its answers", minimum=1)
    micro_batch_size: int | None = setting(None, "prompts in memory at once; a divisor of batch_size", minimum=1)
    epochs: float = setting(4.0, "passes over the labelled prompts", above=0)
    warmup_steps: int = setting(5, "steps until the highest learning rate", minimum=0)
    save_steps: int = setting(20, "steps after which a stopped training goes on", minimum=1)
    lora: LoraRecipe | None = setting(None, "train an adapter and the head; null trains all weights", later=True)
