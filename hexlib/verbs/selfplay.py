"""Play games of a network against itself."""

import argparse
from pathlib import Path

from hexlib import settings
from hexlib.options import add_options, asked_board_size, common_options, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    common_options(
        parser,
        *("checkpoint", "output", "board_size", "generation", "seed"),
        *("progress_dir", "keep_progress"),
    )
    parser.add_argument("--games", type=int, required=True, metavar="N", help="Games to play.")
    parser.add_argument(
        "--first-game",
        type=int,
        default=0,
        metavar="I",
        help="Number of the first game in its generation; a game's moves follow from its number."
        " Default: 0.",
    )
    parser.add_argument(
        "--finish-partial",
        action="store_true",
        help="Play no more: make the shard of the games that an interrupted run has saved.",
    )
    add_options(parser, settings.Selfplay, {"games", "shards", "existing"})
    add_options(parser, settings.Inference)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.stages import selfplay

    output = Path(arguments.output)
    selfplay.run(
        Path(arguments.checkpoint),
        output,
        section_of(arguments, settings.Selfplay),
        section_of(arguments, settings.Inference),
        board_size=asked_board_size(arguments),
        games=arguments.games,
        first_game=arguments.first_game,
        generation=arguments.generation,
        seed=arguments.seed,
        progress_dir=Path(arguments.progress_dir or output.parent / ".progress"),
        keep_progress=arguments.keep_progress,
        finish_partial=arguments.finish_partial,
    )
