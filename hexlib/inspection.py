"""What any product is: kind, schema, counts and where it comes from."""

from pathlib import Path
from typing import Any

from hexlib import files, npz
from hexlib.errors import BadInput
from hexlib.game import records, trmph


def inspect(path: Path) -> dict[str, Any]:
    """Describe a product (.pt, .npz, .trmph or .json); BadInput if it is none or is damaged.

    A `.trmph` may be compressed.
    """
    described = {".pt": _tensors, ".npz": _arrays, ".trmph": _games, ".json": _document}
    suffix = Path(path.name.removesuffix(".gz").removesuffix(".zst")).suffix
    if suffix not in described:
        raise BadInput(f"{path}: no product of hexlib ends so; known are {', '.join(described)}")
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    return {"file": str(path), "sha256": files.sha256(path), **described[suffix](path)}


def _tensors(path: Path) -> dict[str, Any]:
    from hexlib.nn.checkpoint import KINDS, load  # torch is only needed for these

    content = load(path, *KINDS)
    tensors = content.get("weights", {}).values()
    plain = {k: v for k, v in content.items() if k not in ("weights", "average", "optimiser")}
    return {**plain, "parameters": sum(tensor.numel() for tensor in tensors)}


def _arrays(path: Path) -> dict[str, Any]:
    reader = npz.Reader(path)
    reader.map(verify=True)
    arrays = reader.map(verify=False).items()
    shapes = {name: f"{array.dtype} {list(array.shape)}" for name, array in arrays}
    return {**reader.meta, "arrays": shapes}


def _games(path: Path) -> dict[str, Any]:
    records.verify(path)
    size = trmph.board_size_of(path)
    if size is None:
        raise BadInput(f"{path}: no record in it says a board size; is it a file of games?")
    records_found, games = 0, 0
    for block in records.read_games(path, size):
        records_found += len(block)
        games += len(block.games)
    meta = records.read_meta(path) or {"kind": "games"}
    found = {"records": records_found, "unreadable": records_found - games}
    return {**meta, "board_size": size, **found}


def _document(path: Path) -> dict[str, Any]:
    document = files.read_json(path)
    if not isinstance(document, dict) or "kind" not in document:
        raise BadInput(f"{path}: JSON, but not a product of hexlib: it says no kind")
    return document
