"""The engines keep the protocol: same call same tokens, exact log-probabilities, whole weights, clear refusals."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from selfreward.engines import build_engine
from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.engines.checkpoints import save_model_directory, validate_model_directory
from selfreward.engines.hugging_face.batches import batches, halves
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.protocol import Engine, Request, TokenSequence
from selfreward.engines.tensors import combined_digest, module_checksums, tensor_checksums, weights_digest
from selfreward.engines.thinking import split_reasoning
from selfreward.errors import DataError, EngineError, HandOffError, StoreError
from selfreward.recipe import ModelRecipe, ScriptedRecipe, TransformersRecipe
from selfreward.records import Message
from selfreward.tasks.sandbox.seeds.model import build_model, build_tokenizer, save_model

TASKS = ["order f h j", "add 3 and 4", "reverse a b c d e ; with commas", "count a in a b a", "copy p o n"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained sandbox model whose end-of-turn token is likely enough that some replies stop and some do not."""
    path = tmp_path_factory.mktemp("model")
    model = build_model(0)
    with torch.no_grad():
        model.model.embed_tokens.weight[3] *= 3.0
    save_model(model, path)
    return path


@pytest.fixture(scope="module")
def engine(directory: Path) -> Engine:
    engine = build_engine(ModelRecipe(), TransformersRecipe())
    engine.load(directory, weights_digest(directory))
    return engine


def request(text: str, number: int = 0, **changes: object) -> Request:
    values = {"n": 3, "temperature": 0.9, "top_p": 1.0, "max_tokens": 12} | changes
    return Request(f"r{number}", (Message("user", text),), seed=number, **values)  # type: ignore[arg-type]


def requests(**changes: object) -> list[Request]:
    return [request(text, number, **changes) for number, text in enumerate(TASKS)]


def test_the_same_call_gives_the_same_replies_and_another_seed_does_not(engine: Engine) -> None:
    first = engine.generate(requests(), 1)
    assert first == engine.generate(requests(), 1)
    assert first != engine.generate(requests(), 2)
    assert [len(replies) for replies in first] == [3] * 5


def test_sampling_leaves_the_global_generator_alone(engine: Engine) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    engine.generate(requests(), 1)
    assert torch.equal(torch.rand(3), expected)


def test_replies_end_with_the_end_of_turn_exactly_when_they_stop(engine: Engine) -> None:
    replies = [reply for group in engine.generate(requests(n=20), 3) for reply in group]
    assert {reply.finish_reason for reply in replies} == {"stop", "length"}
    for reply in replies:
        assert (reply.token_ids[-1] == 3) == (reply.finish_reason == "stop")
        assert 3 not in reply.token_ids[:-1] and "<|end|>" not in reply.text
        assert reply.finish_reason == "stop" or len(reply.token_ids) == 12


def test_the_summed_logprob_is_that_of_teacher_forcing(engine: Engine) -> None:
    asked = [*requests(n=4), *requests(n=4, top_p=0.6, temperature=1.7)]
    pairs = [
        (reply, TokenSequence(engine.prompt_token_ids(one.messages), reply.token_ids))
        for one, group in zip(asked, engine.generate(asked, 3), strict=True)
        for reply in group
    ]
    for (reply, text), values in zip(pairs, engine.logprobs([text for _, text in pairs]), strict=True):
        assert len(values) == len(text.completion_token_ids)
        assert reply.logprob == pytest.approx(sum(values), abs=1e-4)


def test_logprobs_equal_a_plain_forward_pass_whatever_the_batch(engine: Engine, directory: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    texts = [
        TokenSequence(tuple(range(4, 4 + n)), tuple(range(20, 20 + m))) for n, m in ((3, 5), (9, 1), (2, 0), (6, 8))
    ]
    together = engine.logprobs(texts)
    for text, values in zip(texts, together, strict=True):
        ids = torch.tensor([[*text.prompt_token_ids, *text.completion_token_ids]])
        with torch.no_grad():
            table = torch.log_softmax(model(ids).logits[0].float(), -1)
        start = len(text.prompt_token_ids)
        expected = [float(table[start - 1 + i, token]) for i, token in enumerate(text.completion_token_ids)]
        assert values == pytest.approx(expected, abs=1e-5)
    assert engine.logprobs(texts[3:])[0] == pytest.approx(together[3], abs=1e-5)


def test_greedy_replies_are_those_of_generate(engine: Engine, directory: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    for one, (reply,) in zip(requests(), engine.generate(requests(n=1, temperature=0.0), 9), strict=True):
        ids = torch.tensor([engine.prompt_token_ids(one.messages)])
        made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)
        assert reply.token_ids == tuple(made[0, ids.shape[1] :].tolist())


def test_samples_follow_the_model_at_temperature_and_top_p(engine: Engine, directory: Path) -> None:
    """First tokens of 20,000 replies against softmax(logits / T) and its nucleus: total variation, expected .03."""
    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    ids = torch.tensor([engine.prompt_token_ids(request("order f h j").messages)])
    with torch.no_grad():
        probabilities = torch.softmax(model(ids).logits[0, -1].float() / 0.7, -1)
    ranked, order = probabilities.sort(descending=True)
    size = int((ranked.cumsum(-1) < 0.5).sum()) + 1
    nucleus = torch.zeros_like(probabilities).index_put((order[:size],), ranked[:size] / ranked[:size].sum())
    for top_p, expected in ((1.0, probabilities), (0.5, nucleus)):
        (drawn,) = engine.generate([request("order f h j", n=20_000, temperature=0.7, top_p=top_p, max_tokens=1)], 4)
        counts = torch.bincount(torch.tensor([reply.token_ids[0] for reply in drawn]), minlength=len(probabilities))
        assert float((counts / 20_000 - expected).abs().sum()) / 2 < 0.05
        assert top_p == 1 or not (counts > 0)[expected == 0].any()


def test_the_models_own_generation_config_adds_nothing(directory: Path, tmp_path: Path) -> None:
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "generation_config.json").read_text())
    strange = {
        "top_k": 1,
        "repetition_penalty": 50.0,
        "do_sample": True,
        "temperature": 0.01,
        "eos_token_id": [3, 40, 41],
    }
    (tmp_path / "generation_config.json").write_text(json.dumps(config | strange))
    plain, changed = (build_engine(ModelRecipe(), TransformersRecipe()) for _ in range(2))
    plain.load(directory, weights_digest(directory))
    changed.load(tmp_path, weights_digest(directory))
    ours = [reply.token_ids for group in plain.generate(requests(n=40), 1) for reply in group]
    theirs = [reply for group in changed.generate(requests(n=40), 1) for reply in group]
    assert len({reply.token_ids for reply in theirs}) > 100
    assert {reply.token_ids[-1] for reply in theirs if reply.finish_reason == "stop"} == {3, 40, 41}
    assert any(40 in ids[:-1] for ids in ours)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9)), min_size=1, max_size=30), st.integers(40, 400))
def test_batches_fit_and_hold_every_reply_once(sizes: list[tuple[int, int]], bound: int) -> None:
    prompts = [(0,) * length for length, _ in sizes]
    cut = batches(prompts, {i: n for i, (_, n) in enumerate(sizes)}, 10, bound)
    for batch in cut:
        rows, widest = sum(n for _, n in batch), max(len(prompts[i]) for i, _ in batch) + 10
        assert rows == 1 or rows * widest <= bound
    assert all(sum(n for batch in cut for i, n in batch if i == k) == count for k, (_, count) in enumerate(sizes))


def test_a_batch_that_does_not_fit_in_memory_is_halved(
    engine: HuggingFaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model refuses more than `room` rows, as a full device would: replies come all the same, down to one row."""
    room = 4
    plain = engine._model.forward

    def forward(input_ids: torch.Tensor, logits_to_keep: int = 0, **rest: object) -> object:
        if len(input_ids) > room:
            raise torch.OutOfMemoryError("full")
        return plain(input_ids=input_ids, logits_to_keep=logits_to_keep, **rest)

    texts = [TokenSequence(engine.prompt_token_ids(one.messages), (5, 6, 3)) for one in requests()]
    expected = engine.logprobs(texts)
    monkeypatch.setattr(engine._model, "forward", forward)
    replies = engine.generate(requests(n=7), 1)
    assert [len(group) for group in replies] == [7] * 5 and replies == engine.generate(requests(n=7), 1)
    assert [value for row in engine.logprobs(texts) for value in row] == pytest.approx(
        [value for row in expected for value in row], abs=1e-5
    )
    room = 0
    with pytest.raises(EngineError, match="out of memory on one single row"):
        engine.generate(requests(), 1)
    with pytest.raises(EngineError, match="out of memory on one single row"):
        engine.logprobs(texts)


def test_halves_keep_everything() -> None:
    assert halves([(0, 2), (1, 3), (2, 1)]) == [[(0, 2)], [(1, 3), (2, 1)]]
    assert halves([(4, 5)]) == [[(4, 2)], [(4, 3)]]


def test_weights_are_exchanged_in_place_and_equal_a_fresh_engine(engine: HuggingFaceEngine, tmp_path: Path) -> None:
    held, module, before = engine.policy, engine._model, engine.generate(requests(), 1)
    save_model(build_model(1), tmp_path)
    other = weights_digest(tmp_path)
    engine.load(tmp_path, other)
    fresh = build_engine(ModelRecipe(), TransformersRecipe())
    fresh.load(tmp_path, other)
    assert engine._model is module and engine.policy == other != held
    assert engine.generate(requests(), 1) == fresh.generate(requests(), 1) != before
    assert combined_digest(engine.checksums()) == other


def test_another_architecture_is_built_anew(directory: Path, tmp_path: Path) -> None:
    engine = build_engine(ModelRecipe(), TransformersRecipe())
    engine.load(directory, weights_digest(directory))
    wide = AutoModelForCausalLM.from_config(
        AutoModelForCausalLM.from_pretrained(directory).config.__class__.from_pretrained(directory, num_hidden_layers=2)
    )
    digest = save_model_directory(wide, build_tokenizer(), tmp_path / "wide")
    engine.load(tmp_path / "wide", digest)
    assert combined_digest(engine.checksums()) == digest
    with pytest.raises(StoreError, match="never overwritten"):
        save_model_directory(wide, build_tokenizer(), tmp_path / "wide")


def test_untied_heads_are_exchanged_too(tmp_path: Path) -> None:
    engine = build_engine(ModelRecipe(), TransformersRecipe())
    for seed in (0, 1):
        config = build_model(seed).config
        config.tie_word_embeddings = False
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
        digest = save_model_directory(model, build_tokenizer(), tmp_path / str(seed))
        engine.load(tmp_path / str(seed), digest)
        assert "lm_head.weight" in engine.checksums() and combined_digest(engine.checksums()) == digest


def test_the_digest_is_of_content_and_not_of_layout(directory: Path, tmp_path: Path) -> None:
    digest = weights_digest(directory)
    tensors = load_file(directory / "model.safetensors")
    names = sorted(tensors)
    save_file({name: tensors[name] for name in names[:9]}, tmp_path / "b.safetensors", {"made": "later"})
    save_file({name: tensors[name] for name in names[9:]}, tmp_path / "a.safetensors")
    assert weights_digest(tmp_path) == digest == combined_digest(module_checksums(tensors))
    tensors[names[0]].view(torch.uint8).view(-1)[0] ^= 1
    save_file({name: tensors[name] for name in names[:9]}, tmp_path / "b.safetensors")
    assert weights_digest(tmp_path) != digest
    changed = {name for name, value in tensor_checksums(tmp_path).items() if value != tensor_checksums(directory)[name]}
    assert changed == {names[0]}


def test_checksums_of_half_precision_equal_those_of_the_file(tmp_path: Path) -> None:
    model = build_model(0).to(torch.bfloat16)
    digest = save_model_directory(model, build_tokenizer(), tmp_path / "half")
    engine = build_engine(ModelRecipe(dtype="bfloat16"), TransformersRecipe())
    engine.load(tmp_path / "half", digest)
    assert combined_digest(engine.checksums()) == digest


def test_a_swapped_checkpoint_is_refused(directory: Path, tmp_path: Path) -> None:
    save_model(build_model(2), tmp_path)
    engine = build_engine(ModelRecipe(), TransformersRecipe())
    with pytest.raises(HandOffError, match=r"have digest .* expected"):
        engine.load(tmp_path, weights_digest(directory))
    assert engine.policy is None
    with pytest.raises(EngineError, match="holds no policy"):
        engine.generate(requests(), 1)
    engine.close()
    engine.close()


def test_broken_model_directories_say_what_to_do(directory: Path, tmp_path: Path) -> None:
    def copy_without(*names: str) -> Path:
        target = tmp_path / "-".join(names)
        target.mkdir()
        for file in directory.iterdir():
            if file.name not in names:
                (target / file.name).write_bytes(file.read_bytes())
        return target

    missing = {
        tmp_path / "nowhere": "found nothing",
        copy_without("config.json"): "no config.json",
        copy_without("model.safetensors"): r"no \*.safetensors weights",
        copy_without("tokenizer.json"): "no tokenizer",
    }
    for path, message in missing.items():
        with pytest.raises(DataError, match=message):
            validate_model_directory(path)
    torn = copy_without("model.safetensors", "x")
    (torn / "model.safetensors").write_bytes((directory / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        weights_digest(torn)
    (torn / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="not a whole safetensors file"):
        weights_digest(torn)
    (torn / "config.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        validate_model_directory(torn)
    mute = copy_without("chat_template.jinja")
    with pytest.raises(DataError, match="no chat template"):
        build_engine(ModelRecipe(), TransformersRecipe()).load(mute, weights_digest(mute))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"num_hidden_layers": 5}, r"wants the tensor 'model.layers.4.* \(and 8 more\)"),
        ("config.json", {"hidden_size": 32}, "cannot be loaded"),
        ("config.json", {"model_type": "no-such-model"}, "cannot be loaded"),
        ("tokenizer.json", None, "tokenizer cannot be loaded"),
        ("tokenizer_config.json", None, "tokenizer cannot be loaded"),
        ("generation_config.json", None, "cannot be read as a JSON object"),
    ],
)
def test_files_that_do_not_fit_together_are_never_loaded(
    file: str, change: dict[str, object] | None, message: str, directory: Path, tmp_path: Path
) -> None:
    """`None` cuts the file. A config with one layer too many would otherwise run on random numbers."""
    for source in directory.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    text = (tmp_path / file).read_text()
    (tmp_path / file).write_text("{" if change is None else json.dumps(json.loads(text) | change))
    engine = build_engine(ModelRecipe(), TransformersRecipe())
    with pytest.raises(DataError, match=message):
        engine.load(tmp_path, weights_digest(tmp_path))
    assert engine.policy is None


def test_too_long_requests_are_named(engine: Engine, directory: Path) -> None:
    with pytest.raises(EngineError, match=r"request r7: \d+ prompt tokens and 12 .* max_position_embeddings of 256"):
        engine.generate([request("a " * 250, 7)], 1)
    with pytest.raises(EngineError, match="text 0: 200 prompt tokens and 57 completion tokens are 257"):
        engine.logprobs([TokenSequence((5,) * 200, (5,) * 57)])
    short = build_engine(ModelRecipe(), TransformersRecipe(max_length=20))
    short.load(directory, weights_digest(directory))
    with pytest.raises(EngineError, match=r"more than engine.max_length of 20"):
        short.generate([request("a " * 10)], 1)


def test_broken_weights_do_not_become_text(tmp_path: Path) -> None:
    model = build_model(0)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    save_model(model, tmp_path)
    engine = build_engine(ModelRecipe(), TransformersRecipe())
    engine.load(tmp_path, weights_digest(tmp_path))
    with pytest.raises(EngineError, match="NaN"):
        engine.generate(requests(), 1)


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("4", "4", ""),
        ("<think>2 + 2</think>\n4", "4", "2 + 2"),
        ("<think></think>4", "4", ""),
        ("<think>a</think>x<think>b</think>y", "xy", "ab"),
        ("<think>never ends, Score: 5", "", "never ends, Score: 5"),
        ("x<think>never ends", "", "never ends"),
        ("2 + 2</think>4", "4", "2 + 2"),
        ("", "", ""),
    ],
)
def test_reasoning_is_cut(text: str, answer: str, reasoning: str) -> None:
    assert split_reasoning(text) == (answer, reasoning)


def test_a_prompt_that_opens_the_thinking_makes_the_reply_start_inside_it() -> None:
    assert split_reasoning("2 + 2</think>4", opened=True) == ("4", "2 + 2")
    assert split_reasoning("2 + 2", opened=True) == ("", "2 + 2")


def test_the_prompt_starts_with_one_beginning_of_sequence_and_waits_for_the_assistant(directory: Path) -> None:
    renderer = load_renderer(directory)
    tokenizer = renderer.tokenizer
    (ids,) = renderer.prompt_token_ids([(Message("system", "you are helpful"), Message("user", "order f h"))])
    assert ids.count(tokenizer.bos_token_id) == 1 and ids[0] == tokenizer.bos_token_id
    assert tokenizer.convert_ids_to_tokens(ids[-1]) == "<|assistant|>"
    assert renderer.end_ids == {3}


def test_the_end_of_turn_is_learnt_from_the_template() -> None:
    """A base model's tokenizer says another end of sequence than the one its chat template writes."""
    tokenizer = build_tokenizer()
    tokenizer.eos_token = "<pad>"
    assert ChatRenderer(tokenizer, "here").end_ids == {0, 3}
    assert ChatRenderer(tokenizer, "here", end_ids=[9]).end_ids == {0, 3, 9}


def test_a_template_that_refuses_a_role_is_named() -> None:
    tokenizer = build_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('System role not supported') if messages[0].role == 'system' }}"
    with pytest.raises(DataError, match=r"cannot render turns of roles system, user \(System role not supported\)"):
        ChatRenderer(tokenizer, "here").prompt_token_ids([(Message("system", "x"), Message("user", "y"))])
    tokenizer.chat_template = "{% if %}"
    with pytest.raises(DataError, match=r"cannot render turns of roles user"):
        ChatRenderer(tokenizer, "here")


SCRIPT = """
rules:
  - match: '^judge : '
    replies: ['fine Score: 4', 'poor Score: 1', {text: 'well', truncated: true}]
  - system: helpful
    replies: [{text: 'yes', reasoning: 'hm'}]
  - replies: ['one two three four']
"""


@pytest.fixture
def scripted(tmp_path: Path, directory: Path) -> Engine:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    engine = build_engine(ModelRecipe(), ScriptedRecipe(script=str(tmp_path / "script.yaml")))
    engine.load(directory, weights_digest(directory))
    return engine


def test_a_script_answers_by_rule_and_seed(scripted: Engine) -> None:
    asked = [request("judge : x", number, n=5) for number in range(20)]
    replies = scripted.generate(asked, 0)
    assert replies == scripted.generate(asked, 1) != scripted.generate(asked[::-1], 0)
    assert {reply.text for group in replies for reply in group} == {"fine Score: 4", "poor Score: 1", "well"}
    for reply in (reply for group in replies for reply in group):
        assert (reply.finish_reason == "length") == (reply.text == "well") == (reply.token_ids[-1] != 0)
    assert {reply.text for reply in scripted.generate([request("judge :  x", n=9, temperature=0.0)], 0)[0]} == {
        "fine Score: 4"
    }
    helpful = Request("s", (Message("system", "be helpful"), Message("user", "hi")), 1, 0.9, 1.0, 8, 1)
    assert scripted.generate([helpful], 0)[0][0].reasoning == "hm"
    (cut,) = scripted.generate([request("other", n=1, max_tokens=3)], 0)[0]
    assert (cut.text, cut.finish_reason, len(cut.token_ids)) == ("one two three", "length", 3)


def test_scripted_logprobs_are_repeatable_and_know_their_policy(scripted: Engine, tmp_path: Path) -> None:
    (reply,) = scripted.generate([request("other", n=1)], 0)[0]
    text = TokenSequence(scripted.prompt_token_ids(request("other").messages), reply.token_ids)
    (before,) = scripted.logprobs([text])
    assert sum(before) == pytest.approx(reply.logprob) and all(-4 < value < 0 for value in before)
    save_model(build_model(5), tmp_path / "other")
    scripted.load(tmp_path / "other", weights_digest(tmp_path / "other"))
    assert scripted.logprobs([text])[0] != before


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("rules: []", "list `rules` that is not empty"),
        ("rules: [{match: a}]", "rule 1: expected a mapping with a list `replies`"),
        ("rules: [{replies: [a]}, {mach: a, replies: [b]}]", "rule 2: unknown key 'mach'"),
        ("rules: [{match: '(', replies: [b]}]", "not a regular expression"),
        ("rules: [{replies: [{txt: b}]}]", "expected text, reasoning, truncated"),
        ("rules: [", "neither YAML nor JSON"),
    ],
)
def test_a_wrong_script_is_explained(script: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(script)
    with pytest.raises(DataError, match=message):
        build_engine(ModelRecipe(), ScriptedRecipe(script=str(tmp_path / "s.yaml")))


def test_a_request_without_a_rule_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("rules: [{match: never, replies: [b]}]")
    engine = build_engine(ModelRecipe(), ScriptedRecipe(script=str(tmp_path / "s.yaml")))
    with pytest.raises(EngineError, match="request r3: no rule of script"):
        engine.generate([request("hi", 3)], 0)


def test_the_scripted_engine_and_digests_import_no_torch() -> None:
    code = (
        "import sys, selfreward.engines.checkpoints, selfreward.engines.scripted, "
        "selfreward.judging.prompts.pointwise, selfreward.judging.prompts.meta, "
        "selfreward.roles.prompt_writer, selfreward.roles.generator;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
