"""Training: from buckets of positions to the next checkpoint."""

import csv
import io
import json
import math
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from hexlib import files, logs, provenance, signals
from hexlib.damage import Aside, named, without_damaged
from hexlib.errors import BadInput
from hexlib.nn.batches import Batch, Bucket, make_batch, open_source
from hexlib.nn.checkpoint import Checkpoint, load, load_checkpoint, save, save_checkpoint
from hexlib.nn.device import Device, choose
from hexlib.nn.learning import Schedule, Sums, Trainer
from hexlib.settings import Inference, OnCorrupt, Train, Window

LOG_POINTS = 10  # rows of metrics.csv a generation, at most
SAVE_SECONDS = 30.0
VALIDATION_ROWS = 8192  # at most: more would not make the figures better than the next generation's
METRICS = (
    "step",
    "samples",
    "learning_rate",
    "loss",
    "policy_loss",
    "value_loss",
    "policy_top1",
    "value_accuracy",
    "gradient_norm",
    "validation_loss",
    "validation_policy_loss",
    "validation_value_loss",
    "validation_policy_top1",
    "validation_value_accuracy",
)


def sampling_order(rows: int, samples: int, seed: int, generation: int) -> np.ndarray:
    """Which row each sample is, uint32 [samples]: whole passes, each in a new order, to the end."""
    random = np.random.Generator(np.random.Philox(key=[seed, generation]))
    passes = [random.permutation(rows).astype(np.uint32) for _ in range(-(-samples // rows))]
    return np.concatenate(passes)[:samples]


def window_rows(window: Window, made: int) -> int:
    """Rows to train on when `made` rows have been made in the run (`Window` gives the law)."""
    c, alpha, beta = window.rows, window.exponent, window.growth
    if made <= c:
        return made
    return int(c * (1 + beta * ((made / c) ** alpha - 1) / alpha))


def open_window(
    sources: list[Path],
    validation_fraction: float,
    window: Window,
    made: int,
    aside: Container[Path] = (),
) -> list[Bucket]:
    """The newest whole buckets, newest first, that together have the rows of the window.

    `sources` are folders of buckets, oldest first; `made` is the number of rows made in the run.
    Buckets in `aside` are passed over.
    """
    wanted, rows = window_rows(window, made), 0
    chosen: list[Bucket] = []
    for source in reversed(sources):
        for bucket in open_source(source, validation_fraction, aside):
            if rows >= wanted:
                return chosen
            chosen.append(bucket)
            rows += len(bucket.training)
    return chosen


def _validation_batches(buckets: list[Bucket], settings: Train, device: Device) -> list[Batch]:
    """Up to VALIDATION_ROWS held-out positions of the newest buckets, not turned."""
    bucket_of = np.repeat(np.arange(len(buckets)), [len(b.validation) for b in buckets])
    rows = np.concatenate([b.validation for b in buckets])
    return [
        make_batch(
            buckets,
            bucket_of[start : start + settings.batch_size],
            part := rows[start : start + settings.batch_size],
            np.zeros(len(part), bool),
            device,
        )
        for start in range(0, min(len(rows), VALIDATION_ROWS), settings.batch_size)
    ]


def _drawn(buckets: list[Bucket]) -> list[dict[str, Any]]:
    """The rows that came from each generation's folder, for the lineage."""
    rows: dict[str, int] = {}
    for bucket in buckets:
        # results/RUN/gen_003/shuffle/bucket_0001.npz
        name = bucket.path.resolve().parent.parent.name
        rows[name] = rows.get(name, 0) + len(bucket.training)
    return [{"name": name, "rows": count} for name, count in rows.items()]


def _digests(buckets: list[Bucket]) -> dict[str, str]:
    """The sha256 of each bucket, named with its generation."""
    return {
        f"{bucket.path.resolve().parents[1].name}/{bucket.path.name}": files.sha256(bucket.path)
        for bucket in buckets
    }


def _write_metrics(path: Path, metrics: list[dict[str, float]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, METRICS, lineterminator="\n")
    writer.writeheader()
    for row in metrics:
        writer.writerow({k: v if isinstance(v, int) else f"{v:.6g}" for k, v in row.items()})
    files.write_text(path, text.getvalue())


def _resume(path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The saved state of an interrupted training, if there is one; BadInput if it was another."""
    if not path.exists():
        return None
    state = load(path, "training progress")
    before = json.loads(state["identity"])
    changed = [
        f"{key} (was {before.get(key)!r}, is {value!r})"
        for key, value in identity.items()
        if before.get(key) != value
    ]
    if changed:
        raise BadInput(
            f"{path}: an interrupted training had another {', '.join(changed)}; set it back to go"
            " on, or remove the file to train anew"
        )
    return state


def run(
    sources: list[Path],
    checkpoint: Path,
    output_dir: Path,
    settings: Train,
    window: Window,
    inference: Inference,
    *,
    state: Path | None,
    generation: int,
    seed: int,
    progress_dir: Path,
    keep_progress: bool = False,
    on_corrupt: OnCorrupt = "stop",
) -> None:
    """Train on the window over `sources` (folders of buckets, oldest first, the last one new).

    Writes checkpoint.pt (the moving average), state.pt (weights and optimiser, for the generation
    after), metrics.csv and lineage.json into `output_dir`. `state` is the state.pt of the
    generation before, which the optimiser goes on from. An interrupted training goes on from
    `progress_dir`, which is emptied at the end unless `keep_progress`. Raises BadInput for sources
    or checkpoints that do not fit, Damaged for those that are not whole, Interrupted after a
    signal. With `on_corrupt` "skip" a damaged bucket is passed over, and lineage.json lists it
    under `set_aside`.
    """
    start = load_checkpoint(checkpoint)
    device = choose(inference)
    made_before = int(start.lineage.get("rows_made", 0))

    def opened(aside: Aside) -> tuple[Aside, list[Bucket], list[Bucket]]:
        new = open_source(sources[-1], settings.validation_fraction, aside)
        made = made_before + sum(len(bucket.training) for bucket in new)
        window_buckets = open_window(sources, settings.validation_fraction, window, made, aside)
        return aside, new, window_buckets

    aside, new, window_buckets = without_damaged(opened, on_corrupt)
    new_rows = sum(len(bucket.training) for bucket in new)
    board_size = new[0].positions.board_size
    made = made_before + new_rows
    unchanged = files.Unchanged([checkpoint, *(bucket.path for bucket in window_buckets)])
    sizes = np.array([len(bucket.training) for bucket in window_buckets])
    first_row = np.concatenate([[0], np.cumsum(sizes)])
    rows = int(first_row[-1])
    row_in_bucket = np.concatenate([bucket.training for bucket in window_buckets])
    if rows == 0:
        raise BadInput(
            f"{sources[-1]}: no position to train on; make more games, or lower"
            " train.validation_fraction"
        )
    samples = int(min(settings.reuse * new_rows, settings.max_samples))
    steps = max(1, math.ceil(samples / settings.batch_size))
    order = sampling_order(rows, steps * settings.batch_size, seed, generation)

    trainer = Trainer(start.network, settings, device)
    if state is not None:
        trainer.restore(load(state, "training state"))
    schedule = Schedule(
        settings.learning_rate,
        settings.final_learning_rate,
        0 if state is not None else settings.warmup_steps,
        steps,
    )
    identity = {
        "checkpoint": files.sha256(checkpoint),
        "generation": generation,
        "seed": seed,
        "steps": steps,
        "rows": rows,
        "device": device.name,
        **settings.model_dump(),
    }
    name = f"train, generation {generation}"
    logs.detail("settings: %s", identity)
    logs.log.info(
        f"{name}: {new_rows:,} new positions, {rows:,} in the window of {made:,} made,"
        f" {steps:,} steps of {settings.batch_size}, on {device.name}"
    )
    progress_file = progress_dir / "train.pt"
    first, metrics, sums = 0, [], Sums()
    resumed = _resume(progress_file, identity)
    if resumed is not None:
        trainer.restore(resumed)
        first, metrics = resumed["step"], json.loads(resumed["metrics"])
        sums = Sums(resumed["sums"], resumed["summed"])
        logs.log.info(f"{name}: goes on at step {first:,}")
    progress = logs.Progress(
        name, "samples", steps * settings.batch_size, first * settings.batch_size
    )
    saved = time.monotonic()
    signals.defer()

    def save_progress(step: int) -> None:
        content = {"identity": json.dumps(identity), "metrics": json.dumps(metrics), "step": step}
        running = {"sums": sums.total, "summed": sums.count}
        save(progress_file, "training progress", {**content, **running, **trainer.state()})

    validation = _validation_batches(window_buckets, settings, device)
    for step in range(first, steps):
        picked = order[step * settings.batch_size : (step + 1) * settings.batch_size]
        bucket_of = np.searchsorted(first_row, picked, side="right") - 1
        random = np.random.Generator(np.random.Philox(key=[seed, generation], counter=step))
        turn = random.random(len(picked)) < 0.5
        batch = make_batch(window_buckets, bucket_of, row_in_bucket[picked], turn, device)
        sums.add(trainer.step(batch, schedule.at(step)))
        done = (step + 1) * settings.batch_size
        if (step + 1) * LOG_POINTS // steps > step * LOG_POINTS // steps:
            metrics.append(
                {"step": step + 1, "samples": done, "learning_rate": schedule.at(step)}
                | sums.means()
            )
            sums = Sums()
            if not math.isfinite(metrics[-1]["loss"]):
                raise RuntimeError(f"{name}: the loss is not finite at step {step + 1}")
        progress.update(done, f"loss {metrics[-1]['loss']:.3f}" if metrics else "")
        if signals.asked():
            save_progress(step + 1)
            signals.stop_if_asked(
                f"{name}: stopped, progress is saved at step {step + 1:,} of {steps:,};"
                " run the same command to go on"
            )
        if time.monotonic() - saved > SAVE_SECONDS:
            save_progress(step + 1)
            saved = time.monotonic()
    if validation:
        metrics[-1] |= trainer.validate(validation)
    unchanged.check()
    held_out = metrics[-1].get("validation_value_accuracy", math.nan)
    progress.finish(
        steps * settings.batch_size,
        f"loss {metrics[-1]['loss']:.3f}, validation value accuracy {held_out:.1%}",
    )
    lineage = {
        "kind": "lineage",
        "schema": files.SCHEMA,
        "generation": generation,
        "board_size": board_size,
        "parent": files.sha256(checkpoint),
        "rows_made": made,
        "rows_window": rows,
        "samples": steps * settings.batch_size,
        "sources": _drawn(window_buckets),
        **named(aside),
        "settings": settings.model_dump(),
        "seed": seed,
        "device": device.name,
        "inputs": _digests(window_buckets),
        "code": provenance.code(),
        "versions": provenance.versions(),
    }
    sizes_trained = list(dict.fromkeys([*start.board_sizes, board_size]))
    _write_metrics(output_dir / "metrics.csv", metrics)
    save(output_dir / "state.pt", "training state", trainer.state())
    save_checkpoint(
        output_dir / "checkpoint.pt", Checkpoint(trainer.average, sizes_trained, lineage)
    )
    files.write_json(
        output_dir / "lineage.json",
        {**lineage, "checkpoint": files.sha256(output_dir / "checkpoint.pt")},
    )
    if not keep_progress:
        progress_file.unlink(missing_ok=True)
