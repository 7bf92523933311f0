"""From a small scale's losses of mixtures to a larger one's, by the few runs that there are.

    log L_large = a + b·log L̂_small + rest,  b ~ N(1, 0.5²), rest a Gaussian process of the mixture

The line is drawn from `LINE` runs on: from three it makes predictions worse. The rest is fitted
from `REST` runs on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proxyscale.statistics.grid import Array
from proxyscale.statistics.mixture_model import Model, Process, fit

LINE, REST = 6, 8
SLOPE_SD = 0.5  # of the line, about 1
STEPS = 20  # of slope and scatter in turn, which settle in fewer than ten


@dataclass(frozen=True)
class Line:
    """The larger scale's y as a function of the smaller one's, and what mixtures add to it."""

    intercept: float
    slope: float
    scatter: float  # sd of the larger scale's runs about the line
    rest: Process | None


@dataclass(frozen=True)
class Transferred:
    """A loss at the larger scale."""

    small: Process
    line: Line

    @property
    def logarithmic(self) -> bool:
        return self.small.logarithmic

    def predict(self, weights: Array) -> Array:
        """Expected y at mixtures: [mixtures]."""
        y = self.line.intercept + self.line.slope * self.small.predict(weights)
        return y if self.line.rest is None else y + self.line.rest.predict(weights)

    def deviation(self, weights: Array) -> Array:
        """Standard deviation of y, of both processes, or of the one and the line's scatter."""
        rest = self.line.rest
        own = self.line.scatter if rest is None else rest.deviation(weights)
        return np.hypot(self.line.slope * self.small.deviation(weights), own)


def line_through(x: Array, y: Array) -> tuple[float, float, float]:
    """Intercept, slope and scatter of y over x [runs], the slope drawn towards 1.

    The posterior's mode, with a scatter that is that of the runs about the line.
    """
    dx, dy = x - x.mean(), y - y.mean()
    square, product = float(dx @ dx), float(dx @ dy)
    slope = 1.0
    for _ in range(STEPS):
        variance = float(((dy - slope * dx) ** 2).sum()) / max(len(x) - 2, 1)
        weight = variance / SLOPE_SD**2
        slope = (product + weight) / (square + weight) if square + weight else 1.0
    return float(y.mean() - slope * x.mean()), slope, float(np.sqrt(variance))


def transferred(weights: Array, small: Array, large: Array) -> list[Model]:
    """A model of every loss at the larger scale.

    `weights` [mixtures, sources]; `small`, `large` [mixtures, tasks], a row of NaN where a mixture
    was not trained at that scale; at the larger one `LINE` or more were.
    """
    there, known = np.isfinite(small).all(axis=1), np.isfinite(large).all(axis=1)
    found: list[Model] = []
    for below, above in zip(small.T, large.T, strict=True):
        logarithmic = bool((below[there] > 0).all() and (above[known] > 0).all())
        process = fit(weights[there], below[there], logarithmic=logarithmic)
        y = np.log(above[known]) if logarithmic else above[known]
        x = process.predict(weights[known])
        intercept, slope, scatter = line_through(x, y)
        rest = None
        if known.sum() >= REST:
            rest = fit(weights[known], y - intercept - slope * x, logarithmic=False)
        found.append(Transferred(process, Line(intercept, slope, scatter, rest)))
    return found
