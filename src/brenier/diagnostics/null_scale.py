"""Statistics on the scale of their own null distributions, so that the largest can be taken."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# The quantile of the null distribution that is 1 on its scale: a level of 5 % by itself.
LEVEL = 0.05


@dataclass(frozen=True)
class NullScale:
    """The scale of a statistic: 0 at its null median, 1 at its null 95 % quantile.

    Attributes
    ----------
    samples : (S,)
        The statistic under a right model.
    median, upper : float
        Its median and its 95 % quantile.
    """

    samples: Float[np.ndarray, " S"]
    median: float
    upper: float

    @staticmethod
    def of(samples: Float[np.ndarray, " S"]) -> "NullScale":
        """Return the scale that samples of the null distribution make."""
        median, upper = np.quantile(samples, [0.5, 1 - LEVEL])
        return NullScale(samples, float(median), float(upper))

    def scaled(self, statistics: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        """Return statistics on the scale."""
        width = max(self.upper - self.median, float(np.finfo(float).tiny))
        return (statistics - self.median) / width

    def p_value(self, statistic: float | np.floating) -> float:
        """Return the share of null samples, this one included, that are as large."""
        return float(1 + np.sum(self.samples >= statistic)) / (1 + len(self.samples))


@dataclass(frozen=True)
class Standing:
    """Where a panel's statistic stands.

    Attributes
    ----------
    statistic : float
        In its own units.
    scaled : float
        On its null scale.
    p_value : float
        By itself.
    null : (S,)
        Null samples, on the scale.
    """

    statistic: float
    scaled: float
    p_value: float
    null: Float[np.ndarray, " S"]

    @property
    def numbers(self) -> tuple[float, float, float]:
        """The statistic, scaled, and its p-value: as a panel has them."""
        return self.statistic, self.scaled, self.p_value


def standing(statistic: float | np.floating, samples: Float[np.ndarray, " S"]) -> Standing:
    """Return where a statistic stands among samples of its null distribution."""
    scale = NullScale.of(samples)
    return Standing(
        float(statistic),
        float(scale.scaled(np.array([statistic], dtype=float))[0]),
        scale.p_value(statistic),
        scale.scaled(samples),
    )


def largest_of(
    statistics: Float[np.ndarray, " k"], samples: Float[np.ndarray, "S k"]
) -> tuple[float, Float[np.ndarray, " S"], Float[np.ndarray, " k"]]:
    """Return the largest of k statistics, each on its own scale, its null samples, and all k.

    Parameters
    ----------
    statistics : (k,)
        Of the data.
    samples : (S, k)
        Of tables from a right model, together.
    """
    scales = [NullScale.of(samples[:, i]) for i in range(samples.shape[1])]
    both = np.concatenate([statistics[None], samples])
    scaled = np.stack([scale.scaled(both[:, i]) for i, scale in enumerate(scales)], axis=1)
    return float(scaled[0].max()), scaled[1:].max(axis=1), scaled[0]
