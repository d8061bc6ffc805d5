"""Measure how strong a checkpoint is."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hexlib import logs, settings
from hexlib.errors import BadInput
from hexlib.options import add_options, asked_board_size, common_options, section_of
from hexlib.printing import write_or_say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    solved = kinds.add_parser("solved", help="Against positions whose winner is known.")
    common_options(solved, "checkpoint", "board_size")
    match = kinds.add_parser("match", help="Two players against each other.")
    _match_arguments(match)
    pool = kinds.add_parser("pool", help="Against fixed players and an earlier generation.")
    common_options(pool, "checkpoint", "board_size", "seed")
    pool.add_argument(
        "--earlier",
        nargs="*",
        default=[],
        metavar="C",
        help="Earlier checkpoints, the oldest first; the one that tells most is played.",
    )
    others = {"earlier_games", "anchor_games", "gate"}
    for kind, unused in (
        (solved, {"games", *others}),
        (match, {"positions", *others}),
        (pool, {"games", "positions", "gate"}),
    ):
        kind.add_argument("--output", metavar="F.json", help="Write the result there.")
        kind.add_argument("--json", action="store_true", help="Print the result as JSON.")
        add_options(kind, settings.Evaluate, unused)
        add_options(kind, settings.Inference)
        common_options(kind)
    ladder = kinds.add_parser("ladder", help="Elo of all players of some matches.")
    ladder.add_argument(
        "matches", nargs="+", metavar="MATCH.json", help="Results of `match` and of `pool`."
    )
    common_options(ladder, "output")
    gate = kinds.add_parser("gate", help="Copy --newer to --output if it passed, else --older.")
    gate.add_argument("--match", required=True, metavar="MATCH.json", help="Newer against older.")
    gate.add_argument("--newer", required=True, metavar="C", help="A checkpoint.")
    gate.add_argument("--older", required=True, metavar="C", help="The one in use until now.")
    common_options(gate, "output")


def _match_arguments(match: argparse.ArgumentParser) -> None:
    player = (
        "a checkpoint, `htp:COMMAND` for an engine that speaks HTP, or a fixed player: `random`,"
        " `one-ply` (sees wins and threats) or `rollouts:N` (tree search with N random playouts)."
    )
    match.add_argument("--a", required=True, metavar="PLAYER", help=f"The first side: {player}")
    match.add_argument("--b", required=True, metavar="PLAYER", help="The second side, likewise.")
    for side in "ab":
        match.add_argument(
            f"--{side}-simulations",
            type=int,
            metavar="N",
            help=f"Simulations a move of {side}, if it is a checkpoint. Default: --simulations.",
        )
    match.add_argument(
        "--sprt",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="Stop as soon as it is sure, at 5 %% error, whether a is HIGH Elo better than b rather"
        " than LOW, for instance 0 50.",
    )
    match.add_argument(
        "--engines",
        type=int,
        default=1,
        metavar="N",
        help="Processes of an HTP engine, each with a game of its own. Default: 1.",
    )
    match.add_argument(
        "--move-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="An HTP engine that takes longer for a move loses the game. Default: 60.",
    )
    match.add_argument(
        "--htp-setup",
        action="append",
        default=[],
        metavar="COMMAND",
        help="Give an HTP engine this command first; may be repeated. No swap rule holds in a"
        " match: where an engine has one, switch it off so.",
    )
    common_options(match, "board_size", "seed")


@contextlib.contextmanager
def _sides(
    arguments: argparse.Namespace, measure: settings.Evaluate, inference: settings.Inference
) -> Iterator[tuple[Any, Any, int]]:
    """Both players and the board size; engines that were started are ended afterwards."""
    from hexlib.nn.device import choose
    from hexlib.stages.evaluate.engines import EngineSide
    from hexlib.stages.evaluate.sides import ANCHOR, anchor_side, checkpoint_side

    players = [arguments.a, arguments.b]
    engines = [player.startswith("htp:") for player in players]
    nets = [p for p in players if not p.startswith("htp:") and not ANCHOR.fullmatch(p)]
    if not nets and arguments.board_size is None:
        raise BadInput("--board-size: neither side is a checkpoint that would have one; give it")
    size = asked_board_size(arguments, next(iter(nets), None))
    if arguments.engines < 1 or not arguments.move_seconds > 0:
        raise BadInput("--engines, --move-seconds: both must be above 0")
    slots = min(measure.batch_size, arguments.engines) if any(engines) else measure.batch_size
    with contextlib.ExitStack() as ending:

        def side(player: str, simulations: int | None) -> Any:
            if player.startswith("htp:"):
                engine = EngineSide(
                    player.removeprefix("htp:"),
                    size,
                    processes=arguments.engines,
                    move_seconds=arguments.move_seconds,
                    setup=tuple(arguments.htp_setup),
                )
                ending.callback(engine.end)
                return engine
            if ANCHOR.fullmatch(player):
                return anchor_side(player, size, slots)
            count = measure.simulations if simulations is None else simulations
            if not 0 <= count <= 10000:
                raise BadInput(f"--a-simulations, --b-simulations: {count} is not from 0 to 10000")
            return checkpoint_side(Path(player), size, count, slots, choose(inference))

        a = side(arguments.a, arguments.a_simulations)
        yield a, side(arguments.b, arguments.b_simulations), size


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    if arguments.what == "ladder":
        from hexlib.ladder import write_ladder

        write_ladder([Path(path) for path in arguments.matches], Path(arguments.output))
        return
    if arguments.what == "gate":
        from hexlib.stages.evaluate.gate import write_champion

        newer, older = Path(arguments.newer), Path(arguments.older)
        passed = write_champion(Path(arguments.match), newer, older, Path(arguments.output))
        logs.log.info(f"evaluate gate: the next games are played with {newer if passed else older}")
        return
    measure = section_of(arguments, settings.Evaluate)
    inference = section_of(arguments, settings.Inference)
    if arguments.what == "solved":
        from hexlib.stages.evaluate.solved import solved

        result = solved(
            Path(arguments.checkpoint),
            measure.positions,
            measure,
            inference,
            arguments.board_size,
        )
        for one in [result, *result["sizes"]]:
            _say_solved(one)
    elif arguments.what == "pool":
        from hexlib.stages.evaluate.pool import pool

        result = pool(
            Path(arguments.checkpoint),
            [Path(path) for path in arguments.earlier],
            measure,
            inference,
            asked_board_size(arguments),
            arguments.seed,
        )
        for one in result["matches"]:
            _say_match(one)
    else:
        from hexlib.stages.evaluate.match import match
        from hexlib.stages.evaluate.sequential import Sprt

        sprt = Sprt(*arguments.sprt) if arguments.sprt else None
        if sprt and sprt.low >= sprt.high:
            raise BadInput("--sprt: LOW must be below HIGH")
        with _sides(arguments, measure, inference) as (a, b, size):
            result = match(a, b, size, measure.games, arguments.seed, sprt)
        _say_match(result)
    write_or_say(result, arguments)


def _say_match(result: dict[str, Any]) -> None:
    low, high = result["interval"]
    logs.log.info(
        f"evaluate match: {result['a']['name']} beats {result['b']['name']} in"
        f" {result['a_wins']} of {result['games']} games: {result['score']:.1%}"
        f" (95 % interval {low:.1%} to {high:.1%})"
    )


def _say_solved(result: dict[str, Any]) -> None:
    size = result["board_size"]
    for name in ("raw", "search"):
        figures = result[name] or {}
        shown = ", ".join(
            f"{key.replace('_', ' ')} {value:.1%}"
            for key, value in figures.items()
            if key.endswith("accuracy") and value is not None
        )
        logs.log.info(
            f"evaluate solved {size}×{size}, {name}: {shown or 'no solved positions of this size'}"
        )
