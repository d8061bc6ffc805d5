"""The command line: `hexlib VERB`, one verb a stage, plus tools.

Options that are settings are made from `hexlib.settings`, so that their names, types, defaults and
texts are those of the configuration. A verb imports its stage only when it runs, which keeps help
and errors quick.
"""

import argparse
import json
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hexlib
from hexlib import files, logs, settings, signals
from hexlib.errors import BadInput, Interrupted
from hexlib.options import add_options, common_options, section_of


def _say(result: dict[str, Any], as_json: bool) -> None:
    """Print a result for people, or for programs."""
    from hexlib.inspection import in_words

    print(json.dumps(result, indent=2) if as_json else "\n".join(in_words(result)))


def _write_or_say(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    """To `--output` if it is given, and to standard output."""
    if arguments.output:
        files.write_json(arguments.output, result)
    if arguments.json or not arguments.output:
        _say(result, arguments.json)


# Each verb: a function that adds its options, and one that runs it.


def _init(arguments: argparse.Namespace) -> None:
    from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
    from hexlib.nn.model import random_network

    net = section_of(arguments, settings.Net)
    lineage = {"kind": "initial", "seed": arguments.seed, "rows_made": 0}
    network = random_network(net, arguments.seed)
    save_checkpoint(arguments.output, Checkpoint(network, [arguments.board_size], lineage))
    count = sum(parameter.numel() for parameter in network.parameters())
    logs.log.info(
        f"{arguments.output}: {net.blocks} blocks of {net.channels}, {count:,} parameters"
    )


def _init_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser, settings.Net)
    common_options(parser, "output", "seed")
    parser.add_argument("--board-size", type=int, default=7, metavar="N", help="Default: 7.")


def _selfplay(arguments: argparse.Namespace) -> None:
    from hexlib.stages import selfplay

    output = Path(arguments.output)
    selfplay.run(
        Path(arguments.checkpoint),
        output,
        section_of(arguments, settings.Selfplay),
        section_of(arguments, settings.Inference),
        board_size=_board_size(arguments),
        games=arguments.games,
        first_game=arguments.first_game,
        generation=arguments.generation,
        seed=arguments.seed,
        progress_dir=Path(arguments.progress_dir or output.parent / ".progress"),
        finish_partial=arguments.finish_partial,
    )


def _selfplay_options(parser: argparse.ArgumentParser) -> None:
    common_options(
        parser, "checkpoint", "output", "board_size", "generation", "seed", "progress_dir"
    )
    parser.add_argument("--games", type=int, required=True, metavar="N", help="Games to play.")
    parser.add_argument(
        "--first-game",
        type=int,
        default=0,
        metavar="I",
        help="Number of the first game in its generation; a game's moves follow from its number."
        " Default: 0.",
    )
    parser.add_argument(
        "--finish-partial",
        action="store_true",
        help="Play no more: make the shard of the games that an interrupted run has saved.",
    )
    add_options(parser, settings.Selfplay, {"games", "shards", "existing"})
    add_options(parser, settings.Inference)


def _clean(arguments: argparse.Namespace) -> None:
    from hexlib.stages import clean

    summary = clean.run(
        [Path(path) for path in arguments.inputs],
        Path(arguments.output_dir),
        arguments.board_size,
        section_of(arguments, settings.Clean),
        arguments.chunks,
    )
    logs.log.info(
        f"clean: {summary['records']:,} records, {summary['kept']:,} kept,"
        f" {summary['duplicates']:,} duplicates, {summary['rejected']:,} rejected"
    )


def _clean_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="Files, or folders of any depth."
    )
    common_options(parser, "output_dir")
    parser.add_argument("--board-size", type=int, default=7, metavar="N", help="Default: 7.")
    parser.add_argument(
        "--chunks", type=int, metavar="N", help="Number of chunks, in place of --chunk-size."
    )
    add_options(parser, settings.Clean)


def _process(arguments: argparse.Namespace) -> None:
    from hexlib.game.trmph import board_size_of
    from hexlib.stages import process

    made = process.run(
        Path(arguments.chunk),
        Path(arguments.output),
        section_of(arguments, settings.Process),
        arguments.board_size or board_size_of(arguments.chunk) or 7,
    )
    logs.log.info(f"process: {made['rows']:,} positions of {made['games']:,} games")


def _process_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("chunk", metavar="CHUNK", help="A cleaned chunk (.trmph).")
    common_options(parser, "output", "board_size")
    add_options(parser, settings.Process)


def _shuffle_options(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    scatter = steps.add_parser("scatter", help="Deal the positions of a chunk over all buckets.")
    scatter.add_argument("chunk", metavar="CHUNK.npz", help="Positions of a chunk.")
    scatter.add_argument("--output-dir", required=True, metavar="D", help="Folder for the parts.")
    add_options(scatter, settings.Shuffle)
    gather = steps.add_parser("gather", help="Collect one bucket from all chunks and permute it.")
    gather.add_argument("folders", nargs="+", metavar="D", help="Folders that scatter has filled.")
    gather.add_argument("--bucket", type=int, required=True, metavar="K", help="From 0.")
    gather.add_argument("--output", required=True, metavar="F.npz", help="The bucket.")
    total = steps.add_parser("summary", help="Count the rows of a generation's buckets.")
    total.add_argument("buckets", nargs="+", metavar="BUCKET.npz", help="All its buckets.")
    total.add_argument("--output", required=True, metavar="F.json", help="The summary.")
    for step in (scatter, gather, total):
        common_options(step, "seed")


def _shuffle(arguments: argparse.Namespace) -> None:
    from hexlib.stages import shuffle

    # To the log alone: there may be many of these jobs, and each is short.
    if arguments.step == "scatter":
        buckets = section_of(arguments, settings.Shuffle).buckets
        dealt = shuffle.scatter(
            Path(arguments.chunk), Path(arguments.output_dir), buckets, arguments.seed
        )
        logs.detail("%s positions dealt over %s buckets", dealt["rows"], buckets)
    elif arguments.step == "gather":
        folders = [Path(folder) for folder in arguments.folders]
        made = shuffle.gather(folders, arguments.bucket, Path(arguments.output), arguments.seed)
        logs.detail("%s positions in bucket %s", made["rows"], arguments.bucket)
    else:
        whole = shuffle.summary(
            [Path(bucket) for bucket in arguments.buckets], Path(arguments.output)
        )
        logs.detail("%s positions in %s buckets", whole["rows"], len(arguments.buckets))


def _train(arguments: argparse.Namespace) -> None:
    from hexlib.stages import train

    output_dir = Path(arguments.output_dir)
    train.run(
        [Path(source) for source in arguments.source],
        Path(arguments.checkpoint),
        output_dir,
        section_of(arguments, settings.Train),
        section_of(arguments, settings.Window, "window_"),
        section_of(arguments, settings.Inference),
        state=Path(arguments.state) if arguments.state else None,
        generation=arguments.generation,
        seed=arguments.seed,
        progress_dir=Path(arguments.progress_dir or output_dir / ".progress"),
    )


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        nargs="+",
        required=True,
        metavar="D",
        help="Folders of buckets, oldest first; the last one holds this generation's.",
    )
    parser.add_argument(
        "--state", metavar="S", help="state.pt of the training before, whose optimiser goes on."
    )
    common_options(parser, "checkpoint", "output_dir", "generation", "seed", "progress_dir")
    add_options(parser, settings.Train, {"decay_generations"})
    add_options(parser, settings.Window, {"generations"}, "window_")
    add_options(parser, settings.Inference)


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
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


def _evaluate(arguments: argparse.Namespace) -> None:
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
            _board_size(arguments),
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
            _board_size(arguments, arguments.a),
            arguments.seed,
        )
        logs.log.info(
            "evaluate match: {} beats {} in {} of {} games".format(
                result["a"]["name"], result["b"]["name"], result["a_wins"], result["games"]
            )
        )
    _write_or_say(result, arguments)


def _report(arguments: argparse.Namespace) -> None:
    from hexlib.stages import report

    report.run(Path(arguments.run_dir), Path(arguments.output))
    logs.log.info(f"report: {arguments.output}")


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN_DIR", help="Such as results/default.")
    common_options(parser, "output")


def _inspect(arguments: argparse.Namespace) -> None:
    from hexlib.inspection import inspect

    _say(inspect(Path(arguments.file)), arguments.json)


def _inspect_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="A product: .pt, .npz, .trmph or .json.")
    parser.add_argument("--json", action="store_true", help="Print it as JSON.")
    common_options(parser)


def _board_size(arguments: argparse.Namespace, checkpoint: str | None = None) -> int:
    """The board size asked for, or the one that the checkpoint was last trained on."""
    if arguments.board_size is not None:
        return arguments.board_size
    from hexlib.nn.checkpoint import load_checkpoint

    return load_checkpoint(checkpoint or arguments.checkpoint).board_sizes[-1]


VERBS = {
    "init": (_init_options, _init, "Make a network of random weights."),
    "selfplay": (_selfplay_options, _selfplay, "Play games of a network against itself."),
    "clean": (_clean_options, _clean, "Check records, drop duplicates, split into chunks."),
    "process": (_process_options, _process, "Turn a chunk of games into positions."),
    "shuffle": (_shuffle_options, _shuffle, "Spread positions over buckets."),
    "train": (_train_options, _train, "Train a network on buckets."),
    "evaluate": (_evaluate_options, _evaluate, "Measure how strong a checkpoint is."),
    "inspect": (_inspect_options, _inspect, "Tell what any product is."),
    "report": (_report_options, _report, "Write the page that shows how a run went."),
}


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="hexlib", description="Trains neural networks to play Hex. One verb a stage."
    )
    top.add_argument("--version", action="version", version=f"hexlib {hexlib.__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (options, _, text) in VERBS.items():
        one = verbs.add_parser(verb, help=text, description=text)
        options(one)
        if verb not in ("shuffle", "evaluate"):  # their steps have their own
            one.add_argument(
                "--config", metavar="F.yaml", help="Settings to start from; options override them."
            )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit code (0 done, 1 our failure, 2 bad input, 130, 143 signals)."""
    arguments = parser().parse_args(argv)
    try:
        logs.start(arguments.log)
        logs.detail(
            "hexlib %s: %s", hexlib.__version__, shlex.join(sys.argv[1:] if argv is None else argv)
        )
        with signals.listening():
            VERBS[arguments.verb][1](arguments)
    except (BadInput, Interrupted) as error:
        logs.log.error(f"hexlib {arguments.verb}: {error}")
        return error.exit_code
    except Exception:
        logs.log.error(f"hexlib {arguments.verb}: failed\n{traceback.format_exc().rstrip()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
