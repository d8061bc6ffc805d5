"""What runs a network on one batch of a fixed shape: torch, or OpenVINO on a CPU.

A backend is called with planes uint8 [batch, n+2, n+2, 2] (`model.ring` with stones inside) and
returns the network's policy logits float32 [batch, A] and value logits float32 [batch].
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
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

Answer = tuple[np.ndarray, np.ndarray]


class Backend(Protocol):
    """See the module's text."""

    batch: int
    device: Device  # the one that was asked for, unless it did not pass a check
    at_once: int  # calls that are worth having under way
    planes: np.ndarray  # of empty boards; to fill these and hand them over saves a copy

    def ask(self, planes: np.ndarray) -> Callable[[], Answer]:
        """Begin a forward pass; what is returned waits for its end, and is to be called once.

        Where one call is under way at a time, the answer is overwritten by the next.
        """

    def __call__(self, planes: np.ndarray) -> Answer:
        """One forward pass, likewise."""


class _OneAtATime:
    """Backends of a CPU, which is busy with a call until it is answered."""

    at_once = 1

    def ask(self: Backend, planes: np.ndarray) -> Callable[[], Answer]:
        """See `Backend`."""
        answer = self(planes)
        return lambda: answer


def fixed_batch(channels: int, board_size: int, device: torch.device) -> int:
    """Boards in one forward pass: a power of two, from the network's shape and the device alone."""
    if device.type != "cpu":
        return 512
    boards = CACHE_BYTES // (2 * channels * board_size**2)
    return 1 << max(4, min(9, boards.bit_length() - 1))


def _ready(network: HexNet, device: Device) -> torch.nn.Module:
    """The network as it is fastest to ask, on the device."""
    model = network.folded().to(device.device, device.precision)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def empty_planes(batch: int, board_size: int) -> np.ndarray:
    """Planes of empty boards, uint8 [batch, n+2, n+2, 2]."""
    return np.tile(ring(board_size).astype(np.uint8), (batch, 1, 1, 1))


class TorchBackend(_OneAtATime):
    """torch on a CPU, with the weights packed once."""

    def __init__(self, network: HexNet, board_size: int, device: Device, batch: int):
        self.batch = batch
        self.device = device
        self.planes = empty_planes(batch, board_size)
        with torch.inference_mode(), warnings.catch_warnings():
            # Deprecated for torch.compile, which wants a compiler on the user's machine. Freezing
            # packs the weights once, where eager mode does so at each call: float32 gains a third.
            warnings.simplefilter("ignore", DeprecationWarning)
            example = self._channels_last(self.planes)
            self._model = torch.jit.freeze(torch.jit.trace(_ready(network, device), example))

    def _channels_last(self, planes: np.ndarray) -> torch.Tensor:
        """Bytes [batch, n+2, n+2, 2] become [batch, 2, n+2, n+2] without being moved."""
        return torch.from_numpy(planes).permute(0, 3, 1, 2).to(self.device.precision)

    def __call__(self, planes: np.ndarray) -> Answer:
        """One forward pass."""
        with torch.inference_mode():
            policy, value = self._model(self._channels_last(planes))
            return policy.float().numpy(), value.float().numpy()


@dataclass
class _Staging:
    """Memory that the GPU itself reads and writes, for one call under way."""

    planes: torch.Tensor  # uint8 [batch, n+2, n+2, 2]
    policy: torch.Tensor  # float32 [batch, A]
    value: torch.Tensor  # float32 [batch]
    done: torch.cuda.Event


class CudaBackend:
    """torch on a GPU: the forward pass is one CUDA graph, and a call need not be waited for.

    Calls are answered in the order in which they were asked; bytes go up, and become numbers there.
    """

    at_once = 2

    def __init__(self, network: HexNet, board_size: int, device: Device, batch: int):
        self.batch = batch
        self.device = device
        self.planes = empty_planes(batch, board_size)
        model = _ready(network, device)
        self._free: list[_Staging] = []
        self._stream = torch.cuda.Stream(device.device)
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._uploaded = torch.from_numpy(self.planes).to(device.device)

            def forward() -> tuple[torch.Tensor, torch.Tensor]:
                policy, value = model(self._uploaded.permute(0, 3, 1, 2).to(device.precision))
                return policy.float(), value.float()

            for _ in range(3):  # libraries choose and set up in their first calls, not in a graph
                forward()
            self._stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._policy, self._value = forward()

    def _staging(self) -> _Staging:
        def beside(there: torch.Tensor) -> torch.Tensor:
            return torch.empty(there.shape, dtype=there.dtype, pin_memory=True)

        answer = (beside(self._policy), beside(self._value))
        return _Staging(beside(self._uploaded), *answer, torch.cuda.Event())

    def ask(self, planes: np.ndarray) -> Callable[[], Answer]:
        """See `Backend`."""
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            staging = self._free.pop() if self._free else self._staging()
            staging.planes.copy_(torch.from_numpy(planes))
            self._uploaded.copy_(staging.planes, non_blocking=True)
            self._graph.replay()
            staging.policy.copy_(self._policy, non_blocking=True)
            staging.value.copy_(self._value, non_blocking=True)
            staging.done.record(self._stream)

        def answer() -> Answer:
            staging.done.synchronize()
            self._free.append(staging)
            return staging.policy.numpy(), staging.value.numpy()

        return answer

    def __call__(self, planes: np.ndarray) -> Answer:
        """One forward pass."""
        return self.ask(planes)()


class OpenVinoBackend(_OneAtATime):
    """OpenVINO on one core: it joins convolutions with what follows them."""

    def __init__(self, network: HexNet, board_size: int, device: Device, batch: int):
        self.device = device
        self.batch = batch
        self.planes = empty_planes(batch, board_size)  # which it reads where they are
        folded = network.folded()
        area = board_size**2
        self._answer = np.empty((batch, area), np.float32), np.empty(batch, np.float32)
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
            graph(folded, self.batch, self.planes.shape[1] - 2, spans),
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
        self._request.set_input_tensor(0, openvino.Tensor(self.planes, shared_memory=True))
        for k, answer in enumerate(self._answer):
            self._request.set_output_tensor(k, openvino.Tensor(answer, shared_memory=True))

    def __call__(self, planes: np.ndarray) -> Answer:
        """One forward pass; the arrays returned are overwritten by the next."""
        if planes is not self.planes:
            np.copyto(self.planes, planes)
        self._request.infer(share_outputs=True)  # else it makes copies that nobody asked for
        return self._answer
