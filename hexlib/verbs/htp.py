"""Play as an HTP engine, for HexGui and other programs."""

import argparse
import signal
import sys

from hexlib import settings
from hexlib.errors import BadInput
from hexlib.options import (
    add_options,
    common_options,
    player_checkpoint,
    player_option,
    section_of,
)

SIMULATIONS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    player_option(parser)
    common_options(parser, "board_size")
    parser.add_argument(
        "--simulations",
        type=int,
        default=SIMULATIONS,
        metavar="N",
        help="Simulations a move, fewer where the controller limits the time; 0 plays by the"
        f" network's policy alone. Default: {SIMULATIONS}.",
    )
    parser.add_argument(
        "--swap",
        action="store_true",
        help="The swap rule holds: open evenly, and swap where that is better.",
    )
    parser.add_argument(
        "--resign-value",
        type=float,
        default=0.0,
        metavar="V",
        help="Give up where the value is below minus this; 0: never. Default: 0.",
    )
    add_options(parser, settings.Inference)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.play.htp import Engine, serve
    from hexlib.search.player import Player

    if not 0 <= arguments.simulations <= 10_000:
        raise BadInput(f"--simulations {arguments.simulations}: 0 to 10000 are possible")
    if not 0 <= arguments.resign_value <= 1:
        raise BadInput(f"--resign-value {arguments.resign_value}: 0 to 1 are possible")
    inference = section_of(arguments, settings.Inference)
    checkpoint = player_checkpoint(arguments, arguments.board_size)
    player = Player(checkpoint, inference, batch=1)
    # Waiting for a line has no progress to save: a signal ends it at once.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    engine = Engine(
        player,
        arguments.board_size or player.board_sizes[-1],
        arguments.simulations,
        swap=arguments.swap,
        resign_value=arguments.resign_value,
    )
    # Unbuffered: what was not read when the controller went is then not tried again at the end.
    with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as answers:
        serve(engine, sys.stdin.buffer, answers)
