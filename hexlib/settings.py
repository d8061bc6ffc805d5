"""Every setting: its default, its bounds and what it does, one section a stage.

`config/schema.yaml`, the table in `config/README.md` and the options of `hexlib VERB` are all
generated from these models, so a key is described once.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

OnCorrupt = Literal["stop", "skip"]
MOST_FILES = 1000  # of one kind in a generation: a command that names them all must stay legal


def _no_option(path: Any) -> Any:
    """A path, or a list of them, of which no command takes one for an option: not `-x`."""
    if isinstance(path, list):
        return [_no_option(one) for one in path]
    return str(Path.cwd() / path) if path and path.startswith("-") else path


NO_OPTION = AfterValidator(_no_option)


class Section(BaseModel):
    """A group of settings in which a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Generations(Section):
    """How often the loop from self-play to checkpoint goes round."""

    count: int = Field(12, ge=1, le=150, description="Generations in all.")
    first: int = Field(
        0,
        ge=0,
        description="Generations before this one are plain files that no rule makes again.",
    )


class CurriculumStep(Section):
    """Some generations on a board of their own."""

    board_size: int = Field(ge=3, le=19, description="Cells along a side.")
    generations: int = Field(ge=1, description="Generations on this board.")


class Net(Section):
    """The shape of a network made from random weights."""

    blocks: int = Field(4, ge=1, le=40, description="Residual blocks.")
    channels: int = Field(32, ge=8, le=512, multiple_of=8, description="Channels of a block.")
    symmetric: bool = Field(
        True,
        description="Whether the weights are tied so that a board and its 180° turn are the same.",
    )


class Selfplay(Section):
    """How games are made."""

    games: int = Field(3000, ge=1, description="Games a generation.")
    shards: int = Field(
        2,
        ge=1,
        le=MOST_FILES,
        description="Files, and so jobs, for a generation's games.",
    )
    search: Literal["gumbel", "minimax", "policy"] = Field(
        "gumbel", description="How a move is chosen."
    )
    simulations: int = Field(16, ge=1, le=10000, description="Simulations a move (gumbel).")
    considered: int = Field(
        16, ge=1, description="Moves that compete at the root at most (gumbel's m)."
    )
    c_scale: float = Field(
        0.4,
        gt=0,
        le=10,
        description="How much what a search saw of moves counts against the policy (gumbel).",
    )
    widths: list[int] = Field([13, 8], description="Moves kept at each level (minimax).")
    temperature: float = Field(
        1.0, ge=0, le=10, description="Of the move choice at the first ply; 0 takes the best move."
    )
    temperature_half_life: float = Field(
        6.0, gt=0, description="Plies after which the temperature has halved."
    )
    temperature_cutoff: float = Field(
        0.25, gt=0, description="Below this temperature the search's best move is played."
    )
    random_stones: int = Field(
        20, ge=0, description="A random opening has one to this many stones placed at random."
    )
    random_stones_power: float = Field(
        1.0,
        ge=1,
        le=10,
        description="How much likelier few random stones are than many: their number goes with this"
        " power of a uniform one.",
    )
    balanced_openings: float = Field(
        0.9,
        ge=0,
        le=0.99,
        description="A random opening to which the network gives the value v, -1 to 1, is dropped"
        " with a chance of this times v², and drawn anew.",
    )
    random_openings: float = Field(0.97, ge=0, le=1, description="Share of games that have one.")
    balanced_first_move: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the other games whose first move is any cell, the likelier the nearer"
        " its value is to even.",
    )
    full_search: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the moves that are searched in full and learned (gumbel).",
    )
    cheap_simulations: int = Field(
        4, ge=1, le=10000, description="Simulations of the other moves (gumbel)."
    )
    early_simulations: int = Field(
        0,
        ge=0,
        le=10000,
        description="Simulations of a move while fewer than `early_stones` stones lie on the board"
        " (gumbel); 0: as of any other.",
    )
    early_stones: int = Field(
        4, ge=0, description="See `early_simulations`; of those of a random opening too."
    )
    resign_value: float = Field(
        0.0,
        ge=0,
        le=1,
        description="A player whose value is below minus this gives up, and the game is played on"
        " cheaply and not learned; 0: never.",
    )
    never_resign: float = Field(
        0.1, ge=0, le=1, description="Share of games that are not given up, to count wrong ones."
    )
    batch_size: int = Field(128, ge=1, le=65536, description="Games in flight in one worker.")
    cache_size: int = Field(
        60000, ge=0, description="Evaluated positions remembered by a worker; 0 remembers none."
    )
    existing: Annotated[list[str], NO_OPTION] = Field(
        [], description="Files or folders of games to use in place of self-play; only ever read."
    )
    accept_partial: bool = Field(
        False, description="Take the games that an interrupted self-play has made as the shard."
    )

    def most_stones(self, board_size: int) -> int:
        """Stones of a random opening at most: no more than half of the cells.

        The default of `random_stones` is for larger boards than the smallest.
        """
        return min(self.random_stones, board_size**2 // 2)


class Clean(Section):
    """What happens to records before they become positions."""

    chunk_size: int = Field(10000, ge=1, description="Games in a cleaned chunk, about.")
    merge_symmetric: bool = Field(
        True, description="Count a game and its 180° turn as the same game."
    )


class Process(Section):
    """Which positions are made of a game, and what they teach."""

    positions: Literal["all", "final", "penultimate"] = Field(
        "all", description="All of them, the finished board alone, or the one before the last move."
    )
    policy: Literal["search", "played"] = Field(
        "search",
        description="What a position's policy is: what the search found, where it was recorded, or"
        " the move that was played.",
    )
    decided: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the decided positions of searched games that are learned: of finished"
        " boards, and of those whose search has a value beyond ±0.95. The others weigh 0.",
    )
    replies: bool = Field(
        False,
        description="Whether a position with a policy also has the move that the opponent made"
        " after it, for `train.reply_weight`; 4 bytes a position.",
    )


class Shuffle(Section):
    """How positions are spread."""

    buckets: int = Field(
        4, ge=1, le=MOST_FILES, description="Files that a generation is spread over."
    )


class Window(Section):
    """How many of the run's rows a generation trains on: c·(1 + β·((n/c)^α − 1)/α) of n made.

    The power law of KataGo's shuffler (Wu 2019, arXiv:1902.10565, appendix C).
    """

    rows: int = Field(30_000, ge=1, description="c: below this many rows all are used.")
    growth: float = Field(0.8, gt=0, le=1, description="β: how fast it grows at first.")
    exponent: float = Field(0.8, gt=0, le=1, description="α: how growth falls off.")
    generations: int = Field(
        20, ge=1, description="Generations that a training may look back over, its own included."
    )
    older_weight: float = Field(
        0.33,
        gt=0,
        le=1,
        description="How often a position of an older generation is drawn, where one of the newest"
        " is once.",
    )
    policy_generations: int = Field(
        2,
        ge=1,
        description="Newest generations whose policies are learned; of older ones only who won is.",
    )
    # `async` is a word of Python's own.
    model_config = ConfigDict(populate_by_name=True)
    asynchronous: bool = Field(
        False,
        alias="async",
        description="Self-play does not wait for the training before it: it plays with the"
        " checkpoint of the generation before that one, while that training runs.",
    )


class Source(Section):
    """Positions or games that somebody made before, to train on beside the run's own."""

    path: Annotated[str, NO_OPTION] = Field(
        description="Folder of buckets, or file or folder of games; only ever read."
    )
    weight: float = Field(
        1.0, gt=0, le=1000, description="How often its rows are drawn, where the window's are once."
    )
    skip_files: int = Field(0, ge=0, description="Files left out, first in the order of names.")
    max_files: int = Field(0, ge=0, description="Files taken after these at most; 0: all.")
    board_size: int | None = Field(
        None, ge=3, le=19, description="Cells along a side; null: those of the run."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, given: Any) -> Any:
        """A source can be a path alone, or JSON, as a command line has it."""
        if not isinstance(given, str):
            return given
        return json.loads(given) if given.startswith("{") else {"path": given}


Value = bool | int | float | str


class Train(Section):
    """How the network learns."""

    batch_size: int = Field(128, ge=1, le=65536, description="Positions a step.")
    learning_rate: float = Field(8e-3, gt=0, le=1, description="AdamW's, after the warm-up.")
    final_learning_rate: float = Field(1e-4, gt=0, le=1, description="At the end of the run.")
    decay_generations: int = Field(
        5, ge=0, description="Last generations of the run over which the learning rate falls."
    )
    warmup_steps: int = Field(100, ge=0, description="Steps at the start of a fresh optimiser.")
    weight_decay: float = Field(1e-3, ge=0, le=1, description="AdamW's.")
    gradient_clip: float = Field(5.0, gt=0, description="Largest norm of the gradient.")
    moving_average: float = Field(
        0.995, ge=0, lt=1, description="Decay of the averaged weights, which are the product."
    )
    reuse: float = Field(
        2.0, gt=0, le=100, description="Samples drawn for each new position of the generation."
    )
    max_samples: int = Field(35_000_000, ge=1, description="Samples a generation at most.")
    mini_epoch: int = Field(
        50_000,
        ge=1,
        description="Samples after which the network is validated and saved as"
        " train/epochs/epoch{E}_mini{M}.pt.",
    )
    keep_last: int = Field(2, ge=0, description="Of these, how many of the newest are kept.")
    keep_every: int = Field(0, ge=0, description="Each so many-th is kept besides; 0: none.")
    value_mix: float = Field(
        0.0, ge=0, le=1, description="Share of the search's root value in the value target."
    )
    policy_weight: float = Field(1.0, ge=0, description="Of the policy's loss.")
    value_weight: float = Field(1.0, ge=0, description="Of the value's loss.")
    soft_policy_weight: float = Field(
        0.0,
        ge=0,
        description="Of the loss of an auxiliary head that learns the policy to the power of 1/4;"
        " 0: no such head.",
    )
    reply_weight: float = Field(
        0.0,
        ge=0,
        description="Of the loss of an auxiliary head that learns the opponent's reply; 0: no such"
        " head. Asks for `process.replies: true`.",
    )
    validation_fraction: float = Field(
        0.05, ge=0, lt=1, description="Share of games that are never trained on."
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share a training, each with a GPU of its own, started by"
        " torchrun.",
    )
    threads: int = Field(
        1,
        ge=1,
        le=256,
        description="Cores that a training uses where it has no GPU. Weights differ by rounding.",
    )
    sources: list[Source] = Field(
        [], description="Buckets or games to train on beside the run's window."
    )
    earlier_boards: float = Field(
        0.1,
        ge=0,
        le=1000,
        description="Of a curriculum: weight, as that of a source, of the positions of the last"
        " generation on each board before; 0 leaves them out.",
    )
    sweep: dict[str, list[Value]] | list[dict[str, Value]] = Field(
        {},
        description="Trials, of which each generation takes the best: lists of values of `net.…` or"
        " `train.…` keys, in all combinations, or a list of such keys with a value each.",
    )
    sweep_by: Literal["validation", "match"] = Field(
        "validation",
        description="Which trial is the best: by the losses on held-out games, unweighted, or by"
        " games against the one that is best in that.",
    )


class Evaluate(Section):
    """How a generation's strength is measured."""

    games: int = Field(200, ge=2, description="Games against the generation before.")
    earlier_games: int = Field(
        60, ge=0, description="Games against the oldest generation that is not sure to lose."
    )
    anchor_games: int = Field(
        20, ge=0, description="Games against each fixed player: random, one-ply and rollouts."
    )
    gate: bool = Field(
        False, description="Play with a generation only if it scores 50 % against the one in use."
    )
    simulations: int = Field(
        64, ge=0, le=10000, description="Simulations a move; 0: the network's policy alone."
    )
    batch_size: int = Field(128, ge=1, le=65536, description="Games in flight.")
    positions: Annotated[str, NO_OPTION] = Field(
        "auto", description="Solved positions (CSV); auto takes the shipped ones, none skips them."
    )


class Inference(Section):
    """Where and how networks are evaluated and trained."""

    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto takes the first GPU, and the CPU where there is none.",
    )
    backend: Literal["auto", "torch", "openvino"] = Field(
        "auto",
        description="What evaluates positions: auto takes OpenVINO on a CPU where it is installed.",
    )
    precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto",
        description="auto takes bfloat16 where the processor has instructions for it; int8"
        " evaluates in eight-bit integers where a check of the network allows it (OpenVINO on a"
        " CPU), and trains as auto does.",
    )
