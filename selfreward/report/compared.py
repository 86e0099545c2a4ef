"""What the arms of a grid can be compared on, and what they are compared on where a contrast does not say."""

PER_PROMPT = ("true_accuracy", "judge_mean", "judge_minus_truth", "length_tokens", "claim_echo", "distinct_answers")
"""On the report pool, a value for each prompt."""
PER_RUN = ("judge_spearman",)
"""On the frozen pool, one value a run."""
EXACT = "judge_exact"
"""On the frozen pool, a value for each prompt."""
TESTED = ("true_accuracy", "judge_minus_truth", EXACT, "judge_spearman")
"""The judge's mean score only where no truth is known: fewer tests see more."""
COMPARED = (*PER_PROMPT, EXACT, *PER_RUN)
