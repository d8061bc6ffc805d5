"""Judge every move of a game."""

import argparse
from pathlib import Path

from hexlib import logs, settings
from hexlib.errors import BadInput
from hexlib.options import (
    add_options,
    common_options,
    player_checkpoint,
    player_option,
    section_of,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("games", metavar="GAME.trmph", help="A file of games, finished or not.")
    player_option(parser)
    common_options(parser, "output")
    parser.add_argument(
        "--game", type=int, default=1, metavar="K", help="Which of them, from 1. Default: 1."
    )
    parser.add_argument(
        "--simulations", type=int, default=256, metavar="N", help="For each position. Default: 256."
    )
    add_options(parser, settings.Inference)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.files import write_text
    from hexlib.play import analysis
    from hexlib.play.notes import read_game_file
    from hexlib.search.player import Player

    if not 0 <= arguments.simulations <= 10_000:
        raise BadInput(f"--simulations {arguments.simulations}: 0 to 10000 are possible")
    path = Path(arguments.games)
    size, moves = read_game_file(path, arguments.game)
    checkpoint = player_checkpoint(arguments, size)
    player = Player(checkpoint, section_of(arguments, settings.Inference))
    source = f"{path.name}, game {arguments.game}"
    game, judged = analysis.analyse(player, size, moves, arguments.simulations, source)
    name = f"checkpoint {player.digest[:10]}"
    write_text(arguments.output, analysis.page(game, judged, name, arguments.simulations))
    found = ", ".join(
        f"{sum(one.mark == mark for one in judged)} {mark}" for mark in ("blunder", "doubtful")
    )
    logs.log.info(f"analyze: {len(judged)} moves, {found}; {arguments.output}")
