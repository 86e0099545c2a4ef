"""An engine without a model: replies come from a script. It speaks the real protocol and imports no torch.

For trying a recipe's plumbing, for demonstrations and for tests. The script is a YAML or JSON file:

    rules:                             # the first rule whose every condition holds answers
      - match: '^judge : '             # regular expression, searched in the last user message; absent: everything
        system: 'helpful'              # the same for the system message; absent: not looked at
        replies:
          - 'good work Score: 4'
          - {text: 'I would say', truncated: true}
          - {text: 'fine', reasoning: 'let me see'}
        next: {'4': 0.7, '5': 0.2}     # probabilities of the next word, where a judge's are read without decoding

Reply k of a request is chosen by a hash of (request seed, k); at temperature 0 it is the first one. A reply longer than
`max_tokens`, its end included, is truncated there. Tokens are words, numbered by hash (id 0 ends a turn), so equal
texts have equal ids. Log-probabilities are pseudo-values in (-4, 0) by hash of policy, prompt and tokens
so far: another policy has others, so a hand-off is visible.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from selfreward.engines.protocol import Completion, ReplyStart, Request, TokenSequence
from selfreward.engines.tensors import combined_digest, tensor_checksums
from selfreward.errors import DataError, EngineError, HandOffError
from selfreward.recipe import ModelRecipe, ScriptedRecipe
from selfreward.records import Message, seed_for

END_ID = 0
_WORD_IDS = 2**31 - 2


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    reasoning: str = ""
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    match: re.Pattern[str]
    system: re.Pattern[str] | None
    replies: tuple[Reply, ...]
    next: Mapping[str, float] | None

    def holds(self, messages: Sequence[Message]) -> bool:
        user = next((m.content for m in reversed(messages) if m.role == "user"), "")
        system = next((m.content for m in messages if m.role == "system"), "")
        return bool(self.match.search(user)) and (self.system is None or bool(self.system.search(system)))


class ScriptedEngine:
    """Answers by the rules of `engine.script`; loads any directory with safetensors, to have a policy to name."""

    kind = "scripted"

    def __init__(self, model: ModelRecipe, engine: ScriptedRecipe, day: date | None = None) -> None:
        """`day` changes nothing: a script has no chat template that could write it."""
        self._recipe, self._engine = model, engine
        self._rules = read_script(Path(engine.script))
        self._policy: str | None = None
        self._checksums: dict[str, str] = {}

    @property
    def policy(self) -> str | None:
        return self._policy

    def load(self, directory: Path, digest: str) -> None:
        checksums = tensor_checksums(directory)
        if combined_digest(checksums) != digest:
            raise HandOffError(
                f"checkpoint {directory}: its weights have digest {combined_digest(checksums)[:16]}, "
                f"expected {digest[:16]}; restore it, or start another run from it"
            )
        self._policy, self._checksums = digest, checksums

    def prompt_token_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        turns = [(*word_ids(f"<{message.role}> {message.content}"), END_ID) for message in messages]
        return tuple(index for turn in turns for index in turn) + word_ids("<assistant>")

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        """Replies depend on each request's own seed; the chunk's is not needed."""
        return [[self._reply(request, sample) for sample in range(request.n)] for request in requests]

    def logprobs(self, texts: Sequence[TokenSequence]) -> list[tuple[float, ...]]:
        return [self._pseudo_logprobs(text.prompt_token_ids, text.completion_token_ids) for text in texts]

    def next_token_logprobs(self, starts: Sequence[ReplyStart], candidates: Sequence[str]) -> list[tuple[float, ...]]:
        """The matching rule's `next`; a word that it does not name has probability 0."""
        found = []
        for start in starts:
            chances = self._rule(start.id, start.messages).next
            if chances is None:
                raise EngineError(
                    f"reply start {start.id}: the matching rule of script {self._engine.script} has no `next`; "
                    "add the probabilities of the words that may come next, for example next: {'4': 0.7, '5': 0.2}"
                )
            values = (chances.get(candidate, 0.0) for candidate in candidates)
            found.append(tuple(math.log(value) if value > 0 else -math.inf for value in values))
        return found

    def checksums(self) -> Mapping[str, str]:
        return dict(self._checksums)

    def close(self) -> None:
        self._policy, self._checksums = None, {}

    def _rule(self, name: str, messages: Sequence[Message]) -> Rule:
        rule = next((rule for rule in self._rules if rule.holds(messages)), None)
        if rule is None:
            raise EngineError(
                f"request {name}: no rule of script {self._engine.script} matches "
                f"{messages[-1].content!r:.80}; add one, for example a last rule without `match`"
            )
        return rule

    def _reply(self, request: Request, sample: int) -> Completion:
        rule = self._rule(request.id, request.messages)
        prompt = self.prompt_token_ids(request.messages)
        limit = self._engine.max_length
        if limit is not None and len(prompt) + request.max_tokens > limit:
            raise EngineError(
                f"request {request.id}: {len(prompt)} prompt tokens and {request.max_tokens} completion tokens are "
                f"more than engine.max_length of {limit}; shorten the prompt or lower max_tokens"
            )
        chosen = 0 if request.temperature == 0 else seed_for("reply", request.seed, sample) % len(rule.replies)
        reply = rule.replies[chosen]
        words = reply.text.split()
        truncated = reply.truncated or len(words) + 1 > request.max_tokens
        text = " ".join(words[: request.max_tokens]) if len(words) + 1 > request.max_tokens else reply.text.strip()
        ids = word_ids(text) if truncated else (*word_ids(text), END_ID)
        logprob = sum(self._pseudo_logprobs(prompt, ids))
        return Completion(text, reply.reasoning, ids, "length" if truncated else "stop", logprob)

    def _pseudo_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> tuple[float, ...]:
        values = []
        state = hashlib.sha256(repr((self._policy, tuple(prompt))).encode())
        for index in completion:
            state.update(b" %d" % index)
            values.append(-4 * (int.from_bytes(state.digest()[:4], "big") + 1) / (2**32 + 1))
        return tuple(values)


def word_ids(text: str) -> tuple[int, ...]:
    """One id per word, by hash, never `END_ID`."""
    digests = (hashlib.blake2b(word.encode(), digest_size=8).digest() for word in text.split())
    return tuple(1 + int.from_bytes(digest, "big") % _WORD_IDS for digest in digests)


def read_script(path: Path) -> tuple[Rule, ...]:
    """The rules of a script. Raises DataError naming the rule that is wrong."""
    try:
        script = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"script {path}: cannot be read ({problem.strerror}); correct engine.script") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"script {path}: not UTF-8 text (byte {problem.start}); save the file as UTF-8") from problem
    except (yaml.YAMLError, RecursionError) as problem:
        raise DataError(f"script {path}: neither YAML nor JSON: {' '.join(str(problem).split())}") from problem
    rules = script.get("rules") if isinstance(script, dict) else None
    if not isinstance(rules, list) or not rules:
        raise DataError(f"script {path}: expected a mapping with a list `rules` that is not empty")
    return tuple(_read_rule(rule, f"script {path}, rule {number}") for number, rule in enumerate(rules, start=1))


def _read_rule(rule: Any, where: str) -> Rule:
    if not isinstance(rule, dict) or not isinstance(rule.get("replies"), list) or not rule["replies"]:
        raise DataError(f"{where}: expected a mapping with a list `replies` that is not empty, found {rule!r:.80}")
    unknown = sorted(set(rule) - {"match", "system", "replies", "next"})
    if unknown:
        raise DataError(f"{where}: unknown key {unknown[0]!r}; expected match, system, replies, next")
    try:
        match = re.compile(str(rule.get("match", "")))
        system = re.compile(str(rule["system"])) if "system" in rule else None
    except re.error as problem:
        raise DataError(f"{where}: {problem.pattern!r} is not a regular expression ({problem})") from problem
    return Rule(match, system, tuple(_read_reply(reply, where) for reply in rule["replies"]), _read_next(rule, where))


def _read_next(rule: Mapping[str, Any], where: str) -> Mapping[str, float] | None:
    chances = rule.get("next")
    if chances is None:
        return None
    numbers = isinstance(chances, dict) and all(isinstance(value, int | float) for value in chances.values())
    if not numbers or not all(value >= 0 for value in chances.values()) or sum(chances.values()) > 1 + 1e-9:
        raise DataError(f"{where}: next is {chances!r:.80}; expected words with probabilities whose sum is at most 1")
    return {str(word): float(value) for word, value in chances.items()}


def _read_reply(reply: Any, where: str) -> Reply:
    if isinstance(reply, dict):
        try:
            return Reply(**reply)
        except TypeError as problem:
            raise DataError(f"{where}: reply {reply!r:.80}: expected text, reasoning, truncated") from problem
    return Reply(str(reply))
