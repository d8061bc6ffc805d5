"""Training: from buckets of positions to the next checkpoint."""

import dataclasses
import json
import math
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hexlib import files, logs, provenance, signals
from hexlib.damage import Aside, named, without_damaged
from hexlib.errors import BadInput, Interrupted
from hexlib.nn import parallel
from hexlib.nn.batches import Batch
from hexlib.nn.checkpoint import Checkpoint, load, load_checkpoint, save, save_checkpoint
from hexlib.nn.device import Device, choose
from hexlib.nn.learning import Schedule, Trainer
from hexlib.nn.loader import Loader
from hexlib.nn.model import random_network
from hexlib.settings import Inference, Net, OnCorrupt, Train, Window
from hexlib.stages.train import book, watch
from hexlib.stages.train.book import Book, TensorBoard
from hexlib.stages.train.data import Data, choose_streams, digest, open_data

SAVE_SECONDS = 30.0
# What no weight depends on but by rounding: it may change before an interrupted training goes on.
FREE = {"keep_last", "keep_every", "sources", "decay_generations"}
FREE |= {"processes", "threads", "sweep", "sweep_by"}


def run(
    sources: Sequence[Path],
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
    net: Net | None = None,
    tensorboard: Path | None = None,
) -> dict[str, Any]:
    """Train on the window over `sources` (folders of buckets, oldest first, the last one new) and
    on `settings.sources` beside it.

    Writes checkpoint.pt (the moving average), state.pt (weights and optimiser, for the generation
    after), metrics.csv, calibration.csv and lineage.json into `output_dir`, and the networks of
    mini-epochs into its folder `epochs`; returns the last row of the metrics. `state` is the
    state.pt of the generation before, which the optimiser goes on from. Where the checkpoint's
    network has another size than `net`, a random one of that size is trained. An interrupted
    training goes on from `progress_dir`, which is emptied at the end unless `keep_progress`. Raises
    BadInput for sources or checkpoints that do not fit and for a loss that is not finite, Damaged
    for files that are not whole, Interrupted after a signal. With `on_corrupt` "skip" a damaged
    bucket is passed over, and lineage.json lists it under `set_aside`.
    """
    device = choose(inference, settings.threads)
    parallel.start(device.device)
    start = load_checkpoint(checkpoint)
    if net is not None and net != start.network.settings:
        start = dataclasses.replace(start, network=random_network(net, seed), board_sizes=[])
    made_before = int(start.lineage.get("rows_made", 0)) if generation > 0 else 0

    def opened(aside: Aside) -> tuple[Aside, Data]:
        return aside, open_data(sources, settings, window, made_before, aside)

    aside, data = without_damaged(opened, on_corrupt)
    unchanged = files.Unchanged([checkpoint, *(part.bucket.path for part in data.parts)])
    described = {
        "generation": generation,
        "parent": files.sha256(checkpoint),
        "seed": seed,
        **named(aside),
        "settings": settings.model_dump(exclude=FREE),
        "window": window.model_dump(exclude={"generations", "asynchronous"}),
        "device": ", ".join([device.name, *_sharing(settings.threads)]),
        "code": provenance.code(),
        "versions": provenance.versions(),
    }
    training = Training(start, data, settings, device, described, output_dir, progress_dir)
    if state is not None:
        training.go_on_with(state)
    training.resume()
    signals.defer()
    training.learn(TensorBoard(tensorboard if parallel.number() == 0 else None, training.first))
    unchanged.check()
    if parallel.number() == 0:
        training.write()
        if keep_progress:
            training.save_progress(training.steps)
        else:
            training.progress_file.unlink(missing_ok=True)
    parallel.stop()
    return training.book.metrics[-1]


def _sharing(threads: int) -> Iterator[str]:
    """What shares the work of this training, where it is more than one process of one thread."""
    if parallel.processes() > 1:
        yield f"{parallel.processes()} processes"
    if threads > 1:
        yield f"{threads} threads"


class Training:
    """One generation's training, which can be stopped after any step and gone on with."""

    def __init__(
        self,
        start: Checkpoint,
        data: Data,
        settings: Train,
        device: Device,
        described: dict[str, Any],
        output_dir: Path,
        progress_dir: Path,
    ):
        """`described` is what lineage.json says of it before anything is known of the data."""
        self.data, self.settings, self.device = data, settings, device
        self.output_dir, self.progress_dir = output_dir, progress_dir
        self.described = described
        self.name = f"train, generation {described['generation']}"
        samples = min(settings.reuse * data.new_rows, settings.max_samples)
        self.steps = max(1, math.ceil(samples / settings.batch_size))
        self.streams = data.streams(described["seed"], described["generation"])
        sizes = [*start.board_sizes, *(stream.board_size for stream in self.streams[::-1])]
        self.board_sizes = list(dict.fromkeys(sizes))
        self.trainer = Trainer(start.network, settings, device)
        self.schedule = Schedule(
            settings.learning_rate,
            settings.final_learning_rate,
            settings.warmup_steps,
            self.steps,
        )
        self.first = 0  # step to go on with
        self.book = Book(drawn=[0] * len(data.sources))

    @property
    def progress_file(self) -> Path:
        """What an interrupted training leaves."""
        return self.progress_dir / "train.pt"

    def go_on_with(self, path: Path) -> None:
        """Take weights and optimiser of the generation before, from its state.pt."""
        state = load(path, "training state")
        if self.trainer.fits(state):
            self.trainer.restore(state)
            self.schedule = dataclasses.replace(self.schedule, warmup_steps=0)
        else:
            logs.log.warning(
                f"{self.name}: {path} is of another network or has other heads, so the optimiser"
                " starts afresh"
            )

    def _identity(self) -> dict[str, Any]:
        """What must be the same for an interrupted training to go on."""
        described = {key: self.described[key] for key in ("parent", "generation", "seed", "device")}
        return {
            **described,
            "data": digest(self.data),
            "net": self.trainer.average.settings.model_dump(),
            "steps": self.steps,
            "window": self.described["window"],
            **self.described["settings"],
        }

    def resume(self) -> None:
        """Go on where an interrupted training stopped, if there is one.

        Raises BadInput, with what differs, if it was another training and had steps to do.
        """
        identity = self._identity()
        logs.detail("settings: %s", identity)
        logs.log.info(
            f"{self.name}: {self.data.new_rows:,} new positions, {self.data.rows_window:,} in the"
            f" window of {self.data.made:,} made, {self.steps:,} steps of"
            f" {self.settings.batch_size}, on {self.described['device']}"
        )
        if not self.progress_file.exists():
            return
        state = load(self.progress_file, "training progress")
        before = json.loads(state["identity"])
        changed = [
            f"{key} (was {before.get(key)!r}, is {value!r})"
            for key, value in identity.items()
            if before.get(key) != value
        ]
        if changed:
            if state["step"] == before["steps"]:
                return  # it was done, and now the product of another one is wanted
            raise BadInput(
                f"{self.progress_file}: an interrupted training had another {', '.join(changed)};"
                " set it back to go on, or remove the file to train anew"
            )
        self.trainer.restore(state)
        self.first, self.book = state["step"], Book.of(state)
        logs.log.info(f"{self.name}: goes on at step {self.first:,}")

    def save_progress(self, step: int) -> None:
        """Write all that the steps from `step` on depend on."""
        if parallel.number() == 0:
            content = {"identity": json.dumps(self._identity()), "step": step, **self.book.state()}
            save(self.progress_file, "training progress", {**content, **self.trainer.state()})

    def learn(self, board: TensorBoard) -> None:
        """Do all steps that are left."""
        size, seed = self.settings.batch_size, self.described["seed"]
        choice = choose_streams(self.streams, self.steps, seed, self.described["generation"])
        loader = Loader(
            self.streams,
            choice,
            size,
            self.device.device,
            first=self.first,
            share=parallel.number(),
            shares=parallel.processes(),
        )
        validation = self.data.validation(size, self.device.device)
        self._look_for_leaks()
        progress = logs.Progress(self.name, "samples", self.steps * size, self.first * size)
        speed = Speed(loader, size, self.first)
        saved = time.monotonic()
        finite = watch.Finite(self.device.device, self.progress_dir)
        for step, (batch, sources) in enumerate(loader, self.first):
            figures = self.trainer.step(batch, self.schedule.at(step))
            finite.add(step, batch, figures)
            self.book.add(figures, sources)
            done = (step + 1) * size
            asked = parallel.any_of(signals.asked())
            saving = asked or time.monotonic() - saved > SAVE_SECONDS
            if saving or finite.due or self._ends_mini_epoch(step):
                finite.check(self._last_good())
            if self._ends_mini_epoch(step):
                row = self._close_mini_epoch(step, validation)
                board.add(row, speed.since_last(step + 1))
                logs.log.info(f"{self.name}: {book.in_words(row)}, {speed}")
            progress.update(done)
            if saving:
                self.save_progress(step + 1)
                saved = time.monotonic()
            if asked:
                told = (
                    f"{self.name}: stopped, progress is saved at step {step + 1:,} of"
                    f" {self.steps:,}; run the same command to go on"
                )
                signals.stop_if_asked(told)
                raise Interrupted(signal.SIGTERM, told)  # another process was asked
        board.close()
        last = self.book.metrics[-1]
        held_out = last.get("validation_value_accuracy", math.nan)
        progress.finish(
            self.steps * size,
            f"loss {last['loss']:.3f}, validation value accuracy {held_out:.1%}",
        )

    def _look_for_leaks(self) -> None:
        held_out = self.data.held_out()
        if held_out is not None:
            stream = self.streams[0]
            _, first = next(stream.chapters(0))
            self._say(watch.leakage(held_out, stream.read(first).positions))

    def _say(self, remarks: Sequence[str]) -> None:
        for remark in remarks:
            logs.log.warning(f"{self.name}: {remark}")

    def _ends_mini_epoch(self, step: int) -> bool:
        size, every = self.settings.batch_size, self.settings.mini_epoch
        return step + 1 == self.steps or (step + 1) * size // every > step * size // every

    def _close_mini_epoch(self, step: int, validation: Sequence[Batch]) -> dict[str, Any]:
        held_out, reliability = self.trainer.validate(validation)
        row = self.book.close_mini_epoch(
            {
                "step": step + 1,
                "samples": (step + 1) * self.settings.batch_size,
                "learning_rate": self.schedule.at(step),
            }
            | held_out,
            sum(stream.rows for stream in self.streams),
            reliability,
        )
        self._say(watch.remarks(self.book.metrics))
        if parallel.number() == 0:
            folder = self.output_dir / "epochs"
            save_checkpoint(folder / book.file_of(row), self.checkpoint())
            for path in set(folder.glob("*.pt")) - self._kept():
                path.unlink()
        return row

    def _kept(self) -> set[Path]:
        folder = self.output_dir / "epochs"
        return {folder / name for name in book.kept(self.book.metrics, self.settings)}

    def _last_good(self) -> Path | None:
        """The newest network of a mini-epoch."""
        return max((path for path in self._kept() if path.exists()), default=None)

    def checkpoint(self) -> Checkpoint:
        """The network as it is now, with where it comes from."""
        lineage = {
            "kind": "lineage",
            "schema": files.SCHEMA,
            "board_size": self.data.board_size,
            **self.described,
            "rows_made": self.data.made,
            "rows_window": self.data.rows_window,
            "samples": sum(self.book.drawn),
            "sources": self.data.lineage(self.book.drawn),
            "inputs": self.data.inputs,
        }
        return Checkpoint(self.trainer.average, self.board_sizes, lineage)

    def write(self) -> None:
        """Write the products."""
        final, path = self.checkpoint(), self.output_dir / "checkpoint.pt"
        self.book.write(self.output_dir)
        save(self.output_dir / "state.pt", "training state", self.trainer.state())
        save_checkpoint(path, final)
        lineage = {**final.lineage, "checkpoint": files.sha256(path)}
        files.write_json(self.output_dir / "lineage.json", lineage)


class Speed:
    """How fast a training is, and how much of its time it waits for batches."""

    def __init__(self, loader: Loader, batch_size: int, step: int):
        self._loader, self._batch_size = loader, batch_size
        self._step, self._begun, self._waited = step, time.monotonic(), loader.waited
        self.figures: dict[str, float] = {}

    def since_last(self, step: int) -> dict[str, float]:
        """Samples a second and the share of time spent waiting since the last call."""
        seconds = max(time.monotonic() - self._begun, 1e-9)
        self.figures = {
            "samples_a_second": (step - self._step) * self._batch_size / seconds,
            "waiting_share": (self._loader.waited - self._waited) / seconds,
        }
        self._step, self._begun, self._waited = step, time.monotonic(), self._loader.waited
        return self.figures

    def __str__(self) -> str:
        rate, share = self.figures.values()
        return f"{rate:,.0f} samples/s, {share:.1%} of the time waiting for data"
