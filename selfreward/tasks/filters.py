"""Which self-written prompts are let through (Self-Instruct's filters, 2212.10560 §2.2; SRLM 2401.10020 §2.2).

Prompts are taken in the order given, the first of two similar ones stays. Each ends as kept or as exactly one Drop:

    empty · too short · too long    words, split at white space
    banned word                     whole words, punctuation around them apart
    evaluation prompt               equals or overlaps a prompt of a pool, see `overlap.py`
    duplicate                       equals a kept prompt
    too similar                     ROUGE-L F1 above `max_similarity` with a kept prompt, see `similarity.py`
"""

from collections.abc import Mapping, Sequence

from selfreward.recipe import WriterRecipe
from selfreward.records import Drop, Prompt, stable_id
from selfreward.tasks.overlap import MAX_OVERLAP, RUN, PoolIndex, assert_disjoint, bare_words, normalised
from selfreward.tasks.similarity import SimilarityIndex

__all__ = ["assert_disjoint", "filter_prompts"]


def filter_prompts(
    written: Sequence[Prompt],
    kept: Sequence[Prompt],
    pools: Mapping[str, Sequence[Prompt]],
    recipe: WriterRecipe,
    *,
    run: int | None = RUN,
    max_overlap: float = MAX_OVERLAP,
) -> tuple[list[Prompt], list[Drop]]:
    """(let through, dropped) of `written`, against the prompts `kept` so far and the evaluation `pools`.

    `run` is the number of words that count as an overlap with a pool, None for equality alone, and `max_overlap` the
    share of the shorter prompt's words above which it does.
    """
    evaluation = PoolIndex(pools, run, max_overlap)
    similar, known = SimilarityIndex(), set[str]()
    banned = {word.casefold() for word in recipe.banned_words}

    def remember(prompt: Prompt) -> None:
        similar.add(prompt.text)
        known.add(normalised(prompt))

    def refuse(prompt: Prompt) -> tuple[str, str] | None:
        words = len(prompt.text.split())
        if not words:
            return "empty", ""
        if words < recipe.min_words:
            return "too short", f"{words} words, at least {recipe.min_words} needed"
        if words > recipe.max_words:
            return "too long", f"{words} words, at most {recipe.max_words} allowed"
        found = sorted(banned.intersection(bare_words(prompt.text)))
        if found:
            return "banned word", found[0]
        overlap = evaluation.find(prompt)
        if overlap is not None:
            return "evaluation prompt", f"{overlap.pool} {overlap.prompt_id}, {overlap.share:.0%}"
        if normalised(prompt) in known:
            return "duplicate", ""
        nearest = similar.more_similar_than(prompt.text, recipe.max_similarity)
        return ("too similar", f"{nearest[0]:.3f} with {nearest[1]}") if nearest else None

    for prompt in kept:
        remember(prompt)
    passed: list[Prompt] = []
    drops: list[Drop] = []
    for position, prompt in enumerate(written):
        refused = refuse(prompt)
        if refused is None:
            remember(prompt)
            passed.append(prompt)
        else:
            # The position keeps two drops of one text apart: equal texts have equal prompt ids.
            name = stable_id("drop", "prompts", prompt.id, position)
            drops.append(Drop(name, "prompts", "written", prompt.id, *refused))
    return passed, drops
