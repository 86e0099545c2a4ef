"""Shared prefixes are exact: the same log-probabilities, loss, gradients and training, or a refusal that says why."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from training_factory import CPU, END_TOKEN, SHORT, plain_logprob, random_pairs, tiny_policy, with_reference
from transformers import (
    BloomConfig,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

from selfreward.commands.run import run
from selfreward.errors import TrainingError
from selfreward.progress import Progress
from selfreward.recipe import LoraRecipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Pair
from selfreward.store.results import Store
from selfreward.tasks.sandbox.words import VOCABULARY
from selfreward.training import prefix
from selfreward.training.losses import Loss, PairBatch
from selfreward.training.preference import train_preferences
from selfreward.training.rows import completion_logprobs, side_by_side

SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
FAMILIES: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=8),
    "gpt2": GPT2Config(vocab_size=len(VOCABULARY), n_embd=32, n_layer=2, n_head=4, n_positions=128),
}


def model_of(settings: PretrainedConfig, tied: bool = True) -> PreTrainedModel:
    torch.manual_seed(0)
    settings.tie_word_embeddings = tied
    model = AutoModelForCausalLM.from_config(settings, attn_implementation="sdpa").float().eval()
    add_fused_lm_head(model)
    return outspoken(model)


@torch.no_grad()
def outspoken(model: PreTrainedModel) -> PreTrainedModel:
    """The same model, far from uniform: a wrong mask or position must show."""
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.mul_(4)
    return model


def plain_of(model: Any, pairs: list[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = side_by_side(pairs, 0)
    return completion_logprobs(model, batch["input_ids"], batch["labels"]).chunk(2)


def loss_of(sides: tuple[torch.Tensor, torch.Tensor], pairs: list[Pair]) -> torch.Tensor:
    references = torch.tensor([[-20.0 - number, -25.0] for number in range(len(pairs))]).T
    one = torch.ones(len(pairs))
    label = torch.linspace(0.5, 1.0, len(pairs))
    return Loss("dpo", 0.3)(PairBatch(*sides, one, one, label, references[0], references[1])).mean()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_log_probabilities_loss_and_gradients_are_those_of_plain_rows(family, tied):
    model, pairs = model_of(FAMILIES[family], tied), random_pairs(6, seed=5)
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied
    assert prefix.unsupported(model) is None
    assert prefix.disagreement(model, pairs, 0) < 1e-5
    ways = {"plain": plain_of(model, pairs), "shared": prefix.pair_logprobs(model, prefix.pack(pairs, 0))}
    for plain, shared in zip(*ways.values(), strict=True):
        torch.testing.assert_close(shared, plain, rtol=1e-6, atol=2e-5)
    losses, gradients = {}, {}
    for way, sides in ways.items():
        losses[way] = loss_of(sides, pairs)
        model.zero_grad()
        losses[way].backward()
        gradients[way] = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).clone()
    assert losses["shared"].item() == pytest.approx(losses["plain"].item(), abs=1e-5)
    apart = (gradients["shared"] - gradients["plain"]).norm() / gradients["plain"].norm()
    assert gradients["plain"].norm() > 1e-3
    assert apart < 1e-6


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_in_double_precision_nothing_is_left_of_the_difference(family):
    """What separates the two ways in float32 is the order of sums, not the formula."""
    model, pairs = model_of(FAMILIES[family]).double(), random_pairs(5, seed=9)
    for pair in pairs:
        batch = prefix.pack([pair], 0)
        mask = prefix.branch_mask(batch["branches"], batch["input_ids"].shape[1])
        logits = model(input_ids=batch["input_ids"], attention_mask=mask, position_ids=batch["position_ids"]).logits
        shared = logits.log_softmax(-1).gather(-1, batch["shift_labels"].clamp(min=0)[..., None])[0, :, 0]
        for side, ids in enumerate((pair.chosen_token_ids, pair.rejected_token_ids)):
            start = int(batch["branches"][0, side])
            total = shared[start : start + len(ids)].sum().item()
            assert total == pytest.approx(plain_logprob(model, pair.prompt_token_ids, ids), abs=1e-9)


tokens = st.lists(st.integers(20, 60), min_size=1, max_size=9).map(tuple)


@settings(max_examples=60)
@given(st.lists(st.tuples(tokens, tokens, tokens), min_size=1, max_size=4))
def test_a_packed_row_holds_each_prompt_once_and_sees_only_its_own_branch(texts):
    base = random_pairs(1)[0]
    pairs = [
        dataclasses.replace(
            base, prompt_token_ids=p, chosen_token_ids=(*c, END_TOKEN), rejected_token_ids=(*r, END_TOKEN)
        )
        for p, c, r in texts
    ]
    batch = prefix.pack(pairs, 0)
    width = batch["input_ids"].shape[1]
    mask = prefix.branch_mask(batch["branches"], width)[:, 0]
    assert width == max(map(prefix.row_length, pairs))
    for row, pair in enumerate(pairs):
        ids, positions, labels = (batch[name][row] for name in ("input_ids", "position_ids", "shift_labels"))
        first, second, end = batch["branches"][row].tolist()
        assert end == prefix.row_length(pair)
        assert (labels[:first] == -100).all() and (labels[end:] == -100).all()
        for start, stop, completion in (
            (first, second, pair.chosen_token_ids),
            (second, end, pair.rejected_token_ids),
        ):
            assert tuple(labels[start:stop].tolist()) == completion
            for column in range(start, stop):
                # What this column sees, in order, is exactly the row that it would be in on its own.
                seen = ids[mask[row, column]].tolist()
                plain = [*pair.prompt_token_ids, *completion][: len(seen)]
                assert seen == plain
                assert positions[mask[row, column]].tolist() == list(range(len(seen)))
                assert [*pair.prompt_token_ids, *completion][len(seen)] == labels[column].item()


def test_rows_that_end_at_a_block_have_the_same_log_probabilities():
    model, pairs = model_of(FAMILIES["qwen2"]), random_pairs(6, seed=5)
    plain, padded = (prefix.pack(pairs, 0, multiple) for multiple in (1, prefix.BLOCK))
    assert plain["input_ids"].shape[1] < padded["input_ids"].shape[1] == prefix.BLOCK
    for one, other in zip(prefix.pair_logprobs(model, plain), prefix.pair_logprobs(model, padded), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-6, atol=2e-5)


def test_flex_attention_sees_few_widths_and_others_no_padding(pairs):
    """It is compiled for every new one; batches of a training differ in nearly every step."""
    model = model_of(FAMILIES["llama"])

    def widths() -> set[int]:
        packed = prefix.packing(model)
        return {packed([pair], 0)["input_ids"].shape[1] for pair in pairs}

    assert widths() == set(map(prefix.row_length, pairs)) and len(widths()) > 10
    model.set_attn_implementation("flex_attention")
    assert widths() == {prefix.BLOCK}


def test_the_block_mask_is_the_same_mask():
    from torch.nn.attention.flex_attention import create_mask

    batch = prefix.pack(random_pairs(5, seed=2), 0)
    width = batch["input_ids"].shape[1]
    dense = create_mask(prefix.visible(batch["branches"]), 5, None, width, width, device="cpu")
    assert torch.equal(dense, prefix.branch_mask(batch["branches"], width))


@pytest.mark.slow
@torch.no_grad()
def test_flex_attention_gives_the_same_log_probabilities():
    """It is compiled, which takes a C++ compiler and a minute; a CPU has no backward of it."""
    model, batch = model_of(FAMILIES["llama"]), prefix.pack(random_pairs(4, seed=5), 0)
    expected = prefix.pair_logprobs(model, batch)
    model.set_attn_implementation("flex_attention")
    for flex, plain in zip(prefix.pair_logprobs(model, batch), expected, strict=True):
        torch.testing.assert_close(flex, plain, rtol=1e-5, atol=1e-4)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def pairs(start: Path) -> list[Pair]:
    return with_reference(random_pairs(40), start)


def train(start: Path, pairs: list[Pair], where: Path, sharing: str, said: list[str] | None = None, **changes: Any):
    return train_preferences(
        start,
        pairs,
        dataclasses.replace(SHORT, prefix_sharing=sharing, **changes),
        model=CPU,
        seed=7,
        reference_is_start=True,
        out=where / "out",
        scratch=where / "scratch",
        say=said.append if said is not None else None,
    )


@pytest.mark.parametrize("lora", [None, LoraRecipe(rank=2, alpha=4)])
def test_a_training_ends_where_the_plain_one_ends(start, pairs, tmp_path, lora):
    said: list[str] = []
    plain = train(start, pairs, tmp_path / "plain", "never", lora=lora)
    shared = train(start, pairs, tmp_path / "shared", "always", said, lora=lora)
    assert said == list(shared.notes) and "prefix sharing: on" in said[0]
    assert plain.notes == ()
    for name, value in plain.metrics.items():
        assert shared.metrics[name] == pytest.approx(value, rel=1e-2, abs=1e-2), name
    before, first, second = (
        load_file(directory / "model.safetensors")
        for directory in (start, tmp_path / "plain" / "out", tmp_path / "shared" / "out")
    )
    moved = sum((first[name] - before[name]).norm() ** 2 for name in before) ** 0.5
    apart = sum((first[name] - second[name]).norm() ** 2 for name in before) ** 0.5
    assert moved > 1e-2
    assert apart < 0.05 * moved


def test_shared_trainings_are_equal_byte_by_byte(start, pairs, tmp_path):
    first, second = (train(start, pairs, tmp_path / name, "always") for name in ("first", "second"))
    assert first.digest == second.digest


def test_auto_shares_only_where_that_saves_something(start, pairs, tmp_path):
    short = [dataclasses.replace(pair, prompt_token_ids=pair.prompt_token_ids[:1]) for pair in pairs]
    model = model_of(FAMILIES["llama"])
    assert prefix.saving(short) < prefix.PAYS_FROM < prefix.saving(pairs)
    assert prefix.decide(model, short, "auto", 0) == (False, "prefix sharing: off, it would save 8% of the tokens")
    shared, note = prefix.decide(model, pairs, "auto", 0)
    assert shared and "saves" in note
    assert prefix.decide(model, short, "always", 0)[0]
    assert prefix.decide(model, pairs, "never", 0) == (False, "")


CANNOT = {
    "window": (MistralConfig(**SIZES, sliding_window=8), "sliding"),
    "alternating": (Gemma2Config(**SIZES, head_dim=8, sliding_window=8), "sliding_attention layers"),
    "ALiBi": (BloomConfig(vocab_size=len(VOCABULARY), hidden_size=32, n_layer=2, n_head=4), "no position_ids"),
    "recurrent": (MambaConfig(vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2), "no position_ids"),
}


@pytest.mark.parametrize("kind", CANNOT)
def test_a_model_that_cannot_be_served_falls_back_with_the_reason_or_stops(kind, pairs):
    settings, words = CANNOT[kind]
    model = AutoModelForCausalLM.from_config(settings)
    shared, note = prefix.decide(model, pairs, "auto", 0)
    assert not shared
    assert "cannot be served" in note and words in note
    with pytest.raises(TrainingError, match=words):
        prefix.decide(model, pairs, "always", 0)


def test_a_model_that_only_looks_servable_is_found_out_by_comparing(pairs):
    class Deaf(type(model_of(FAMILIES["llama"]))):  # type: ignore[misc]
        """Takes position_ids, and ignores them."""

        def forward(self, *args: Any, position_ids: Any = None, **options: Any) -> Any:
            return super().forward(*args, **options)

    deaf = outspoken(Deaf(LlamaConfig(**SIZES)).eval())
    assert prefix.unsupported(deaf) is None
    shared, note = prefix.decide(deaf, pairs, "auto", 0)
    assert not shared and "differ by" in note


def test_the_note_reaches_the_sealed_facts_of_the_round(tmp_path):
    recipe = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
    settings = ["rounds=1", "train.prefix_sharing=auto", "train.loss=simpo", "train.beta=2", "meta.enabled=false"]
    path = run(load_recipe(recipe, settings), Store(tmp_path / "results"), "one", Progress(style="silent"))
    facts = json.loads((path / "round-01" / "checkpoint.done.json").read_text())["facts"]
    assert len(facts["notes"]) == 1 and facts["notes"][0].startswith("prefix sharing: o")
