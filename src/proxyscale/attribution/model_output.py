"""The output of a language model on an example that attribution is of, and its gradient."""

from __future__ import annotations

import torch
from torch import Tensor


def model_output(logits: Tensor, true: Tensor, scored: Tensor) -> Tensor:
    """f: the mean over scored positions of log(p / (1 - p)), p of the true next token.

    `logits` [batch, positions, vocabulary], `true` i64 and `scored` bool [batch, positions]
    → [batch]. TRAK (2303.14186), section 3.3; for language models DsDm (2401.12926), section 2.2.
    """
    true = true.unsqueeze(2)
    others = logits.scatter(2, true, float("-inf")).logsumexp(2)
    margins = logits.gather(2, true).squeeze(2) - others
    return (margins * scored).sum(1) / scored.sum(1)


@torch.no_grad()
def output_gradient(logits: Tensor, true: Tensor, scored: Tensor) -> Tensor:
    """∂f/∂logits of `model_output`, in the memory of `logits`, which is overwritten.

    log(p / (1 - p)) = z_true - logsumexp of the other z: its gradient is 1 at the true token and
    minus the softmax over the others elsewhere.
    """
    true = true.unsqueeze(2)
    logits.scatter_(2, true, float("-inf"))
    torch.softmax(logits, 2, out=logits)
    logits.scatter_(2, true, -1.0)
    share = scored.to(logits.dtype) / scored.sum(1, keepdim=True)
    return logits.mul_(-share.unsqueeze(2))
