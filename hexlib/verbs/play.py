"""Play against a checkpoint in the browser."""

import argparse
from pathlib import Path

from hexlib import settings
from hexlib.options import add_options, common_options, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    common_options(parser, "checkpoint")
    parser.add_argument(
        "--port", type=int, default=8017, metavar="P", help="0: any that is free. Default: 8017."
    )
    add_options(parser, settings.Inference)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.play import server
    from hexlib.search.player import Player

    checkpoint = Path(arguments.checkpoint)
    player = Player(checkpoint, section_of(arguments, settings.Inference))
    server.serve(player, f"{checkpoint}", arguments.port)
