"""Checkpoints: a network with what is needed to trust it, loadable without running code."""

import io
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hexlib.errors import BadInput, Damaged
from hexlib.files import SCHEMA, atomic
from hexlib.nn.model import HexNet
from hexlib.settings import Net

SHIPPED = Path(__file__).parents[1] / "models"  # NxN.pt: networks that come with hexlib
REMEDY = "name another, or remove it and run the same command again to make it anew"
# What `save` is used for.
KINDS = ("checkpoint", "training state", "training progress", "training batch")


@dataclass
class Checkpoint:
    """A network and where it comes from."""

    network: HexNet
    board_sizes: list[int]  # that it was trained on, in the order of the training
    lineage: dict[str, Any] = field(default_factory=dict)


def shipped(board_size: int) -> Path:
    """The checkpoint that comes with hexlib for a board: that of its size, or of the nearest."""
    sizes = [int(path.stem.partition("x")[0]) for path in SHIPPED.glob("*x*.pt")]
    nearest = min(sizes, key=lambda size: (abs(size - board_size), -size))
    return SHIPPED / f"{nearest}x{nearest}.pt"


def save(path: Path | str, kind: str, content: dict[str, Any]) -> None:
    """Write tensors and plain values with `torch.save`: whole or not at all, always the same bytes.

    It goes through memory because the archive would otherwise hold the temporary file's name.
    """
    buffer = io.BytesIO()
    torch.save({"kind": kind, "schema": SCHEMA, **content}, buffer)
    with atomic(path) as handle:
        handle.write(buffer.getbuffer())


def load(path: Path | str, *kinds: str) -> dict[str, Any]:
    """Read what `save` wrote, with `weights_only=True`.

    Raises `BadInput` if there is no such file, `Damaged` if it is not whole or none of the kinds.
    """
    kind = kinds[0]
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such {kind}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # what torch raises on bytes that are none of its own is not listed
        reason = "it holds more than tensors and plain values"
        if not isinstance(error, pickle.UnpicklingError):
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise Damaged(path, f"not a {kind} of hexlib ({reason})", REMEDY) from None
    if not isinstance(content, dict) or content.get("kind") not in kinds:
        raise Damaged(path, f"not a {kind} of hexlib", REMEDY)
    if content.get("schema") != SCHEMA:
        found = f"schema {content.get('schema')}, this version reads {SCHEMA}"
        raise Damaged(path, found, REMEDY)
    return content


def _check_archive(path: Path | str) -> None:
    """Raise `ValueError` unless a file is an archive as `save` writes it, every byte of it whole.

    torch verifies no checksum, and unpacks a compressed member of any size.
    """
    with Path(path).open("rb") as data:
        data.read(1)  # a read error, which zipfile takes for a file of another kind
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("a member is compressed")
        if sum(member.file_size for member in members) > Path(path).stat().st_size:
            raise ValueError("members overlap")
        for member in members:
            with archive.open(member) as data:
                while data.read(1 << 20):
                    pass  # reading to the end compares the checksum


def save_checkpoint(path: Path | str, checkpoint: Checkpoint, half: bool = False) -> None:
    """Write a `.pt` that holds the network's settings, weights, board sizes and lineage.

    With `half` those of convolutions and linear layers are rounded to float16, as in the networks
    that come with hexlib; the statistics of normalisations can be beyond its range.
    """
    weights = {k: v.contiguous() for k, v in checkpoint.network.state_dict().items()}
    if half:
        weights = {k: v.half() if v.ndim > 1 else v for k, v in weights.items()}
    save(
        path,
        "checkpoint",
        {
            "net": checkpoint.network.settings.model_dump(),
            "board_sizes": checkpoint.board_sizes,
            "lineage": checkpoint.lineage,
            "weights": weights,
        },
    )


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint; the network is in evaluation mode, on the CPU."""
    content = load(path, "checkpoint")
    try:
        # Those made before there was such a thing do not say it.
        settings = Net.model_validate({"symmetric": False} | content["net"])
        board_sizes = [int(size) for size in content["board_sizes"]]
        lineage = dict(content["lineage"])
        with torch.device("meta"):  # without memory, which wrong settings may ask too much of
            wanted = HexNet(settings).state_dict()
        found = {
            k: v.float() if v.dtype == torch.float16 else v for k, v in content["weights"].items()
        }
        fitting = {k: (v.dtype, v.shape) for k, v in found.items()} == {
            k: (v.dtype, v.shape) for k, v in wanted.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        fitting = False
    if not fitting or not board_sizes:
        raise Damaged(path, "its weights do not fit the network that it describes", REMEDY)
    if not all(weights.isfinite().all() for weights in found.values()):
        raise Damaged(path, "its weights are not all finite numbers", REMEDY)
    network = HexNet(settings)
    network.load_state_dict(found)
    return Checkpoint(network.eval(), board_sizes, lineage)
