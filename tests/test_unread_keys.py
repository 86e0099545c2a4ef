"""Keys that nothing would read, overrides that say nothing, and what is refused before a run writes anything."""

from pathlib import Path

import pytest
import torch

from selfreward.commands.question_checks import cut_off
from selfreward.commands.run import run
from selfreward.errors import EngineError, RecipeError, TrainingError
from selfreward.progress import Progress
from selfreward.recipe import FileSource, LoraRecipe, NoTraining, Recipe, SftRecipe, Spin, TransformersRecipe, as_dict
from selfreward.recipe.idle import idle
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.recipe.shape import paths
from selfreward.records import Drop, Message, Prompt
from selfreward.store.results import Store
from selfreward.training.train import what_ties_say, why_dropped

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
EXPECTED = "judge.reading=probability"
PAIRWISE = "judge.question=comparison judge.reading=probability"


@pytest.mark.parametrize(
    ("overrides", "key", "words"),
    [
        ("train.method=none train.beta=0.5", "train.beta", "train.method=none does not read it"),
        ("train.beta=0.5 train.method=none", "train.beta", "set train.method=dpo"),
        ("train.method=sft train.nll=0", "train.nll", "train.method=sft"),
        ("train.method=sft_chosen train.reference=initial", "train.reference", "train.method=sft_chosen"),
        ("train.method=none train.epochs=1", "train.epochs", "train.method=none does not read it"),
        ("train.method=none train.lora.rank=8", "train.lora", "train.method=none does not read it"),
        ("train.sft_examples=100", "train.sft_examples", "set train.method=sft"),
        ("train.loss=simpo train.reference=initial", "train.reference", "train.loss=simpo does not read"),
        ("train.loss=sppo_hard train.loss.label_smoothing=0.1", "train.loss.label_smoothing", "does not read it"),
        ("meta.battles=weighted", "meta.battles", "set meta.enabled=true"),
        ("meta.sampling.max_tokens=10", "meta.sampling.max_tokens", "meta.enabled is false"),
        ("prompts.writer.max_words=9", "prompts.writer.max_words", "raise prompts.writer.share"),
        ("engine.block_size=64", "engine.block_size", "set engine.kind=vllm"),
        ("engine.script=x.yaml", "engine.script", "set engine.kind=scripted"),
        ("prompts.source.path=x.jsonl", "prompts.source.path", "set prompts.source.kind=file"),
        ("pairs.rule=spin pairs.label=soft", "pairs.label", "pairs.rule=spin does not read it"),
        ("judge.source=oracle judge.aggregate.samples=5", "judge.aggregate.samples", "asks no model"),
        (
            "judge.source=none pairs.rule=verified judge.reading.ask_again=1",
            "judge.reading.ask_again",
            "measure.judge_samples",
        ),
        ("judge.source=oracle judge.aggregate=median", "judge.aggregate", "judge.source=oracle"),
        (f"{EXPECTED} judge.reading.sampling.temperature=0", "judge.reading.sampling", "verdict or rationale"),
        (f"{PAIRWISE} judge.reading.sampling.max_tokens=9", "judge.reading.sampling", "verdict or rationale"),
        (f"{EXPECTED} judge.aggregate=median", "judge.aggregate", "asks each question once"),
        (f"{PAIRWISE} judge.aggregate.samples=5", "judge.aggregate.samples", "asks each question once"),
        ("gates.error=0.1", "gates.error", "no rule of gates.rules has proof: harm"),
        (
            'gates.rules=[{"metric":"unreadable_rate","above":0.3,"proof":"health"}] gates.planned_rounds=9',
            "gates.planned_rounds",
            "add such a rule",
        ),
    ],
)
def test_an_override_that_nothing_reads_is_refused_with_what_would_read_it(
    overrides: str, key: str, words: str
) -> None:
    with pytest.raises(RecipeError) as refused:
        build_recipe([], overrides.split())
    assert f"key {key!r}" in str(refused.value) and words in str(refused.value)


@pytest.mark.parametrize(
    "overrides",
    [
        "train.beta=0.5 train.nll=0 train.reference=initial train.epochs=1",
        "train.method=sft train.sft_examples=100 train.lora.rank=8 train.accumulate=checkpoint_precision",
        "train.method=sft_chosen train.learning_rate=1e-4",
        "train.method=none train.max_length=128",
        "train.method=none pairs.filters.min_logprob_margin=0.6",
        "meta.enabled=true meta.battles=weighted",
        "prompts.writer.share=0.2 prompts.writer.max_words=9",
        "engine.kind=vllm engine.block_size=64",
        "judge.source=oracle judge.reading.sampling.temperature=0 judge.question.template=additive judge.model=initial",
        "judge.source=oracle judge.reading=probability",
        "judge.source=verifier_then_model judge.aggregate=median judge.aggregate.samples=5",
        "judge.reading=rationale judge.reading.sampling.max_tokens=9 judge.aggregate.samples=2",
        "judge.question=comparison judge.reading=verdict judge.reading.sampling.max_tokens=9",
        f"{PAIRWISE} judge.question.template=principal",
        f"{EXPECTED} measure.judge_samples=1",
        'gates.rules=[{"metric":"unreadable_rate","above":0.3}] gates.error=0.1 gates.planned_rounds=9',
    ],
)
def test_what_is_read_is_accepted(overrides: str) -> None:
    build_recipe([], overrides.split())


BASE = {
    "train": {"beta": 0.1, "nll": 1.0, "learning_rate": 1e-5, "lora": {"rank": 4}, "reference": "initial"},
    "meta": {"enabled": True, "battles": "weighted"},
    "judge": {
        "question": {"template": "additive"},
        "aggregate": {"samples": 11},
        "reading": {"sampling": {"temperature": 0.7}, "ask_again": 1},
    },
    "pairs": {"rule": "length_tiers", "rho": [0.3], "min_gap": 0.1, "score": {"min_judgments": 2}},
    "engine": {"kind": "vllm", "block_size": 64, "chunk": 9},
    "prompts": {"source": "data/train.jsonl"},
    "measure": {"source": {"kind": "file", "path": "data/eval.jsonl"}, "held_out": {"model": "sandbox:seed-1"}},
}


def test_an_arm_drops_what_its_variant_does_not_have_and_keeps_what_both_have() -> None:
    def arm(*overrides: str) -> Recipe:
        recipe = build_recipe([BASE], [*overrides, "meta.enabled=false"])
        assert build_recipe([as_dict(recipe)]) == recipe, "a resolved recipe loads as itself"
        return recipe

    assert arm("train.method=none").train == NoTraining()
    kept = arm("train.method=sft", "prompts.source=sandbox").train
    assert isinstance(kept, SftRecipe) and kept.learning_rate == 1e-5 and kept.lora == LoraRecipe(rank=4)
    assert arm("pairs.rule=spin", "judge.source=none").pairs == Spin(min_gap=0.1)
    assert arm("pairs.rule=best_vs_worst").pairs.min_judgments == 2
    assert arm("pairs.rule=z_length").pairs.rho == (0.0,), "another key, for all its name is the same"  # type: ignore[union-attr]
    assert arm("judge.aggregate=median").judge.samples == 11
    assert arm("judge.aggregate=adaptive", "judge.reading.ask_again=0").judge.samples == 2
    compared = arm("judge.question=comparison", "judge.reading=rationale").judge
    assert compared.template == "pairwise" and compared.sampling.temperature == 0.7 and compared.ask_again == 0
    assert arm("engine.kind=transformers").engine == TransformersRecipe(chunk=9)
    assert arm("engine=transformers").engine == TransformersRecipe(chunk=9)
    assert arm("measure.held_out=null").measure.held_out is None
    assert arm("prompts.source=other.jsonl").prompts.source == FileSource("other.jsonl")
    with pytest.raises(RecipeError, match=r"train\.beta"):
        build_recipe([BASE], ["train.method=none", "train.beta=0.2"])


@pytest.mark.parametrize(
    "base",
    [
        {"engine": {"sleep": False}},
        {"train": {"sft_examples": 7}},
        {"train": {"method": "none", "beta": 0.1}},
        {"judge": {"reading": {"kind": "probability", "ask_again": 0}}},
    ],
)
def test_what_its_own_variant_does_not_have_is_refused_in_the_file_too(base: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="does not read it"):
        build_recipe([base])


def test_a_tag_and_its_keys_may_come_in_any_order_and_as_a_mapping() -> None:
    one = build_recipe([], ["judge.reading=rationale", "judge.reading.min_mass=0.2"])
    other = build_recipe([], ["judge.reading.min_mass=0.2", "judge.reading=rationale"])
    third = build_recipe([], ["judge.reading={kind: rationale, min_mass: 0.2}"])
    assert one == other == third == build_recipe([{"judge": {"reading": {"kind": "rationale", "min_mass": 0.2}}}])
    assert build_recipe([], ["rounds=1", "rounds=2"]).rounds == 2


def test_every_idle_key_is_a_key_of_the_recipe() -> None:
    """A renamed key would leave a row behind that never says anything."""
    known = set(paths(Recipe))
    for row in idle(Recipe()):
        assert row.key in known and (not row.switch or f"{row.key}.{row.switch}" in known)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train=5", "key 'train.method' is 5; expected one of dpo, rloo, grpo, sft, sft_chosen, "),
        ("meta=3", "key 'meta' is 3, but it is a section; expected one of its keys, for example meta.enabled"),
        (
            "train.lora=5",
            "key 'train.lora' is 5, but it is a section; expected one of its keys, for example train.lora.r",
        ),
        ("train=null", "key 'train' is None, but it is a section"),
        ("train..beta=5", "override 'train..beta=5': the key 'train..beta' has an empty part"),
        (".beta=5", "has an empty part"),
        ("train.=5", "has an empty part"),
        ("=5", "override '=5': no key stands before '='"),
        (" =5", "no key stands before '='"),
    ],
)
def test_a_malformed_override_gets_one_clear_sentence(override: str, words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        build_recipe([], [override])
    assert words in str(refused.value) and "\n" not in str(refused.value) and "'?'" not in str(refused.value)


def test_a_section_may_be_given_as_a_mapping_and_an_optional_one_as_null(tmp_path: Path) -> None:
    assert build_recipe([], ["train={beta: 0.1}"]) == build_recipe([], ["train.beta=0.1"])
    assert build_recipe([{"train": {"lora": {"rank": 4}}}], ["train.lora=null"]) == Recipe()
    flat = tmp_path / "flat.yaml"
    flat.write_text("meta: 5\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="'meta' is 5, but it is a section"):
        load_recipe(flat)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_refused_before_the_run_has_a_directory(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with pytest.raises(EngineError, match=r"model\.device is 'cuda'.*no CUDA device"):
        run(load_recipe(SMOKE, ["model.device=cuda"]), Store(results), "smoke", Progress(style="silent"))
    assert not list(results.rglob("recipe.yaml"))


def test_no_pair_left_names_the_reasons_with_their_counts(tmp_path: Path) -> None:
    small = ("rounds=1", "meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=8", "measure.report=4")
    recipe = load_recipe(
        SMOKE, [*small, "measure.frozen=0", "pairs.min_gap=4.99", "measure.gate=4", "measure.selection=4"]
    )
    with pytest.raises(TrainingError) as refused:
        run(recipe, Store(tmp_path), "none", Progress(style="silent"))
    drops = Store(tmp_path).existing("none").read(1, "dropped", Drop)
    near = sum(drop.reason == "near tie" for drop in drops)
    assert near > 2 and f"near tie {near}" in str(refused.value) and "pairs.min_gap" in str(refused.value)


def test_reasons_are_counted_most_frequent_first_without_what_never_was_a_prompt() -> None:
    def drop(number: int, reason: str, stage: str = "pairs") -> Drop:
        return Drop(str(number), stage, "answer", "p", reason)  # type: ignore[arg-type]

    rows = [drop(0, "tie"), drop(1, "unreadable"), drop(2, "unreadable"), drop(3, "too similar", "prompts")]
    assert why_dropped(rows) == "unreadable 2, tie 1"
    assert why_dropped([]) == "nothing"


def test_a_judge_that_tells_nothing_apart_is_named_where_most_is_a_tie() -> None:
    def rows(*reasons: str) -> list[Drop]:
        return [Drop(str(n), "pairs", "response", str(n), reason) for n, reason in enumerate(reasons)]

    assert "judge tells too little apart" in what_ties_say(rows("tie", "tie", "unreadable"))
    assert what_ties_say(rows("tie", "unreadable")) == what_ties_say([]) == ""


@pytest.mark.parametrize(
    ("keys", "warned"),
    [
        (["judge.question.template=additive"], True),
        (["judge.question.template=additive", "judge.reading.sampling.max_tokens=100"], False),
        (["judge.question.template=additive", "judge.reading=probability"], False),
        ([], False),
    ],
)
def test_a_question_that_allows_more_words_than_the_judge_may_write_is_warned_about(
    keys: list[str], warned: bool
) -> None:
    asked = Prompt("p", (Message("user", "Tell me, in at most 900 words, why."),), "train", "file", "")
    said = cut_off(build_recipe([], keys).judge, asked)
    assert ("allows 100 words" in said and "set it to 200" in said) if warned else said == ""


def test_an_ensemble_of_judges_that_read_probabilities_is_read() -> None:
    keys = ["judge.reading=probability", "judge.aggregate=ensemble", "judge.aggregate.members=[sandbox,'@initial']"]
    assert load_recipe(SMOKE, [*keys, "meta.enabled=false"]).judge.members == ("sandbox", "@initial")
