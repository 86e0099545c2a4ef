"""vLLM against the transformers engine, weights in place against a fresh engine, each safeguard against its absence.

These tests need vLLM (its CPU build will do); without it they are skipped.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.engines import build_engine
from selfreward.engines.checkpoints import save_model_directory
from selfreward.engines.handoff import HANDOFF_FILE, Probe, verify, write_handoff
from selfreward.engines.protocol import Completion, Engine, Request, TokenSequence
from selfreward.engines.tensors import combined_digest, weights_digest
from selfreward.engines.vllm.engine import VllmEngine
from selfreward.engines.vllm.settings import vllm_version
from selfreward.errors import EngineError, HandOffError
from selfreward.recipe import HandOffRecipe, ModelRecipe, TransformersRecipe, VllmRecipe
from selfreward.records import Message

pytestmark = [
    pytest.mark.skipif(vllm_version() is None, reason="vLLM is not installed"),
    pytest.mark.slow,
]

OLD, NEW = SANDBOX_SEEDS / "seed-0", SANDBOX_SEEDS / "seed-1"
TASKS = ["order f h j", "add 3 and 4", "reverse a b c d e ; with commas", "count a in a b a", "copy p o n"]
# Longer than a block of the prefix cache (32 tokens), and alike at the beginning.
LONG = [f"copy {' '.join('abcdefghijklmnop' * 3)} {end}" for end in ("q", "r s", "t u v")]


def vllm(**keys: object) -> VllmEngine:
    recipe = VllmRecipe(**{"in_process": True, "memory_share": 0.02, **keys})  # type: ignore[arg-type]
    return VllmEngine(ModelRecipe(device="cpu"), recipe)


def holding(engine: Engine, directory: Path) -> Engine:
    engine.load(directory, weights_digest(directory))
    return engine


@pytest.fixture(scope="module")
def shared() -> Iterator[VllmEngine]:
    engine = vllm()
    yield engine
    engine.close()


@pytest.fixture
def engine(shared: VllmEngine) -> VllmEngine:
    """The module's one engine, with the old policy in it and nothing in its cache."""
    holding(shared, OLD)
    return shared


def plain(directory: Path) -> Engine:
    return holding(build_engine(ModelRecipe(device="cpu"), TransformersRecipe()), directory)


def requests(texts: list[str] = TASKS, **changes: object) -> list[Request]:
    values = {"n": 1, "temperature": 0.0, "top_p": 1.0, "max_tokens": 24} | changes
    return [Request(f"r{i}", (Message("user", text),), seed=7 + i, **values) for i, text in enumerate(texts)]  # type: ignore[arg-type]


def sequences(engine: Engine, asked: list[Request], replies: list[list[Completion]]) -> list[TokenSequence]:
    return [
        TokenSequence(engine.prompt_token_ids(one.messages), reply.token_ids)
        for one, group in zip(asked, replies, strict=True)
        for reply in group
    ]


def assert_close(ours: list[tuple[float, ...]], theirs: list[tuple[float, ...]], tolerance: float = 1e-4) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, abs=tolerance)


def test_greedy_tokens_and_logprobs_are_those_of_the_transformers_engine(engine: VllmEngine) -> None:
    other = plain(OLD)
    asked = [*requests(), *requests(LONG)]
    ours, theirs = engine.generate(asked, 1), other.generate(asked, 1)
    for (mine,), (reply,) in zip(ours, theirs, strict=True):
        assert (mine.text, mine.token_ids, mine.finish_reason) == (reply.text, reply.token_ids, reply.finish_reason)
        assert mine.logprob == pytest.approx(reply.logprob, abs=1e-4)
    texts = sequences(other, asked, theirs)
    texts += [TokenSequence(texts[0].prompt_token_ids, ()), TokenSequence(texts[-1].prompt_token_ids, (5,))]
    for _ in range(2):  # the second time with everything in the prefix cache
        assert_close(engine.logprobs(texts), other.logprobs(texts))
        again = engine.generate(asked, 2)
        assert [reply.token_ids for (reply,) in again] == [reply.token_ids for (reply,) in ours]


def test_a_reply_has_its_own_seed_and_its_logprob_is_of_temperature_1(engine: VllmEngine) -> None:
    asked = requests(n=8, temperature=1.6, top_p=0.9, max_tokens=6)
    replies = engine.generate(asked, 1)
    assert [len(group) for group in replies] == [8] * 5
    assert {reply.finish_reason for group in replies for reply in group} == {"stop", "length"}
    for reply in (reply for group in replies for reply in group):
        assert (reply.token_ids[-1] in engine._chat.end_ids) == (reply.finish_reason == "stop")
    texts = sequences(engine, asked, replies)
    sums = [sum(values) for values in engine.logprobs(texts)]
    assert sums == pytest.approx([reply.logprob for group in replies for reply in group], abs=1e-4)
    # Neither the chunk's seed nor what else is asked decides a reply.
    alone = engine.generate(asked[2:3], 99)[0]
    assert [reply.token_ids for reply in alone] == [reply.token_ids for reply in replies[2]]


def test_samples_follow_the_model(engine: VllmEngine) -> None:
    """First tokens of 4,000 replies against softmax(logits / T) of the transformers engine."""
    (prompt,) = [engine.prompt_token_ids(one.messages) for one in requests(["order f h j"])]
    size = int(plain(OLD)._loaded.config.vocab_size)  # type: ignore[attr-defined]
    table = plain(OLD).logprobs([TokenSequence(prompt, (token,)) for token in range(size)])
    expected = torch.softmax(torch.tensor([value for (value,) in table]) / 1.3, 0)
    (drawn,) = engine.generate(requests(["order f h j"], n=4000, temperature=1.3, max_tokens=1), 4)
    counts = torch.bincount(torch.tensor([reply.token_ids[0] for reply in drawn]), minlength=size)
    assert float((counts / 4000 - expected).abs().sum()) / 2 < 0.05


def test_every_end_of_turn_token_of_the_directory_ends_a_reply(shared: VllmEngine, tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    settings = json.loads((OLD / "generation_config.json").read_text())
    wanted = {"top_k": 1, "temperature": 0.01, "eos_token_id": [3, 40, 41]}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings | wanted))
    holding(shared, tmp_path)
    replies = shared.generate(requests(n=400, temperature=2.0), 1)
    stopped = {reply.token_ids[-1] for group in replies for reply in group if reply.finish_reason == "stop"}
    assert stopped == {3, 40, 41} and len({reply.token_ids for group in replies for reply in group}) > 100


def untied(seed: Path, directory: Path) -> Path:
    """The seed with a head of its own, different from its embedding."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(seed)
    embedding = model.get_input_embeddings().weight.detach().clone()
    model.config.tie_word_embeddings = False
    head = torch.nn.Linear(embedding.shape[1], embedding.shape[0], bias=False)
    head.weight = torch.nn.Parameter(embedding.flip(1) * 1.5)
    model.lm_head = head
    save_model_directory(model, AutoTokenizer.from_pretrained(seed), directory)
    return directory


@pytest.mark.parametrize("head", ["tied", "untied"])
def test_weights_in_place_equal_a_fresh_engine(head: str, tmp_path: Path, shared: VllmEngine) -> None:
    old, new = (OLD, NEW) if head == "tied" else (untied(OLD, tmp_path / "old"), untied(NEW, tmp_path / "new"))
    assert ("lm_head.weight" in plain(new).checksums()) == (head == "untied") or head == "tied"

    def look(engine: Engine) -> tuple[object, ...]:
        replies = engine.generate([*requests(), *requests(LONG, n=3, temperature=0.9)], 1)
        texts = sequences(engine, [*requests(), *requests(LONG)], replies)
        return replies, engine.logprobs(texts), engine.checksums()

    shared.close()
    holding(shared, new)
    fresh = look(shared)
    for policy in (old, new, old, new):
        holding(shared, policy)
        swapped = look(shared)
        assert (swapped == fresh) == (policy == new)
        assert combined_digest(shared.checksums()) == weights_digest(policy) if head == "untied" else True
        assert verify(shared, policy, HandOffRecipe()).kind == "checksums"
    texts = [TokenSequence(shared.prompt_token_ids(one.messages), (9, 8, 7)) for one in requests()]
    assert_close(shared.logprobs(texts), plain(new).logprobs(texts))


def random_model(kind: str, dtype: str, seed: int, directory: Path) -> Path:
    """A small model of another architecture, a seventh of whose weights are zeros of either sign."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config, Qwen3Config

    sizes = {"vocab_size": 160, "hidden_size": 128, "intermediate_size": 224, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 256}
    config = {
        "llama, grouped heads, untied": LlamaConfig(**sizes, **heads, tie_word_embeddings=False),
        "qwen2, biases, tied": Qwen2Config(**sizes, **heads, tie_word_embeddings=True),
        "qwen3, head norms, tied": Qwen3Config(**sizes, **heads, tie_word_embeddings=True),
    }[kind]
    config.eos_token_id = 3
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).to(getattr(torch, dtype))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
            parameter.view(-1)[::14], parameter.view(-1)[7::14] = -0.0, 0.0
    save_model_directory(model, AutoTokenizer.from_pretrained(OLD), directory)
    return directory


@pytest.mark.parametrize(
    ("dtype", "workers", "tolerance"), [("float32", 1, 1e-4), ("bfloat16", 1, 2e-2), ("float32", 2, 1e-4)]
)
@pytest.mark.parametrize("kind", ["llama, grouped heads, untied", "qwen2, biases, tied", "qwen3, head norms, tied"])
def test_other_architectures_are_exchanged_and_checked(
    kind: str, dtype: str, workers: int, tolerance: float, tmp_path: Path
) -> None:
    if workers > 1 and kind.startswith("qwen"):
        pytest.skip("one architecture shows that shards are gathered")
    directories = [random_model(kind, dtype, seed, tmp_path / str(seed)) for seed in (0, 1)]
    settings = VllmRecipe(in_process=workers == 1, memory_share=0.02, tensor_parallel_size=workers)
    model = ModelRecipe(device="cpu", dtype=dtype)  # type: ignore[arg-type]
    engine, other = VllmEngine(model, settings), build_engine(model, TransformersRecipe())
    texts = [TokenSequence(tuple(range(5, 40)), tuple(range(50, 70)))]
    try:
        for directory in (*directories, directories[0]):
            holding(engine, directory)
            assert verify(engine, directory, HandOffRecipe()).kind == "checksums"
            assert_close(engine.logprobs(texts), holding(other, directory).logprobs(texts), tolerance)
        assert engine.report()["built"] == 1 and len(engine.report()["pids"]) == workers
    finally:
        engine.close()


@pytest.fixture(scope="module")
def handed_over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The new policy as a trainer leaves it: with log-probabilities of long prompts under both policies beside it."""
    directory = tmp_path_factory.mktemp("trained") / "checkpoint"
    shutil.copytree(NEW, directory, ignore=shutil.ignore_patterns(HANDOFF_FILE, "seed.json"))
    old, new = plain(OLD), plain(NEW)
    asked = requests(LONG, n=2, temperature=0.9)
    texts = sequences(old, asked, old.generate(asked, 3))
    before, after = ([sum(values) for values in engine.logprobs(texts)] for engine in (old, new))
    probes = [
        Probe(text.prompt_token_ids, text.completion_token_ids, was, now)
        for text, was, now in zip(texts, before, after, strict=True)
    ]
    write_handoff(directory, OLD, probes)
    return directory


def reads_the_old_path(engine: VllmEngine) -> Callable[..., None]:
    return lambda directory: engine._running.call("read_checkpoint", str(OLD))


@pytest.mark.parametrize("safeguard", ["_forget_prefixes", "_repack", "_read_checkpoint"])
@pytest.mark.parametrize("check", ["probes", "checksums"])
def test_without_any_one_safeguard_the_hand_off_is_refused(
    engine: VllmEngine, handed_over: Path, monkeypatch: pytest.MonkeyPatch, safeguard: str, check: str
) -> None:
    if (safeguard, check) == ("_forget_prefixes", "checksums"):
        pytest.skip("refused before any check, so once is enough")
    new = handed_over if check == "probes" else NEW
    engine.generate(requests(LONG, n=2, temperature=0.9), 3)  # the old policy's prefixes are in the cache
    with monkeypatch.context() as without:
        missing = reads_the_old_path(engine) if safeguard == "_read_checkpoint" else lambda *_: None
        without.setattr(engine, safeguard, missing)
        with pytest.raises(HandOffError, match=r"does not hold the weights|still finds prompts of the policy before"):
            holding(engine, new)
            verify(engine, new, HandOffRecipe())
        # A cache that outlived its weights is refused at once, and the engine then holds nothing.
        assert (engine.policy is None) == (safeguard == "_forget_prefixes")
    holding(engine, new)
    assert verify(engine, new, HandOffRecipe()).kind == check


def test_the_prefix_cache_is_used_counted_and_emptied(engine: VllmEngine) -> None:
    def hits() -> int:
        return int(engine.report()["cached_tokens"])

    start = hits()
    engine.generate(requests(LONG[:1]), 1)
    assert hits() == start
    engine.generate(requests(LONG), 1)
    assert hits() - start >= 3 * 32
    holding(engine, NEW)
    once = hits()
    engine.generate(requests(LONG[:1]), 1)
    assert hits() == once, "the first request after a swap found a prefix of the old policy"


def test_a_request_longer_than_the_context_is_named(engine: VllmEngine) -> None:
    (long,) = requests([" ".join("a" * 240)], max_tokens=40)
    with pytest.raises(EngineError, match=r"request r0: .* more than the engine's context .* of 256"):
        engine.generate([long], 1)
    texts = [TokenSequence((5,) * 200, (6,) * 56), TokenSequence((5,) * 200, (6,) * 57)]
    assert_close(engine.logprobs(texts[:1]), plain(OLD).logprobs(texts[:1]))
    with pytest.raises(EngineError, match=r"text 1: .* shorten the prompt"):
        engine.logprobs(texts)
    with pytest.raises(EngineError, match=r"request r0: vLLM refuses .* temperature"):
        engine.generate(requests(temperature=2.5), 1)
    assert engine.generate(requests(), 1)[0][0].text == plain(OLD).generate(requests(), 1)[0][0].text


def test_another_checkpoint_than_recorded_is_refused(engine: VllmEngine) -> None:
    with pytest.raises(HandOffError, match=r"have digest .* expected"):
        engine.load(NEW, weights_digest(OLD))


def test_building_leaves_this_process_as_it_was() -> None:
    torch.manual_seed(5)
    expected, threads, environment = torch.rand(3), torch.get_num_threads(), dict(os.environ)
    torch.manual_seed(5)
    engine = holding(vllm(), OLD)
    try:
        engine.generate(requests(n=2, temperature=0.8), 1)
        assert torch.equal(torch.rand(3), expected)
        torch.set_num_threads(threads + 1)
        assert torch.get_num_threads() == threads + 1
        torch.set_num_threads(threads)
        changed = {name for name in set(environment) | set(os.environ) if environment.get(name) != os.environ.get(name)}
        assert not changed & {"OMP_NUM_THREADS", "VLLM_LOGGING_LEVEL", "HF_HUB_OFFLINE", "TORCHDYNAMO_DISABLE"}
    finally:
        engine.close()
    engine.close()
    with pytest.raises(EngineError, match="holds no policy"):
        engine.generate(requests(), 1)
