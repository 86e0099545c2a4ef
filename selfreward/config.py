"""The recipe: every setting of a run, typed, in one place, with its vetted default.

`load_recipe(path, overrides)` merges a YAML file and `key=value` overrides into a frozen `Recipe`, or raises a
RecipeError that names the key, what was there and what was expected. Keys whose metadata says `horizon` may change
between two invocations of one run (going on from 3 rounds to 5); all others are the run's identity.

The defaults are the sandbox's proved setting where methods differ by scale (learning rate, β); recipes for real models
state their own.
"""

import dataclasses
import difflib
import math
import re
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from selfreward.errors import RecipeError


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
    """The start policy. `path`: a Hugging Face directory, or `sandbox:seed-K` for a seed that ships here."""

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
    `constitution`: a list of principles, `principles` of which are drawn for every comparison.
    """

    template: str = "pairwise"
    comparisons: Literal["all", "ring", "random"] = "all"
    count: int = setting(8, minimum=1)
    reading: Literal["probability", "rationale", "verdict"] = "probability"
    ridge: float = setting(0.1, above=0)
    constitution: str | None = None
    principles: int = setting(1, minimum=1)


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

    `earlier`: pairs of the previous round, or of all earlier ones. `external`: a JSON Lines file of pairs, with its
    provenance on every row.
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
class MeasureRecipe:
    """What is measured after every round. Three disjoint prompt pools: gate steers, selection chooses, report is read.

    `source` is `sandbox` or a JSONL file; `frozen` is the number of labelled answers that every judge rescores, and
    0 switches that off. `verifier` names the truth that needs no model, where there is one; all but the sandbox's
    compare with `answer` and `meta` of the prompt's row.
    """

    source: str = "sandbox"
    gate: int = setting(100, minimum=2)
    selection: int = setting(100, minimum=2)
    report: int = setting(300, minimum=2)
    frozen: int = setting(300, minimum=0)
    samples: int = setting(6, minimum=2)
    judge_samples: int = setting(3, minimum=1)
    verifier: Literal["sandbox", "exact", "numeric", "mathematics", "json_schema", "sql", "ifeval", "none"] = "sandbox"
    sampling: SamplingRecipe = field(default_factory=lambda: SamplingRecipe(temperature=0.8))


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
    """

    min_readable: float = setting(0.5, minimum=0, maximum=1, horizon=True)
    rules: list[GateRule] = field(default_factory=list, metadata={"horizon": True})
    error: float = setting(0.05, above=0, below=0.5, horizon=True)
    planned_rounds: int | None = setting(None, minimum=1, horizon=True)


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


def as_dict(section: Any) -> dict[str, Any]:
    """A recipe section as plain JSON types."""
    return typing.cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.structured(section), resolve=True))


def identity(recipe: Recipe) -> dict[str, Any]:
    """The dotted keys that a run may not change, with their values."""
    return {key: value for key, value, metadata in walk(recipe) if not metadata.get("horizon")}


def to_yaml(recipe: Recipe) -> str:
    """The resolved recipe; loading it again gives an equal Recipe."""
    return OmegaConf.to_yaml(OmegaConf.structured(recipe))


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply `key=value` overrides.

    Raises RecipeError for a missing file, malformed YAML, an unknown key (the nearest known one is named), a wrong
    type, or a value that cannot work.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as problem:
        raise RecipeError(f"recipe {path}: cannot be read ({problem.strerror}); expected a YAML file") from problem
    try:
        layer = OmegaConf.create(text)
    except (YAMLError, OmegaConfBaseException) as problem:
        raise RecipeError(f"recipe {path}: not valid YAML: {problem}") from problem
    return build_recipe([layer], overrides, where=str(path))


def build_recipe(layers: Sequence[Any], overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """Merge mappings (later ones win) and `key=value` strings over the defaults; check the result."""
    for override in overrides:
        if "=" not in override:
            raise RecipeError(f"override {override!r}: expected key=value, for example rounds=5")
    config = OmegaConf.structured(Recipe)
    try:
        given = OmegaConf.from_dotlist(list(overrides))
    except (YAMLError, OmegaConfBaseException) as problem:
        raise RecipeError(f"overrides {', '.join(overrides)}: not key=value with a YAML value: {problem}") from problem
    try:
        for layer in [*layers, given]:
            if not isinstance(layer, dict | DictConfig):
                raise RecipeError(f"{where}: expected a mapping of recipe keys, found {type(layer).__name__}")
            config = OmegaConf.merge(config, layer)
        recipe: Any = OmegaConf.to_object(config)
    except OmegaConfBaseException as problem:
        raise RecipeError(_explain(problem, where)) from problem
    check(recipe, where)
    return typing.cast(Recipe, recipe)


def _explain(problem: OmegaConfBaseException, where: str) -> str:
    """OmegaConf's error as one sentence: the key, what was there, what was expected."""
    key = problem.full_key or "?"
    reason = str(problem).splitlines()[0]
    known = [name for name, _, _ in walk(Recipe())] + [item.name for item in dataclasses.fields(Recipe)]
    known += [f"train.lora.{name}" for name, _, _ in walk(LoraRecipe())]
    if "not in" in reason:
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        return f"{where}: unknown key {key!r}{hint}"
    return f"{where}: key {key!r}: {reason}"


_BOUNDS: dict[str, tuple[str, Any]] = {
    "minimum": ("at least", lambda value, bound: value >= bound),
    "above": ("above", lambda value, bound: value > bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
    "below": ("below", lambda value, bound: value < bound),
}


def check(recipe: Recipe, where: str = "recipe") -> None:
    """Raise RecipeError for a value out of bounds or two keys that contradict each other."""
    served = [leaf for name, section in recipe.served.items() for leaf in walk(section, f"served.{name}.")]
    for key, value, metadata in [*walk(recipe), *served]:
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"{where}: key {key!r} is {value}; expected a finite number")
        for name, (words, holds) in _BOUNDS.items():
            if name in metadata and value is not None and not holds(value, metadata[name]):
                raise RecipeError(f"{where}: key {key!r} is {value}; expected {words} {metadata[name]}")
    train = recipe.train
    contradictions = [
        (
            recipe.engine.kind == "scripted" and not recipe.engine.script,
            "key 'engine.script' is missing; engine.kind=scripted needs the path of a script",
        ),
        (
            recipe.engine.kind == "scripted" and train.method != "none",
            "engine.kind=scripted writes no tokens that a model could be trained on; set train.method=none",
        ),
        (
            train.micro_batch_size is not None
            and (train.micro_batch_size < 1 or train.batch_size % train.micro_batch_size),
            f"key 'train.micro_batch_size' is {train.micro_batch_size}; expected a divisor of train.batch_size "
            f"({train.batch_size})",
        ),
        (
            recipe.judge.source in ("oracle", "verifier_then_model") and recipe.measure.verifier == "none",
            f"judge.source={recipe.judge.source} needs a verifier; set measure.verifier or judge.source=model",
        ),
        (
            recipe.judge.source in ("oracle", "none") and recipe.meta.enabled,
            f"meta.enabled needs judgments written by a model, but judge.source is {recipe.judge.source}",
        ),
        (
            train.method == "sft" and recipe.prompts.source != "sandbox",
            "train.method=sft draws seed demonstrations, which only prompts.source=sandbox has",
        ),
        (
            recipe.engine.max_length is not None and recipe.engine.max_length < 8,
            f"key 'engine.max_length' is {recipe.engine.max_length}; expected at least 8 tokens",
        ),
    ]
    contradictions += [*_rules_that_cannot_work(recipe), *_served_that_cannot_work(recipe)]
    for wrong, message in [*contradictions, *_unread_by_the_loss(recipe), *_unread_by_the_judge(recipe)]:
        if wrong:
            raise RecipeError(f"{where}: {message}")
    members = [("judge.ensemble", name.partition("@")[2]) for name in recipe.judge.ensemble if "@" in name]
    asked = [("judge.model", recipe.judge.model), ("meta.model", recipe.meta.model), *members]
    for key, reference in [*asked, ("prompts.writer.model", recipe.prompts.writer.model)]:
        if not reference.startswith(SERVED):
            _check_role(where, key, reference, {"policy", "initial"}, recipe.rounds)
    _check_role(where, "train.reference", train.reference, {"previous", "initial"}, recipe.rounds)
    _check_role(where, "pairs.implicit_reference", recipe.pairs.implicit_reference, {"initial"}, recipe.rounds)


def _rules_that_cannot_work(recipe: Recipe) -> list[tuple[bool, str]]:
    found = []
    for number, rule in enumerate(recipe.gates.rules):
        key = f"key 'gates.rules[{number}]'"
        limits = [limit for limit in (rule.above, rule.below) if limit is not None]
        found += [
            (not rule.metric, f"{key} names no metric"),
            (len(limits) != 1, f"{key} ({rule.metric}) has {len(limits)} limits; expected above or below, one of them"),
            (
                rule.against == "initial_ratio" and any(limit <= 0 for limit in limits),
                f"{key} ({rule.metric}) has the ratio {limits[:1]}; expected one above 0, for example above: 1.25",
            ),
            (
                rule.proof == "health" and rule.against != "level",
                f"{key} ({rule.metric}): proof=health is about a level; set against=level or proof=harm",
            ),
        ]
    return found


def judges(recipe: Recipe) -> list[str]:
    """The references of every model that is asked for a score, if only on the frozen pools."""
    return [name.partition("@")[2] or recipe.judge.model for name in recipe.judge.ensemble] or [recipe.judge.model]


def _served_that_cannot_work(recipe: Recipe) -> list[tuple[bool, str]]:
    """Servers that cannot be asked, and roles and readings that a served model cannot have."""
    found: list[tuple[bool, str]] = []
    for name, server in recipe.served.items():
        try:
            parts = urlsplit(server.url)
            plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            plain = plain and server.url.isascii() and server.url.split() == [server.url]
        except ValueError:  # a port or an address that is none
            parts, plain = urlsplit(""), False
        found += [
            (not plain, f"key 'served.{name}.url' is not a URL; expected for example http://localhost:8000/v1"),
            # Not quoted: what stands there may be a secret.
            (
                "@" in parts.netloc or bool(parts.query or parts.fragment),
                f"key 'served.{name}.url' holds a password, a query or a fragment; a key comes from key_env",
            ),
            (not server.model, f"key 'served.{name}.model' is missing; name the model that the server knows"),
            (
                server.key_env is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", server.key_env),
                f"key 'served.{name}.key_env' is not the name of an environment variable; the key itself must not "
                "stand in a recipe",
            ),
        ]
    asked, judge = judges(recipe), recipe.judge
    for reference in [*asked, recipe.meta.model, recipe.prompts.writer.model]:
        known = ", ".join(recipe.served) or "none"
        if reference.startswith(SERVED):
            unknown = reference.removeprefix(SERVED) not in recipe.served
            found.append((unknown, f"role {reference!r} is not in the section 'served', which has: {known}"))
    needs_weights = {
        "model.path": recipe.model.path,
        "train.reference": recipe.train.reference,
        "pairs.implicit_reference": recipe.pairs.implicit_reference,
    }
    found += [
        (
            value.startswith(SERVED),
            f"key {key!r} is {value!r}, but this role needs weights and tokens, which a server does not give; "
            "only judge.model, judge.ensemble, meta.model and prompts.writer.model may be served",
        )
        for key, value in needs_weights.items()
    ]
    served_judge = any(reference.startswith(SERVED) for reference in asked)
    decoded = judge.protocol == "pointwise" or (judge.protocol == "pairwise" and judge.pairwise.reading == "verdict")
    return [
        *found,
        (
            served_judge and not decoded,
            f"judge.protocol={judge.protocol} reads probabilities of tokens, which a served judge does not give; set "
            "judge.protocol=pointwise (or pairwise with judge.pairwise.reading=verdict)",
        ),
        (
            served_judge and recipe.meta.enabled,
            "meta.enabled trains the policy on judgments as it sampled them, token by token; a served judge's are not "
            "its own: set meta.enabled=false or judge.model=policy",
        ),
    ]


def _unread_by_the_judge(recipe: Recipe) -> list[tuple[bool, str]]:
    """Settings of the judge that its protocol would not read, and settings that it needs."""
    judge, default = recipe.judge, JudgeRecipe()
    named, adaptive, pairwise = f"judge.protocol={judge.protocol}", judge.adaptive, judge.pairwise
    draws = judge.protocol in ("pointwise", "hybrid")
    return [
        (not draws and judge.samples != 1, f"{named} asks each question once; set judge.samples=1"),
        (judge.protocol != "pointwise" and judge.ask_again > 0, f"judge.ask_again is not read by {named}; set it to 0"),
        (
            judge.protocol != "pairwise" and judge.pairwise != default.pairwise,
            f"the keys of judge.pairwise are not read by {named}; remove them or set judge.protocol=pairwise",
        ),
        (
            judge.protocol == "pointwise" and judge.min_mass != default.min_mass,
            f"judge.min_mass is not read by {named}; remove it or choose expected, hybrid or pairwise",
        ),
        (
            (judge.rubric is None) != (judge.template != "rubric"),
            "judge.rubric and judge.template=rubric belong together; set both or neither",
        ),
        (
            judge.rubric is not None and judge.protocol != "pointwise",
            f"judge.rubric has a score per criterion, which {named} cannot read; set judge.protocol=pointwise",
        ),
        (
            (judge.pairwise.template == "principle") != (judge.pairwise.constitution is not None),
            "judge.pairwise.template=principle and judge.pairwise.constitution belong together; set both or neither",
        ),
        (
            any(name.partition("@")[0] == "rubric" for name in judge.ensemble),
            "judge.ensemble names the template 'rubric', which needs a judge.rubric; name other templates",
        ),
        (
            judge.protocol == "pairwise" and recipe.meta.enabled,
            "meta.enabled compares pointwise judgments, which judge.protocol=pairwise does not give",
        ),
        (
            adaptive.enabled and (judge.protocol != "pointwise" or bool(judge.ensemble) or judge.ask_again > 0),
            "judge.adaptive needs judge.protocol=pointwise, no judge.ensemble and judge.ask_again=0",
        ),
        (
            adaptive.enabled and (judge.source not in ("model", "verifier_then_model") or judge.aggregate != "mean"),
            "judge.adaptive needs judgments by a model (judge.source) and judge.aggregate=mean",
        ),
        (
            adaptive.enabled and judge.samples not in (default.samples, adaptive.first),
            "judge.samples is not read with judge.adaptive; set judge.adaptive.first and judge.adaptive.cap",
        ),
        (
            pairwise.reading == "verdict" and judge.min_mass != default.min_mass,
            "judge.min_mass is not read by judge.pairwise.reading=verdict, which decodes a reply; remove it",
        ),
        (
            pairwise.comparisons != "random" and pairwise.count != default.pairwise.count,
            f"judge.pairwise.count is not read by judge.pairwise.comparisons={pairwise.comparisons}; use random",
        ),
        (
            pairwise.constitution is None and pairwise.principles != default.pairwise.principles,
            "judge.pairwise.principles needs a judge.pairwise.constitution to draw them from",
        ),
        (adaptive.enabled and adaptive.cap < adaptive.first, "judge.adaptive.cap is below judge.adaptive.first"),
        (not adaptive.enabled and adaptive != default.adaptive, "judge.adaptive is set but not enabled"),
        (
            judge.max_disagreement is not None and len(judge.ensemble) < 2,
            "judge.max_disagreement needs a judge.ensemble of at least two members",
        ),
        (len(judge.ensemble) == 1, "judge.ensemble has one member; expected at least two, or none"),
        (
            len(set(judge.ensemble)) < len(judge.ensemble),
            "judge.ensemble names a member twice; raise judge.samples instead",
        ),
        (
            bool(judge.ensemble) and judge.protocol == "pairwise",
            f"judge.ensemble is not read by {named}; use one of the other protocols",
        ),
        (
            bool(judge.ensemble) and judge.rubric is not None,
            "judge.ensemble and judge.rubric cannot be combined; name templates in the ensemble instead",
        ),
        (
            bool(judge.ensemble) and recipe.meta.enabled,
            "meta.enabled compares judgments of one template, which judge.ensemble does not give",
        ),
    ]


def _unread_by_the_loss(recipe: Recipe) -> list[tuple[bool, str]]:
    """Settings of a preference loss that nothing would read, and settings that a loss needs."""
    train, reads, default = recipe.train, LOSS_READS[recipe.train.loss], TrainRecipe()
    rows = [
        (
            train.method != "dpo" and getattr(train, name) != getattr(default, name),
            f"key 'train.{name}' is {getattr(train, name)!r}, which train.method={train.method} does not read; "
            "remove it or set train.method=dpo",
        )
        for name in ("loss", "label_smoothing", "gamma", "prefix_sharing")
    ]
    for name in ("label_smoothing", "gamma", "reference"):
        readers = ", ".join(loss for loss, read in LOSS_READS.items() if name in read)
        rows.append(
            (
                name not in reads and getattr(train, name) != getattr(default, name),
                f"key 'train.{name}' is {getattr(train, name)!r}, which train.loss={train.loss} does not read; "
                f"remove it or choose one of {readers}",
            )
        )
    needs_rates = "win_rates" in reads
    return [
        *rows,
        (
            "nll" in reads and not train.nll,
            f"train.nll is 0, but train.loss={train.loss} has it as a part: the paper's is 1",
        ),
        (
            needs_rates and recipe.pairs.rule != "sppo",
            f"train.loss={train.loss} reads win rates, which only pairs.rule=sppo gives, not {recipe.pairs.rule!r}",
        ),
        (
            needs_rates and recipe.meta.enabled,
            f"train.loss={train.loss} reads win rates, which the judgment pairs of meta.enabled do not have",
        ),
        (
            needs_rates and recipe.pairs.flip > 0,
            f"pairs.flip changes nothing under train.loss={train.loss}, which reads win rates; use sppo_hard",
        ),
    ]


def _check_role(where: str, key: str, reference: str, names: set[str], rounds: int) -> None:
    """A role reference is one of `names`, `round:K` with K below the number of rounds, or an existing directory."""
    if reference in names:
        return
    if reference.startswith("round:"):
        number = reference.removeprefix("round:")
        if number.isdecimal() and int(number) < rounds:
            return
        raise RecipeError(f"{where}: key {key!r} is {reference!r}; expected round:K with 0 <= K < rounds ({rounds})")
    if not Path(reference).is_dir():
        expected = ", ".join(sorted(names))
        raise RecipeError(
            f"{where}: key {key!r} is {reference!r}; expected {expected}, round:K or an existing directory"
        )
