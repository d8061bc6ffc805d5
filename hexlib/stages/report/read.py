"""What the report reads: the small files of a run, each checked, each allowed to be missing."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, field_validator

from hexlib import ladder
from hexlib.errors import BadInput
from hexlib.files import read_json
from hexlib.pages.games import ShownGame
from hexlib.stages.report.ahead import look_ahead
from hexlib.stages.report.games import games_worth_watching
from hexlib.stages.report.pace import Pace, read_pace
from hexlib.stages.report.sample import Sample, read_sample

Model = TypeVar("Model", bound=BaseModel)

METRICS = ["samples", "learning_rate", "loss", "policy_loss", "value_loss"]  # at the least
TIMES = ["generation", "stage", "jobs", "seconds", "memory", "processor"]


class Document(BaseModel):
    """A JSON product, of which only what the page shows is read; NaN is damage."""

    model_config = ConfigDict(allow_inf_nan=False)


class Cleaned(Document):
    """`clean/summary.json`: every record that came in is kept, a duplicate or rejected."""

    records: NonNegativeInt
    kept: NonNegativeInt
    duplicates: NonNegativeInt
    rejected: NonNegativeInt
    reasons: dict[str, int] = {}
    moves: NonNegativeInt
    mean_length: float | None
    length_histogram: dict[int, int]  # games by number of moves
    blue_wins: NonNegativeInt


class Bucket(Document):
    """A shuffled file and its rows."""

    name: str
    rows: int


class Shuffled(Document):
    """`shuffle/summary.json`."""

    rows: int
    buckets: list[Bucket]


class Source(Document):
    """Rows that a training took from one generation or from other games."""

    name: str
    rows: int


class Lineage(Document):
    """`train/lineage.json`: what a checkpoint came from."""

    generation: int
    board_size: int
    parent: str | None
    checkpoint: str
    rows_made: int
    rows_window: int
    samples: int
    sources: list[Source]
    versions: dict[str, str] = {}
    device: str
    seed: int


class Accuracy(Document):
    """Shares of solved positions judged rightly, and of solved openings."""

    value_accuracy: float | None = None
    move_accuracy: float | None = None
    openings_right: int | None = None
    openings: int | None = None


class PositionFile(Document):
    """Which solved positions were asked."""

    count: NonNegativeInt


class Solved(Document):
    """`evaluate/solved.json`; the openings are for blue, the player who moves, row by row."""

    board_size: int
    positions: NonNegativeInt | PositionFile | None
    simulations: int
    raw: Accuracy = Accuracy()
    search: Accuracy = Accuracy()
    opening_values: list[float] | None = None
    opening_truth: list[int] | None = None

    @field_validator("raw", "search", mode="before")
    @classmethod
    def _nothing_was_asked(cls, value: Any) -> Any:
        return {} if value is None else value

    @property
    def count(self) -> int:
        """Solved positions that were asked; 0 where only the openings were."""
        asked = self.positions
        return asked.count if isinstance(asked, PositionFile) else asked or 0


@dataclass
class Generation:
    """The files of one `gen_XXX` folder; None where one is missing."""

    number: int
    clean: Cleaned | None = None
    shuffle: Shuffled | None = None
    metrics: pd.DataFrame | None = None
    lineage: Lineage | None = None
    solved: Solved | None = None
    match: ladder.Match | None = None
    sample: Sample | None = None
    pace: Pace | None = None
    trials: dict[str, pd.DataFrame] = field(default_factory=dict)  # metrics by name

    @property
    def name(self) -> str:
        """As the folder is called."""
        return f"gen_{self.number:03d}"


@dataclass
class Run:
    """Everything that the report shows; `notes` say what is missing or not readable."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    generations: list[Generation] = field(default_factory=list)
    ladder: pd.DataFrame | None = None
    times: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=TIMES))
    games: list[ShownGame] = field(default_factory=list)  # worth watching
    notes: list[str] = field(default_factory=list)


def read_run(run_dir: Path, logs: Path | None = None) -> Run:
    """Read the run under `run_dir`, in the order of its generations; `logs` is that of its jobs.

    Raises `BadInput` when `run_dir` is no folder of a run; anything missing or damaged below it is
    a note and not an error, since a report is wanted most when something went wrong.
    """
    if not run_dir.is_dir():
        raise BadInput(f"{run_dir}: no such folder; give that of a run, such as results/default")
    found = {
        int(match[1]): path
        for path in run_dir.iterdir()
        if path.is_dir() and (match := re.fullmatch(r"gen_(\d+)", path.name))
    }
    if not found and not (run_dir / "config.yaml").is_file():
        raise BadInput(
            f"{run_dir}: holds neither config.yaml nor gen_000; give the folder of a run, such as"
            " results/default"
        )
    run = Run(run_dir.resolve().name)
    run.config = _optional(run, run_dir, "config.yaml", _config) or {}
    for number, folder in sorted(found.items()):
        one = _generation(run, run_dir, number, folder.name)
        if logs:
            one.pace = read_pace(logs / folder.name / "selfplay")
        run.generations.append(one)
    if run.generations:
        run.ladder = _optional(run, run_dir, "ladder.csv", _ladder)
    if cleaned := last_with(run, "clean"):
        run.games = _optional(run, run_dir, f"{cleaned.name}/clean", games_worth_watching) or []
        checkpoint = f"{cleaned.name}/train/checkpoint.pt"
        if run.games and (run_dir / checkpoint).exists():  # a run at work may have none yet
            _optional(run, run_dir, checkpoint, lambda path: look_ahead(run.games, path))
    _read_times(run, run_dir)
    return run


def last_with(run: Run, key: str) -> Generation | None:
    """The last generation that has `key`."""
    return next((one for one in reversed(run.generations) if getattr(one, key) is not None), None)


def first_player(ladder: pd.DataFrame) -> str:
    """Whose Elo is 0."""
    return str(ladder.generation.iloc[0])


def _generation(run: Run, root: Path, number: int, folder: str) -> Generation:
    return Generation(
        number,
        clean=_optional(run, root, f"{folder}/clean/summary.json", _document(Cleaned)),
        shuffle=_optional(run, root, f"{folder}/shuffle/summary.json", _document(Shuffled)),
        metrics=_optional(run, root, f"{folder}/train/metrics.csv", _metrics),
        lineage=_optional(run, root, f"{folder}/train/lineage.json", _document(Lineage)),
        solved=_optional(run, root, f"{folder}/evaluate/solved.json", _solved),
        match=_optional(run, root, f"{folder}/evaluate/match.json", _document(ladder.Match)),
        sample=_optional(run, root, f"{folder}/shuffle/bucket_0000.npz", read_sample),
        trials=_trials(run, root, f"{folder}/train"),
    )


def _trials(run: Run, root: Path, folder: str) -> dict[str, pd.DataFrame]:
    """Metrics of the trials of a sweep: those of all folders below that of the training."""
    found = {}
    for path in sorted((root / folder).glob("*/**/metrics.csv")):
        metrics = _optional(run, root, str(path.relative_to(root)), _metrics)
        if metrics is not None and len(metrics):
            found[path.parent.name] = metrics
    return found


def _optional(run: Run, root: Path, name: str, read: Callable[[Path], Any]) -> Any:
    """What `read` makes of a file; None and a note where it is missing or damaged."""
    path = root / name
    if not path.exists():
        run.notes.append(f"{name} is missing")
        return None
    try:
        return read(path)
    except (BadInput, OSError, ValueError) as error:
        # The file's path inside the run is enough, and an absolute one is no part of a product.
        reason = str(error).replace(str(path), "").lstrip(": /")
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        run.notes.append(f"{name} cannot be read: {' '.join(reason.split())}")
        return None


def _document(model: type[Model]) -> Callable[[Path], Model]:
    return lambda path: model.model_validate(read_json(path))


def _config(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise BadInput(f"not YAML: {error}") from None
    if not isinstance(data, dict):
        raise BadInput("keys and values are wanted")
    return data


def _solved(path: Path) -> Solved:
    solved = _document(Solved)(path)
    for values in (solved.opening_values, solved.opening_truth):
        if values is not None and len(values) != solved.board_size**2:
            raise BadInput(f"{len(values)} openings on a board of size {solved.board_size}")
    return solved


def _table(path: Path, wanted: list[str], separator: str = ",") -> pd.DataFrame:
    table = pd.read_csv(path, sep=separator)
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise BadInput(f"no column {', '.join(missing)}")
    return table


def _metrics(path: Path) -> pd.DataFrame:
    """Training metrics, numbers only: a torn or odd entry becomes NaN and leaves a gap."""
    return _table(path, METRICS).apply(pd.to_numeric, errors="coerce")


def _ladder(path: Path) -> pd.DataFrame:
    table = _table(path, ladder.COLUMNS)
    numbers = ladder.COLUMNS[2:]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    return table.dropna(subset=numbers)


def _read_times(run: Run, root: Path) -> None:
    """Seconds, largest memory (MB) and processor seconds of stages, by Snakemake's benchmarks."""
    rows = []
    for path in sorted((root / "benchmarks").glob("gen_*/*/**/*.tsv")):
        generation, stage = path.relative_to(root / "benchmarks").parts[:2]
        read = _optional(run, root, str(path.relative_to(root)), _benchmark)
        if read is not None:
            rows.append((generation, stage, 1, *read))
    if not rows:
        run.notes.append("benchmarks has no times of any stage")
        return
    run.times = (
        pd.DataFrame(rows, columns=TIMES)
        .groupby(["generation", "stage"], as_index=False)
        .agg({"jobs": "sum", "seconds": "sum", "memory": "max", "processor": "sum"})
    )


def _benchmark(path: Path) -> tuple[float, float, float]:
    """Seconds, MB and processor seconds of one job; what a short job does not have is 0."""
    table = _table(path, ["s"], "\t")
    none = pd.Series([0.0])
    seconds, memory, processor = (
        pd.to_numeric(table.get(name, none), errors="coerce").fillna(0.0)
        for name in ("s", "max_rss", "cpu_time")
    )
    return float(seconds.sum()), float(memory.max()), float(processor.sum())
