"""The recipe: every setting of a run, typed, in one place, with its vetted default.

Keys whose metadata says `horizon` may change between two invocations of one run (going on from 3 rounds to 5); all
others are the run's identity. `config.py` reads a recipe from YAML and overrides, `recipe_checks.py` says which cannot
work.

The defaults are the sandbox's proved setting where methods differ by scale (learning rate, β); recipes for real models
state their own.
"""

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from omegaconf import OmegaConf


def setting(
    default: Any,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    horizon: bool = False,
) -> Any:
    """A dataclass field with the bounds that `load_recipe` checks."""
    bounds = {"minimum": minimum, "above": above, "maximum": maximum, "below": below}
    metadata = {name: bound for name, bound in bounds.items() if bound is not None} | {"horizon": horizon}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class ModelRecipe:
    """The start policy. `path`: a Hugging Face directory, or a sandbox model: `sandbox:seed-K`, with biased judging
    `sandbox:seed-K+length_bias=0.8` or `+agreement_bias=0.7`. Seeds 0 to 2 ship; any other is trained once and kept.
    """

    path: str = "sandbox:seed-0"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "auto"
    trust_remote_code: bool = False


@dataclass(frozen=True)
class VllmRecipe:
    """Read only by engine.kind=vllm. What is null follows from the device, see engines/vllm_settings.py.

    `in_process` keeps vLLM in this process instead of one of its own. `memory_share` is of the whole device on a GPU,
    of what is free on a CPU (for the key-value cache alone). `sleep` frees the GPU while the policy is trained. The
    longest request is bounded by `engine.max_length`.
    """

    in_process: bool = False
    max_num_seqs: int | None = setting(None, minimum=1)
    memory_share: float | None = setting(None, above=0, below=1)
    tensor_parallel_size: int = setting(1, minimum=1)
    enforce_eager: bool | None = None
    block_size: int | None = setting(None, minimum=1)
    sleep: bool = True


@dataclass(frozen=True)
class ServedRecipe:
    """A model behind an OpenAI-compatible server, for roles that need neither tokens nor weights (engines/served.py).

    `url` ends before `/chat/completions`, for example http://localhost:8000/v1. `key_env` is the name of the
    environment variable that holds the key; the key itself stands nowhere. `timeout` (seconds) is for one whole
    request; a failed one is asked again `retries` times, first after `backoff` seconds, then twice that. Prices are
    per million tokens.
    """

    url: str = ""
    model: str = ""
    key_env: str | None = None
    concurrency: int = setting(8, minimum=1)
    timeout: float = setting(120.0, above=0)
    retries: int = setting(4, minimum=0)
    backoff: float = setting(1.0, above=0)
    price_in: float = setting(0.0, minimum=0)
    price_out: float = setting(0.0, minimum=0)


@dataclass(frozen=True)
class EngineRecipe:
    """Where text comes from. `batch_tokens` bounds one forward batch, padding included.

    `chunk` is the number of replies that are sampled, written and, after a kill, recomputed together.
    """

    kind: Literal["transformers", "vllm", "scripted"] = "transformers"
    script: str | None = None
    threads: int = setting(1, minimum=1)
    batch_tokens: int = setting(24_576, minimum=64)
    chunk: int = setting(768, minimum=1)
    max_length: int | None = None
    vllm: VllmRecipe = field(default_factory=VllmRecipe)


@dataclass(frozen=True)
class SamplingRecipe:
    """How one reply is sampled. `max_tokens` counts new tokens, the end-of-turn token included."""

    temperature: float = setting(0.9, minimum=0)
    top_p: float = setting(1.0, above=0, maximum=1)
    max_tokens: int = setting(40, minimum=1)


@dataclass(frozen=True)
class WriterRecipe:
    """New prompts in the manner of Self-Instruct (SRLM, 2401.10020 §2.2): few-shot, then filtered.

    `share` of each round's prompts is self-written. `max_similarity` is ROUGE-L F1 against every kept prompt.
    `model`: policy | initial | round:K | served:NAME | a path; any but the policy is a teacher.
    """

    share: float = setting(0.0, minimum=0, maximum=1)
    model: str = "policy"
    template: str = "sandbox"
    seed_examples: int = setting(6, minimum=0)
    written_examples: int = setting(2, minimum=0)
    max_similarity: float = setting(0.9, above=0, maximum=1)
    min_words: int = setting(3, minimum=1)
    max_words: int = setting(150, minimum=1)
    banned_words: tuple[str, ...] = ()
    oversample: float = setting(2.0, minimum=1)
    sampling: SamplingRecipe = field(default_factory=lambda: SamplingRecipe(temperature=1.0, max_tokens=32))


@dataclass(frozen=True)
class PromptsRecipe:
    """The training prompts. `source` is `sandbox` or a JSONL file with `prompt` or `messages` on each row."""

    source: str = "sandbox"
    per_round: int = setting(600, minimum=1)
    writer: WriterRecipe = field(default_factory=WriterRecipe)


@dataclass(frozen=True)
class GenerateRecipe:
    """K = `samples` answers per prompt; equal texts of one prompt are judged once when `deduplicate` is on."""

    samples: int = setting(6, minimum=2)
    template: str = "plain"
    deduplicate: bool = True
    sampling: SamplingRecipe = field(default_factory=SamplingRecipe)


@dataclass(frozen=True)
class AdaptiveRecipe:
    """Judge where it matters: `first` judgments of every answer, then more of the contenders for best and worst.

    Up to `cap` per answer, until the leader's and its strongest challenger's intervals of `z` posterior standard
    errors separate, give or take `tolerance` score points (scoring/adaptive.py). `own_noise` trusts an answer's own
    spread beside the pooled one, which then counts as one judgment more. It takes the place of `judge.samples`.
    """

    enabled: bool = False
    first: int = setting(2, minimum=2)
    cap: int = setting(11, minimum=2)
    z: float = setting(0.8, minimum=0)
    tolerance: float = setting(0.25, minimum=0)
    own_noise: bool = True


@dataclass(frozen=True)
class PairwiseRecipe:
    """Two answers side by side, always in both orders (judge.protocol=pairwise).

    `comparisons`: all pairs of a prompt, a ring (every answer meets two others), or `count` pairs drawn at random on
    top of a chain that joins them all. `reading`: the label's probabilities without decoding, the same after a
    `rationale`, or the `verdict` that a reply spells out. `ridge` regularises the Bradley-Terry ratings.
    `constitution`: a list of principles, `principles` of which are drawn for every comparison. `clamp` keeps every
    probability of a soft label (`pairs.label`) between 1 - clamp and clamp; constitutional AI's is .6.
    """

    template: str = "pairwise"
    comparisons: Literal["all", "ring", "random"] = "all"
    count: int = setting(8, minimum=1)
    reading: Literal["probability", "rationale", "verdict"] = "probability"
    ridge: float = setting(0.1, above=0)
    constitution: str | None = None
    principles: int = setting(1, minimum=1)
    clamp: float | None = setting(None, above=0.5, below=1)


@dataclass(frozen=True)
class JudgeRecipe:
    """N = `samples` pointwise judgments per answer, averaged over the readable ones (SRLM).

    `model`: policy | initial | round:K | served:NAME | a path. `source: oracle` asks the verifier instead of a model
    (a control); `verifier_then_model` asks the model only about the prompts that the verifier leaves open; `none` asks
    nobody, for pair rules that need no judge (the judge is still measured on the frozen pools).
    `control: shuffled` permutes the scores among the answers of each prompt: same marginals, no information.
    `protocol`: pointwise | expected (from the score tokens' probabilities, nothing is decoded) | hybrid (a sampled
    rationale, then the expected score) | pairwise. `min_mass` is the least probability of all score or label tokens
    together. `rubric`: a shipped rubric or a YAML file, asked with `template: rubric`. `ensemble`: members
    `template`, `template@model` or `@model`; an answer on which their means differ by more than `max_disagreement`
    is dropped.
    """

    model: str = "policy"
    source: Literal["model", "oracle", "verifier_then_model", "none"] = "model"
    control: Literal["none", "shuffled"] = "none"
    template: str = "sandbox"
    samples: int = setting(3, minimum=1)
    aggregate: Literal["mean", "median"] = "mean"
    ask_again: int = setting(0, minimum=0)
    sampling: SamplingRecipe = field(default_factory=lambda: SamplingRecipe(temperature=0.8, max_tokens=40))
    protocol: Literal["pointwise", "expected", "hybrid", "pairwise"] = "pointwise"
    min_mass: float = setting(0.5, above=0, maximum=1)
    rubric: str | None = None
    ensemble: tuple[str, ...] = ()
    max_disagreement: float | None = setting(None, minimum=0)
    adaptive: AdaptiveRecipe = field(default_factory=AdaptiveRecipe)
    pairwise: PairwiseRecipe = field(default_factory=PairwiseRecipe)


@dataclass(frozen=True)
class MetaRecipe:
    """The model compares its own judgments, both orders always (Meta-Rewarding, 2407.19594, A2 of its appendix).

    `battles: weighted` counts every verdict, weighted against the slot bias of the whole run; `agreed` counts only
    battles whose two orders name the same winner. `max_share` caps judgment pairs as a share of all pairs,
    `max_class_share` the pairs whose chosen judgment gives one same score; they are
    used only while the share of battles on which both orders agree is at least `min_agreement`.
    `control: coin_flip` keeps the very same pairs and draws their winners by coin.
    """

    enabled: bool = False
    model: str = "policy"
    template: str = "sandbox"
    control: Literal["none", "coin_flip"] = "none"
    max_responses: int = setting(300, minimum=1)
    max_judgments: int = setting(4, minimum=2)
    battles: Literal["weighted", "agreed"] = "agreed"
    ridge: float = setting(0.1, above=0)
    min_gap: float = setting(0.5, minimum=0)
    max_share: float = setting(0.2, above=0, below=1)
    max_class_share: float = setting(0.4, above=0, maximum=1)
    max_chosen_chars: int | None = None
    min_agreement: float = setting(0.5, minimum=0, maximum=1)
    sampling: SamplingRecipe = field(default_factory=lambda: SamplingRecipe(temperature=0.5, max_tokens=64))


@dataclass(frozen=True)
class FiltersRecipe:
    """Which picked pairs are dropped again, each with its reason; None switches a filter off.

    `max_similarity`: ROUGE-L F1 of the two texts. `max_length_ratio`: the longer over the shorter, in `pairs.length`.
    `max_spread`: sample variance of the judgments of either answer (low agreement). `min_logprob_margin`: nats between
    the two answers' summed log-probabilities under `train.reference` (.6 is a used value). `verifier_conflict`: the
    verifier ranks the two the other way. `max_class_share`: pairs whose chosen answer is of one class, `class_of` being
    its rounded score or its final answer.
    """

    max_similarity: float | None = setting(None, above=0, maximum=1)
    max_length_ratio: float | None = setting(None, minimum=1)
    max_spread: float | None = setting(None, minimum=0)
    min_logprob_margin: float | None = setting(None, minimum=0)
    verifier_conflict: bool = False
    max_class_share: float | None = setting(None, above=0, maximum=1)
    class_of: Literal["score", "answer"] = "score"


@dataclass(frozen=True)
class MixRecipe:
    """What is trained on beside the round's own pairs, as shares of all pairs.

    `earlier`: pairs of the previous round, or of all earlier ones, without those that a gate rolled back. `external`:
    a JSON Lines file of pairs, with its provenance on every row.
    """

    earlier: Literal["previous", "all"] = "previous"
    earlier_share: float = setting(0.0, minimum=0, below=1)
    external: str | None = None
    external_share: float = setting(0.0, minimum=0, below=1)


@dataclass(frozen=True)
class PairsRecipe:
    """Which answers become a pair. Gaps are in score units; `flip` swaps that share of the labels (a control).

    `score`: the judge's, or the implicit reward log pi(y) - log pi_ref(y) with `implicit_reference` (initial or a
    directory). `rho` is the length parameter of `length_tiers` and `z_length`, one value per round, the last for all
    later ones; `length` its unit. `per_prompt` is how many pairs `verified` and `spin` make of one prompt;
    `min_vote_share` the share of samples that must agree (`self_consistency`). `consistency` softens the labels by the
    agreement with the previous policy's ranking (CREAM), `inconsistent` says what happens where it is below 1/2.
    `label: soft` makes the pairwise judge's probability that the chosen answer is better the pair's label (RLAIF).
    """

    rule: str = "best_vs_worst"
    min_gap: float = setting(0.0, minimum=0)
    min_judgments: int = setting(1, minimum=1)
    max_chosen_tokens: int | None = None
    flip: float = setting(0.0, minimum=0, maximum=0.5)
    score: Literal["judge", "implicit_reward"] = "judge"
    implicit_reference: str = "initial"
    consistency: Literal["none", "set", "prompt"] = "none"
    inconsistent: Literal["clip", "skip", "literal"] = "clip"
    rho: tuple[float, ...] = (0.0,)
    length: Literal["characters", "tokens"] = "characters"
    per_prompt: int = setting(1, minimum=1)
    min_vote_share: float = setting(0.5, minimum=0, maximum=1)
    label: Literal["hard", "soft"] = "hard"
    filters: FiltersRecipe = field(default_factory=FiltersRecipe)
    mix: MixRecipe = field(default_factory=MixRecipe)


@dataclass(frozen=True)
class LoraRecipe:
    rank: int = setting(16, minimum=1)
    alpha: int = setting(32, minimum=1)
    dropout: float = setting(0.0, minimum=0, below=1)
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class TrainRecipe:
    """A preference loss on the round's pairs, from the round's policy. The other methods are controls: `sft` trains on
    seed demonstrations, `sft_chosen` on the chosen answers alone (best-of-K), `none` hands the weights on.

    `reference`: previous | initial | round:K | a path. `loss` and its `beta`, `label_smoothing` and `gamma` are
    written out in trainers/losses.py; what a loss would not read is refused. `nll` weighs the chosen answer's mean
    token negative log-likelihood. `prefix_sharing` forwards a pair's prompt once: `auto` where that pays and is exact,
    and says so where it is not; `always` insists. `accumulate`: what a half-precision policy sums its rounds in: a
    float32 copy beside each checkpoint, or the checkpoint itself, which rounds small updates away. `lora` trains an
    adapter and merges it. `sft_examples` is the number of seed demonstrations that the `sft` control trains on.
    `launch`: in this process, or in one of its own that `accelerate launch` starts and whose memory is all given back;
    the weights are the same.
    """

    method: Literal["dpo", "sft", "sft_chosen", "none"] = "dpo"
    reference: str = "previous"
    beta: float = setting(0.3, above=0)
    nll: float = setting(0.2, minimum=0)
    learning_rate: float = setting(2e-4, above=0)
    batch_size: int = setting(32, minimum=1)
    micro_batch_size: int | None = None
    epochs: float = setting(2.0, above=0)
    warmup_steps: int = setting(5, minimum=0)
    weight_decay: float = setting(0.0, minimum=0)
    max_grad_norm: float = setting(1.0, above=0)
    max_length: int = setting(256, minimum=8)
    save_steps: int = setting(20, minimum=1)
    sft_examples: int = setting(1200, minimum=1)
    lora: LoraRecipe | None = None
    loss: Literal[
        "dpo",
        "dpo_length_normalised",
        "robust",
        "hinge",
        "ipo_sum",
        "ipo_token",
        "simpo",
        "orpo",
        "sppo",
        "sppo_hard",
    ] = "dpo"
    label_smoothing: float = setting(0.0, minimum=0, below=0.5)
    gamma: float = setting(0.0, minimum=0)
    prefix_sharing: Literal["auto", "always", "never"] = "never"
    accumulate: Literal["full_precision", "checkpoint_precision"] = "full_precision"
    launch: Literal["in_process", "accelerate"] = field(default="in_process", metadata={"horizon": True})


LOSS_READS: dict[str, frozenset[str]] = {
    "dpo": frozenset({"reference", "label", "label_smoothing"}),
    "dpo_length_normalised": frozenset({"reference", "label", "label_smoothing"}),
    "robust": frozenset({"reference", "label", "label_smoothing"}),
    "hinge": frozenset({"reference", "label", "label_smoothing"}),
    "ipo_sum": frozenset({"reference", "label", "label_smoothing"}),
    "ipo_token": frozenset({"reference", "label", "label_smoothing"}),
    "simpo": frozenset({"label", "label_smoothing", "gamma"}),
    "orpo": frozenset({"label", "label_smoothing", "nll"}),
    "sppo": frozenset({"reference", "win_rates"}),
    "sppo_hard": frozenset({"reference", "label"}),
}
"""What a loss reads beside the policy's log-probabilities and beta. `nll`: it is a part of this loss."""


@dataclass(frozen=True)
class HeldOutRecipe:
    """A judge that this run does not train on is asked who wins: each round's policy, the previous or the first one.

    `model`: sandbox:seed-K | served:NAME | a path | initial; the same in every round. `policy` is the training judge
    itself, asked again about all sides; then a row and a line say that nothing was held out. `answers` of each prompt
    of the report pool (and of the gate pool where a gate reads it, of the selection pool where `gates.select_by` does)
    are compared, by score or, with `protocol: pairwise`, side by side in both orders. `template` null is the loop's
    own, for pairwise `pairwise`, and `sampling` null is `judge.sampling`.
    """

    model: str = ""
    protocol: Literal["pointwise", "expected", "pairwise"] = "pointwise"
    template: str | None = None
    reading: Literal["probability", "rationale", "verdict"] = "probability"
    answers: int = setting(2, minimum=1)
    judge_samples: int = setting(3, minimum=1)
    sampling: SamplingRecipe | None = None


@dataclass(frozen=True)
class JudgeProbesRecipe:
    """Replies that every round's judge scores so that it shows what it likes; 0 switches a question off.

    `padded`: replies with neutral filler added, beside themselves (`padding`: a text file, one sentence a line).
    `claims`: wrong replies that agree with the user's wrong claim, beside wrong ones that do not; the sandbox makes its
    own, other prompts need a `claims_file` of the kind sycophancy. `feedback`: the user likes or dislikes the reply
    (not in the sandbox, whose language cannot say it). `initial`: answers of round 0, which later judges score again
    and whose likelihood is followed.
    """

    padded: int = setting(60, minimum=0)
    padding: str | None = None
    claims: int = setting(40, minimum=0)
    claims_file: str | None = None
    feedback: int = setting(30, minimum=0)
    initial: int = setting(100, minimum=0)


PROBES = ("are_you_sure", "wrong_claim", "wrong_belief", "opinion_mirroring", "behaviour")
"""What `measure.probes` may name: conversations that show whether the policy gives in (metrics/sycophancy.py)."""


@dataclass(frozen=True)
class CohortRecipe:
    """A named set of prompts of its own, for what must not get worse (metrics/cohorts.py).

    `source`: a prompt file, a set that ships (own:arithmetic) or KIND:PATH (probes/sets.py), of which `count` prompts
    are taken, all where null. `verifier` grades them; with none, `measure.cohort_judge` does. Null is the kind's own,
    where it has one. `pool: gate` lets gates read it; `both` deals the prompts to the gate pool and the report pool.
    """

    source: str = ""
    verifier: (
        Literal[
            "sandbox", "exact", "choice", "numeric", "mathematics", "json_schema", "sql", "ifeval", "refusal", "none"
        ]
        | None
    ) = None
    count: int | None = setting(None, minimum=2)
    pool: Literal["report", "gate", "both"] = "report"


@dataclass(frozen=True)
class MeasureRecipe:
    """What is measured after every round. Three disjoint prompt pools: gate steers, selection chooses, report is read.

    `source` is `sandbox` or a JSONL file; `frozen` is the number of labelled answers that every judge rescores, and
    0 switches that off. `verifier` names the truth that needs no model, where there is one; all but the sandbox's
    compare with `answer` and `meta` of the prompt's row. `anchors` is a file of answers that people have scored
    (anchors_file.py); all of them then take the place of the frozen pool, and agreement with them is no oracle's.

    `cohorts`: further sets of prompts by name, `cohort_samples` answers to each, judged by `cohort_judge` (policy |
    initial | served:NAME | a path) where no verifier grades them. `probes`: conversations to hold after every round,
    about `probe_questions` questions of the report pool, or those of `probe_files` (probes/sets.py).
    """

    source: str = "sandbox"
    gate: int = setting(100, minimum=2)
    selection: int = setting(100, minimum=2)
    report: int = setting(300, minimum=2)
    frozen: int = setting(300, minimum=0)
    samples: int = setting(6, minimum=2)
    judge_samples: int = setting(3, minimum=1)
    anchors: str | None = None
    verifier: Literal[
        "sandbox", "exact", "choice", "numeric", "mathematics", "json_schema", "sql", "ifeval", "refusal", "none"
    ] = "sandbox"
    sampling: SamplingRecipe = field(default_factory=lambda: SamplingRecipe(temperature=0.8))
    held_out: HeldOutRecipe | None = None
    judge_probes: JudgeProbesRecipe = field(default_factory=JudgeProbesRecipe)
    cohorts: dict[str, CohortRecipe] = field(default_factory=dict)
    cohort_samples: int = setting(2, minimum=1)
    cohort_judge: str = "initial"
    probes: tuple[str, ...] = ()
    probe_files: tuple[str, ...] = ()
    probe_questions: int = setting(100, minimum=2)


@dataclass(frozen=True)
class GateRule:
    """One thing that must not happen: a measurement `above` or `below` a limit (exactly one of the two is set).

    `against`: the level itself, its difference to round 0 (`initial`), or its ratio to round 0 (`initial_ratio`).
    `proof: harm` fires where the interval shows that the limit is crossed; `proof: health` fires where the interval
    does not show that it is kept (a kappa that must be at least .72 with its lower bound). Oracle measurements and the
    report and selection pools are refused. `rollback` lets the next round start from the best earlier one.
    """

    metric: str = ""
    above: float | None = None
    below: float | None = None
    against: Literal["level", "initial", "initial_ratio"] = "level"
    pool: Literal["gate", "train", "frozen"] = "gate"
    cohort: str = "all"
    proof: Literal["harm", "health"] = "harm"
    action: Literal["stop", "rollback", "warn"] = "warn"


@dataclass(frozen=True)
class GatesRecipe:
    """`min_readable`: below this share of readable verdicts the round stops before anything is paired.

    `rules` are judged after every round; none by default. `error` is the chance that one run without any harm sees a
    rule with `proof: harm` fire, split evenly over the `planned_rounds` (all of the run's where null) and these rules.
    `select_by`: whose word on the selection pool chooses the best round, the loop's own judge's or the held-out one's
    (`measure.held_out`), as `gates.best_round` says.
    """

    min_readable: float = setting(0.5, minimum=0, maximum=1, horizon=True)
    rules: list[GateRule] = field(default_factory=list, metadata={"horizon": True})
    error: float = setting(0.05, above=0, below=0.5, horizon=True)
    planned_rounds: int | None = setting(None, minimum=1, horizon=True)
    select_by: Literal["judge", "held_out"] = "judge"


@dataclass(frozen=True)
class HandOffRecipe:
    """The engine must be closer to the trainer's new log-probs than to the old ones, by `margin` of the movement.

    `probes` sequences that moved most are compared; `noise` (nats per sequence) is the movement below which
    log-probs cannot tell and per-tensor checksums decide; null follows from the dtype (handoff.NOISE).
    """

    probes: int = setting(16, minimum=1)
    margin: float = setting(0.5, minimum=0, below=1)
    noise: float | None = setting(None, above=0)


@dataclass(frozen=True)
class KeepRecipe:
    """Which checkpoints stay on disk at the end of a run; digests stay always."""

    checkpoints: Literal["all", "needed"] = field(default="all", metadata={"horizon": True})


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a run. `rounds` and the other horizon keys may change when it goes on.

    `served`: a name for each model behind a server; `judge.model: served:NAME`, `meta.model` and `prompts.writer.model`
    refer to it. What of it determines a reply, URL and model, is in the fingerprints of what it wrote.
    """

    seed: int = setting(0, minimum=0)
    rounds: int = setting(3, minimum=1, horizon=True)
    model: ModelRecipe = field(default_factory=ModelRecipe)
    engine: EngineRecipe = field(default_factory=EngineRecipe)
    prompts: PromptsRecipe = field(default_factory=PromptsRecipe)
    generate: GenerateRecipe = field(default_factory=GenerateRecipe)
    judge: JudgeRecipe = field(default_factory=JudgeRecipe)
    meta: MetaRecipe = field(default_factory=MetaRecipe)
    pairs: PairsRecipe = field(default_factory=PairsRecipe)
    train: TrainRecipe = field(default_factory=TrainRecipe)
    measure: MeasureRecipe = field(default_factory=MeasureRecipe)
    handoff: HandOffRecipe = field(default_factory=HandOffRecipe)
    gates: GatesRecipe = field(default_factory=GatesRecipe)
    keep: KeepRecipe = field(default_factory=KeepRecipe)
    served: dict[str, ServedRecipe] = field(default_factory=dict, metadata={"horizon": True})


def walk(section: Any, prefix: str = "") -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield (dotted key, value, metadata) of every leaf of a recipe section."""
    for item in dataclasses.fields(section):
        value = getattr(section, item.name)
        if dataclasses.is_dataclass(value):
            yield from walk(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value, dict(item.metadata)


SERVED = "served:"
"""How a role's reference to a served model begins."""


HELD_OUT_METRICS = ("held_out", "self_minus_held_out", "judge_minus_held_out", "judge_disagreement")
"""How the names of the held-out judge's metrics begin."""


def held_out_pools(recipe: Recipe) -> list[str]:
    """The pools on which the held-out judge is asked: the report's, and those on which something is decided by it."""
    gated = any(rule.pool == "gate" and rule.metric.startswith(HELD_OUT_METRICS) for rule in recipe.gates.rules)
    selected = recipe.gates.select_by == "held_out"
    return ["report", *(["gate"] if gated else []), *(["selection"] if selected else [])]


def held_out_judge(recipe: Recipe, held_out: HeldOutRecipe) -> JudgeRecipe:
    """How the held-out judge is asked: as the loop's own, where `held_out` says nothing else."""
    own = held_out.template is None
    return JudgeRecipe(
        model=held_out.model,
        protocol=held_out.protocol,
        template=held_out.template or recipe.judge.template,
        rubric=recipe.judge.rubric if own and held_out.protocol == "pointwise" else None,
        samples=held_out.judge_samples if held_out.protocol == "pointwise" else 1,
        sampling=held_out.sampling or recipe.judge.sampling,
        min_mass=recipe.judge.min_mass,
        pairwise=PairwiseRecipe(template=held_out.template or "pairwise", reading=held_out.reading),
    )


def as_dict(section: Any) -> dict[str, Any]:
    """A recipe section as plain JSON types."""
    return typing.cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.structured(section), resolve=True))


def identity(recipe: Recipe) -> dict[str, Any]:
    """The dotted keys that a run may not change, with their values."""
    return {key: value for key, value, metadata in walk(recipe) if not metadata.get("horizon")}


def to_yaml(recipe: Recipe) -> str:
    """The resolved recipe; loading it again gives an equal Recipe."""
    return OmegaConf.to_yaml(OmegaConf.structured(recipe))
