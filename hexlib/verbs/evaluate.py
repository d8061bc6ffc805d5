"""Measure how strong a checkpoint is."""

import argparse
from pathlib import Path

from hexlib import logs, settings
from hexlib.options import add_options, asked_board_size, common_options, section_of
from hexlib.printing import write_or_say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    solved = kinds.add_parser("solved", help="Against positions whose winner is known.")
    common_options(solved, "checkpoint", "board_size")
    match = kinds.add_parser("match", help="Two checkpoints against each other.")
    match.add_argument("--a", required=True, metavar="C1", help="A checkpoint.")
    match.add_argument("--b", required=True, metavar="C2", help="Its opponent.")
    common_options(match, "board_size", "seed")
    for kind, unused in ((solved, {"games"}), (match, {"positions"})):
        kind.add_argument("--output", metavar="F.json", help="Write the result there.")
        kind.add_argument("--json", action="store_true", help="Print the result as JSON.")
        add_options(kind, settings.Evaluate, unused)
        add_options(kind, settings.Inference)
        common_options(kind)
    ladder = kinds.add_parser("ladder", help="Elo of all players of some matches.")
    ladder.add_argument("matches", nargs="+", metavar="MATCH.json", help="Results of matches.")
    common_options(ladder, "output")


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    if arguments.what == "ladder":
        from hexlib.ladder import write_ladder

        write_ladder([Path(path) for path in arguments.matches], Path(arguments.output))
        return
    from hexlib.stages import evaluate

    measure = section_of(arguments, settings.Evaluate)
    inference = section_of(arguments, settings.Inference)
    if arguments.what == "solved":
        result = evaluate.solved(
            Path(arguments.checkpoint),
            measure.positions,
            measure,
            inference,
            asked_board_size(arguments),
        )
        for name in ("raw", "search"):
            figures = result[name] or {}
            shown = ", ".join(
                f"{key.replace('_', ' ')} {value:.1%}"
                for key, value in figures.items()
                if key.endswith("accuracy")
            )
            logs.log.info(f"evaluate solved, {name}: {shown or 'no solved positions of this size'}")
    else:
        result = evaluate.match(
            Path(arguments.a),
            Path(arguments.b),
            measure,
            inference,
            asked_board_size(arguments, arguments.a),
            arguments.seed,
        )
        logs.log.info(
            "evaluate match: {} beats {} in {} of {} games".format(
                result["a"]["name"], result["b"]["name"], result["a_wins"], result["games"]
            )
        )
    write_or_say(result, arguments)
