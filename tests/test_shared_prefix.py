"""Beginnings that prompts share are read once, and nothing but the time changes."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_models import FAMILIES, build_model, build_tokenizer, save_random_model
from transformers import MistralConfig, MistralForCausalLM

from selfreward.engines import build_engine
from selfreward.engines.hugging_face import next_token, prefill, sampling
from selfreward.engines.hugging_face.drawing import Sampler
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.hugging_face.prefixes import SHARED_FROM, shared_heads
from selfreward.engines.protocol import Request
from selfreward.engines.tensors import weights_digest
from selfreward.recipe import ModelRecipe, TransformersRecipe
from selfreward.records import Message

RUBRIC = tuple(range(5, 5 + SHARED_FROM + 30))
OTHER = tuple(range(200, 100, -1))


def model(name: str = "qwen25") -> Any:
    family = FAMILIES[name]
    torch.manual_seed(0)
    return build_model(family, build_tokenizer(family)).eval()


def rows(kind: str) -> list[tuple[int, ...]]:
    """Prompts of several lengths; `mixed` has two rubrics and one prompt that begins like no other."""
    short = [(*RUBRIC, *range(40, 40 + length)) for length in (3, 11, 1, 26, 7, 18)]
    if kind == "one rubric":
        return short
    others = [(*OTHER, *range(60, 60 + length)) for length in (4, 20, 9)]
    return [*short, *others, tuple(range(90, 200))]


@pytest.mark.parametrize("kind", ["one rubric", "mixed"])
@pytest.mark.parametrize("name", ["llama3", "qwen3"])
def test_replies_and_next_tokens_are_those_of_whole_prompts(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, copies = rows(kind), [1 + index % 3 for index in range(len(rows(kind)))]
    asked = model(name)
    assert shared_heads(prompts) is not None and prefill.copies_caches(asked)

    def replies() -> list[list[sampling.Sample]]:
        return sampling.sample(asked, prompts, copies, Sampler(0.0, 1.0, 20), {2}, 0, seed=1)

    candidates = [(30, 31, 32)] * len(prompts)
    apart, read_apart = replies(), next_token.next_logprobs(asked, prompts, candidates, 0)
    assert apart == replies()
    monkeypatch.setattr(prefill, "shared_heads", lambda rows: None)
    whole, read_whole = replies(), next_token.next_logprobs(asked, prompts, candidates, 0)
    for ours, theirs in zip(apart, whole, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert (one.token_ids, one.stopped) == (other.token_ids, other.stopped)
            assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
    for values, expected in zip(read_apart, read_whole, strict=True):
        assert values == pytest.approx(expected, abs=1e-4)


def test_a_shared_beginning_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, seen = model(), []
    plain = asked.forward
    monkeypatch.setattr(asked, "forward", lambda **inputs: seen.append(inputs["input_ids"].shape) or plain(**inputs))
    next_token.next_logprobs(asked, rows("one rubric"), [(3, 4)] * 6, 0)
    assert seen == [(1, len(RUBRIC)), (6, 26)]


def test_an_architecture_whose_cache_cannot_be_copied_reads_whole_prompts() -> None:
    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    torch.manual_seed(0)
    windowed = MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=48)).eval()
    assert not prefill.copies_caches(windowed)
    prompts = rows("one rubric")
    read = next_token.next_logprobs(windowed, prompts, [(3, 4)] * 6, 0)
    for row, values in zip(prompts, read, strict=True):
        with torch.no_grad():
            table = torch.log_softmax(windowed(torch.tensor([row])).logits[0, -1].float(), -1)
        assert values == pytest.approx(table[[3, 4]].tolist(), abs=1e-4)


tokens = st.lists(st.integers(0, 3), min_size=1, max_size=20)


@given(st.lists(st.tuples(st.sampled_from([(), RUBRIC, OTHER, RUBRIC[:70]]), tokens), min_size=1, max_size=12))
def test_heads_and_tails_are_the_rows(parts: list[tuple[tuple[int, ...], list[int]]]) -> None:
    prompts = [(*head, *tail) for head, tail in parts]
    shared = shared_heads(prompts)
    if shared is None:
        return
    assert [(*shared.heads[head], *tail) for head, tail in zip(shared.head_of, shared.tails, strict=True)] == prompts
    assert all(shared.heads) and all(shared.tails)
    padded = len(shared.heads) * max(map(len, shared.heads)) + len(prompts) * max(map(len, shared.tails))
    assert padded <= 0.8 * len(prompts) * max(map(len, prompts))


def test_what_saves_nothing_is_not_cut() -> None:
    assert shared_heads([RUBRIC]) is None
    assert shared_heads([RUBRIC[:40], RUBRIC[:50]]) is None
    assert shared_heads([(*RUBRIC, *range(600)), (*RUBRIC, *range(1, 600))]) is None


def test_an_engines_batches_share_a_rubric(tmp_path: Path) -> None:
    """Through the chat template: three judgments of one long rubric, the same twice, other tokens for another seed."""
    directory = save_random_model("qwen25", tmp_path)
    engine = build_engine(ModelRecipe(), TransformersRecipe())
    assert isinstance(engine, HuggingFaceEngine)
    engine.load(directory, weights_digest(directory))
    rubric = "Grade the response on a scale from 0 to 5. " * 12
    asked = [
        Request(f"r{n}", (Message("user", rubric + text),), 4, 0.9, 0.9, 12, n, logprob=n > 0)
        for n, text in enumerate(("a sum", "a letter about noise", "four reasons"))
    ]
    assert shared_heads([engine.prompt_token_ids(one.messages) for one in asked]) is not None
    told: list[tuple[int, float]] = []
    engine.told = lambda sampled, share: told.append((sampled, share))
    replies = engine.generate(asked, 1)
    assert sum(sampled for sampled, _ in told) == sum(len(reply.token_ids) for group in replies for reply in group)
    assert [share for _, share in told] == sorted(share for _, share in told) and told[-1][1] == 1.0
    assert replies == engine.generate(asked, 1) != engine.generate(asked, 2)
    # A log-probability where one was asked for, and nowhere else.
    assert [reply.logprob is None for group in replies for reply in group] == [True] * 4 + [False] * 8


def test_no_run_of_the_engine_says_anything(tmp_path: Path) -> None:
    """transformers warns through its log, once per process, about names of arguments that it will drop."""
    directory = save_random_model("llama3", tmp_path)
    code = f"""
import warnings
warnings.simplefilter("error")
from pathlib import Path
from selfreward.engines.checkpoints import weights_digest
from selfreward.engines import build_engine
from selfreward.engines.protocol import ReplyStart, Request
from selfreward.recipe import TransformersRecipe, ModelRecipe
from selfreward.records import Message
directory = Path({str(directory)!r})
engine = build_engine(ModelRecipe(), TransformersRecipe())
engine.load(directory, weights_digest(directory))
asked = tuple([Message("user", "Write a short letter. " * 20 + end)] for end in ("now", "then", "why"))
engine.generate([Request(str(n), tuple(one), 2, 1.0, 0.9, 8, n) for n, one in enumerate(asked)], 0)
engine.next_token_logprobs([ReplyStart(str(n), tuple(one), "") for n, one in enumerate(asked)], ["1", "2"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_transformers_older_name_of_the_cache_works_too() -> None:
    new = model()

    class Older(type(new)):  # type: ignore[misc]
        def forward(
            self,
            input_ids=None,
            attention_mask=None,
            position_ids=None,
            past_key_values=None,
            use_cache=None,
            logits_to_keep=0,
        ):  # type: ignore[no-untyped-def]
            found = super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                cache=past_key_values,
                use_cache=use_cache,
                logits_to_keep=logits_to_keep,
            )
            kept = prefill.cache_of(found) if use_cache else None
            return _Output(logits=found.logits, past_key_values=kept)

    old = Older(new.config).eval()
    old.load_state_dict(new.state_dict())
    asked = rows("one rubric"), [2] * 6, Sampler(0.0, 1.0, 6), {2}, 0, 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sampling.sample(old, *asked) == sampling.sample(new, *asked)


class _Output(dict):  # type: ignore[type-arg]
    """What a model of older transformers returns: a dictionary whose entries are attributes."""

    __getattr__ = dict.__getitem__
