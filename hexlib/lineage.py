"""Where a checkpoint comes from: its ancestors, the buckets and games of each, and what made them.

Every link is a sha256 that the product of one step holds of what it was made from.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hexlib import files, npz
from hexlib.errors import BadInput
from hexlib.game.records import read_meta
from hexlib.nn.checkpoint import load_checkpoint

# What is told of each step, of all that its product says.
TRAINING = ("rows_made", "rows_window", "samples", "seed", "device", "code", "versions", "settings")
GAMES = ("first_game", "games", "seed", "device", "code", "versions", "settings")
AS_NOTED, ALTERED, MISSING = "as noted", "altered", "missing"


def lineage(checkpoint: Path) -> list[dict[str, Any]]:
    """The checkpoint and its ancestors, newest first, each with what it was made of.

    Files are looked for in the run that the checkpoint lies in, and compared with the sha256 that
    was noted of them: `as noted`, `altered` or `missing`. Raises `BadInput` for no checkpoint.
    """
    steps = []
    run = checkpoint.resolve().parents[2] if checkpoint.name == "checkpoint.pt" else None
    path: Path | None = checkpoint
    while path is not None:
        said = load_checkpoint(path).lineage
        step: dict[str, Any] = {
            "checkpoint": str(path),
            "sha256": files.sha256(path),
            "generation": said.get("generation", "initial"),
            **{key: said[key] for key in TRAINING if key in said},
        }
        steps.append(step)
        parent = said.get("parent")
        if parent is None or run is None:
            break
        step["parent"] = parent
        step["config"] = _noted(run / "config.yaml")
        step["buckets"] = {
            name: _compare(run / _bucket(name), digest)
            for name, digest in said.get("inputs", {}).items()
        }
        step["games"] = dict(_games_of(run, step["buckets"]))
        path = _find(run, parent)
        if path is None:
            step["parent"] = f"{parent} (not in {run})"
    return steps


def _bucket(name: str) -> str:
    generation, _, file = name.partition("/")
    return f"{generation}/shuffle/{file}"


def _noted(path: Path) -> str | None:
    return files.sha256(path) if path.is_file() else None


def _compare(path: Path, digest: str) -> str:
    if not path.is_file():
        return MISSING
    return AS_NOTED if files.sha256(path) == digest else ALTERED


def _find(run: Path, digest: str) -> Path | None:
    """The checkpoint of the run with this sha256; it may have started from one elsewhere."""
    candidates = [*sorted(run.glob("gen_*/train/checkpoint.pt"), reverse=True), run / "initial.pt"]
    return next((path for path in candidates if _noted(path) == digest), None)


def _games_of(run: Path, buckets: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of games behind some buckets, with what each says of itself."""
    for generation in sorted({name.partition("/")[0] for name in buckets}):
        summary = run / generation / "clean/summary.json"
        if not summary.is_file():
            yield generation, {"state": MISSING}
            continue
        for name, digest in files.read_json(summary)["inputs"].items():
            path = run / generation / "selfplay" / name
            told: dict[str, Any] = {"state": _compare(path, digest), "sha256": digest}
            if told["state"] == AS_NOTED:
                meta = _meta(path)
                told |= {key: meta[key] for key in GAMES if key in meta}
                told["checkpoint"] = meta.get("checkpoint")
            yield f"{generation}/selfplay/{name}", told


def _meta(path: Path) -> dict[str, Any]:
    try:
        return npz.Reader(path).meta if path.suffix == ".npz" else read_meta(path) or {}
    except BadInput:
        return {}
