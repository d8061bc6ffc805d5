"""Spread positions over buckets."""

import argparse
from pathlib import Path

from hexlib import logs, settings
from hexlib.options import add_options, common_options, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
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


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
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
