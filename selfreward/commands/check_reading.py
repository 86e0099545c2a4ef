"""How a judge's reply comes about where probabilities are read: the words of its question do not say it.

A question may ask for a justification and a last line (`Score: <n>`). With judge.reading=probability that justification
is never written: the reply is begun with the last line's own words, and the next token's probabilities are read there.
"""

from selfreward.judging.prompts import pairwise, steps
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.scoring.expected import SCALES
from selfreward.recipe import JudgeRecipe, ProbabilityReading, RationaleReading, StepsQuestion


def how_it_is_read(judge: JudgeRecipe) -> str:
    """One sentence about the reply, or nothing where a reply is sampled and read as it stands."""
    reading = judge.reading
    if not isinstance(reading, ProbabilityReading | RationaleReading):
        return ""
    begin, labels = _begun(judge)
    words = f"{labels[0]} to {labels[-1]}" if len(labels) > 2 else " and ".join(labels)
    read = f"the reply is begun with {begin.strip()!r}, and the probabilities of {words} are read there"
    if isinstance(reading, RationaleReading):
        most = reading.sampling.max_tokens
        return f"it writes up to {most} tokens first, of which a verdict at the end is cut off; then {read}"
    return (
        f"{read}; no token is sampled: a justification or a reason that the question asks for is never written "
        "(judge.reading=rationale lets it write one first)"
    )


def _begun(judge: JudgeRecipe) -> tuple[str, tuple[str, ...]]:
    """The reply's beginning where nothing was written before, and the words whose probabilities are read after it."""
    if judge.comparing is not None:
        return pairwise.opening(judge.comparing.template, ""), pairwise.LABELS
    words = steps.LABELS if isinstance(judge.question, StepsQuestion) else tuple(SCALES[judge.scale].words)
    return judge_prompt(judge).opening(""), words
