"""What runs a network on one batch of a fixed shape: torch, or OpenVINO on a CPU.

A backend is called with planes uint8 [batch, n+2, n+2, 2] (`model.ring` with stones inside) and
returns the network's policy logits float32 [batch, A] and value logits float32 [batch].
"""

import warnings
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from hexlib.nn.device import Device
from hexlib.nn.model import HexNet, ring
from hexlib.nn.quantisation import (
    CALIBRATION,
    MOST_DIFFERENCE,
    MOST_DIVERGENCE,
    Spans,
    answers,
    differences,
    played_positions,
    spans_of,
)

CACHE_BYTES = 512 * 1024  # a batch's activations are to stay in a core's second-level cache


class Backend(Protocol):
    """See the module's text."""

    batch: int
    device: Device  # the one that was asked for, unless it did not pass a check

    def __call__(self, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One forward pass."""


def fixed_batch(channels: int, board_size: int, device: torch.device) -> int:
    """Boards in one forward pass: a power of two, from the network's shape and the device alone."""
    if device.type != "cpu":
        return 512
    boards = CACHE_BYTES // (2 * channels * board_size**2)
    return 1 << max(4, min(9, boards.bit_length() - 1))


def empty_planes(batch: int, board_size: int) -> np.ndarray:
    """Planes of empty boards, uint8 [batch, n+2, n+2, 2]."""
    return np.tile(ring(board_size).astype(np.uint8), (batch, 1, 1, 1))


class TorchBackend:
    """torch with the weights packed once, on any device."""

    def __init__(self, network: HexNet, board_size: int, device: Device, batch: int):
        self.batch = batch
        self.device = device
        model = network.folded().to(device.device, device.precision)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.inference_mode(), warnings.catch_warnings():
            # Deprecated for torch.compile, which wants a compiler on the user's machine. Freezing
            # packs the weights once, where eager mode does so at each call: float32 gains a third.
            warnings.simplefilter("ignore", DeprecationWarning)
            example = self._on_device(empty_planes(self.batch, board_size))
            self._model = torch.jit.freeze(torch.jit.trace(model, example))

    def _on_device(self, planes: np.ndarray) -> torch.Tensor:
        """Bytes go up, and become [batch, 2, n+2, n+2], channels last, there."""
        there = torch.from_numpy(planes).to(self.device.device)
        return there.permute(0, 3, 1, 2).to(self.device.precision)

    def __call__(self, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One forward pass."""
        with torch.inference_mode():
            policy, value = self._model(self._on_device(planes))
            return policy.float().cpu().numpy(), value.float().cpu().numpy()


class OpenVinoBackend:
    """OpenVINO on one core: it joins convolutions with what follows them."""

    def __init__(self, network: HexNet, board_size: int, device: Device, batch: int):
        self.device = device
        self.batch = batch
        self._planes = empty_planes(self.batch, board_size)
        folded = network.folded()
        self._compile(folded, {})
        if not device.int8:
            return
        played = played_positions(self, self.batch, board_size)
        check = played[CALIBRATION:]
        exact = answers(self, self.batch, check)
        self._compile(folded, spans_of(folded, played[:CALIBRATION]))
        divergence, difference = differences(exact, answers(self, self.batch, check), check)
        passed = divergence <= MOST_DIVERGENCE and difference <= MOST_DIFFERENCE
        reason = (
            f"{device.reason}; on {len(check):,} positions eight-bit integers change the policy by"
            f" {divergence:.3f} nats ({MOST_DIVERGENCE} at most) and the value by {difference:.3f}"
            f" ({MOST_DIFFERENCE}), so they are {'' if passed else 'not '}used"
        )
        self.device = replace(device, int8=passed, reason=reason)
        if not passed:
            self._compile(folded, {})

    def _compile(self, folded: HexNet, spans: Spans) -> None:
        # Its start takes a moment, and not all have it.
        from hexlib.nn.openvino_graph import core, graph, openvino

        compiled = core().compile_model(
            graph(folded, self.batch, self._planes.shape[1] - 2, spans),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": 1,
                "NUM_STREAMS": 1,
                # It would bind every process on the machine to the same core.
                "ENABLE_CPU_PINNING": False,
                "INFERENCE_PRECISION_HINT": "bf16"
                if self.device.precision == torch.bfloat16
                else "f32",
            },
        )
        self._request = compiled.create_infer_request()
        self._request.set_input_tensor(0, openvino.Tensor(self._planes, shared_memory=True))

    def __call__(self, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One forward pass; the arrays returned are overwritten by the next."""
        self._planes[:] = planes
        self._request.infer()
        return self._request.get_output_tensor(0).data, self._request.get_output_tensor(1).data
