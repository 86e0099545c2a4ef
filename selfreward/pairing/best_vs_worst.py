"""Best against worst: chosen = highest score, rejected = lowest (SRLM, 2401.10020 §2.3).

Equal highest and lowest scores say nothing about which answer is better: no pair. Among several answers with the
highest (or the lowest) score a seeded lot decides, so an affine map of the scores and a permutation of the rows
leave the picks unchanged.
"""

from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, first_by_lot


def choose(candidates: Sequence[Candidate], seed: int) -> tuple[Candidate, Candidate] | None:
    """(chosen, rejected), or None for a tie. Expects at least two candidates of one prompt."""
    best = max(candidate.score.value for candidate in candidates)
    worst = min(candidate.score.value for candidate in candidates)
    if best == worst:
        return None
    return _one_with(best, candidates, seed, "chosen"), _one_with(worst, candidates, seed, "rejected")


def _one_with(value: float, candidates: Sequence[Candidate], seed: int, side: str) -> Candidate:
    equals = [candidate for candidate in candidates if candidate.score.value == value]
    return first_by_lot(equals, lambda candidate: candidate.response.id, seed, side)
