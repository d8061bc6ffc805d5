"""Checkpoints: a network with what is needed to trust it, loadable without running code."""

import io
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hexlib.errors import BadInput
from hexlib.files import SCHEMA, atomic
from hexlib.nn.model import HexNet
from hexlib.settings import Net

KINDS = ("checkpoint", "training state", "training progress")  # what `save` is used for


@dataclass
class Checkpoint:
    """A network and where it comes from."""

    network: HexNet
    board_sizes: list[int]  # that it was trained on, in the order of the training
    lineage: dict[str, Any] = field(default_factory=dict)


def save(path: Path | str, kind: str, content: dict[str, Any]) -> None:
    """Write tensors and plain values with `torch.save`: whole or not at all, always the same bytes.

    It goes through memory because the archive would otherwise hold the temporary file's name.
    """
    buffer = io.BytesIO()
    torch.save({"kind": kind, "schema": SCHEMA, **content}, buffer)
    with atomic(path) as handle:
        handle.write(buffer.getbuffer())


def load(path: Path | str, *kinds: str) -> dict[str, Any]:
    """Read what `save` wrote, with `weights_only=True`; `BadInput` if it is none of the kinds."""
    kind = kinds[0]
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such {kind}") from None
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        reason = "it holds more than tensors and plain values"
        if not isinstance(error, pickle.UnpicklingError):
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise BadInput(f"{path}: not a {kind} of hexlib ({reason}); name another") from None
    if not isinstance(content, dict) or content.get("kind") not in kinds:
        raise BadInput(f"{path}: not a {kind} of hexlib; `hexlib init` or `hexlib train` makes one")
    if content["schema"] != SCHEMA:
        raise BadInput(f"{path}: schema {content['schema']}, this version reads {SCHEMA}")
    return content


def save_checkpoint(path: Path | str, checkpoint: Checkpoint) -> None:
    """Write a `.pt` that holds the network's settings, weights, board sizes and lineage."""
    save(
        path,
        "checkpoint",
        {
            "net": checkpoint.network.settings.model_dump(),
            "board_sizes": checkpoint.board_sizes,
            "lineage": checkpoint.lineage,
            "weights": {k: v.contiguous() for k, v in checkpoint.network.state_dict().items()},
        },
    )


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint; the network is in evaluation mode, on the CPU."""
    content = load(path, "checkpoint")
    network = HexNet(Net.model_validate(content["net"]))
    try:
        network.load_state_dict(content["weights"])
    except RuntimeError:
        raise BadInput(f"{path}: its weights do not fit the network that it describes") from None
    return Checkpoint(network.eval(), content["board_sizes"], content["lineage"])
