"""Model directories as they exist: each is used or refused before anything is sampled, with a sentence."""

import dataclasses
import json
import struct
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import FAMILIES, build_tokenizer, save_random_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from selfreward.commands.model_checks import linear_layers, require_targets, require_usable
from selfreward.commands.preflight import preflight
from selfreward.commands.question_checks import judges, question
from selfreward.commands.run import run
from selfreward.engines.chat import load_renderer
from selfreward.engines.checkpoints import GENERATION, chat_digest
from selfreward.engines.handoff import HANDOFF_FILE, verify
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.template_checks import require_whole
from selfreward.engines.tensors import require_headers, weights_digest
from selfreward.errors import DataError, EngineError, RecipeError, SelfRewardError
from selfreward.progress import Progress
from selfreward.recipe import HandOffRecipe, Recipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Judgment, Message, Prompt
from selfreward.store.results import Store
from selfreward.store.view import RunView
from selfreward.training.output import save_policy

SANDBOX = Path(__file__).parent.parent / "recipes" / "sandbox.yaml"
ROUND = """
rounds=1 generate.samples=4 generate.sampling.max_tokens=24 prompts.per_round=8 judge.reading=probability
judge.reading.min_mass=1e-9 judge.question.template=additive generate.template=helpful train.max_length=512
train.learning_rate=1e-3 train.warmup_steps=1 train.batch_size=8 train.micro_batch_size=4 train.epochs=1
measure.gate=4 measure.selection=4 measure.report=4 measure.samples=2 measure.sampling.max_tokens=16
measure.verifier=none measure.frozen=0 measure.judge_probes.padded=0 measure.judge_probes.claims=0
measure.judge_probes.feedback=0 measure.judge_probes.initial=0
""".split()  # noqa: SIM905
SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 128,
    "max_position_embeddings": 4096,
    "initializer_range": 0.15,
}
WITHOUT_GROUPS = {name: value for name, value in SMALL.items() if name != "num_key_value_heads"}
EXPERTS = {"head_dim": 32, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 4096, "initializer_range": 0.15}


def made(directory: Path, kind: str, shards: str = "5GB", **settings: Any) -> Path:
    """A random model of transformers' class `kind`, with the Qwen-like tokenizer of random_models."""
    tokenizer = build_tokenizer(FAMILIES["qwen25"])
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        **settings,
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        # So that most answers end: the trick of random_models.build_model.
        model.get_output_embeddings().weight[tokenizer.eos_token_id] *= 4.0
    model.save_pretrained(directory, max_shard_size=shards)
    tokenizer.save_pretrained(directory)
    return directory


def edit(file: Path, **keys: Any) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**content, **keys}))


def recipe_for(directory: Path, where: Path, *overrides: str) -> Recipe:
    """One small round on prompts of files, with `directory` as the start policy."""
    for name, things in (
        ("train", "river bridge lamp garden clock"),
        ("eval", "mountain kitchen poem coat horse island"),
    ):
        asked = ("What is a {}?", "Write two lines about my {}.", "Name four kinds of {}.")
        rows = [json.dumps({"prompt": words.format(thing)}) for words in asked for thing in things.split()]
        (where / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    sources = [f"prompts.source={where / 'train.jsonl'}", f"measure.source={where / 'eval.jsonl'}"]
    return load_recipe(SANDBOX, [f"model.path={directory}", *sources, *ROUND, *overrides])


def tried(directory: Path, where: Path, *overrides: str) -> list[str]:
    """What preflight says of a directory, its trial run included."""
    said: list[str] = []
    preflight(recipe_for(directory, where, *overrides), said.append, where / "results")
    assert not list(where.glob("**/.trial-*")), "the trial leaves nothing behind"
    return said


# What each of these does to a good directory, and what is said of it.
def _head_twice(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})


def _strays(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(16)
    tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"] = torch.ones(4, 64)
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})


def _contradiction(directory: Path) -> None:
    edit(directory / GENERATION, do_sample=False, temperature=0.9, top_p=0.6)


def _pad_beyond(directory: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.save_pretrained(directory)


ODD: dict[str, Callable[[Path], None]] = {
    "head stored twice": _head_twice,
    "stray tensors": _strays,
    "generation_config contradicts itself": _contradiction,
    "pad beyond the embedding": _pad_beyond,
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_an_odd_directory_goes_once_around(change: Callable[[Path], None], tmp_path: Path) -> None:
    directory = save_random_model("qwen25", tmp_path / "model")
    change(directory)
    said = tried(directory, tmp_path)
    noted = [line for line in said if "no part of the model" in line]
    assert bool(noted) == (change is _strays)
    assert not noted or ("2 tensors" in noted[0] and "inv_freq" in noted[0])


def _parts(directory: Path) -> None:
    template = (directory / "chat_template.jinja").read_text()
    assert "message['content']" in template
    (directory / "chat_template.jinja").write_text(
        template.replace("+ message['content'] +", "+ message.content.text +")
    )


def _printed(expression: str) -> Callable[[Path], None]:
    """The template prints the content by this."""

    def change(directory: Path) -> None:
        file = directory / "chat_template.jinja"
        file.write_text(file.read_text().replace("message['content']", f"({expression})"))

    return change


def _list_for_settings(directory: Path) -> None:
    (directory / "config.json").write_text("[]")


def _quantised(directory: Path) -> None:
    edit(directory / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})


def _own_code(directory: Path) -> None:
    edit(directory / "config.json", model_type="toyllm", auto_map={"AutoConfig": "configuration_toy.ToyConfig"})


def _vocabulary_beyond(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:300].clone()
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    edit(directory / "config.json", vocab_size=300, pad_token_id=None)


def _without_prompt(directory: Path) -> None:
    text = (directory / "chat_template.jinja").read_text()
    (directory / "chat_template.jinja").write_text(text.replace("{% if add_generation_prompt %}", "{% if false %}"))


def _head_of_another(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})


CHANGED = r"changes the text of the (user|system) turn"
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "content in lower case": (_printed("message['content'] | lower"), CHANGED),
    "content cut": (_printed("message['content'][:200]"), CHANGED),
    "content escaped": (_printed("message['content'] | e"), CHANGED),
    "content in one line": (_printed("message['content'].split() | join(' ')"), CHANGED),
    "settings that are a list": (_list_for_settings, "found list; expected an object"),
    "content in parts": (_parts, r"(leaves out|cannot render)"),
    "quantised": (_quantised, r"quantised \(gptq"),
    "code of its own": (_own_code, r"model\.trust_remote_code=true"),
    "vocabulary beyond the embedding": (_vocabulary_beyond, r"300 embeddings"),
    "no generation prompt": (_without_prompt, r"no generation prompt"),
    "a tensor is missing": (_head_of_another, r"up_proj"),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_a_directory_that_cannot_be_used_is_refused_with_the_cause(
    change: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    directory = save_random_model("qwen25", tmp_path / "model")
    change(directory)
    with pytest.raises(DataError, match=words):
        tried(directory, tmp_path)
    assert not list((tmp_path / "results").glob("*/round-*")), "nothing was sampled"


def test_a_system_turn_that_the_template_drops_is_missed_where_there_is_one(tmp_path: Path) -> None:
    directory = save_random_model("llama3", tmp_path / "model")
    text = (directory / "chat_template.jinja").read_text()
    file = directory / "chat_template.jinja"
    file.write_text(
        text.replace("{% for message in messages %}", "{% for message in messages if message.role != 'system' %}")
    )
    renderer = load_renderer(directory)
    require_whole(renderer, [["user"], ["user", "assistant", "user"]])
    with pytest.raises(DataError, match="leaves out the text of the system turn"):
        require_whole(renderer, [["user"], ["system", "user"]])


HEADERS: dict[str, dict[str, Any]] = {
    "negative offset": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
    "huge shape": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 8]},
    "unknown dtype": {"dtype": "F7", "shape": [2], "data_offsets": [0, 8]},
    "negative shape": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]},
    "beyond the file": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
    "not a number": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
}


@pytest.mark.parametrize("entry", HEADERS.values(), ids=HEADERS)
def test_an_impossible_header_is_a_sentence(entry: dict[str, Any], tmp_path: Path) -> None:
    header = json.dumps({"w": entry}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(DataError, match=r"not a whole safetensors file.*'w'"):
        require_headers(tmp_path)
    with pytest.raises(DataError, match="'w'"):
        weights_digest(tmp_path)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("gpt_neox", WITHOUT_GROUPS),
        ("qwen3_moe", {**SMALL, **EXPERTS}),
        ("mixtral", {**SMALL, "num_local_experts": 4}),
    ],
)
def test_renamed_and_fused_tensors_are_the_files_own(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """Proved by name: the loader's own way back. One changed bit in one expert is still found."""
    directory = made(tmp_path / "model", kind, **settings)
    recipe = recipe_for(directory, tmp_path)
    engine = HuggingFaceEngine(recipe.model, recipe.engine)
    engine.load(directory, weights_digest(directory))
    assert verify(engine, directory, HandOffRecipe()).kind == "checksums"
    saved = save_policy(engine.module, directory, tmp_path / "saved", ())
    assert saved == weights_digest(directory), "what is saved has the file's names and bytes"
    tensors = load_file(directory / "model.safetensors")
    last = sorted(tensors)[-1]
    tensors[last].view(torch.uint8).view(-1)[0] ^= 1
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    with pytest.raises(SelfRewardError, match="does not hold the weights"):
        verify(engine, directory, HandOffRecipe())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("lfm2", {**SMALL, "layer_types": ["conv", "full_attention"]}),
        ("mamba", {"hidden_size": 64, "num_hidden_layers": 2, "state_size": 8}),
    ],
)
def test_a_running_state_is_refused(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    directory = made(tmp_path / "model", kind, **settings)
    with pytest.raises(DataError, match="keeps a running state"):
        require_usable(directory, recipe_for(directory, tmp_path))


def test_adapter_targets_are_looked_up_before_a_run(tmp_path: Path) -> None:
    phi, gpt = made(tmp_path / "phi3", "phi3", **SMALL), made(tmp_path / "gpt2", "gpt2", **GPT2)
    assert {name.rpartition(".")[2] for name in linear_layers(gpt, recipe_for(gpt, tmp_path).model)} == {
        "c_attn",
        "c_proj",
        "c_fc",
    }
    for directory, missing in ((phi, "5 of 7"), (gpt, "7 of 7")):
        with pytest.raises(RecipeError, match=f"target_modules.*{missing}"):
            require_targets(directory, recipe_for(directory, tmp_path, "train.lora.rank=2"))
        for names in ("all-linear", "c_attn,c_fc" if directory is gpt else "qkv_proj,mlp.down_proj"):
            require_targets(directory, recipe_for(directory, tmp_path, f"train.lora.target_modules=[{names}]"))


def test_mended_sampling_advice_is_no_other_policy_and_another_end_is(tmp_path: Path) -> None:
    directory = save_random_model("qwen25", tmp_path / "model")
    before = chat_digest(directory)
    _contradiction(directory)
    assert chat_digest(directory) == before
    edit(directory / GENERATION, eos_token_id=[1])
    assert chat_digest(directory) != before


def test_a_template_that_writes_the_date_is_told_the_runs(tmp_path: Path) -> None:
    directory = save_random_model("llama3", tmp_path / "model")
    plain = chat_digest(directory, date(2026, 1, 2))
    assert plain == chat_digest(directory), "a template without a date does not depend on the day"
    text = (directory / "chat_template.jinja").read_text()
    (directory / "chat_template.jinja").write_text("{{ strftime_now('%d %b %Y') }}\n" + text)
    asked = [Message("user", "Hello")]
    first, second = (load_renderer(directory, day=date(2026, 1, day)) for day in (2, 3))
    shown = first.tokenizer.decode(first.prompt_token_ids([asked])[0])
    assert shown.startswith("02 Jan 2026\n")
    assert first.prompt_token_ids([asked]) != second.prompt_token_ids([asked])
    assert chat_digest(directory, date(2026, 1, 2)) != chat_digest(directory, date(2026, 1, 3))


def test_a_run_keeps_its_day(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, tmp_path)
    store = Store(tmp_path / "results")
    with store.open_run("r", recipe, environment={}) as begun:
        day = begun.day
    edit(tmp_path / "results" / "r" / "run.json", day="2024-02-29")
    with store.open_run("r", recipe, environment={"another": "machine"}) as continued:
        assert continued.day.isoformat() == "2024-02-29" != day.isoformat()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.reference={empty}", "no config.json"),
        ("judge.model={empty}", "no config.json"),
        ("judge.aggregate=ensemble && judge.aggregate.members=['@{empty}',additive]", "no config.json"),
        ("model.device=meta", "meta"),
        ("engine.max_length=8", "at most"),
        ("prompts.writer.oversample=1e300", "oversample"),
        ("generate.sampling.temperature=1e-320", "temperature"),
        ("gates.rules=[{{metric: judge_meen, above: 1}}]", "did you mean judge_mean"),
    ],
)
def test_what_can_be_known_is_said_before_anything_is_sampled(override: str, words: str, tmp_path: Path) -> None:
    directory = save_random_model("qwen25", tmp_path / "model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SelfRewardError, match=words):
        tried(directory, tmp_path, *override.format(empty=tmp_path / "empty").split(" && "))
    assert not (tmp_path / "results").exists()


def finished(directory: Path, where: Path, *overrides: str) -> RunView:
    store = Store(where / "results")
    run(recipe_for(directory, where, *overrides), store, "wild", Progress())
    return store.existing("wild")


@pytest.mark.slow
def test_a_judges_question_that_is_too_long_is_unreadable_and_the_run_goes_on(tmp_path: Path) -> None:
    directory = save_random_model("qwen25", tmp_path / "model")
    said: list[str] = []
    keys = ("generate.sampling.max_tokens=160", "gates.min_readable=0")
    recipe = recipe_for(directory, tmp_path, *keys)
    preflight(recipe, said.append)
    assert not said
    renderer = load_renderer(directory)
    (judge,) = judges(recipe)
    source = [json.loads(line)["prompt"] for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    asked = [Prompt("p", (Message("user", text),), "train", "file") for text in source]
    longest = max(len(tokens) for tokens in renderer.prompt_token_ids([question(judge, one, "") for one in asked]))
    tight = dataclasses.replace(recipe.engine, max_length=longest + 60)
    tight_recipe = dataclasses.replace(recipe, engine=tight)
    preflight(tight_recipe, said.append)
    assert len(said) == 1 and "question too long" in said[0]
    store = Store(tmp_path / "results")
    run(tight_recipe, store, "wild", Progress())
    judgments = store.existing("wild").read(1, "judgments", Judgment)
    reasons = [row.unreadable for row in judgments]
    assert "question too long" in reasons and any(row.score is not None for row in judgments)


# A random judge holds answers for equal, to two digits; likelihoods never are.
NO_TIES = [
    *("generate.sampling.max_tokens=160", "train.max_length=2000"),
    *("pairs.score=implicit_reward", "judge.source=none"),
]
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("gemma3_text", {**SMALL, "head_dim": 32, "sliding_window": 32}),
    "phi3": ("phi3", SMALL),
    "mistral": ("mistral", SMALL),
    "gpt2": ("gpt2", GPT2),
    "sharded qwen2": ("qwen2", {**SMALL, "tie_word_embeddings": True, "shards": "100KB"}),
    "qwen3_moe": ("qwen3_moe", {**SMALL, **EXPERTS}),
    "gpt_neox": ("gpt_neox", WITHOUT_GROUPS),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_one_round_on_a_class_of_transformers(name: str, tmp_path: Path) -> None:
    kind, settings = CLASSES[name]
    directory = made(tmp_path / "model", kind, **settings)
    view = finished(directory, tmp_path, *NO_TIES)
    _went_around(view, directory)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama3", "qwen25", "qwen3", "qwen3 without thinking"])
def test_one_round_on_a_family(family: str, tmp_path: Path) -> None:
    directory = save_random_model(family.partition(" ")[0], tmp_path / "model")
    keys = ["model.template_arguments.enable_thinking=false"] if "without" in family else []
    _went_around(finished(directory, tmp_path, *keys), directory)


def _went_around(view: RunView, directory: Path) -> None:
    """Trained, verified by the hand-off, and loadable with everything that the start had."""
    out = view.read_directory(1, "checkpoint")
    assert json.loads((out / HANDOFF_FILE).read_text())["old_digest"] == weights_digest(directory)
    assert weights_digest(out) != weights_digest(directory)
    handed = [event["report"]["kind"] for event in view.events() if event["event"] == "handoff" and event["round"] == 1]
    assert handed and set(handed) <= {"probes", "checksums"}
    AutoModelForCausalLM.from_pretrained(out)
    AutoTokenizer.from_pretrained(out)
    assert view.seal(1, "measurements") is not None


@pytest.mark.slow
@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_one_round_on_an_odd_directory(change: Callable[[Path], None], tmp_path: Path) -> None:
    directory = save_random_model("qwen25", tmp_path / "model")
    change(directory)
    _went_around(finished(directory, tmp_path), directory)


@pytest.mark.slow
def test_one_round_in_half_precision_on_fused_experts_keeps_the_copy(tmp_path: Path) -> None:
    directory = made(tmp_path / "model", "qwen3_moe", **SMALL, **EXPERTS)
    view = finished(
        directory,
        tmp_path,
        "model.dtype=bfloat16",
        *NO_TIES,
        "rounds=2",
        "prompts.per_round=7",
    )
    assert (view.read_directory(2, "checkpoint") / "full_precision").is_dir()


def test_code_of_its_own_travels_with_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    directory = save_random_model("llama3", tmp_path / "model")
    (directory / "tokenization_toy.py").write_text("MARK = 1\n")
    recipe = recipe_for(directory, tmp_path)
    engine = HuggingFaceEngine(recipe.model, recipe.engine)
    engine.load(directory, weights_digest(directory))
    save_policy(engine.module, directory, tmp_path / "out", ())
    assert (tmp_path / "out" / "tokenization_toy.py").read_text() == "MARK = 1\n"


def test_an_engine_refuses_a_device_without_numbers() -> None:
    from selfreward.engines.hugging_face.weights import choose_device

    with pytest.raises(EngineError, match="meta"):
        choose_device("meta")
