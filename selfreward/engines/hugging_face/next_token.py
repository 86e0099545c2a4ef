"""The probabilities of a few words as the next token: what a judge would say, without letting it speak."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from selfreward.engines.chat import ChatRenderer
from selfreward.engines.hugging_face.prefill import prefill
from selfreward.engines.protocol import ReplyStart
from selfreward.errors import EngineError


class Opening(NamedTuple):
    """A reply's beginning as tokens, its prompt included, and the token that each candidate would be after it."""

    token_ids: tuple[int, ...]
    candidate_ids: tuple[int, ...]


def openings(chat: ChatRenderer, starts: Sequence[ReplyStart], candidates: Sequence[str]) -> list[Opening]:
    """Every start in tokens. Raises NotOneTokenError for a candidate that is not one token where it stands."""
    prompts = chat.prompt_token_ids([start.messages for start in starts])
    found = []
    for start, prompt in zip(starts, prompts, strict=True):
        begun, ids = chat.candidate_token_ids(start.reply, candidates, joined=start.joined)
        found.append(Opening((*prompt, *begun), ids))
    return found


@torch.inference_mode()
def next_logprobs(
    model: Any, rows: Sequence[Sequence[int]], candidates: Sequence[Sequence[int]], pad_id: int
) -> list[tuple[float, ...]]:
    """Log-probability of each row's candidate tokens after its last token; log-softmax in float32."""
    logits = prefill(model, rows, pad_id, keep_cache=False).logits
    if torch.isnan(logits).any():
        raise EngineError("the policy's logits are NaN: its weights are broken or the dtype overflows; use another one")
    chosen = torch.tensor([list(row) for row in candidates], device=model.device)
    return [tuple(values) for values in torch.log_softmax(logits, -1).gather(-1, chosen).tolist()]
