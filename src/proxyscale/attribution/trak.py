"""TRAK's score formulas, for any family of models: per-example gradients in, scores out.

With φ(z) the gradient of the model output f = log(p / (1 − p)) with respect to the parameters,
projected or not, and Φ its rows over the training examples, one model's scores are

    τ(z) = φ(z)ᵀ (ΦᵀΦ + λI)⁻¹ Φᵀ = φ(z)ᵀ Φᵀ (ΦΦᵀ + λI)⁻¹.

The left form solves a k × k system (primal), the right one an n × n system (dual), which needs no
projection: it is exact, and the choice for pools of up to a few thousand examples.
Positive scores help: training on the example raises the output.
Park et al., TRAK (arXiv 2303.14186), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from proxyscale.training.matmul import linear, transposed_times

# The penalty in units of the mean non-zero eigenvalue: it never looks at evaluation subsets, and
# is the same number for the primal and for the dual form.
RIDGE = 0.3

Gradients = Callable[[slice], Tensor]


def dual_scores(
    kernel: Tensor, cross: Tensor, *, ridge: float = RIDGE, dimensions: int | None = None
) -> Tensor:
    """One model's scores from inner products of gradients, without projection.

    `kernel` [n, n] is ΦΦᵀ over the training examples, `cross` [t, n] holds φ(z)ᵀΦᵀ for t test
    examples; returns [t, n] in the type of `cross`. Solved in float64. `dimensions` are those of
    the gradients, taken to be n or more where they are not given.
    """
    matrix = kernel.double()
    rank = min(len(matrix), dimensions or len(matrix))
    penalty = ridge * (matrix.diagonal().sum() / rank)
    matrix = matrix + penalty * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return torch.cholesky_solve(cross.double().T, torch.linalg.cholesky(matrix)).T.to(cross.dtype)


def primal_scores(
    train: Callable[[], Iterable[Tensor]], test: Tensor, *, ridge: float = RIDGE
) -> Tensor:
    """One model's scores from (projected) features of n training examples: [t, n].

    `train()` gives their features [rows, k] block by block, twice; `test` is [t, k], whose type the
    scores have, which wait on the CPU. ΦᵀΦ [k, k] is summed over the blocks and solved in float64.
    """
    gram = torch.zeros(test.shape[1], test.shape[1], dtype=torch.float64, device=test.device)
    examples = 0
    for block in train():
        gram += transposed_times(block, block)
        examples += len(block)
    gram.diagonal().add_(ridge * gram.trace() / min(examples, len(gram)))
    solved = torch.cholesky_solve(test.double().T, torch.linalg.cholesky(gram))
    return torch.cat([(block.double() @ solved).to(test.dtype).cpu() for block in train()]).T


def inner_products(
    train: Gradients, examples: int, tests: Mapping[str, tuple[Gradients, int]], *, block: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """ΦΦᵀ [n, n], and φ(z)ᵀΦᵀ [t, n] for each test set, of gradients too large to be held at once.

    `train(rows)` gives the gradients [rows, p] of a slice of the n = `examples` training examples,
    and so for each test set, which comes with its size. Two blocks of `block` rows are held at a
    time: each is held against every later one and every test set, which are computed anew.
    """
    kernel = torch.empty(examples, examples)
    crosses = {name: torch.empty(count, examples) for name, (_, count) in tests.items()}
    blocks = _blocks(examples, block)
    for number, rows in enumerate(blocks):
        held = train(rows)
        kernel[rows, rows] = linear(held, held).cpu()
        for columns in blocks[number + 1 :]:
            product = linear(held, train(columns)).cpu()
            kernel[rows, columns], kernel[columns, rows] = product, product.T
        for name, (test, count) in tests.items():
            for among in _blocks(count, block):
                crosses[name][among, rows] = linear(test(among), held).cpu()
    return kernel, crosses


def _blocks(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def average(scores: Tensor, residuals: Tensor | None = None) -> Tensor:
    """Scores of several models, or of checkpoints of one: [m, t, n] → their mean [t, n].

    `residuals` [m, n], one minus the probability of the correct class of each training example,
    brings in TRAK's Q = diag(1 − p), averaged on its own as in TRAK (section 3.2);
    None leaves it out, as Khaddaj et al. (arXiv 2505.16260, appendix B.2) do, because it saturates.
    """
    mean = scores.mean(dim=0)
    return mean if residuals is None else mean * residuals.mean(dim=0)
