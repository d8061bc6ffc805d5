"""Weights that make a board and its 180° turn the same to a network.

The turn of a board exchanges the two halves of a network's channels: what one half sees of the top,
the other sees of the bottom. A network whose weights stay as they are under both, the turn of each
kernel and the exchange of halves, gives the turned policy and the same value for a turned board
(group equivariance: Cohen and Welling 2016, arXiv:1602.07576), and learns of both from either. It
is asked as any other network is.

Weights that begin so stay so if the gradients are averaged with their turn, which is also what the
turned batch would have added to them.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def turned(name: str, tensor: Tensor) -> Tensor:
    """A parameter or statistic of `HexNet` or `Auxiliary`, by its name there, turned by 180°."""
    hidden = name.startswith("value_hidden")  # its units see the whole board, from either end
    if name.startswith("value_out") or name == "policy_out.bias" or tensor.ndim == 0:
        return tensor
    if tensor.ndim == 1:
        return tensor if hidden else _exchanged(tensor, 0)
    if tensor.ndim == 2:  # of pooled features: means, then maxima
        tensor = torch.cat([_exchanged(part, 1) for part in tensor.chunk(2, 1)], 1)
        return tensor if hidden else _exchanged(tensor, 0)
    tensor = tensor.flip(2, 3)
    if not name.startswith("stem"):  # which sees the stones themselves
        tensor = _exchanged(tensor, 1)
    return tensor if tensor.shape[0] == 1 else _exchanged(tensor, 0)


def _exchanged(tensor: Tensor, dim: int) -> Tensor:
    """With the two halves of a dimension exchanged."""
    return torch.cat(tensor.chunk(2, dim)[::-1], dim)


class Tie:
    """Averages tensors with their turn, all at once: a step of training has little time for it."""

    def __init__(self, named: Iterable[tuple[str, Tensor]]):
        """`named`: parameters, or statistics, of a network; integers among them are left alone."""
        known = [(name, tensor) for name, tensor in named if tensor.is_floating_point()]
        self.tensors = [tensor for _, tensor in known]
        self._sizes = [tensor.numel() for tensor in self.tensors]
        order, start = [], 0
        for (name, tensor), size in zip(known, self._sizes, strict=True):
            places = torch.arange(start, start + size).reshape(tensor.shape)
            order.append(turned(name, places).reshape(-1))
            start += size
        self._order = torch.cat(order).to(self.tensors[0].device)

    @torch.no_grad()
    def average(self, tensors: list[Tensor]) -> None:
        """In place; tensors of the shapes, and in the order, of those that it was made from."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        parts = ((flat + flat[self._order]) / 2).split(self._sizes)
        shaped = [part.view(like.shape) for part, like in zip(parts, tensors, strict=True)]
        torch._foreach_copy_(tensors, shaped)
