"""Which answers and judgments become a preference pair, and which prompts are let through: pure, each drop named.

A pair rule is a function `(candidates, seed) -> (chosen, rejected)`, or None where no candidate is better than another;
`answers.py` does the filtering around it.
"""

PAIR_RULES: dict[str, str] = {"best_vs_worst": "selfreward.pairing.best_vs_worst:choose"}
