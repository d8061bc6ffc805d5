"""Make a network of random weights."""

import argparse

from hexlib import logs, settings
from hexlib.options import add_options, common_options, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_options(parser, settings.Net)
    common_options(parser, "output", "seed")
    parser.add_argument("--board-size", type=int, default=7, metavar="N", help="Default: 7.")


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
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
