"""Ridge-regularised Bradley-Terry strengths from a weighted win matrix (Meta-Rewarding, 2407.19594, equation 4).

    maximise  sum_mn B_mn * log sigma(e_m - e_n)  -  ridge / 2 * sum_m e_m^2

Without a ridge the maximum runs away when one player wins everything (separable) and is not unique when the win graph
falls apart; with one it is strictly concave, so both have one finite answer, and an all-zero matrix gives zeros. The
gradient sums to -ridge * sum e, so the strengths are centred at the maximum by themselves.

Scaling: strengths(c * B, c * ridge) = strengths(B, ridge). So scaling B alone leaves the strengths unchanged as the
ridge goes to 0 (on a strongly connected graph) and sharpens them otherwise: more wins are more evidence.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

_TOLERANCE = 1e-12
_MOST_STEPS = 200


def strengths(wins: ArrayLike, ridge: float) -> NDArray[np.float64]:
    """Strength of each player from `wins[m, n]` >= 0, the weight of m's wins over n (the diagonal is ignored).

    Newton's method with step halving. Raises ValueError for a matrix that is not square, finite and non-negative.
    """
    matrix = np.array(wins, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"win matrix has shape {matrix.shape}; expected players x players")
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError("win matrix holds a negative or non-finite weight; expected weights >= 0")
    if not ridge > 0:
        raise ValueError(f"ridge is {ridge}; expected above 0, or separable tournaments have no finite strengths")
    np.fill_diagonal(matrix, 0.0)
    players = len(matrix)
    current = np.zeros(players)
    scale = max(1.0, float(matrix.sum()))
    for _ in range(_MOST_STEPS):
        lost = expit(current[None, :] - current[:, None])
        gradient = (matrix * lost).sum(1) - (matrix * lost).sum(0) - ridge * current
        if np.abs(gradient).max(initial=0.0) <= _TOLERANCE * scale:
            break
        curvature = (matrix + matrix.T) * lost * (1 - lost)
        hessian = np.diag(curvature.sum(1) + ridge) - curvature
        step = np.linalg.solve(hessian, gradient)
        here, length = _objective(current, matrix, ridge), 1.0
        while _objective(current + length * step, matrix, ridge) < here and length > _TOLERANCE:
            length /= 2
        if length <= _TOLERANCE:
            break
        current = current + length * step
    return current - current.mean() if players else current


def _objective(values: NDArray[np.float64], wins: NDArray[np.float64], ridge: float) -> float:
    log_win = -np.logaddexp(0.0, values[None, :] - values[:, None])
    return float((wins * log_win).sum() - ridge / 2 * (values**2).sum())
