"""Turn a chunk of games into positions."""

import argparse
from pathlib import Path

from hexlib import logs, settings
from hexlib.options import add_options, common_options, on_corrupt_of, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("chunk", metavar="CHUNK", help="A cleaned chunk (.trmph).")
    common_options(parser, "output", "board_size", "on_corrupt")
    add_options(parser, settings.Process)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.game.trmph import board_size_of
    from hexlib.stages import process

    made = process.run(
        Path(arguments.chunk),
        Path(arguments.output),
        section_of(arguments, settings.Process),
        arguments.board_size or board_size_of(arguments.chunk) or 7,
        on_corrupt_of(arguments),
    )
    logs.log.info(f"process: {made['rows']:,} positions of {made['games']:,} games")
