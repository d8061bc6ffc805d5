"""The openings of a match: every first move, then pairs of moves that are nearly even."""

from collections.abc import Callable

import numpy as np

CHOICE = 4  # pairs of moves that are looked at for each that is played


def openings(
    board_size: int,
    count: int,
    seed: int,
    blue_value: Callable[[list[list[int]]], np.ndarray | None],
) -> list[list[int]]:
    """`count` openings: every first move, then two moves each, blue's and red's.

    The pairs of moves are drawn at random, `CHOICE` times as many as are wanted, no two of them
    the same after a turn of the board by 180°; the ones whose value for blue (`blue_value`: games
    → float [K], −1 to 1) is nearest to 0 are played, the most even first; where it is None, those
    drawn first are. Of fewer openings than first moves, each is one of these.
    """
    area = board_size**2
    random = np.random.Generator(np.random.Philox(key=[seed, board_size]))
    if count < area:
        return [[int(cell)] for cell in random.permutation(area)[:count]]
    firsts = [[cell] for cell in range(area)]
    wanted = count - area
    drawn: list[list[int]] = []
    for number in random.permutation(area * area):
        blue, red = divmod(int(number), area)
        turned = (area - 1 - blue, area - 1 - red)
        if len(drawn) < CHOICE * wanted and blue != red and (blue, red) <= turned:
            drawn.append([blue, red])
    if drawn and (values := blue_value(drawn)) is not None:
        order = np.argsort(np.abs(values), kind="stable")
        drawn = [drawn[k] for k in order]
    return firsts + drawn[:wanted]
