"""How the next policy comes about: one variant of `train` for each method, with the keys that it reads."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.recipe.doors import Foreign, Options
from selfreward.recipe.loss import LossRecipe, MarginLoss
from selfreward.recipe.reference import PREVIOUS, ModelReference
from selfreward.recipe.reward import RewardRecipe, ScoreReward
from selfreward.recipe.section import Section, keyed, needed, part, section, setting

Learns = Literal["nothing", "pairs", "chosen", "demonstrations", "samples"]
"""What a method is given: the round's pairs, their chosen answers alone, demonstrations, or samples with rewards."""


@section
class LoraRecipe(Section):
    """An adapter that is trained and merged."""

    rank: int = setting(16, "rank of the adapter", minimum=1)
    alpha: int = setting(32, "its scale, times the rank", minimum=1)
    dropout: float = setting(0.0, "share of its inputs that are dropped", minimum=0, below=1)
    target_modules: tuple[str, ...] = setting(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), "the layers that it adapts"
    )


@section
class TrainBase(Section):
    """What every method reads. Rows that are longer than `max_length` are dropped, trained on or not."""

    max_length: int = setting(256, "tokens of prompt and answer at most", minimum=8)

    LEARNS: ClassVar[Learns] = "pairs"

    @property
    def reference(self) -> ModelReference:
        """Under which the round's pairs get their log-probabilities."""
        return PREVIOUS


@section
class Steps(TrainBase):
    """How steps are taken, whatever the loss.

    `accumulate`: what a half-precision policy sums its rounds in: a float32 copy beside each checkpoint, or the
    checkpoint itself, which rounds small updates away. `lora` trains an adapter and merges it. `launch`: in this
    process, or in one of its own that `accelerate launch` starts and whose memory is all given back; the weights are
    the same. `gradient_checkpointing` keeps the input of each layer alone and computes the rest again on the way back:
    about a third more time for a fraction of the memory, and the same weights.

    `processes` train one policy together, each on a GPU of its own (or on cores), by launch=accelerate: the steps of
    one process, but for the order in which floats are added. `accelerate_config` is a file of `accelerate config` that
    says how, for FSDP2 above all; without one every process holds the whole policy (DDP).
    """

    learning_rate: float = setting(2e-4, "the highest learning rate; it falls to a tenth", above=0)
    batch_size: int = setting(32, "pairs of one step", minimum=1)
    micro_batch_size: int | None = setting(None, "pairs in memory at once; a divisor of batch_size", minimum=1)
    epochs: float = setting(2.0, "passes over the round's pairs", above=0)
    warmup_steps: int = setting(5, "steps until the highest learning rate", minimum=0)
    weight_decay: float = setting(0.0, "AdamW's weight decay", minimum=0)
    max_grad_norm: float = setting(1.0, "gradients are cut to this norm", above=0)
    save_steps: int = setting(20, "steps after which a stopped training goes on", minimum=1)
    lora: LoraRecipe | None = setting(None, "train an adapter; null trains all weights")
    accumulate: Literal["full_precision", "checkpoint_precision"] = setting(
        "full_precision", "what a half-precision policy sums its rounds in"
    )
    launch: Literal["in_process", "accelerate"] = setting(
        "in_process", "accelerate: in a process of its own", horizon=True
    )
    processes: int = setting(1, "how many train together; a divisor of batch_size", minimum=1, later=True)
    accelerate_config: str | None = setting(
        None, "how they do, in a file of `accelerate config`; null: DDP", later=True
    )
    gradient_checkpointing: bool = setting(False, "compute activations twice instead of keeping them", horizon=True)

    TRAINER: ClassVar[str] = "selfreward.training.supervised:train_supervised"

    @property
    def trained_by(self) -> str:
        """The function that takes the steps; training/jobs.py says how it is called."""
        return self.TRAINER


@section
class DpoRecipe(Steps):
    """A preference loss on the round's pairs, from the round's policy.

    `reference`: previous | initial | round:K | a path. `nll` weighs the chosen answer's mean token negative
    log-likelihood. `prefix_sharing` forwards a pair's prompt once: `auto` where that pays and is exact, and says so
    where it is not; `always` insists.
    """

    method: Literal["dpo"] = "dpo"
    reference: ModelReference = setting(PREVIOUS, "previous, initial, round:K or a path")
    beta: float = setting(0.3, "how much a margin counts; see training/losses.py for each loss", above=0)
    nll: float = setting(0.2, "weight of the chosen answer's negative log-likelihood", minimum=0)
    loss: LossRecipe = part(MarginLoss, "which preference loss")
    prefix_sharing: Literal["auto", "always", "never"] = setting("never", "forward a pair's prompt once")

    TRAINER: ClassVar[str] = "selfreward.training.preference:train_preferences"


@section
class SftRecipe(Steps):
    """Train on `sft_examples` demonstrations instead of pairs: a control with the sandbox's own, a start with yours.

    `examples`: a file of answers or of judgments (tasks/examples_file.py). With judge.source=none nothing is asked.
    """

    method: Literal["sft"] = "sft"
    sft_examples: int = setting(1200, "demonstrations of one round", minimum=1)
    examples: str | None = setting(None, "a file of demonstrations; null: the sandbox's own")

    LEARNS: ClassVar[Learns] = "demonstrations"


@section
class SftChosenRecipe(Steps):
    """A control: train on the chosen answers alone, which is best-of-K distillation."""

    method: Literal["sft_chosen"] = "sft_chosen"

    LEARNS: ClassVar[Learns] = "chosen"


@keyed
class OwnTraining(Steps):
    """A trainer of your own on the round's pairs (training/jobs.py says how it is called); `options` are its own."""

    trainer: Annotated[Foreign, needed("module:object, FILE.py:object or entry:NAME of the trainer")]
    method: Literal["own"] = "own"
    options: Options = part(dict, "what the trainer reads itself")

    @property
    def trained_by(self) -> str:
        return self.trainer


@section
class NoTraining(TrainBase):
    """A control: the weights are handed on."""

    method: Literal["none"] = "none"

    LEARNS: ClassVar[Learns] = "nothing"


@section
class PolicyGradient(Steps):
    """Rewards instead of pairs: every answer is trained on, by how much better than its siblings it was.

    `clip` is how far a ratio may move the way its advantage points, `clip_high` upwards where that differs. Prompts
    whose rewards are all equal teach nothing; `keep_uniform` lets them count in the mean all the same. `reference`:
    previous | initial | round:K | a path, the policy of the KL term, where `kl` is above 0.

    Several steps a round: with one the optimiser, which starts anew, would see the signs of the gradient alone.
    """

    reward: RewardRecipe = part(ScoreReward, "what an answer is worth")
    batch_size: int = setting(96, "answers of one step", minimum=1)
    epochs: float = setting(1.0, "passes over the round's answers", above=0)
    warmup_steps: int = setting(0, "steps until the highest learning rate", minimum=0)
    clip: float = setting(0.2, "how far a ratio may move from 1", above=0, below=1)
    clip_high: float | None = setting(None, "how far above 1, where that differs", above=0)
    keep_uniform: bool = setting(False, "prompts whose rewards are all equal count in the mean")
    reference: ModelReference = setting(PREVIOUS, "the policy of the KL term: previous, initial, round:K or a path")
    kl: float = setting(0.0, "weight of the KL to the reference", minimum=0)

    LEARNS: ClassVar[Learns] = "samples"
    TRAINER: ClassVar[str] = "selfreward.training.policy_gradient:train_policy_gradient"
    KL_IN_REWARD: ClassVar[bool] = False


@section
class RlooRecipe(PolicyGradient):
    """RLOO (2402.14740): an answer against the mean of the others, one ratio for each answer, the KL in the reward."""

    method: Literal["rloo"] = "rloo"

    KL_IN_REWARD: ClassVar[bool] = True

    @property
    def advantage(self) -> Literal["leave_one_out"]:
        return "leave_one_out"

    @property
    def ratio(self) -> Literal["sequence"]:
        return "sequence"

    @property
    def aggregate(self) -> Literal["tokens_of_answer"]:
        return "tokens_of_answer"


@section
class GrpoRecipe(PolicyGradient):
    """GRPO (2402.03300) and its kin, the KL in the loss.

    The defaults are DAPO's mean over tokens with GRPO's advantage. Dr. GRPO: `group_centred` and `constant`; GSPO:
    `ratio: sequence_mean` and `tokens_of_answer`.
    """

    method: Literal["grpo"] = "grpo"
    advantage: Literal["group_normalised", "group_centred", "batch_normalised", "leave_one_out"] = setting(
        "group_normalised", "rewards of one prompt's answers to advantages"
    )
    ratio: Literal["token", "sequence_mean"] = setting("token", "one ratio for each token or each answer")
    aggregate: Literal["tokens_of_batch", "tokens_of_answer", "constant"] = setting(
        "tokens_of_batch", "what the loss is a mean over"
    )


TrainRecipe = Annotated[
    DpoRecipe | RlooRecipe | GrpoRecipe | SftRecipe | SftChosenRecipe | OwnTraining | NoTraining,
    Field(discriminator="method"),
]
