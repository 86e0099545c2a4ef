"""The iteration controller: read this first.

In every round one model answers prompts, scores its own answers, compares its own judgments, becomes preference pairs
and is trained into the next policy; then everything is measured. What is sealed on disk is read back and what is owed
is computed, so running the same command again is how a run resumes. The steps themselves are in `loop_steps.py`.
"""

from selfreward.loop_steps import Steps
from selfreward.measuring.measure import RoundRows


def iterate(steps: Steps, number: int) -> None:
    """One round, from prompts to the next policy and what it is worth."""
    prompts, refused = steps.prompts(number)
    responses = steps.respond(number, prompts)
    judgments = steps.judge(number, prompts, responses)
    metas = steps.compare(number, prompts, responses, judgments)
    pairs, drops = steps.pair(number, prompts, responses, judgments, metas, refused)
    steps.train(number, pairs)
    steps.measure(number, RoundRows(prompts, responses, judgments, metas, pairs, drops))
