"""What the last network expects in the games that are shown: the moves to come and their values."""

from collections.abc import Sequence
from pathlib import Path

from hexlib.pages.games import ShownGame, shown_values
from hexlib.search.interface import positions_after
from hexlib.search.player import Player
from hexlib.settings import Inference

SIMULATIONS = 32  # a position; a report of six games on 13×13 asks for some 500 of them


def look_ahead(games: Sequence[ShownGame], checkpoint: Path) -> None:
    """Give each ply of some games its principal variation and the values of the moves tried.

    Self-play keeps policies and root values, not lines; these come from a search by `checkpoint`,
    on the CPU and without noise, so that the same run has the same page. Raises BadInput for a
    file that is no checkpoint.
    """
    player = Player(checkpoint, Inference(device="cpu"))
    for game in games:
        before = positions_after(game.size, [game.moves[:ply] for ply in range(len(game.moves))])
        thoughts = player.think_of(before, SIMULATIONS)
        for ply, thought in zip(game.plies, thoughts, strict=False):
            ply.line = thought.line
            ply.values = shown_values(thought.values)
