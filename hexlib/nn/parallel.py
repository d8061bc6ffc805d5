"""Several processes that share a training, as torchrun starts them; alone, all of this is nothing.

Each has its share of every batch and the same weights. Sums over the batch (of the loss's weights,
in batch normalisation) are taken over all processes, so that the gradients are those of one process
with the whole batch.
"""

import os

import torch
from torch import Tensor, distributed


def start(device: torch.device) -> None:
    """Join the other processes, if torchrun has started this one; each takes a GPU of its own."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")


def stop() -> None:
    """Leave the other processes once all have come this far."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def processes() -> int:
    """How many processes share this training."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def number() -> int:
    """Which of them this is, from 0, which alone writes files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def summed(x: Tensor) -> Tensor:
    """The sum over all processes, through which gradients flow."""
    if processes() == 1:
        return x
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(x)


def mean(x: Tensor) -> Tensor:
    """The mean over all processes, without gradients."""
    return summed(x.detach()) / processes()


def mean_of(figures: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mean of each of some scalars over all processes, without gradients."""
    if processes() == 1:
        return {name: figure.detach() for name, figure in figures.items()}
    return dict(zip(figures, mean(torch.stack(list(figures.values()))), strict=True))


def any_of(flag: bool) -> bool:
    """Whether it is true in any process: what all of them then know at the same step."""
    if processes() == 1:
        return flag
    told = torch.tensor([float(flag)])
    if distributed.get_backend() == "nccl":
        told = told.cuda()
    distributed.all_reduce(told)
    return bool(told.item())
