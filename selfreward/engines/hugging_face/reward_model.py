"""A model with a scalar head, which gives a number for a prompt and an answer and says nothing.

Rows are padded on the right and attention is causal, so no real token sees padding; the number is read at each row's
last token. transformers' own forward of such a model looks for the last token that is not padding instead, which is
another one where padding is the end-of-turn token.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import cannot_load
from selfreward.engines.hugging_face.loading import require_policy
from selfreward.engines.hugging_face.weights import choose_device
from selfreward.errors import DataError, EngineError
from selfreward.recipe import ModelRecipe

Tokens = Sequence[int]


def rewards_at(model: Any, ids: Any, last: Any) -> Any:
    """The head's number at position `last` of each row, float32."""
    import torch

    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    return model.score(hidden[torch.arange(len(last), device=hidden.device), last]).squeeze(-1).float()


def build_scorer(directory: Path, recipe: ModelRecipe, *, head: bool) -> Any:
    """The model in `directory` with one number as its output; without a `head` there, one of zeros.

    Raises DataError where transformers would go on with random numbers, or knows no such head for the architecture.
    """
    import torch
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        loaded: Any = AutoModelForSequenceClassification.from_pretrained(
            directory,
            num_labels=1,
            dtype=getattr(torch, recipe.dtype),
            local_files_only=True,
            trust_remote_code=recipe.trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError) as problem:
        raise cannot_load(directory, "a model with a scalar head", problem) from problem
    model, report = loaded
    there = getattr(model, "score", None)
    if not isinstance(there, torch.nn.Linear):
        raise DataError(
            f"model directory {directory}: {type(model).__name__} has no linear layer named score, which a reward "
            "model is read at; take a model of another architecture (Llama, Qwen, Gemma, Mistral, Phi and their like)"
        )
    missing = sorted(name for name in report["missing_keys"] if head or not name.startswith("score."))
    if missing:
        raise DataError(f"model directory {directory}: tensor {missing[0]!r} is missing in its weights; save it again")
    if not head:
        with torch.no_grad():
            there.weight.zero_()
            if there.bias is not None:
                there.bias.zero_()
    return model


@dataclass
class RewardModel:
    """The reward model in `directory`, which must have this digest, loaded when it is first asked and there is room."""

    directory: Path
    digest: str
    recipe: ModelRecipe
    batch_tokens: int
    make_room: Callable[[], None] = lambda: None
    _loaded: Any = field(default=None, init=False)
    _positions: int | None = field(default=None, init=False)

    def __call__(self, rows: Sequence[Tokens]) -> list[float]:
        """The reward of every row, in their order.

        Raises HandOffError for weights of another digest, EngineError for a reward that is no number.
        """
        import torch

        if self._loaded is None:
            require_policy(self.directory, self.digest)
            self.make_room()
            model = build_scorer(self.directory, self.recipe, head=True)
            self._loaded = model.to(choose_device(self.recipe.device)).eval()
        order = sorted(range(len(rows)), key=lambda index: (-len(rows[index]), index))
        found = [0.0] * len(rows)
        while order:
            width = len(rows[order[0]])
            batch, order = order[: (size := max(1, self.batch_tokens // width))], order[size:]
            ids = torch.tensor([[*rows[index], *[0] * (width - len(rows[index]))] for index in batch])
            last = torch.tensor([len(rows[index]) - 1 for index in batch])
            with torch.inference_mode():
                values = rewards_at(self._loaded, *(one.to(self._loaded.device) for one in (ids, last))).tolist()
            for index, value in zip(batch, values, strict=True):
                found[index] = value
        if any(value != value for value in found):
            raise EngineError(f"reward model {self.directory}: a reward is NaN; train it with a lower learning rate")
        return found

    def limit(self, wanted: int | None) -> int:
        """The tokens of the longest row: the model's positions, or `wanted` where that is less."""
        if self._positions is None:
            from transformers import AutoConfig

            trusted = self.recipe.trust_remote_code
            config = AutoConfig.from_pretrained(self.directory, local_files_only=True, trust_remote_code=trusted)
            self._positions = getattr(config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
        return min(self._positions, wanted or sys.maxsize)

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        if self._loaded is not None:
            import torch

            self._loaded = None
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
