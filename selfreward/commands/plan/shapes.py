"""How large a dense decoder is: read from a config.json, or from a short table of well-known models.

Assumption: Llama's block, which Qwen2, Qwen3, Mistral and others share: grouped-query attention, a gated MLP of three
matrices, two norms. Biases and norms of single heads, under .01 % of the weights, are not counted. A mixture of experts
is refused: its cost is not that of its size.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import DataError


@dataclass(frozen=True, slots=True)
class ModelShape:
    """`tied`: the embedding is also the output head, which then is the only one of the two that costs FLOPs."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool

    @property
    def embedding(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def block(self) -> int:
        """Parameters of one layer."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        return attention + 3 * self.hidden * self.intermediate + 2 * self.hidden

    @property
    def multiplied(self) -> int:
        """Parameters that every token is multiplied with: all but an input table that is only looked up."""
        return self.layers * self.block + self.hidden + self.embedding

    @property
    def parameters(self) -> int:
        return self.multiplied + (0 if self.tied else self.embedding)

    def key_value_bytes(self, width: int) -> int:
        """Key-value cache of one token."""
        return 2 * self.layers * self.kv_heads * self.head_dim * width

    def adapter(self, rank: int, modules: int) -> int:
        """About the parameters of a LoRA of `rank` on `modules` of the seven matrices of every layer."""
        attention = 2 * (self.hidden + self.head_dim * self.heads) + 2 * (self.hidden + self.head_dim * self.kv_heads)
        return self.layers * rank * (attention + 3 * (self.hidden + self.intermediate)) * modules // 7


NAMED: dict[str, ModelShape] = {
    "qwen2.5-0.5b": ModelShape("Qwen2.5-0.5B", 24, 896, 14, 2, 64, 4864, 151_936, True),
    "qwen2.5-1.5b": ModelShape("Qwen2.5-1.5B", 28, 1536, 12, 2, 128, 8960, 151_936, True),
    "qwen2.5-7b": ModelShape("Qwen2.5-7B", 28, 3584, 28, 4, 128, 18_944, 152_064, False),
    "qwen3-0.6b": ModelShape("Qwen3-0.6B", 28, 1024, 16, 8, 128, 3072, 151_936, True),
    "llama-3.2-1b": ModelShape("Llama-3.2-1B", 16, 2048, 32, 8, 64, 8192, 128_256, True),
    "llama-3-8b": ModelShape("Llama-3-8B", 32, 4096, 32, 8, 128, 14_336, 128_256, False),
}


def read_shape(directory: Path) -> ModelShape:
    """The shape that config.json in `directory` describes. Raises DataError where it cannot be known."""
    path = directory / "config.json"
    known = f"give --model one of {', '.join(NAMED)} to plan without the model"
    try:
        whole: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        config = whole.get("text_config", whole)
        experts = next(
            (name for name in ("num_experts", "num_local_experts", "n_routed_experts") if config.get(name)), ""
        )
        heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
        shape = ModelShape(
            name=directory.name,
            layers=int(config["num_hidden_layers"]),
            hidden=hidden,
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or hidden // heads),
            intermediate=int(config["intermediate_size"]),
            vocabulary=int(config["vocab_size"]),
            tied=bool(whole.get("tie_word_embeddings", config.get("tie_word_embeddings", False))),
        )
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); correct model.path, or {known}") from problem
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise DataError(f"{path}: not the configuration of a decoder ({problem!r}); {known}") from problem
    if experts:
        raise DataError(
            f"{path}: {experts} is set; a mixture of experts cannot be planned, only a dense decoder; {known}"
        )
    return shape
