"""Which answers and judgments become a preference pair, and which prompts are let through: pure, each drop named.

A pair rule is a module with `NEEDS` and `choose(candidates, situation) -> picks, or a Refusal` where no candidate is
better than another; `answers.py` decides who is a candidate and `filters.py` what happens to its picks.
"""

PAIR_RULES: dict[str, str] = {
    "best_vs_worst": "selfreward.pairing.rules.best_vs_worst:choose",
    "best_vs_random": "selfreward.pairing.rules.best_vs_random:choose",
    "sweet_spot": "selfreward.pairing.rules.sweet_spot:choose",
    "anchored": "selfreward.pairing.rules.anchored:choose",
    "length_tiers": "selfreward.pairing.rules.length_tiers:choose",
    "z_length": "selfreward.pairing.rules.z_length:choose",
    "self_consistency": "selfreward.pairing.rules.self_consistency:choose",
    "verified": "selfreward.pairing.rules.verified:choose",
    "spin": "selfreward.pairing.rules.spin:choose",
    "sppo": "selfreward.pairing.rules.sppo:choose",
    "revision": "selfreward.pairing.rules.revision:choose",
    "daif": "selfreward.pairing.rules.daif:choose",
    "steps": "selfreward.pairing.rules.steps:choose",
}
