"""The network: fully convolutional, so that one set of weights plays every board size.

The input is turned so that the player to move connects top to bottom. The two planes (stones of
the player to move, stones of the opponent) are padded by a ring that holds the edges as stones of
their owners, which is all that tells the network where the board ends. Global pooling carries
what happens far away, as in KataGo (Wu 2019, arXiv:1902.10565, section 3.3).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexlib.nn import parallel
from hexlib.nn.equivariance import Tie
from hexlib.settings import Net

PLANES = 2


def ring(n: int) -> np.ndarray:
    """The empty board with its ring, float32 [n+2, n+2, 2]: the edges as stones of their owners."""
    planes = np.zeros((n + 2, n + 2, PLANES), np.float32)
    planes[[0, -1], :, 0] = 1
    planes[:, [0, -1], 1] = 1
    return planes


class Norm(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes that share a training."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, H, W]."""
        if not self.training or parallel.processes() == 1:
            return super().forward(x)
        # torch's SyncBatchNorm does this on GPUs only.
        wide = x.float()
        count = parallel.processes() * x.numel() // x.shape[1]  # all have equal shares
        mean = parallel.summed(wide.sum((0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        variance = parallel.summed(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            unbiased = variance * count / (count - 1)
            for running, now in ((self.running_mean, mean), (self.running_var, unbiased)):
                assert running is not None
                running.lerp_(now, self.momentum or 0)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class ConvNorm(nn.Module):
    """A convolution with batch normalisation, which `folded` turns into a convolution alone."""

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
        self.norm = Norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] → [B, outputs, H', W']."""
        return self.norm(self.conv(x))

    def folded(self) -> nn.Conv2d:
        """The same function as one convolution, with the statistics of evaluation."""
        return nn.utils.fuse_conv_bn_eval(self.conv, self.norm)


class LinearNorm(nn.Module):
    """A linear layer with batch normalisation, which `folded` turns into a linear layer alone."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = Norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] → [B, outputs]."""
        return self.norm(self.linear(x)[:, :, None, None]).flatten(1)

    def folded(self) -> nn.Linear:
        """The same function as one linear layer, with the statistics of evaluation."""
        return nn.utils.fuse_linear_bn_eval(self.linear, self.norm)


def pooled(x: Tensor) -> Tensor:
    """[B, C, H, W] → [B, 2C]: mean and maximum over the board."""
    # As pooling over the whole board: `mean` and `amax` take 4 to 10 times as long in bfloat16.
    whole = (x.shape[2], x.shape[3])
    mean, maximum = functional.avg_pool2d(x, whole), functional.max_pool2d(x, whole)
    return torch.cat([mean, maximum], 1).flatten(1)


class Block(nn.Module):
    """A residual block of two 3×3 convolutions, with global pooling between them if asked."""

    def __init__(self, channels: int, pool: bool):
        super().__init__()
        self.first = ConvNorm(channels, channels, 3, padding=1)
        self.second = ConvNorm(channels, channels, 3, padding=1)
        self.pool = nn.Linear(2 * channels, channels) if pool else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, n, n] → [B, C, n, n]."""
        y = torch.relu(self.first(x))
        if self.pool is not None:
            y = y + self.pool(pooled(y))[:, :, None, None]
        return torch.relu(x + self.second(y))


class HexNet(nn.Module):
    """Policy logits and one value logit for a batch of boards of any size."""

    def __init__(self, settings: Net):
        super().__init__()
        channels = settings.channels
        self.settings = settings
        self.stem = ConvNorm(PLANES, channels, 3, padding=0)  # takes the ring off
        self.blocks = nn.ModuleList(
            # Every third block pools, from the second on: it is cheap, but not free.
            Block(channels, pool=k % 3 == 1)
            for k in range(settings.blocks)
        )
        self.policy_conv = ConvNorm(channels, channels, 1, padding=0)
        self.policy_bias = nn.Linear(2 * channels, channels)
        self.policy_out = nn.Conv2d(channels, 1, 1)
        self.value_conv = ConvNorm(channels, channels, 1, padding=0)
        # Without a norm most of these units die: 16 of 64 were ever above zero after a whole run.
        self.value_hidden = LinearNorm(2 * channels, 64)
        self.value_out = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Planes with ring [B, 2, n+2, n+2] → policy logits [B, n·n] and value logit [B].

        The value logit is that of the probability that the player to move wins. Occupied cells
        are not masked: the caller knows which they are.
        """
        logits, value, _ = self.with_features(x)
        return logits, value

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, with what the policy is read from, [B, C, n, n], for `Auxiliary` heads."""
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        whole = pooled(torch.relu(self.value_conv(x)))
        policy = torch.relu(self.policy_conv(x) + self.policy_bias(whole)[:, :, None, None])
        value = torch.relu(self.value_hidden(whole))
        return self.policy_out(policy).flatten(1), self.value_out(value)[:, 0], policy

    def folded(self) -> "HexNet":
        """A copy for inference, in evaluation mode, with each batch normalisation folded away."""
        copy = HexNet(self.settings)
        copy.load_state_dict(self.state_dict())
        copy.eval()
        for module in list(copy.modules()):
            for name, child in module.named_children():
                if isinstance(child, ConvNorm | LinearNorm):
                    setattr(module, name, child.folded())
        return copy


class Auxiliary(nn.Module):
    """Further policies that a network learns beside its own, and that playing does without.

    What they ask of the network's features makes these better (Wu 2019, arXiv:1902.10565, 3.4; the
    soft policy: KataGoMethods.md of KataGo).
    """

    def __init__(self, channels: int, heads: Sequence[str]):
        super().__init__()
        self.out = nn.ModuleDict({name: nn.Conv2d(channels, 1, 1, bias=False) for name in heads})

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """[B, C, n, n] → logits [B, n·n] of each head, by its name."""
        return {name: out(features).flatten(1) for name, out in self.out.items()}


def random_network(settings: Net, seed: int) -> HexNet:
    """A network with random weights that depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = HexNet(settings)
    if settings.symmetric:
        tie = Tie(network.named_parameters())
        tie.average(tie.tensors)
        with torch.no_grad():
            for weights in tie.tensors:
                if weights.ndim > 1:  # the mean of two has less variance than each
                    weights *= 2**0.5
    return network
