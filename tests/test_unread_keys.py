"""Keys that nothing would read, overrides that say nothing, and what is refused before a run writes anything."""

from pathlib import Path

import pytest
import torch

from selfreward.commands.run import run
from selfreward.errors import EngineError, RecipeError, TrainingError
from selfreward.progress import Progress
from selfreward.recipe import Recipe, as_dict, to_yaml, walk
from selfreward.recipe.idle import idle
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Drop
from selfreward.store.results import Store
from selfreward.training.train import why_dropped

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
EXPECTED = "judge.reading=probability"
PAIRWISE = "judge.question=comparison judge.reading=probability"


@pytest.mark.parametrize(
    ("overrides", "key", "words"),
    [
        ("train.method=none train.beta=0.5", "train.beta", "train.method=none has no preference loss"),
        ("train.beta=0.5 train.method=none", "train.beta", "set train.method=dpo"),
        ("train.method=sft train.nll=0", "train.nll", "train.method=sft"),
        ("train.method=sft_chosen train.reference=initial", "train.reference", "train.method=sft_chosen"),
        ("train.method=none train.epochs=1", "train.epochs", "takes no step"),
        ("train.method=none train.lora.rank=8", "train.lora.rank", "takes no step"),
        ("train.sft_examples=100", "train.sft_examples", "set train.method=sft"),
        ("train.method=none train.sft_examples=100", "train.sft_examples", "draws no demonstrations"),
        ("meta.battles=weighted", "meta.battles", "set meta.enabled=true"),
        ("meta.sampling.max_tokens=10", "meta.sampling.max_tokens", "meta.enabled is false"),
        ("prompts.writer.max_words=9", "prompts.writer.max_words", "raise prompts.writer.share"),
        ("engine.block_size=64", "engine.block_size", "set engine.kind=vllm"),
        ("engine.script=x.yaml", "engine.script", "set engine.kind=scripted"),
        ("judge.source=oracle judge.aggregate.samples=5", "judge.samples", "asks no model"),
        ("judge.source=none pairs.rule=verified judge.reading.ask_again=1", "judge.ask_again", "measure.judge_samples"),
        ("judge.source=oracle judge.aggregate=median", "judge.aggregate", "judge.source=oracle"),
        (f"{EXPECTED} judge.reading.sampling.temperature=0", "judge.reading.sampling.temperature", "decodes nothing"),
        (f"{PAIRWISE} judge.reading.sampling.max_tokens=9", "judge.reading.sampling.max_tokens", "decodes nothing"),
        (f"{EXPECTED} judge.aggregate=median", "judge.aggregate", "asks each question once"),
        (f"{PAIRWISE} judge.question.template=additive", "judge.template", "judge.pairwise.template"),
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
        "train.method=none train.reference=initial pairs.filters.min_logprob_margin=0.6",
        "train.method=none train.beta=0.3",
        "meta.enabled=true meta.battles=weighted",
        "prompts.writer.share=0.2 prompts.writer.max_words=9",
        "engine.kind=vllm engine.block_size=64",
        "judge.source=oracle judge.reading.sampling.temperature=0 judge.question.template=additive judge.model=initial",
        "judge.source=oracle judge.reading=probability",
        "judge.source=verifier_then_model judge.aggregate.samples=5 judge.aggregate=median",
        "judge.reading=rationale judge.reading.sampling.max_tokens=9 judge.aggregate.samples=2",
        f"{PAIRWISE} judge.reading=verdict judge.reading.sampling.max_tokens=9",
        f"{EXPECTED} measure.judge_samples=1",
        'gates.rules=[{"metric":"unreadable_rate","above":0.3}] gates.error=0.1 gates.planned_rounds=9',
    ],
)
def test_what_is_read_is_accepted(overrides: str) -> None:
    build_recipe([], overrides.split())


def test_a_base_keeps_its_keys_under_an_arm_that_does_not_read_them() -> None:
    base = {
        "train": {"beta": 0.1, "nll": 1.0, "learning_rate": 1e-5, "lora": {"rank": 4}},
        "meta": {"enabled": True, "battles": "weighted"},
        "judge": {"samples": 11, "sampling": {"temperature": 0.7}},
    }
    for arm in ("train.method=none", "train.method=sft", "meta.enabled=false", "judge.source=none pairs.rule=verified"):
        recipe = build_recipe([base], [*arm.split(), "meta.enabled=false"])
        assert recipe.train.beta == 0.1 and recipe.judge.samples == 11
        again = build_recipe([as_dict(recipe)])
        assert again == recipe, "a resolved recipe loads as itself"
    with pytest.raises(RecipeError, match=r"train\.beta"):
        build_recipe([base], ["train.method=none", "train.beta=0.2"])


@pytest.mark.parametrize("base", [{"engine": {"vllm": {"sleep": False}}}, {"train": {"sft_examples": 7}}])
def test_what_no_base_has_a_reason_to_state_is_refused_in_the_file_too(base: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="nothing would read it"):
        build_recipe([base])


def test_every_key_of_the_table_is_a_key_of_the_recipe() -> None:
    """A renamed key would leave a row behind that never says anything."""
    recipe = build_recipe([], ["train.lora.rank=4"])
    known = {key for one in (recipe, Recipe()) for key, _, _ in walk(one)}
    for row in idle(recipe):
        for key in row.keys:
            assert any(name == key or name.startswith(f"{key}.") for name in known), key


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train=5", "key 'train' is 5, but it is a section; expected one of its keys, for example train.method"),
        ("judge.sampling=3", "key 'judge.sampling' is 3, but it is a section"),
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
    assert build_recipe([], ["train={beta: 0.1}"]).train.beta == 0.1
    assert build_recipe([{"train": {"lora": {"rank": 4}}}], ["train.lora=null"]).train.lora is None
    flat = tmp_path / "flat.yaml"
    flat.write_text("train: 5\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="'train' is 5, but it is a section"):
        load_recipe(flat)
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(to_yaml(build_recipe([])), encoding="utf-8")
    assert load_recipe(resolved) == build_recipe([])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_refused_before_the_run_has_a_directory(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with pytest.raises(EngineError, match=r"model\.device is 'cuda'.*no CUDA device"):
        run(load_recipe(SMOKE, ["model.device=cuda"]), Store(results), "smoke", Progress(style="silent"))
    assert not list(results.rglob("recipe.yaml"))


def test_no_pair_left_names_the_reasons_with_their_counts(tmp_path: Path) -> None:
    small = ("rounds=1", "meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=8", "measure.report=4")
    recipe = load_recipe(
        SMOKE, [*small, "measure.frozen=0", "pairs.min_gap=9", "measure.gate=4", "measure.selection=4"]
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
