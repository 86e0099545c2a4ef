"""What is measured on: a model directory of a known shape on one device, and how much is asked of it."""

import gc
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from selfreward.commands.plan.roofline import DEVICES, FLOOR, Roofline
from selfreward.commands.plan.shapes import NAMED, ModelShape, read_shape
from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.engines.protocol import Request
from selfreward.recipe import ModelRecipe
from selfreward.records import Message, Pair

SHAPES = {**NAMED, "tiny": ModelShape("tiny", 2, 32, 4, 2, 8, 64, 512, True)}
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}


class UnableError(Exception):
    """This machine cannot do the part; the words say why."""


@dataclass(frozen=True)
class Figure:
    """One number. `floor` is the roofline's for the same work: no rate above it, no seconds below it, can be true."""

    what: str
    value: float
    unit: str
    floor: float | None = None


@dataclass(frozen=True)
class Size:
    """How much is asked: replies at once, tokens of a prompt and a reply, pairs of a step and steps."""

    replies: int = 512
    prompt: int = 512
    reply: int = 128
    pairs: int = 16
    micro: int = 4
    steps: int = 6


SMALL = Size(replies=4, prompt=24, reply=8, pairs=4, micro=2, steps=3)
"""Enough to see that a part works, on a CPU."""


@dataclass(frozen=True)
class Subject:
    """`real`: weights that somebody trained; others are random, in the shape of a known model."""

    directory: Path
    other: Path
    shape: ModelShape
    model: ModelRecipe
    scratch: Path
    size: Size
    real: bool

    @property
    def on_gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @property
    def device(self) -> str:
        chosen = self.model.device
        return chosen if chosen != "auto" else "cuda" if torch.cuda.is_available() else "cpu"

    def roofline(self) -> Roofline | None:
        """The floor of this device, where its peaks are known."""
        name = torch.cuda.get_device_name().lower() if self.on_gpu else ""
        known = [
            device for key, device in DEVICES.items() if key.partition("-")[0] in name.replace(" ", "-").split("-")
        ]
        return Roofline(self.shape, known[0], FLOOR, WIDTHS[self.model.dtype]) if known else None


def prepare(model: Path | None, shape: str, device: str, dtype: str, scratch: Path, size: Size) -> Subject:
    """The subject: `model`, or random weights in `shape`; and beside it a second policy of the same shape."""
    recipe = ModelRecipe(path=str(model or scratch), device=device, dtype=dtype)  # type: ignore[arg-type]
    first = model or random_directory(SHAPES[shape], scratch / "first", dtype, 0)
    seen = read_shape(first)
    other = random_directory(seen, scratch / "other", dtype, 1, like=first)
    return Subject(first, other, seen, recipe, scratch, size, model is not None)


def random_directory(shape: ModelShape, out: Path, dtype: str, seed: int, like: Path | None = None) -> Path:
    """A model of random weights with the chat files of `like`, else of a sandbox model."""
    if out.is_dir():
        return out
    torch.manual_seed(seed)
    chat = like or SANDBOX_SEEDS / "seed-0"
    config = AutoConfig.from_pretrained(like, local_files_only=True) if like else _config(shape)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        made: Any = AutoModelForCausalLM.from_config(config)
    made.to(getattr(torch, dtype)).save_pretrained(out)
    for file in chat.iterdir():
        if file.is_file() and file.suffix in (".json", ".jinja", ".model", ".txt") and file.name not in _NOT_CHAT:
            shutil.copyfile(file, out / file.name)
    return out


_NOT_CHAT = ("config.json", "seed.json", "handoff.json", "model.safetensors.index.json")


def _config(shape: ModelShape) -> LlamaConfig:
    chat = json.loads((SANDBOX_SEEDS / "seed-0" / "config.json").read_text(encoding="utf-8"))
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=4096,
        **{name: chat.get(name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
    )


def requests(size: Size, temperature: float = 1.0) -> list[Request]:
    """Questions of about `size.prompt` tokens that differ from their first word on: no beginning is shared."""
    words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]
    found = []
    for number in range(size.replies):
        turned = [words[(number // 16**place + place) % 16] for place in range(4)]
        text = " ".join(turned + [words[(number + place) % 16] for place in range(size.prompt - 12)])
        found.append(Request(str(number), (Message("user", text),), 1, temperature, 1.0, size.reply, number, False))
    return found


def random_pairs(subject: Subject, count: int, end: int) -> list[Pair]:
    """Pairs of random tokens without references, as long as `size` says, give or take a quarter."""
    source = torch.Generator().manual_seed(2)
    size = subject.size

    def tokens(mean: int) -> tuple[int, ...]:
        length = mean + int(torch.randint(-mean // 4, mean // 4 + 1, (1,), generator=source))
        return tuple(torch.randint(8, subject.shape.vocabulary, (length,), generator=source).tolist())

    made = []
    for number in range(count):
        prompt, chosen, rejected = tokens(size.prompt), (*tokens(size.reply), end), (*tokens(size.reply), end)
        made.append(
            Pair(f"pair-{number}", "answer", f"prompt-{number}", "c", "r", prompt, chosen, rejected, 1.0, 0.0, "random")
        )
    return made


def free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def memory_in_use() -> float:
    """Bytes in use on the whole GPU, other processes too; 0 without one."""
    if not torch.cuda.is_available():
        return 0.0
    free, total = torch.cuda.mem_get_info()
    return float(total - free)


@contextmanager
def timed(subject: Subject) -> Iterator[list[float]]:
    """One entry once the block has ended and the device is done with it: its seconds."""
    seconds: list[float] = []
    begun = time.perf_counter()
    yield seconds
    if subject.on_gpu:
        torch.cuda.synchronize()
    seconds.append(time.perf_counter() - begun)
