"""How the work of a role is cut: by replies and by tokens, a pure function of its whole input list and the recipe."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from selfreward.roles.player import Player
from selfreward.store.given import chunked

T = TypeVar("T")

_CHARACTERS_PER_TOKEN = 4


def chunks_for(player: Player, units: Sequence[T], replies: int, tokens: int) -> list[Sequence[T]]:
    """`units` in chunks of the player's size, each of them `replies` replies of at most `tokens` tokens.

    For what is only read, `tokens` are those of the longest text, so chunks follow from the whole input list.
    """
    size = player.chunk // replies
    if player.chunk_tokens is not None:
        size = min(size, player.chunk_tokens // (replies * max(1, tokens)))
    return chunked(units, max(1, size))


def longest(texts: Iterable[str]) -> int:
    """About the tokens of the longest of `texts`, before anything is loaded that could count them."""
    return max((len(text) for text in texts), default=0) // _CHARACTERS_PER_TOKEN + 1
