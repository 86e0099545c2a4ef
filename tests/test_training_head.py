"""The head of a training gives log-probabilities of the answers' tokens, whichever way it takes to them."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, set_seed

from selfreward.training import head
from selfreward.training.rows import IGNORED, pad

ROWS = [((5, 6, 7, 8), (9, 10, 2)), ((5, 6), (11, 12, 13, 14, 2)), ((7,), (3, 2))]
VOCABULARY = 40


def model(kind: str = "llama", dtype: torch.dtype = torch.bfloat16) -> Any:
    set_seed(3)
    if kind == "gpt2":
        made: Any = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=32))
    else:
        small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
        made = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, tie_word_embeddings=True, **small))
    return made.to(dtype).eval()


def expected(policy: Any, temperature: float) -> list[torch.Tensor]:
    """Each answer's log-probabilities from the plain logits of its own unpadded row."""
    found = []
    for prompt, answer in ROWS:
        logits = policy(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1].float()
        found.append((logits / temperature).log_softmax(-1).gather(-1, torch.tensor(answer)[:, None])[:, 0])
    return found


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("largest", [head.LARGEST, 0])
def test_values_are_those_of_the_plain_logits_either_way(
    kind: str, temperature: float, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "LARGEST", largest)
    policy = model(kind)
    wanted = expected(policy, temperature)
    head.put_head(policy, temperature)
    ids, labels = pad(ROWS, 0)
    found = policy(input_ids=ids, labels=labels, fused_lm_head=True).log_probs
    shifted = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    again = policy(input_ids=ids, shift_labels=shifted, fused_lm_head=True).log_probs
    assert found.shape == (3, ids.shape[1] - 1) and again.shape == ids.shape
    assert torch.equal(found, again[:, :-1]) and (again[:, -1] == 0).all()
    assert (found[labels[:, 1:] == IGNORED] == 0).all()
    for row, (prompt, answer), values in zip(found, ROWS, wanted, strict=True):
        torch.testing.assert_close(row[len(prompt) - 1 : len(prompt) + len(answer) - 1], values, atol=3e-2, rtol=0)


def test_gradients_under_autocast_are_those_of_float32() -> None:
    ids, labels = pad(ROWS, 0)
    gradients = []
    for half in (False, True):
        policy = model(dtype=torch.float32)
        head.put_head(policy)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = policy(input_ids=ids, labels=labels, fused_lm_head=True).log_probs.sum()
        value.backward()
        gradients.append(torch.cat([one.grad.flatten() for one in policy.parameters()]))
    apart = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert 0 < apart < 0.02  # 0 would say that both went one way


def test_an_adapter_around_the_policy_reaches_the_head() -> None:
    from peft import LoraConfig, get_peft_model

    policy = model()
    wanted = expected(policy, 1.0)
    head.put_head(policy)
    wrapped = get_peft_model(policy, LoraConfig(target_modules=["q_proj"]))
    ids, labels = pad(ROWS, 0)
    found = wrapped(input_ids=ids, labels=labels, fused_lm_head=True).log_probs.sum(1)
    torch.testing.assert_close(found.detach().float(), torch.stack([one.sum() for one in wanted]), atol=1e-1, rtol=0)


def test_without_the_head_the_model_is_itself() -> None:
    policy = model()
    ids, _ = pad(ROWS, 0)
    before = policy(ids).logits
    head.put_head(policy)
    assert torch.equal(policy(ids).logits, before)


@pytest.mark.parametrize(("dtype", "columns"), [(torch.bfloat16, [6]), (torch.float32, [])])
def test_half_precision_on_a_cpu_scores_the_labelled_columns_alone(dtype: torch.dtype, columns: list[int]) -> None:
    """In float32 the fused head, which multiplies by the head's weight itself, stays."""
    policy = model(dtype=dtype)
    head.put_head(policy)
    seen: list[int] = []
    policy.lm_head.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].shape[1]))
    ids, labels = pad(ROWS, 0)
    policy(input_ids=ids, labels=labels, fused_lm_head=True)
    assert seen == columns and ids.shape[1] == 7
