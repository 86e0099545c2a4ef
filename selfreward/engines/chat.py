"""The one chat renderer: generator, judge, meta-judge and trainer all turn messages into tokens here.

Messages go through the tokenizer's own chat template with `add_generation_prompt`, and are encoded without further
special tokens, so a template that writes the beginning-of-sequence token gets exactly one.

Text never becomes a control token: control_tokens.py breaks their strings before templating. Then the control tokens of
the encoded prompt are counted against the same conversation with harmless contents. A tokenizer whose normalizer still
made one (full-width brackets, say) gets the text NFKC-normalised and broken again; if that is not enough, DataError.
transformers' `sanitize_control_tokens` is not used: it differs by version, and other engines are sent text.

Reasoning is cut before anything is judged (thinking.py).
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import GENERATION, cannot_load, end_tokens
from selfreward.engines.control_tokens import ControlTokens
from selfreward.engines.dated import with_day
from selfreward.engines.thinking import split_channels, split_reasoning
from selfreward.errors import DataError, EngineError, NotOneTokenError
from selfreward.recipe import ModelRecipe
from selfreward.records import Message

_HARMLESS = "x"


class ChatRenderer:
    """Messages to token ids and completions to text, for one tokenizer. `where` names it in errors.

    `model`: its template arguments, thinking markers besides those that are known, and whether a system turn is folded
    into the user's. `day` is what a template that writes today's date is told (`strftime_now`); without it, it asks the
    clock.
    """

    def __init__(
        self,
        tokenizer: Any,
        where: str,
        end_ids: Iterable[int] = (),
        model: ModelRecipe | None = None,
        day: date | None = None,
    ) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise DataError(
                f"{where}: the tokenizer has no chat template, so a conversation cannot become a prompt; take the "
                "instruction-tuned model's tokenizer, or put a chat_template.jinja beside tokenizer_config.json"
            )
        self.where = where
        self.tokenizer, self._recipe = tokenizer, model or ModelRecipe()
        self._template = None if day is None else with_day(tokenizer.get_chat_template(), day)
        self.controls = ControlTokens(tokenizer, self._recipe.thinking)
        self._expected: dict[tuple[str, ...], Counter[int]] = {}
        self.render([("user", _HARMLESS)])  # a broken template is an error here, not in the middle of a round
        ends, turn = {tokenizer.eos_token_id, *end_ids} - {None}, self._end_of_turn()
        self.end_ids = frozenset(ends | turn)
        # Some directories name the end of a document only; a turn ends as the template ends it.
        self._given_end: int = min(turn or {tokenizer.eos_token_id} - {None} or ends, default=0)

    @property
    def pad_id(self) -> int:
        """Any token will do: padding is masked. The tokenizer's own where it has one."""
        pad = self.tokenizer.pad_token_id
        return pad if pad is not None else min(self.end_ids, default=0)

    def prompt_token_ids(self, conversations: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        """The prompts of many conversations, in order, each ready for the assistant's turn."""
        rendered = [
            self.render([(m.role, self.controls.neutralise(m.content)) for m in turns]) for turns in conversations
        ]
        prompts = self._encode(rendered)
        for position, turns in enumerate(conversations):
            if self._smuggled(turns, prompts[position]):
                normal = [(m.role, self.controls.neutralise(unicodedata.normalize("NFKC", m.content))) for m in turns]
                (prompts[position],) = self._encode([self.render(normal)])
                smuggled = self._smuggled(turns, prompts[position])
                if smuggled:
                    raise DataError(
                        f"{self.where}: text of a message still became the control token {smuggled!r} after being "
                        f"neutralised; use another tokenizer. The last turn: {turns[-1].content!r:.160}"
                    )
        return prompts

    def reply_token_ids(self, text: str) -> tuple[int, ...]:
        """A given answer as the tokens that the model would have sampled: its words, then the end-of-turn token."""
        (tokens,) = self._encode([self.controls.neutralise(text)])
        return (*tokens, self._given_end)

    def candidate_token_ids(
        self, opening: str, candidates: Sequence[str], *, joined: bool = False
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(tokens of `opening`, one token per candidate), where every candidate follows the opening after a space.

        `joined`: without one. Where the space is a token of its own (Llama 3, Qwen), it belongs to the opening. Raises
        NotOneTokenError for a candidate that is not one token there.
        """
        between = "" if joined else " "
        texts = [f"{self.controls.neutralise(opening)}{between}{candidate}".strip() for candidate in candidates]
        encoded = self._encode(texts)
        shared = encoded[0][:-1]
        for candidate, tokens in zip(candidates, encoded, strict=True):
            if len(tokens) != len(shared) + 1 or tokens[:-1] != shared:
                raise NotOneTokenError(
                    f"{self.where}: {candidate!r} is not one token after {opening[-40:]!r}; this judge's probabilities "
                    "cannot be read from one position: set judge.reading=verdict"
                )
        last = tuple(tokens[-1] for tokens in encoded)
        if len(set(last)) < len(last):
            raise EngineError(
                f"{self.where}: two of the candidates {', '.join(candidates)} are the same token, so this tokenizer "
                "lacks one of them; set judge.reading=verdict or another template"
            )
        return shared, last

    def thinks_first(self, prompt: Sequence[int]) -> bool:
        """Does the template open a thinking block itself, so that the completion starts inside it?"""
        tail = self.tokenizer.decode(list(prompt[-16:]), skip_special_tokens=False)
        return str(tail).rstrip().endswith(tuple(opening for opening, _ in self.controls.thinking))

    def read(self, token_ids: Sequence[int], opened: bool = False) -> tuple[str, str]:
        """(answer, reasoning) of a completion: special tokens dropped (markers of thinking are read first), stripped.

        The unknown token stays: a reply that holds one is not the reply without it.
        """
        text = self.words(token_ids)
        if self.controls.has_channels:
            return split_channels(text)
        return split_reasoning(text, opened, self.controls.thinking)

    def words(self, token_ids: Sequence[int]) -> str:
        """The text of tokens without special ones, as it stands."""
        kept = [index for index in token_ids if index not in self.controls.hidden and index not in self.end_ids]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def render(self, turns: Sequence[tuple[str, str]], prompt: bool = True) -> str:
        """The text of (role, content) turns, ready for the assistant's or, without `prompt`, closed."""
        from jinja2.exceptions import TemplateError

        turns = folded(turns) if self._recipe.fold_system else turns
        conversation = [{"role": role, "content": content} for role, content in turns]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    conversation,
                    tokenize=False,
                    add_generation_prompt=prompt,
                    chat_template=self._template,
                    **self._recipe.template_arguments,
                )
            )
        except TemplateError as problem:
            roles = ", ".join(role for role, _ in turns)
            raise DataError(
                f"{self.where}: the chat template cannot render turns of roles {roles} ({problem}); correct it, "
                "or set model.fold_system=true where it has no place for a system turn, or change the order of turns"
            ) from problem

    def _encode(self, texts: list[str]) -> list[tuple[int, ...]]:
        if not texts:
            return []
        encoded = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False)
        return [tuple(ids) for ids in encoded["input_ids"]]

    def _smuggled(self, turns: Sequence[Message], prompt: Sequence[int]) -> str:
        """The name of a control token that the contents added to the template's own, or an empty string."""
        roles = tuple(message.role for message in turns)
        if roles not in self._expected:
            (harmless,) = self._encode([self.render([(role, _HARMLESS) for role in roles])])
            self._expected[roles] = self.controls.count(harmless)
        surplus = self.controls.count(prompt) - self._expected[roles]
        return self.controls.names[next(iter(surplus))] if surplus else ""

    def _end_of_turn(self) -> set[int]:
        """The control token with which the template ends an assistant's turn: base models often forget to say it."""
        mark = "selfreward"
        try:
            text = self.render([("user", _HARMLESS), ("assistant", mark)], prompt=False)
        except DataError:
            return set()  # a template that refuses a finished conversation tells nothing about its end
        (after,) = self._encode([text.rpartition(mark)[2].strip()])
        return set(after[:1]) & self.controls.ids


def load_renderer(directory: Path, model: ModelRecipe | None = None, day: date | None = None) -> ChatRenderer:
    """The renderer of a model directory; end-of-turn ids come from generation_config.json too (it may list several).

    Raises DataError when the tokenizer is missing, unreadable or has no chat template. Never asks a hub.
    """
    from transformers import AutoTokenizer

    trust_remote_code = model is not None and model.trust_remote_code
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as problem:
        raise cannot_load(directory, "its tokenizer", problem) from problem
    end_ids = end_tokens(directory / GENERATION) | end_tokens(directory / "config.json")
    return ChatRenderer(tokenizer, f"model directory {directory}", end_ids, model, day)


def folded(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The turns with every system turn in front of the user's text that follows it, an empty line between them.

    One that no user's turn follows stays, for the template to refuse.
    """
    found: list[tuple[str, str]] = []
    for role, content in turns:
        if role == "user" and found and found[-1][0] == "system":
            found[-1] = ("user", f"{found[-1][1]}\n\n{content}")
        elif role == "system" and found and found[-1][0] == "system":
            found[-1] = ("system", f"{found[-1][1]}\n\n{content}")
        else:
            found.append((role, content))
    return found
