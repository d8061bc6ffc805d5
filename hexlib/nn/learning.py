"""How a network learns: losses, the step of the optimiser, the schedule, the moving average."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from hexlib.nn import parallel
from hexlib.nn.batches import Batch
from hexlib.nn.device import Device
from hexlib.nn.equivariance import Tie
from hexlib.nn.model import Auxiliary, HexNet
from hexlib.settings import Train

SOFTENED = 0.25  # exponent of the soft policy's target: KataGo's temperature of 4
BINS = 10  # of the reliability table


@dataclass(frozen=True)
class Schedule:
    """Learning rates of one generation: linear from start to end, after a linear warm-up."""

    start: float
    end: float
    warmup_steps: int  # 0 where the optimiser goes on from the generation before
    steps: int

    def at(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        rate = self.start + (self.end - self.start) * step / max(1, self.steps)
        return rate * min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else rate


class Outputs(NamedTuple):
    """What a network says of B positions."""

    policy: Tensor  # logits [B, A]
    value: Tensor  # logit [B], of the chance that the player to move wins
    auxiliary: dict[str, Tensor]  # logits [B, A] by head


def heads(settings: Train) -> dict[str, float]:
    """The auxiliary heads that a training has, with the weights of their losses."""
    weights = {"soft_policy": settings.soft_policy_weight, "reply": settings.reply_weight}
    return {name: weight for name, weight in weights.items() if weight}


class Learner(nn.Module):
    """A network and the auxiliary heads that it learns with."""

    def __init__(self, network: HexNet, settings: Train):
        super().__init__()
        self.network = network
        self.auxiliary = Auxiliary(network.settings.channels, list(heads(settings)))

    def forward(self, planes: Tensor) -> Outputs:
        """Planes with ring [B, 2, n+2, n+2] → everything that is learned."""
        policy, value, features = self.network.with_features(planes)
        return Outputs(policy, value, self.auxiliary(features))


def losses(outputs: Outputs, batch: Batch, settings: Train) -> dict[str, Tensor]:
    """Losses and accuracies of a batch, scalars; `loss` is the one to minimise.

    Policy: cross-entropy against the target, over the positions that have one. Value: binary
    cross-entropy against the outcome mixed with the search's root value, where there is one. Soft
    policy: cross-entropy against the target to the power of `SOFTENED`, made to sum to 1. Reply:
    that against the opponent's next move, where it is told. Means are weighted by the positions'
    weights, over the batches of all processes.
    """
    has_policy = batch.weight * (batch.policy.sum(1) > 0)
    figures: dict[str, Tensor] = {}

    def mean(x: Tensor, weight: Tensor) -> Tensor:
        # Of several processes, so that the mean over them of what each returns is that of all rows.
        return (x * weight).sum() / parallel.mean(weight.sum()).clamp(min=1e-9)

    def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        masked = logits.float().masked_fill(batch.occupied, -1e9)
        return mean(-(target * functional.log_softmax(masked, 1)).sum(1), weight)

    value = outputs.value.float()
    outcome = (batch.value + 1) / 2
    searched = (batch.root_value + 1) / 2
    mixed = torch.where(
        searched.isnan(), outcome, torch.lerp(outcome, searched, settings.value_mix)
    )
    entropy = functional.binary_cross_entropy_with_logits(value, mixed, reduction="none")
    figures["policy_loss"] = cross_entropy(outputs.policy, batch.policy, has_policy)
    figures["value_loss"] = mean(entropy, batch.weight)
    loss = settings.policy_weight * figures["policy_loss"]
    loss = loss + settings.value_weight * figures["value_loss"]
    # The moving average, which validates, has no auxiliary heads.
    if "soft_policy" in outputs.auxiliary:
        soft = batch.policy**SOFTENED * (batch.policy > 0)
        target = soft / soft.sum(1, keepdim=True).clamp(min=1e-9)
        logits = outputs.auxiliary["soft_policy"]
        figures["soft_policy_loss"] = cross_entropy(logits, target, has_policy)
    if "reply" in outputs.auxiliary:
        told = batch.reply >= 0
        target = functional.one_hot(batch.reply.clamp(min=0), batch.policy.shape[1])
        logits = outputs.auxiliary["reply"]
        figures["reply_loss"] = cross_entropy(logits, target, batch.weight * told)
    for name in outputs.auxiliary:
        loss = loss + heads(settings)[name] * figures[f"{name}_loss"]
    best = outputs.policy.masked_fill(batch.occupied, -torch.inf).argmax(1)
    right = best == batch.policy.argmax(1)
    figures["policy_top1"] = mean(right.float(), has_policy)
    figures["value_accuracy"] = mean(((value > 0) == (batch.value > 0)).float(), batch.weight)
    figures["value_spread"] = value.sigmoid().std(correction=0)
    return {"loss": loss, **figures}


class Sums:
    """Running sums of a step's figures, kept on the device so that a step never waits for them."""

    def __init__(self, total: dict[str, Tensor] | None = None, count: int = 0):
        self.total = total or {}
        self.count = count

    def add(self, figures: dict[str, Tensor]) -> None:
        """Add scalars [] by name."""
        for name, figure in figures.items():
            self.total[name] = self.total[name] + figure if self.count else figure
        self.count += 1

    def means(self) -> dict[str, float]:
        """The mean of each figure."""
        return {name: total.item() / self.count for name, total in self.total.items()}


class Trainer:
    """A network, its optimiser and its moving average, which can be saved between any two steps."""

    def __init__(self, network: HexNet, settings: Train, device: Device):
        self.settings = settings
        self.device = device
        channels_last: Any = {"memory_format": torch.channels_last}
        self.average = HexNet(network.settings).to(device.device, **channels_last)
        self.average.load_state_dict(network.state_dict())
        self.average.eval()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # of the auxiliary heads
            self.learner = Learner(network, settings)
        self.learner.to(device.device, **channels_last).train()
        self._forward: nn.Module = self.learner
        if parallel.processes() > 1:
            self._forward = DistributedDataParallel(self.learner, broadcast_buffers=False)
        decayed = [p for p in self.learner.parameters() if p.ndim > 1]
        plain = [p for p in self.learner.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": plain, "weight_decay": 0.0},  # biases and norms are not to shrink
            ],
            fused=True,
        )
        ours, theirs = self.average.state_dict(), network.state_dict()
        floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        self._averaged = [ours[name] for name in floats]
        self._followed = [theirs[name] for name in floats]
        self._steps = 0  # of the optimiser
        self._tie = self._tied_statistics = None
        if network.settings.symmetric:
            auxiliary = self.learner.auxiliary.named_parameters()
            self._tie = Tie([*network.named_parameters(), *auxiliary])
            self._tie.average(self._tie.tensors)  # for the heads, and what rounding has left
            self._tied_statistics = Tie(network.named_buffers())

    def state(self) -> dict[str, Any]:
        """All that a later step depends on."""
        return {
            "weights": self.learner.network.state_dict(),
            "auxiliary": self.learner.auxiliary.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def fits(self, state: dict[str, Any]) -> bool:
        """Whether a `state` is of such a network with such heads."""

        def shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
            return {name: tensor.shape for name, tensor in tensors.items()}

        return all(
            shapes(state.get(key, {})) == shapes(own)
            for key, own in self.state().items()
            if key != "optimiser"
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state` that fits."""
        self.learner.network.load_state_dict(state["weights"])
        self.learner.auxiliary.load_state_dict(state["auxiliary"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._steps = max((int(one["step"]) for one in self.optimiser.state.values()), default=0)

    def step(self, batch: Batch, learning_rate: float) -> dict[str, Tensor]:
        """One step of the optimiser; returns the figures of the whole batch before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        with self._autocast():
            outputs = self._forward(batch.planes)
        figures = losses(outputs, batch, self.settings)
        self.optimiser.zero_grad(set_to_none=True)
        figures["loss"].backward()
        if self._tie:
            self._tie.average([p.grad for p in self._tie.tensors if p.grad is not None])
        figures["gradient_norm"] = torch.nn.utils.clip_grad_norm_(
            self.learner.parameters(), self.settings.gradient_clip
        )
        self.optimiser.step()
        if self._tied_statistics:
            self._tied_statistics.average(self._tied_statistics.tensors)
        # The average moves towards the weights: at first quickly, away from the random ones.
        warm = (1 + self._steps) / (10 + self._steps)
        decay = min(warm, self.settings.moving_average)
        torch._foreach_lerp_(self._averaged, self._followed, 1 - decay)
        self._steps += 1
        return parallel.mean_of(figures)

    def _autocast(self) -> torch.autocast:
        precision = self.device.precision
        return torch.autocast(
            self.device.device.type, precision, enabled=precision != torch.float32
        )

    @torch.no_grad()
    def validate(self, batches: Sequence[Batch]) -> tuple[dict[str, float], np.ndarray]:
        """Figures of the moving average over batches that are never trained on.

        Returns them by name, and the reliability table float64 [BINS, 3]: positions whose chance
        to win is said to be in the bin, the sum of these chances, and how many were won.
        """
        sums: dict[str, float] = {}
        table = np.zeros((BINS, 3))
        for batch in batches:
            with self._autocast():
                policy, value = self.average(batch.planes)
                outputs = Outputs(policy, value, {})
            for name, figure in losses(outputs, batch, self.settings).items():
                sums[name] = sums.get(name, 0.0) + figure.item() * len(batch.value)
            chance = outputs.value.double().sigmoid().cpu().numpy()
            which = np.minimum((chance * BINS).astype(int), BINS - 1)
            won = batch.value.cpu().numpy() > 0
            for column, of_row in enumerate((np.ones(len(chance)), chance, won)):
                table[:, column] += np.bincount(which, of_row, BINS)
        rows = float(table[:, 0].sum())
        if not rows:
            return {}, table
        figures = {f"validation_{name}": total / rows for name, total in sums.items()}
        off = np.abs(table[:, 1] - table[:, 2]).sum() / rows
        return {**figures, "validation_calibration_error": float(off)}, table
