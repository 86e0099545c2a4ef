"""What a model thought before it answered, cut from its reply: only the answer is judged and trained on as one.

Pairs of markers: `<think>...</think>` is known everywhere. The others of THINKING count where the tokenizer has them as
tokens, and in text from a server where the reply begins with one; a caller may name further pairs. A block that never
closes means that there is no answer; a closing marker without an opening one closes what came before it.

Channels (harmony, the format of gpt-oss): `<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final
<|message|>...<|return|>`. The answer is what the channel `final` says, or a message without a channel; every other
channel is thinking, also `commentary`, which speaks to tools.
"""

import re
from collections.abc import Sequence

THINK, END_THINK = "<think>", "</think>"
THINKING = (
    (THINK, END_THINK),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
CHANNEL, MESSAGE = "<|channel|>", "<|message|>"
CHANNEL_TOKENS = frozenset({CHANNEL, MESSAGE, "<|start|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>"})

_ENDS = re.compile(r"<\|(?:start|end|return|call)\|>")


def split_reasoning(
    text: str, opened: bool = False, markers: Sequence[tuple[str, str]] | None = None
) -> tuple[str, str]:
    """(answer, reasoning), both stripped. `opened`: the prompt itself ended inside a thinking block.

    `markers`: the pairs that count; without them (text from a server) those that are known, and channels.
    """
    begins = text.lstrip()
    if markers is None and begins.startswith(CHANNEL) and MESSAGE in text:
        return split_channels(text)
    pairs = dict(markers or [pair for pair in THINKING if pair == THINKING[0] or begins.startswith(pair[0])])
    text = _opened(text, opened, pairs)
    opening = re.compile("|".join(map(re.escape, pairs)))
    answer: list[str] = []
    reasoning: list[str] = []
    position = 0
    while found := opening.search(text, position):
        answer.append(text[position : found.start()])
        closing = pairs[found.group()]
        end = text.find(closing, found.end())
        if end < 0:
            return "", "".join([*reasoning, text[found.end() :]]).strip()
        reasoning.append(text[found.end() : end])
        position = end + len(closing)
    return "".join([*answer, text[position:]]).strip(), "".join(reasoning).strip()


def split_channels(text: str) -> tuple[str, str]:
    """(answer, reasoning) of a reply in channels. A message that was cut before its first word says nothing."""
    answer: list[str] = []
    reasoning: list[str] = []
    for number, part in enumerate(_ENDS.split(text)):
        header, is_message, body = part.partition(MESSAGE)
        if not is_message:
            # The reply's beginning may be plain words; later such a part is the header of a message that was cut.
            answer.append("" if number or CHANNEL in header else header)
            continue
        channel = header.partition(CHANNEL)[2].split()
        (answer if channel[:1] in ([], ["final"]) else reasoning).append(body)
    return "".join(answer).strip(), "\n".join(map(str.strip, reasoning)).strip()


def _opened(text: str, opened: bool, pairs: dict[str, str]) -> str:
    """`text` with the opening marker that stands in the prompt, or that the model left out."""
    for opening, closing in pairs.items():
        end = text.find(closing)
        if end >= 0 and (opened or text.find(opening, 0, end) < 0):
            return opening + text
    return next(iter(pairs)) + text if opened else text
