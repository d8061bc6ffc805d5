"""Play against a checkpoint in the browser."""

import argparse

from hexlib import settings
from hexlib.options import (
    add_options,
    common_options,
    player_checkpoint,
    player_option,
    section_of,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    player_option(parser)
    common_options(parser)
    parser.add_argument(
        "--board-size",
        type=int,
        metavar="N",
        help="Cells along a side, to begin with. Default: that which the network was trained on"
        " last.",
    )
    parser.add_argument(
        "--port", type=int, default=8017, metavar="P", help="0: any that is free. Default: 8017."
    )
    add_options(parser, settings.Inference)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.play import server
    from hexlib.search.player import Player

    checkpoint = player_checkpoint(arguments, arguments.board_size)
    player = Player(checkpoint, section_of(arguments, settings.Inference))
    server.serve(player, f"{checkpoint}", arguments.port, arguments.board_size)
