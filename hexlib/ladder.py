"""What matches prove: the interval of a score, and the ladder, the Elo of every player of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import choix
import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.special import expit
from scipy.stats import binomtest

from hexlib.errors import BadInput
from hexlib.files import read_json, write_text

ELO_PER_NAT = 400 / np.log(10)  # a player 400 Elo above another wins ten games of eleven
HALF_WIDTH = 1.959964  # standard deviations in half of a 95 % interval
COLUMNS = ["generation", "checkpoint", "elo", "elo_low", "elo_high", "games", "score"]


class Player(BaseModel):
    """One side of a match: its name and the digest of its checkpoint, if it has one."""

    name: str
    sha256: str | None = None


class Match(BaseModel):
    """What the ladder and the report read of a `match.json`."""

    model_config = ConfigDict(allow_inf_nan=False)

    a: Player
    b: Player
    games: int = Field(ge=1)
    a_wins: int = Field(ge=0)
    simulations: int | None = None
    interval: tuple[float, float] | None = None  # 95 % Wilson interval of a's score
    a_wins_as_blue: int | None = None
    a_wins_as_red: int | None = None


def elo(matches: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Elo of each player relative to the first one, with 95 % intervals.

    The model is Bradley and Terry's (1952): a beats b with probability 1 / (1 + exp(θb − θa)), and
    Elo is 400 / ln 10 times θ. The maximum likelihood is found by I-LSR (Maystre and Grossglauser
    2015, arXiv:1506.04513). So that a score of 100 % stays finite, half a win is added on either
    side to the pairs of a spanning tree, the one whose matches tell most. Where the matches form a
    tree this is Jeffreys' prior, the bias correction of Firth (1993, Biometrika 80:27), and it does
    not pull the far end of a long chain towards its start, as a prior on θ itself would, or half a
    win for a weak player in each of many matches that it had no chance in. Intervals are ±1.96
    standard errors from the inverse Hessian of that log likelihood, the first player's θ held at 0;
    they widen along a chain, since each link adds its own error.

    `matches` as in `match.json`; only `a`, `b`, `games` and `a_wins` are used. The first player is
    `b` of the first match; further ones follow in the order in which they appear, `b` before `a`.
    Two names of the same checkpoint are one player, under the first of them.

    Returns one row a player: `generation` (its name), `checkpoint` (sha256 or None), `elo`,
    `elo_low`, `elo_high` (0 for the first player), `games` (all that it played) and `score` (share
    of them won). Raises `BadInput` when there is no match, when one is malformed, when a name
    stands for two checkpoints, or when some players are not joined to the first one by matches.
    """
    if not matches:
        raise BadInput("ladder: no match is given; evaluate at least one generation first")
    checked = [_checked(match, f"match {number}") for number, match in enumerate(matches, 1)]
    return _fit(checked)


def write_ladder(results: Sequence[Path], output: Path) -> None:
    """Write `ladder.csv`, the table of `elo`, from `match.json` and `pool.json` files.

    Single matches come first, in the order given, so that the first player is the opponent of the
    run's first generation. Raises `BadInput` that names the file, or as `elo` does.
    """
    single, pooled = [], []
    for path in results:
        data = read_json(path)
        if isinstance(data, dict) and data.get("kind") == "pool":
            pooled += [_checked(match, str(path)) for match in data.get("matches", [])]
        else:
            single.append(_checked(data, str(path)))
    if not single + pooled:
        raise BadInput(f"{output}: no match is given; evaluate at least one generation first")
    table = _fit(single + pooled)
    write_text(output, table.to_csv(index=False, float_format="%.4f", lineterminator="\n"))


def wilson(wins: int, games: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); all of 0 to 1 where the counts make no sense."""
    if not 0 <= wins <= games or games == 0:
        return 0.0, 1.0
    low, high = binomtest(wins, games).proportion_ci(method="wilson")
    return float(low), float(high)


def _checked(data: Any, source: str) -> Match:
    """The match in `data`, or `BadInput` that says what is wrong with `source`."""
    try:
        match = Match.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "content"
        raise BadInput(
            f"{source}: not a match: {key}: {first['msg']}; remove it and evaluate again"
        ) from None
    if match.a_wins > match.games:
        raise BadInput(f"{source}: {match.a_wins} wins in {match.games} games; evaluate again")
    if match.a.name == match.b.name:
        raise BadInput(f"{source}: {match.a.name} plays against itself; leave this match out")
    return match


def _players(matches: Sequence[Match]) -> dict[str, str | None]:
    """Checkpoint by name, in order of appearance; renames a second name of the same checkpoint."""
    players: dict[str, str | None] = {}
    names: dict[str, str] = {}
    for match in matches:
        for player in (match.b, match.a):
            if player.sha256 is not None:
                player.name = names.setdefault(player.sha256, player.name)
            known = players.setdefault(player.name, player.sha256)
            if known != player.sha256:
                raise BadInput(
                    f"ladder: {player.name} is checkpoint {str(known)[:12]} in one match and"
                    f" {str(player.sha256)[:12]} in another; evaluate that generation again"
                )
    return players


def _telling_tree(wins: np.ndarray) -> np.ndarray:
    """1 for the pairs, either way round, of the spanning tree that tells most, else 0: int [P, P].

    A pair with w wins and l losses tells about w·l / (w + l), the information of its match; one
    more half on either side ranks the matches that had no chance.
    """
    more = np.where(wins + wins.T > 0, wins + 0.5, np.inf)
    tree = minimum_spanning_tree(np.nan_to_num(1 / more + 1 / more.T)).toarray() > 0
    return (tree | tree.T).astype(int)


def _fit(matches: Sequence[Match]) -> pd.DataFrame:
    """The table of `elo` for checked matches."""
    players = _players(matches)
    index = {name: number for number, name in enumerate(players)}
    wins = np.zeros((len(players), len(players)))  # [i, j]: games that i won against j
    for match in matches:
        a, b = index[match.a.name], index[match.b.name]
        wins[a, b] += match.a_wins
        wins[b, a] += match.games - match.a_wins
    played = wins + wins.T
    joined = np.linalg.matrix_power((played > 0) + np.eye(len(players)), len(players))[0] > 0
    if not joined.all():
        apart = next(name for name, number in index.items() if not joined[number])
        raise BadInput(
            f"ladder: no chain of matches joins {apart} with {next(iter(players))}; evaluate the"
            " generations between them too"
        )

    counted = wins + 0.5 * _telling_tree(wins)
    try:
        strength = choix.ilsr_pairwise_dense(counted)  # [players], nats
    except (RuntimeError, ValueError):
        raise BadInput(
            "ladder: the scores are too one-sided to be fitted; play more games"
        ) from None
    strength -= strength[0]
    chance = expit(strength[:, None] - strength)
    weight = (counted + counted.T) * chance * chance.T  # information of each pair
    hessian = np.diag(weight.sum(axis=1)) - weight
    error = np.sqrt(np.append(0, np.diag(np.linalg.inv(hessian[1:, 1:]))))

    games = played.sum(axis=1)
    columns = [
        list(players),
        list(players.values()),
        ELO_PER_NAT * strength,
        ELO_PER_NAT * (strength - HALF_WIDTH * error),
        ELO_PER_NAT * (strength + HALF_WIDTH * error),
        games.astype(int),
        wins.sum(axis=1) / games,
    ]
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
