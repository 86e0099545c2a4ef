"""How strong should the ridge on the length slope of a length-controlled win rate be? Simulated, without a leaderboard.

    python benchmarks/win_rate_ridge.py [--repeats 400]

A world has `prompts` pairs of answers. A pair's difference in quality is q + u, with q ~ N(0, 1) the policies' own and
u ~ N(0, 1) the prompt's; the answer's surplus of length is z ~ N(m, 1) standard deviations with m ~ N(0, 1), and z - m
correlates with u by `substance`: where it is above 0, answers are longer in part because there is more right to say.
The judge prefers the answer with probability sigmoid(q + u + taste · tanh(z)), taste ~ N(0, `pull`), and a winner is
drawn. The truth is the same without the taste, averaged over u.

Error of a strength: root mean square of fit minus truth over the worlds of one kind, then averaged over the kinds.
Chosen is the strength of the least error. Tastes go from none to that of a judge that pays for length and nothing else
(4, as the tests plant it), since in a loop that judges itself both occur.
"""

import argparse
from itertools import product

import numpy as np
from scipy.special import expit

from selfreward.measuring.metrics.policy.win_rate import fit_slope_and_level

STRENGTHS = (0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
PROMPTS = (60, 200, 800)
PULLS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
SUBSTANCES = (0.0, 0.3)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)


def errors(generator: np.random.Generator, prompts: int, pull: float, substance: float, repeats: int) -> np.ndarray:
    """Root mean square error of each strength, in points."""
    squares = np.zeros(len(STRENGTHS))
    for _ in range(repeats):
        quality, shift, taste = generator.normal(size=3) * (1, 1, pull)
        own = generator.normal(size=prompts)
        lengths = shift + substance * own + np.sqrt(1 - substance**2) * generator.normal(size=prompts)
        wins = (generator.random(prompts) < expit(quality + own + taste * np.tanh(lengths))).astype(np.float64)
        truth = float((WEIGHTS * expit(quality + NODES)).sum() / WEIGHTS.sum())
        covariate = np.tanh(lengths / lengths.std(ddof=1))
        fits = [expit(fit_slope_and_level(covariate, wins, ridge)[1]) for ridge in STRENGTHS]
        squares += (100 * (np.asarray(fits) - truth)) ** 2
    return np.sqrt(squares / repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400)
    repeats = parser.parse_args().repeats
    generator = np.random.default_rng(20240404)
    print(f"Root mean square error in points, {repeats} worlds of each kind.\n")
    print("| prompts | pull | substance | " + " | ".join(f"ridge {strength:g}" for strength in STRENGTHS) + " |")
    print("| ---: |" + " ---: |" * (2 + len(STRENGTHS)))
    kinds = []
    for prompts, pull, substance in product(PROMPTS, PULLS, SUBSTANCES):
        found = errors(generator, prompts, pull, substance, repeats)
        kinds.append(found)
        print(
            f"| {prompts} | {pull} | {substance} | " + " | ".join(f"{error:.2f}" for error in found) + " |", flush=True
        )
    mean = np.mean(kinds, axis=0)
    print("| mean | | | " + " | ".join(f"{error:.2f}" for error in mean) + " |")
    print(f"\nChosen: {STRENGTHS[int(mean.argmin())]:g}")


if __name__ == "__main__":
    main()
