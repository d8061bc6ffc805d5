"""The whole configuration of a run: its sections, and what must hold across them."""

import itertools
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from hexlib.settings import (
    MOST_FILES,
    NO_OPTION,
    Clean,
    CurriculumStep,
    Evaluate,
    Generations,
    Inference,
    Net,
    OnCorrupt,
    Process,
    Section,
    Selfplay,
    Shuffle,
    Train,
    Value,
    Window,
)


def _chosen(section: Section, key: str) -> bool:
    """Whether a setting is not its default, which a run's config.yaml has written out too."""
    return bool(getattr(section, key) != type(section).model_fields[key].default)


class Config(Section):
    """The whole configuration of a run."""

    run: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of the run and of its folder under `results_dir`.",
    )
    results_dir: Annotated[str, NO_OPTION] = Field(
        "results", pattern=r"^[^{}\n]+$", description="Folder in which runs lie."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Of everything random.")
    board_size: int = Field(7, ge=3, le=19, description="Cells along a side.")
    curriculum: list[CurriculumStep] = Field(
        [],
        description="Boards of the run's first generations, such as [{board_size: 5, generations:"
        " 3}]; those that remain are on `board_size`. The network goes on from board to board.",
    )
    initial_checkpoint: Annotated[str | None, NO_OPTION] = Field(
        None, description="Checkpoint to start from; none: random weights from `net` and `seed`."
    )
    keep_intermediate: bool = Field(
        False, description="Keep the positions between process and shuffle."
    )
    on_corrupt: OnCorrupt = Field(
        "stop",
        description="What a damaged file does: stop the run, or be left out (skip), which the"
        " product that does without it and the log say.",
    )
    generations: Generations = Generations()
    net: Net = Net()
    selfplay: Selfplay = Selfplay()
    clean: Clean = Clean()
    process: Process = Process()
    shuffle: Shuffle = Shuffle()
    window: Window = Window()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    inference: Inference = Inference()

    @model_validator(mode="after")
    def _check_across_keys(self) -> "Config":
        area = self.board_size**2
        if self.generations.first >= self.generations.count:
            raise ValueError(
                f"generations.first: {self.generations.first} leaves none of the"
                f" {self.generations.count} generations to make; lower it, or raise"
                " generations.count"
            )
        planned = sum(step.generations for step in self.curriculum)
        last = self.generations.count - 1
        whole = planned <= last + 1 or self.selfplay.existing  # games given are of `board_size`
        if not whole or self.board_size_of(last) != self.board_size:
            raise ValueError(
                f"curriculum: its {planned} generations leave none of the {last + 1} in all for"
                f" board_size, {self.board_size}; raise generations.count, or set curriculum: []"
            )
        widths = self.selfplay.widths
        used = self.selfplay.search == "minimax" or _chosen(self.selfplay, "widths")
        if used and not all(1 <= width <= area for width in widths or [0]):
            raise ValueError(
                f"selfplay.widths: {widths} do not fit a {self.board_size}×"
                f"{self.board_size} board: give one to {area} moves for each level"
            )
        stones_chosen = _chosen(self.selfplay, "random_stones")
        most = self.selfplay.most_stones(self.board_size)
        if stones_chosen and self.selfplay.random_stones > most:
            raise ValueError(
                f"selfplay.random_stones: {self.selfplay.random_stones} would fill more than half"
                f" of the {area} cells; at most {most}"
            )
        if self.selfplay.shards > self.selfplay.games:
            raise ValueError(
                f"selfplay.shards: {self.selfplay.shards} files for {self.selfplay.games} games;"
                " lower it to at most selfplay.games"
            )
        chunks = -(-self.selfplay.games // self.clean.chunk_size)
        if chunks > MOST_FILES and not self.selfplay.existing:
            raise ValueError(
                f"clean.chunk_size: {self.clean.chunk_size} would split {self.selfplay.games} games"
                f" into {chunks} files, above the {MOST_FILES} that are possible; raise it"
            )
        if self.selfplay.existing and self.generations.count - self.generations.first != 1:
            raise ValueError(
                "selfplay.existing: the games given stand in for one generation's self-play, but"
                f" generations {self.generations.first} to {self.generations.count - 1} are to be"
                " made; set generations.count to generations.first + 1"
            )
        if self.train.final_learning_rate > self.train.learning_rate:
            raise ValueError(
                f"train.final_learning_rate: {self.train.final_learning_rate} is above"
                f" train.learning_rate, {self.train.learning_rate}; lower it"
            )
        if self.train.batch_size % self.train.processes:
            raise ValueError(
                f"train.batch_size: {self.train.batch_size} positions cannot be shared equally by"
                f" {self.train.processes} processes; make it a multiple of train.processes"
            )
        if self.train.reply_weight and not self.process.replies:
            raise ValueError(
                f"train.reply_weight: {self.train.reply_weight} has nothing to learn from without"
                " process.replies: true; set that too"
            )
        if self.train.sweep:
            self._check_sweep()
        if self.generations.first > self.lag and self.initial_checkpoint:
            raise ValueError(
                "initial_checkpoint: has no use where generations.first is above 0, since"
                f" generation {self.generations.first} starts from the one before; remove one"
            )
        return self

    def _check_sweep(self) -> None:
        trials = self.trials()
        if any(trial.keys() != trials[0].keys() or not trial for trial in trials):
            raise ValueError("train.sweep: give each trial of the list a value for the same keys")
        if not trials or len({str(trial) for trial in trials}) < len(trials):
            raise ValueError("train.sweep: give each key at least one value, and each value once")
        for trial in trials:
            for key in trial:
                section, _, name = key.partition(".")
                known: Any = {"net": Net, "train": Train}.get(section)
                fixed = {"sources", "earlier_boards", "sweep", "sweep_by", "processes", "threads"}
                fixed |= {"keep_last", "keep_every"}
                if known is None or name not in known.model_fields or name in fixed:
                    raise ValueError(
                        f"train.sweep: {key} is no key of net or train to try values of"
                    )
            try:
                tried = self.with_values(trial)
            except ValidationError as error:
                first = error.errors()[0]
                reason = first["msg"].removeprefix("Value error, ")
                raise ValueError(f"train.sweep: {trial} cannot be tried: {reason}") from None
            if not tried.train.validation_fraction:
                raise ValueError(
                    "train.sweep: trials are compared by held-out games, of which there are none;"
                    " raise train.validation_fraction"
                )

    def trials(self) -> list[dict[str, Value]]:
        """The values of each trial of `train.sweep`, by key; none without a sweep."""
        sweep = self.train.sweep
        if isinstance(sweep, list):
            return sweep
        if not sweep:
            return []
        return [
            dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())
        ]

    def with_values(self, values: dict[str, Value]) -> "Config":
        """The configuration of a trial: these values in place of its own, and no sweep."""
        data = self.model_dump(exclude_unset=True)
        data["train"]["sweep"] = {}
        for key, value in values.items():
            section, _, name = key.partition(".")
            data.setdefault(section, {})[name] = value
        return Config.model_validate(data)

    @property
    def lag(self) -> int:
        """Generations between a checkpoint and the games that it plays, beyond the next one."""
        return int(self.window.asynchronous)

    def board_size_of(self, generation: int) -> int:
        """Cells along a side of a generation's board."""
        if self.selfplay.existing and generation == self.generations.count - 1:
            return self.board_size
        for step in self.curriculum:
            if generation < step.generations:
                return step.board_size
            generation -= step.generations
        return self.board_size

    def learning_rates(self, generation: int) -> tuple[float, float]:
        """Learning rate at the start and at the end of a generation's training.

        Constant, then linear down to `train.final_learning_rate` over the run's last
        `train.decay_generations`, so that a longer run shares the constant part with a shorter one.
        """
        high, low = self.train.learning_rate, self.train.final_learning_rate
        span = min(self.train.decay_generations, self.generations.count)
        start = self.generations.count - span

        def at(point: int) -> float:
            return high if point <= start else high + (low - high) * (point - start) / span

        return at(generation), at(generation + 1)
