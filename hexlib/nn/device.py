"""Which device, precision and backend: the choice, and why."""

import importlib.util
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from hexlib.errors import BadInput
from hexlib.settings import Inference


@dataclass(frozen=True)
class Device:
    """Where a network runs, and why there."""

    device: torch.device
    precision: torch.dtype
    backend: str  # of inference: `torch` or `openvino`
    reason: str
    int8: bool = False  # inference in eight-bit integers, where they pass their check

    @property
    def name(self) -> str:
        """What the bytes of a training's products depend on, for the lineage."""
        return f"{self.device.type} {str(self.precision).removeprefix('torch.')}"

    @property
    def inference(self) -> str:
        """What the moves of a search depend on, for the lineage of games."""
        name = f"{self.device.type} int8" if self.int8 else self.name
        return f"{name} {self.backend}"

    def __str__(self) -> str:
        return f"{self.inference} ({self.reason})"


def processor_has_bfloat16() -> bool:
    """True if the processor computes with bfloat16 (avx512_bf16 or amx); elsewhere it is slower."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine() == "arm64"  # Apple's, from the second generation on
    return "avx512_bf16" in flags or "amx_bf16" in flags


def choose(settings: Inference, threads: int = 1) -> Device:
    """Resolve `auto`, and use one thread: a process has one core, and a machine many processes.

    A training may have more `threads`, since all that comes after waits for it.
    Raises BadInput if a GPU is asked for that is not there.
    """
    torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    if settings.device.startswith("cuda") and not available:
        raise BadInput(
            f"inference.device: {settings.device} is asked for, but torch {torch.__version__} sees"
            " no GPU; set it to auto or cpu, or install a CUDA build of torch"
        )
    if settings.device == "auto":
        device = torch.device("cuda" if available else "cpu")
        reason = "the first GPU" if available else "there is no GPU"
    else:
        device = torch.device(settings.device)
        reason = "as set"
    backend, why = _backend(settings, device)
    int8 = settings.precision == "int8" and backend == "openvino"
    if settings.precision == "int8" and not int8:
        why += "; eight-bit integers need OpenVINO on a CPU, so auto stands for int8"
    if settings.precision in ("float32", "bfloat16"):
        return Device(device, getattr(torch, settings.precision), backend, f"{reason}; {why}")
    fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else processor_has_bfloat16()
    precision = torch.bfloat16 if fast else torch.float32
    reason += f"; bfloat16 is {'fast' if fast else 'not native'} there; {why}"
    return Device(device, precision, backend, reason, int8)


def _backend(settings: Inference, device: torch.device) -> tuple[str, str]:
    """The backend of inference, and why it."""
    installed = importlib.util.find_spec("openvino") is not None
    if settings.backend == "openvino" and (device.type != "cpu" or not installed):
        raise BadInput(
            "inference.backend: openvino runs on the CPU and must be installed"
            " (pip install openvino); set it to auto or torch"
        )
    if settings.backend != "auto":
        return settings.backend, "backend as set"
    if device.type == "cpu" and installed:
        return "openvino", "OpenVINO is installed, and faster than torch on a CPU"
    return "torch", "OpenVINO is for CPUs" if installed else "OpenVINO is not installed"
