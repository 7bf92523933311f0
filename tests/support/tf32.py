"""What TF32 does to products of matrices on a GPU, on a CPU: factors have ten bits of fraction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
DROPPED = 13  # of float32's 23 bits


def rounded(value: Any) -> Any:
    """A float32 tensor to the nearest TF32, halves to even; anything else as it is."""
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        return value
    bits = value.contiguous().view(torch.int32)
    half = (1 << DROPPED - 1) - 1 + (bits >> DROPPED & 1)
    return (bits + half & -1 << DROPPED).view(torch.float32)


class _Products(TorchDispatchMode):
    """Rounds the factors of every product."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS:
            args = (*args[:-2], *map(rounded, args[-2:]))
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def emulated() -> Iterator[None]:
    """TF32 while the block runs, attention and the backward pass included."""
    with (
        torch.backends.mkldnn.flags(enabled=False, allow_tf32=None),
        sdpa_kernel(SDPBackend.MATH),
        _Products(),
    ):
        yield
