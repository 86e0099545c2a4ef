"""A model with a classification head of its own labels, which gives a text's probability of one of them.

It is nobody's policy: a directory as transformers saves them, of any architecture that it has such a head for. Code of
the directory's own is never run, and weights are read from safetensors alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import cannot_load, chat_digest, validate_model_directory
from selfreward.engines.hugging_face.weights import choose_device
from selfreward.engines.tensors import require_headers, weights_digest
from selfreward.errors import DataError, EngineError
from selfreward.records import stable_id

BATCH = 32
LONGEST = 8192
"""Tokens of a text at most, where neither model nor tokenizer has a bound."""


def labels_of(directory: Path) -> list[str]:
    """The names of the model's classes in order. Raises DataError for what is no whole directory of a classifier."""
    validate_model_directory(directory)
    require_headers(directory)
    settings = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    named = settings.get("id2label")
    if not isinstance(named, dict) or len(named) < 2:
        found = "no id2label" if named is None else f"id2label is {named!r}"
        raise DataError(
            f"classifier {directory}: {found} in config.json; expected the names of two classes or more: a model for "
            "sequence classification"
        )
    return [str(named[index]) for index in sorted(named, key=int)]


@dataclass
class Classifier:
    """The classifier in `directory`, loaded when it is first asked about a text."""

    directory: Path
    label: str
    device: str
    _loaded: "_Loaded | None" = field(default=None, init=False)
    _digest: str = field(default="", init=False)

    def require(self) -> None:
        """Raise DataError, before anything is sampled, where it cannot be loaded or does not know the label."""
        names = labels_of(self.directory)
        if self.label not in names:
            raise DataError(
                f"classifier {self.directory}: its id2label has no {self.label!r}; expected one of {', '.join(names)}"
            )
        self._model()

    @property
    def digest(self) -> str:
        """Of weights, tokenizer and config."""
        if not self._digest:
            self._digest = stable_id(weights_digest(self.directory), chat_digest(self.directory))
        return self._digest

    def __call__(self, texts: Sequence[str]) -> list[float | None]:
        """The probability of the label for each text, in order; None for a text that does not fit."""
        held = self._model()
        rows = [held.tokenizer(text, truncation=False, verbose=False)["input_ids"] for text in texts]
        fitting = [index for index, row in enumerate(rows) if len(row) <= held.limit]
        order = sorted(fitting, key=lambda index: (len(rows[index]), index))
        found: list[float | None] = [None] * len(rows)
        for first in range(0, len(order), held.batch):
            batch = order[first : first + held.batch]
            for index, value in zip(batch, self._probabilities(held, [rows[index] for index in batch]), strict=True):
                found[index] = value
        return found

    def _probabilities(self, held: "_Loaded", rows: list[list[int]]) -> list[float]:
        import torch

        width = max(1, *map(len, rows))
        padding = held.tokenizer.pad_token_id or 0
        ids = [[*row, *[padding] * (width - len(row))] for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        asked, seen = (torch.tensor(one, device=held.model.device) for one in (ids, mask))
        with torch.inference_mode():
            logits = held.model(input_ids=asked, attention_mask=seen).logits.float()
        several = held.model.config.problem_type == "multi_label_classification"
        told = torch.sigmoid(logits) if several else torch.softmax(logits, dim=-1)
        values: list[float] = told[:, held.names.index(self.label)].tolist()
        if any(value != value for value in values):
            raise EngineError(
                f"classifier {self.directory}: a probability is NaN; its weights are broken, save it again"
            )
        return values

    def _model(self) -> "_Loaded":
        if self._loaded is None:
            self._loaded = _load(self.directory, self.device)
        return self._loaded

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        if self._loaded is not None:
            import torch

            self._loaded = None
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """`limit` tokens a text may have; `batch` texts are read at once, one where nothing can fill up a shorter one."""

    tokenizer: Any
    model: Any
    names: Sequence[str]
    limit: int
    batch: int


def _load(directory: Path, device: str) -> _Loaded:
    """A tensor that is missing is an error, not a random one."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        loaded: Any = AutoModelForSequenceClassification.from_pretrained(
            directory,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError) as problem:
        if "trust_remote_code" in str(problem):
            raise DataError(
                f"classifier {directory}: it needs Python code of the directory's own, which is never run here; take "
                "a model that transformers knows"
            ) from problem
        raise cannot_load(directory, "a model for sequence classification", problem) from problem
    model, report = loaded
    if missing := sorted(report["missing_keys"]):
        raise DataError(
            f"classifier {directory}: tensor {missing[0]!r} is missing in its weights, so it would guess; take a "
            "directory that was saved after it learned to classify"
        )
    positions = getattr(model.config, "max_position_embeddings", None) or LONGEST
    limit = min(positions, tokenizer.model_max_length, LONGEST)
    filled = tokenizer.pad_token_id is not None and model.config.pad_token_id is not None
    held = model.to(choose_device(device)).eval()
    return _Loaded(tokenizer, held, labels_of(directory), limit, BATCH if filled else 1)
