"""The draw: exactly the nucleus of the full sort, exactly its probabilities, and the same tokens for the same seed."""

import pytest
import torch
from scipy.stats import chisquare

from selfreward.engines.hugging_face.drawing import (
    SMALL_VOCABULARY,
    Sampler,
    draw_from_all,
    in_nucleus,
    log_probabilities,
)

VOCABULARY = 1500


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def full_sort(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The nucleus as its definition says it: everything sorted, equal ones by id, sums in float64."""
    ranked, order = probabilities.double().sort(dim=-1, descending=True, stable=True)
    kept = ranked.cumsum(-1) - ranked < top_p
    return torch.zeros_like(kept).scatter_(-1, order, kept)


def logits(kind: str) -> torch.Tensor:
    rows = torch.randn(6, VOCABULARY, generator=generator(1))
    rows = rows * torch.tensor([0.0, 0.1, 1.0, 3.0, 6.0, 20.0])[:, None]
    if kind == "bfloat16":  # a hundred tokens share a value
        return rows.bfloat16().float()
    if kind == "ties":  # a few values only: the border runs through a group of equals
        return rows.round()
    if kind == "near-ties":  # neighbours of one another in float32
        return rows.round() + torch.randint(0, 3, rows.shape, generator=generator(2)) * 1e-6
    return rows


@pytest.mark.parametrize("top_p", [1e-6, 0.1, 0.5, 0.9, 0.95, 0.999, 1 - 1e-7])
@pytest.mark.parametrize("kind", ["plain", "bfloat16", "ties", "near-ties"])
def test_the_nucleus_is_the_full_sorts_token_for_token(kind: str, top_p: float) -> None:
    probabilities = torch.softmax(logits(kind), -1)
    expected = full_sort(probabilities, top_p)
    for row, kept in zip(probabilities, expected, strict=True):
        tokens = torch.arange(VOCABULARY)
        found = in_nucleus(row.expand(VOCABULARY, -1), tokens, top_p)
        assert torch.equal(found, kept)


def test_the_border_inside_a_group_of_equals_is_drawn_by_id() -> None:
    """2,048 equal tokens: the nucleus of .25 is the first 512, not one more and not another."""
    probabilities = torch.full((2048, 2048), 1 / 2048)
    inside = in_nucleus(probabilities, torch.arange(2048), 0.25)
    assert inside.tolist() == [True] * 512 + [False] * 1536


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.9), (1.3, 0.6), (1.0, 0.05)])
def test_draws_follow_planted_probabilities(temperature: float, top_p: float) -> None:
    """20,000 draws of 20 planted tokens far apart, a little mass on all others: chi-square, nothing from outside."""
    rows, columns = 20_000, 2_500
    planted = torch.full((columns,), 0.05 / columns, dtype=torch.float64)
    places = torch.arange(20) * 123 + 7
    planted[places] += torch.linspace(1, 9, 20, dtype=torch.float64) / 105
    planted /= planted.sum()
    scaled = planted ** (1 / temperature) / (planted ** (1 / temperature)).sum()
    wanted = scaled * full_sort(scaled[None], top_p)[0]
    source = planted.log().float()
    sampler = Sampler(temperature, top_p, 1)
    chance = generator(3)
    drawn = torch.cat([sampler.draw(source.expand(2_000, -1), chance) for _ in range(rows // 2_000)])
    counts = torch.bincount(drawn, minlength=columns).double()
    assert not counts[wanted == 0].any()
    expected = wanted / wanted.sum() * rows
    # The unplanted ones together: each alone is expected too rarely for the test.
    own = torch.zeros(columns, dtype=torch.bool).index_fill(0, places, True) & (expected > 5)
    observed, hoped = [*counts[own].tolist()], [*expected[own].tolist()]
    if (others := float(expected[~own].sum())) > 5:
        observed, hoped = [*observed, float(counts[~own].sum())], [*hoped, others]
    assert len(hoped) == 1 or chisquare(observed, hoped).pvalue > 1e-3


def test_rare_tokens_and_the_last_columns_are_drawn_as_often_as_they_should_be() -> None:
    """A vocabulary that is no multiple of a block, mass of 1e-3 in its last column, none beside it."""
    columns = SMALL_VOCABULARY + 77
    probabilities = torch.zeros(columns)
    probabilities[0], probabilities[-1] = 0.999, 0.001
    drawn = draw_from_all(probabilities.expand(100_000, -1), generator(5))
    assert set(drawn.tolist()) == {0, columns - 1}
    assert 60 <= int((drawn == columns - 1).sum()) <= 140  # 100 expected, four standard deviations


def test_a_seed_gives_its_tokens_and_another_one_others() -> None:
    rows = torch.randn(70, 8192, generator=generator(4)) * 2
    for top_p in (1.0, 0.9):
        sampler = Sampler(0.8, top_p, 1)
        once, again, other = (sampler.draw(rows, generator(seed)) for seed in (7, 7, 8))
        assert torch.equal(once, again) and not torch.equal(once, other)


def test_small_vocabularies_are_drawn_as_they_always_were() -> None:
    """By sort and multinomial: replies of the sandbox that were sampled before stay what they are."""
    rows = torch.randn(50, 200, generator=generator(6))
    probabilities = torch.softmax(rows / 0.9, -1)
    expected = torch.multinomial(probabilities, 1, generator=generator(1))[:, 0]
    assert torch.equal(Sampler(0.9, 1.0, 1).draw(rows, generator(1)), expected)


def test_greedy_is_the_likeliest_and_logprobs_are_the_softmaxs() -> None:
    rows = torch.randn(45, 4096, generator=generator(9))
    tokens = Sampler(0.0, 0.5, 1).draw(rows, generator())
    assert torch.equal(tokens, rows.argmax(-1))
    expected = torch.log_softmax(rows, -1).gather(-1, tokens[:, None])[:, 0]
    assert torch.equal(log_probabilities(rows, tokens), expected)


def test_teacher_forced_values_do_not_depend_on_how_many_rows_are_held_at_once(monkeypatch):
    from transformers import LlamaConfig, LlamaForCausalLM

    from selfreward.engines.hugging_face import sampling

    torch.manual_seed(0)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=40, **small)).eval()
    rows = [((5, 6, 7), (8, 9, 10)), ((3,), (4,)), ((11, 12), (13, 14))]
    whole = sampling.completion_logprobs(model, rows, 0)
    monkeypatch.setattr(sampling, "_LOGITS_AT_ONCE", 1)
    assert sampling.completion_logprobs(model, rows, 0) == whole
    assert [len(one) for one in whole] == [3, 1, 2] and len({one[0] for one in whole}) == 3
