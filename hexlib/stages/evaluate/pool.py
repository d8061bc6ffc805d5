"""A generation against the rest of the ladder: fixed players, and the earlier one that tells most.

Matches with the generation before alone make a chain, along which errors add up. A link that jumps
over many generations shortens it, but a game tells nothing where one side always wins.
"""

from pathlib import Path
from typing import Any

import numpy as np

from hexlib import files, logs
from hexlib.nn.device import choose
from hexlib.settings import Evaluate, Inference
from hexlib.stages.evaluate.match import match
from hexlib.stages.evaluate.sides import ANCHORS, Side, anchor_side, checkpoint_side

PILOT_GAMES = 24  # by the raw policies, which cost next to nothing
# An even game tells 1/4, in the units of θ⁻²; one with such a chance still half of it. Beyond that
# even a jump over the whole ladder is not worth it.
MOST_CERTAIN = 0.85


def most_telling(scores: list[float]) -> int:
    """Which earlier generation to play, by a's pilot scores against them, the oldest first.

    The oldest against which the outcome is not certain, or else the newest.
    """
    uncertain = np.abs(np.array(scores) - 0.5) <= MOST_CERTAIN - 0.5
    return int(uncertain.argmax()) if uncertain.any() else len(scores) - 1


def pool(
    checkpoint: Path,
    earlier: list[Path],
    settings: Evaluate,
    inference: Inference,
    board_size: int,
    seed: int,
) -> dict[str, Any]:
    """Matches of a checkpoint against fixed players and one of the `earlier`, the oldest first.

    The result is what `pool.json` holds: a list of results as of `match`.
    """
    device = choose(inference)

    def side(path: Path, simulations: int) -> Side:
        return checkpoint_side(path, board_size, simulations, settings.batch_size, device)

    newest = side(checkpoint, settings.simulations)
    matches = []
    if earlier and settings.earlier_games:
        raw = side(checkpoint, 0)
        scores = [
            match(raw, side(path, 0), board_size, PILOT_GAMES, seed)["score"] for path in earlier
        ]
        chosen = earlier[most_telling(scores)]
        logs.detail("pilot scores: %s, plays %s", scores, chosen)
        opponent = side(chosen, settings.simulations)
        matches.append(match(newest, opponent, board_size, settings.earlier_games, seed))
    if settings.anchor_games:
        for name in ANCHORS:
            anchor = anchor_side(name, board_size, settings.batch_size)
            matches.append(match(newest, anchor, board_size, settings.anchor_games, seed))
    return {
        "kind": "pool",
        "schema": files.SCHEMA,
        "board_size": board_size,
        "checkpoint": files.sha256(checkpoint),
        "matches": matches,
    }
