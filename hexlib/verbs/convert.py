"""Turn games into another notation: SGF, links to hexworld.org, or trmph."""

import argparse
import sys
from collections.abc import Iterator

from hexlib import files, logs, sources
from hexlib.errors import BadInput
from hexlib.options import common_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="Files of games, plain, gzip or zstd, or folders of any depth, or the link to a game."
        " What they are shows in their text.",
    )
    parser.add_argument(
        "--to", required=True, choices=("sgf", "hexworld", "trmph"), help="What to write."
    )
    parser.add_argument(
        "--output", metavar="F", help="The file to write. Default: to standard output."
    )
    common_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    converted = _lines(arguments.files, arguments.to)
    if arguments.output is None:
        for line in converted:
            sys.stdout.write(line)
        return
    if arguments.output.endswith(sources.COMPRESSED[1:]):
        raise BadInput(f"{arguments.output}: what is written is not compressed; name it otherwise")
    count = 0
    with files.atomic(arguments.output) as handle:
        for line in converted:
            handle.write(line.encode())
            count += 1
    logs.log.info(f"convert: {count:,} games")


def _lines(given: list[str], to: str) -> Iterator[str]:
    """Each game of all files as a line."""
    from hexlib.game.convert import FORMATS, SUFFIXES, read_any, read_link

    for name in given:
        if "://" in name:
            yield FORMATS[to](*read_link(name)) + "\n"
            continue
        for path in sources.game_files([name], SUFFIXES):
            for game, connected in read_any(path):
                yield FORMATS[to](game, connected) + "\n"
