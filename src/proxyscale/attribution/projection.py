"""A random projection of gradients: seeded, never stored, one pass over the memory.

A count sketch (Charikar et al. 2002; Weinberger et al. 2009, 0902.2206): every parameter has a
random sign and one of k buckets, and φ_b is the signed sum of bucket b. Inner products are kept
in expectation, with the variance of a dense random matrix of the same k; the cost is that of
reading the gradient, whatever k is. The buckets of neighbouring parameters are neighbours, and
only where such a run begins is random: so a run is added as a whole.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

RUN = 1 << 14  # parameters that are added as a whole


class Projection:
    """Gradients of named parameters [batch, *shape], summed over names → features [batch, k].

    Everything random follows from `seed` and the parameter's name, on every device alike; of the
    k × parameters matrix only a sign for each parameter is held.
    """

    def __init__(self, dimension: int, seed: int, device: torch.device | str = "cpu") -> None:
        self.dimension = dimension
        self.width = dimension * max(1, RUN // dimension)
        self.seed = seed
        self.device = device
        self.plans: dict[str, tuple[Tensor, list[int]]] = {}

    def start(self, batch: int) -> Tensor:
        """An empty accumulator for `add`."""
        return torch.zeros(batch, self.width + self.dimension, device=self.device)

    def add(self, total: Tensor, name: str, gradient: Tensor) -> None:
        """Add one parameter's gradient [batch, *shape] to the accumulator, in place.

        A matrix's entries are numbered along its longer side, which is how `GradientComputer` has
        them in memory; all others' as they come.
        """
        if gradient.dim() == 3 and gradient.shape[1] > gradient.shape[2]:
            gradient = gradient.transpose(1, 2)
        flat = gradient.flatten(1)
        signs, shifts = self._plan(name, flat.shape[1])
        runs = zip(flat.split(self.width, 1), signs.split(self.width), shifts, strict=True)
        for values, sign, shift in runs:
            total[:, shift : shift + len(sign)].addcmul_(values, sign)

    def finish(self, total: Tensor) -> Tensor:
        """The features [batch, k]."""
        return total.view(len(total), -1, self.dimension).sum(1)

    def _plan(self, name: str, size: int) -> tuple[Tensor, list[int]]:
        """The signs of a parameter's entries, and where each of its runs begins."""
        if name not in self.plans:
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
            runs = -(-size // self.width)
            shifts = torch.randint(self.dimension, (runs,), generator=generator).tolist()
            signs = torch.randint(2, (size,), generator=generator, dtype=torch.int8)
            self.plans[name] = ((2.0 * signs - 1).to(self.device), shifts)
        return self.plans[name]
