"""The recipe: every setting of a run, typed, in one place, with its vetted default.

`load_recipe(path, overrides)` merges a YAML file and `key=value` overrides into a frozen `Recipe`, or raises a
RecipeError that names the key, what was there and what was expected. Keys whose metadata says `horizon` may change
between two invocations of one run (going on from 3 rounds to 5); all others are the run's identity.

The defaults are the sandbox's proved setting where methods differ by scale (learning rate, β); recipes for real models
state their own.
"""

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
    """The start policy. `path`: a Hugging Face directory or hub id, or `sandbox:seed-K` for a seed that ships here."""

    path: str = "sandbox:seed-0"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "auto"
    trust_remote_code: bool = False


@dataclass(frozen=True)
class EngineRecipe:
    """Where text comes from. `batch_tokens` bounds one forward batch, padding included.

    `chunk` is the number of replies that are sampled, written and, after a kill, recomputed together.
    """

    kind: Literal["transformers", "scripted"] = "transformers"
    script: str | None = None
    threads: int = setting(1, minimum=1)
    batch_tokens: int = setting(24_576, minimum=64)
    chunk: int = setting(768, minimum=1)
    max_length: int | None = None


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
    """

    share: float = setting(0.0, minimum=0, maximum=1)
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
class JudgeRecipe:
    """N = `samples` pointwise judgments per answer, averaged over the readable ones (SRLM).

    `model`: policy | initial | round:K | a path. `source: oracle` asks the verifier instead of a model (a control).
    `control: shuffled` permutes the scores among the answers of each prompt: same marginals, no information.
    """

    model: str = "policy"
    source: Literal["model", "oracle"] = "model"
    control: Literal["none", "shuffled"] = "none"
    template: str = "sandbox"
    samples: int = setting(3, minimum=1)
    aggregate: Literal["mean", "median"] = "mean"
    ask_again: int = setting(0, minimum=0)
    sampling: SamplingRecipe = field(default_factory=lambda: SamplingRecipe(temperature=0.8, max_tokens=40))


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
class PairsRecipe:
    """Which answers become a pair. Gaps are in score units; `flip` swaps that share of the labels (a control)."""

    rule: str = "best_vs_worst"
    min_gap: float = setting(0.0, minimum=0)
    min_judgments: int = setting(1, minimum=1)
    max_chosen_tokens: int | None = None
    flip: float = setting(0.0, minimum=0, maximum=0.5)


@dataclass(frozen=True)
class LoraRecipe:
    rank: int = setting(16, minimum=1)
    alpha: int = setting(32, minimum=1)
    dropout: float = setting(0.0, minimum=0, below=1)
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class TrainRecipe:
    """DPO on the round's pairs, from the round's policy. `method: sft` and `none` are controls.

    `reference`: previous | initial | round:K | a path. `nll` weighs the chosen answer's mean token negative
    log-likelihood. `lora` trains an adapter and merges it in the checkpoint's own precision. `sft_examples` is the
    number of seed demonstrations that the `sft` control trains on.
    """

    method: Literal["dpo", "sft", "none"] = "dpo"
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


@dataclass(frozen=True)
class MeasureRecipe:
    """What is measured after every round. Three disjoint prompt pools: gate steers, selection chooses, report is read.

    `source` is `sandbox` or a JSONL file; `frozen` is the number of labelled answers that every judge rescores, and
    0 switches that off. `verifier` names the truth that needs no model, where there is one.
    """

    source: str = "sandbox"
    gate: int = setting(100, minimum=2)
    selection: int = setting(100, minimum=2)
    report: int = setting(300, minimum=2)
    frozen: int = setting(300, minimum=0)
    samples: int = setting(6, minimum=2)
    judge_samples: int = setting(3, minimum=1)
    verifier: Literal["sandbox", "none"] = "sandbox"
    sampling: SamplingRecipe = field(default_factory=lambda: SamplingRecipe(temperature=0.8))


@dataclass(frozen=True)
class GatesRecipe:
    """`min_readable`: below this share of readable verdicts the round stops before anything is paired."""

    min_readable: float = setting(0.5, minimum=0, maximum=1, horizon=True)


@dataclass(frozen=True)
class HandOffRecipe:
    """The engine must be closer to the trainer's new log-probs than to the old ones, by `margin` of the movement.

    `probes` sequences that moved most are compared; `noise` (nats per sequence) is the movement below which
    log-probs cannot tell and per-tensor checksums decide.
    """

    probes: int = setting(16, minimum=1)
    margin: float = setting(0.5, minimum=0, below=1)
    noise: float = setting(1e-2, above=0)


@dataclass(frozen=True)
class KeepRecipe:
    """Which checkpoints stay on disk at the end of a run; digests stay always."""

    checkpoints: Literal["all", "needed"] = field(default="all", metadata={"horizon": True})


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a run. `rounds` and the other horizon keys may change when it goes on."""

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


def walk(section: Any, prefix: str = "") -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield (dotted key, value, metadata) of every leaf of a recipe section."""
    for item in dataclasses.fields(section):
        value = getattr(section, item.name)
        if dataclasses.is_dataclass(value):
            yield from walk(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value, dict(item.metadata)


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
        for layer in [*layers, *([OmegaConf.from_dotlist(list(overrides))] if overrides else [])]:
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
    for key, value, metadata in walk(recipe):
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
            recipe.judge.source == "oracle" and recipe.measure.verifier == "none",
            "judge.source=oracle needs a verifier; set measure.verifier or judge.source=model",
        ),
        (
            recipe.judge.source == "oracle" and recipe.meta.enabled,
            "meta.enabled needs judgments written by a model, but judge.source is oracle",
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
    for wrong, message in contradictions:
        if wrong:
            raise RecipeError(f"{where}: {message}")
    for key, reference in (("judge.model", recipe.judge.model), ("meta.model", recipe.meta.model)):
        _check_role(where, key, reference, {"policy", "initial"}, recipe.rounds)
    _check_role(where, "train.reference", train.reference, {"previous", "initial"}, recipe.rounds)


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
