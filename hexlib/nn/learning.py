"""How a network learns: losses, the step of the optimiser, the schedule, the moving average."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hexlib.nn.batches import Batch
from hexlib.nn.device import Device
from hexlib.nn.model import HexNet
from hexlib.settings import Train


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


def losses(network: HexNet, batch: Batch, value_mix: float) -> dict[str, Tensor]:
    """Losses and accuracies of a batch, scalars; `loss` is the one to minimise.

    Policy: cross-entropy against the target, over the positions that have one. Value: binary
    cross-entropy against the outcome mixed with the search's root value, where there is one.
    """
    logits, value = network(batch.planes)
    logits = logits.float().masked_fill(batch.occupied, -1e9)
    value = value.float()
    has_policy = batch.policy.sum(1) > 0
    log_policy = functional.log_softmax(logits, 1)
    entropy = -(batch.policy * log_policy).sum(1)
    positions = has_policy.sum().clamp(min=1)
    outcome = (batch.value + 1) / 2
    searched = (batch.root_value + 1) / 2
    mixed = torch.where(searched.isnan(), outcome, torch.lerp(outcome, searched, value_mix))
    policy_loss = entropy.sum() / positions
    value_loss = functional.binary_cross_entropy_with_logits(value, mixed)
    right = (logits.argmax(1) == batch.policy.argmax(1)) & has_policy
    return {
        "loss": policy_loss + value_loss,
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "policy_top1": right.sum() / positions,
        "value_accuracy": ((value > 0) == (batch.value > 0)).float().mean(),
    }


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
        self.network = network.to(device.device).train()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = HexNet(network.settings).to(device.device)
        self.average.load_state_dict(network.state_dict())
        self.average.eval()
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": plain, "weight_decay": 0.0},  # biases and norms are not to shrink
            ],
            fused=True,
        )

    def state(self) -> dict[str, Any]:
        """All that a later step depends on."""
        return {
            "weights": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.network.load_state_dict(state["weights"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])

    def step(self, batch: Batch, learning_rate: float) -> dict[str, Tensor]:
        """One step of the optimiser; returns the batch's figures before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        with self._autocast():
            figures = losses(self.network, batch, self.settings.value_mix)
        self.optimiser.zero_grad(set_to_none=True)
        figures["loss"].backward()
        figures["gradient_norm"] = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), self.settings.gradient_clip
        )
        self.optimiser.step()
        self._follow()
        return {name: figure.detach() for name, figure in figures.items()}

    def _follow(self) -> None:
        """Move the average towards the weights."""
        ours, theirs = self.average.state_dict(), self.network.state_dict()
        floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [ours[name] for name in floats],
            [theirs[name] for name in floats],
            1 - self.settings.moving_average,
        )

    def _autocast(self) -> torch.autocast:
        precision = self.device.precision
        return torch.autocast(
            self.device.device.type, precision, enabled=precision != torch.float32
        )

    @torch.no_grad()
    def validate(self, batches: list[Batch]) -> dict[str, float]:
        """Figures of the moving average over batches that are never trained on."""
        sums: dict[str, float] = {}
        for batch in batches:
            with self._autocast():
                figures = losses(self.average, batch, self.settings.value_mix)
            for name, figure in figures.items():
                sums[name] = sums.get(name, 0.0) + figure.item() * len(batch.value)
        rows = sum(len(batch.value) for batch in batches)
        return {f"validation_{name}": total / rows for name, total in sums.items()}
