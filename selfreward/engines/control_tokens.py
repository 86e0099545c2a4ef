"""Which tokens of a tokenizer control a conversation, and how text is kept from becoming one.

Before templating, every special token's string inside a message is broken by a space after its first character
(`<|end|>` becomes `< |end|>`; a control token of one character becomes a space), until none is left. Added tokens that
are not special count too where they are thinking markers, speak of tools, look like `<|...|>`, or are written by the
chat template; other added tokens (words, runs of spaces, HTML tags) are ordinary vocabulary, and text keeps them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from selfreward.engines.thinking import CHANNEL, CHANNEL_TOKENS, MESSAGE, THINKING

_CONTROL_SHAPE = re.compile(r"<\|.*\|>|\W.*tool.*\W", re.IGNORECASE | re.DOTALL)


class ControlTokens:
    """Of one tokenizer. `names` are the strings by id, `hidden` the ids that a reply's text does not show.

    `thinking`: markers besides those that are known, as pairs; all of them, afterwards.
    """

    def __init__(self, tokenizer: Any, thinking: Sequence[tuple[str, str]]) -> None:
        added: dict[int, Any] = dict(tokenizer.added_tokens_decoder)
        special = {index for index, token in added.items() if token.special} | set(tokenizer.all_special_ids)
        self.names: dict[int, str] = {index: str(tokenizer.convert_ids_to_tokens(index)) for index in special}
        self.names |= {index: str(token.content) for index, token in added.items()}
        # The unknown token is what ordinary words become when the vocabulary lacks them: it controls nothing, unless it
        # is the end or padding token too, as GPT-2's and Qwen's tokenizers have it by default.
        unknown = {tokenizer.unk_token_id} - {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
        special -= unknown
        own = set(self.names.values())
        known = [pair for pair in THINKING if pair == THINKING[0] or own.issuperset(pair)]
        self.thinking = tuple(dict.fromkeys([*known, *thinking]))
        markers = {marker for pair in self.thinking for marker in pair}
        self.has_channels = own >= {CHANNEL, MESSAGE}
        template = str(tokenizer.chat_template)
        marked = {index for index, token in added.items() if _is_control(token.content, markers, template)}
        self.ids = frozenset(special | (marked - unknown))
        strings = sorted({self.names[index] for index in self.ids}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, strings))) if strings else None
        shown = markers | (CHANNEL_TOKENS if self.has_channels else set())
        self.hidden = frozenset(index for index in special if self.names[index] not in shown)

    def neutralise(self, text: str) -> str:
        """`text` with every control token's string broken; unchanged where there is none."""
        while self._pattern is not None and self._pattern.search(text):
            text = self._pattern.sub(lambda match: _broken(match.group()), text)
        return text

    def count(self, prompt: Sequence[int]) -> Counter[int]:
        """How often each control token stands in `prompt`."""
        return Counter(index for index in prompt if index in self.ids)


def _is_control(token: str, markers: set[str], template: str) -> bool:
    """Is this added token more than vocabulary?"""
    if not re.search(r"[^\w\s]", token):
        return False
    return token in markers or bool(_CONTROL_SHAPE.fullmatch(token)) or token in template


def _broken(token: str) -> str:
    return f"{token[0]} {token[1:]}" if len(token) > 1 else " "
