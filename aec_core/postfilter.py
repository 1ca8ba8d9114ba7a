"""Wiener post-filter that steers one pass of the network to several tasks (paper, eqs. 4 and 5)."""

from __future__ import annotations

import numpy as np

from aec_core.types import Samples

_TINY = np.float32(1e-6)
_LEAST_RATIO = np.float32(1e-5)  # lets beta 0.2 take 40 dB


def wiener_gains(near_mask: Samples, echo_mask: Samples, betas: Samples) -> Samples:
    """Turn both masks into one gain for each task.

    `M_pwf = (M_x / (M_x + M_r))^2` and the gain is `M_pwf^beta`: since equation 4 is squared
    already, the gain is the ratio to the power of 2 beta.

    Args:
        near_mask: `M_x`, `(S, bins)` in [0, 1].
        echo_mask: `M_r`, `(S, bins)` in [0, 1].
        betas: `(S, tasks)`, each >= 0; 0 leaves the linear output as it is.

    Returns:
        Gains in (0, 1], `(S, tasks, bins)`.
    """
    ratio = np.maximum(near_mask / (near_mask + echo_mask + _TINY), _LEAST_RATIO)
    return np.exp(2 * betas[..., None] * np.log(ratio)[:, None])
