"""Training prompts must not be evaluation prompts: equal ones and ones that share most of their words are refused.

Equal: the same turns (system turn apart) after casefolding and collapsing white space. Overlapping: more than
`max_overlap` of the words of the shorter prompt stand in runs of `run` = 8 words that both contain, punctuation apart
(8-grams and one half, as in the decontamination of Tulu 3, 2411.15124). The share is there because one run is often
boilerplate. A prompt of fewer than `run` words can only be equal.

`run=None` switches to equality alone: in a world of templates different tasks share their phrasing by construction.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from selfreward.errors import DataError
from selfreward.records import Prompt

RUN = 8
MAX_OVERLAP = 0.5
_PUNCTUATION = ".,;:!?\"'()[]{}<>*`“”‘’«»…"


@dataclass(frozen=True, slots=True)
class Overlap:
    """A pool prompt that a training prompt repeats: equal, or with this share of the shorter one's words."""

    pool: str
    prompt_id: str
    share: float
    equal: bool = False


class PoolIndex:
    """The prompts of all evaluation pools, ready to be compared with many training prompts."""

    def __init__(
        self, pools: Mapping[str, Sequence[Prompt]], run: int | None = RUN, max_overlap: float = MAX_OVERLAP
    ) -> None:
        self._run, self._max_overlap = run, max_overlap
        self._equal: dict[str, tuple[str, str]] = {}
        self._prompts: list[tuple[str, str, int]] = []
        self._runs: defaultdict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
        for pool, prompts in pools.items():
            for prompt in prompts:
                self._equal.setdefault(normalised(prompt), (pool, prompt.id))
                words = bare_words(normalised(prompt))
                for position, words_in_run in self._runs_of(words):
                    self._runs[words_in_run].append((len(self._prompts), position))
                self._prompts.append((pool, prompt.id, len(words)))

    def find(self, prompt: Prompt) -> Overlap | None:
        """The pool prompt that `prompt` repeats most, or None."""
        equal = self._equal.get(normalised(prompt))
        if equal is not None:
            return Overlap(*equal, share=1.0, equal=True)
        words = bare_words(normalised(prompt))
        ours: defaultdict[int, set[int]] = defaultdict(set)
        theirs: defaultdict[int, set[int]] = defaultdict(set)
        for position, words_in_run in self._runs_of(words):
            span = range(len(words_in_run))
            for index, start in self._runs.get(words_in_run, ()):
                ours[index].update(position + offset for offset in span)
                theirs[index].update(start + offset for offset in span)
        found = None
        for index in sorted(ours):
            pool, prompt_id, length = self._prompts[index]
            share = len(ours[index]) / len(words) if len(words) <= length else len(theirs[index]) / length
            if share > self._max_overlap and (found is None or share > found.share):
                found = Overlap(pool, prompt_id, share)
        return found

    def _runs_of(self, words: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
        if self._run is None:
            return
        for position in range(len(words) - self._run + 1):
            yield position, tuple(words[position : position + self._run])


def normalised(prompt: Prompt) -> str:
    """What makes two prompts equal: every turn but the system's, casefolded, white space collapsed."""
    turns = (message.content for message in prompt.messages if message.role != "system")
    return "\n".join(" ".join(turn.casefold().split()) for turn in turns)


def bare_words(text: str) -> list[str]:
    """Casefolded words without the punctuation around them; what is all punctuation is left out."""
    words = (word.strip(_PUNCTUATION) for word in text.casefold().split())
    return [word for word in words if word]


def assert_disjoint(
    train: Sequence[Prompt],
    pools: Mapping[str, Sequence[Prompt]],
    *,
    run: int | None = RUN,
    max_overlap: float = MAX_OVERLAP,
) -> None:
    """Raise DataError naming the first training prompt that repeats a prompt of a pool, and that pool."""
    index = PoolIndex(pools, run, max_overlap)
    for row, prompt in enumerate(train, start=1):
        overlap = index.find(prompt)
        if overlap is not None:
            how = "equals" if overlap.equal else f"shares {overlap.share:.0%} of the shorter one's words with"
            raise DataError(
                f"training prompt {prompt.id} (row {row}, {prompt.text[:60]!r}) {how} prompt {overlap.prompt_id} of "
                f"pool {overlap.pool!r}; expected disjoint prompts: remove it from one of the two"
                + ("" if overlap.equal else ", or raise measure.max_overlap where they only share an instruction")
            )
