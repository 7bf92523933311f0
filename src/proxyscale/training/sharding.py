"""A model whose weights, gradients and moments lie in parts with several processes: torch's FSDP2.

Every process holds a part of each tensor, along its first dimension. torch gathers the weights of a
block while it computes and parts the block's gradient among the processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeGuard

import torch
import torch.distributed
from torch import Tensor, nn

if TYPE_CHECKING:  # half a second to import, which runs of one process do not need
    from torch.distributed.tensor import DTensor


def shard(objective: nn.Module, model: nn.Module, device: torch.device, compiled: bool) -> None:
    """Leave this process its part of the parameters of `model`, which `objective` computes with.

    A model is moved to the device block by block, so that it never lies there as a whole. What is
    recorded on its parameters stays. `compiled`: compile the blocks.
    """
    from torch.distributed.device_mesh import init_device_mesh  # these take a second to import
    from torch.distributed.fsdp import fully_shard

    shapes = {name: parameter.infshape for name, parameter in model.named_parameters()}  # type: ignore[attr-defined]
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for block in _blocks(model):
        if compiled:
            block.compile()
        fully_shard(block, mesh=mesh)
    fully_shard(objective, mesh=mesh)
    for name, parameter in model.named_parameters():
        parameter.infshape = shapes[name]  # type: ignore[attr-defined]


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """What a model lists as its layers."""
    for child in module.children():
        yield from child if isinstance(child, nn.ModuleList) else _blocks(child)


def parted(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether this process holds but a part of a tensor."""
    return hasattr(tensor, "full_tensor")


def local(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The parts of tensors that lie in this process; the tensors, where they are whole."""
    return [tensor.to_local() if parted(tensor) else tensor for tensor in tensors]


def norm(tensors: Iterable[Tensor]) -> Tensor:
    """The norm of all tensors together, of which every process has all or has its own parts."""
    found = list(tensors)
    each = torch.stack(torch._foreach_norm(local(found)))
    total: Tensor = torch.linalg.vector_norm(each)
    if parted(found[0]):
        total = total.square()
        torch.distributed.all_reduce(total)
        total = total.sqrt()
    return total


def gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Whole tensors on the CPU, one after another; none without `keep`.

    Where they are in parts, all processes have to call it.
    """
    found = {}
    for name, tensor in tensors.items():
        whole = tensor.full_tensor() if parted(tensor) else tensor
        if keep:
            found[name] = whole.cpu()
    return found


def put(tensor: Tensor, whole: Tensor) -> None:
    """Fill a tensor, or the part of it that lies here, from the whole one."""
    if not parted(tensor):
        tensor.copy_(whole)
        return
    parts = whole.chunk(torch.distributed.get_world_size())
    rank = torch.distributed.get_rank()
    if rank < len(parts):  # of a short tensor some processes have nothing
        tensor.to_local().copy_(parts[rank])


def agreed(said: bool, device: torch.device) -> bool:
    """What the first process says, in every process."""
    word = torch.tensor(float(said), device=device)
    torch.distributed.broadcast(word, 0)
    return bool(word)
