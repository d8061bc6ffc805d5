"""Train a network on buckets."""

import argparse
import json
import os
from functools import partial
from pathlib import Path

from hexlib import settings
from hexlib.errors import BadInput
from hexlib.options import add_options, common_options, on_corrupt_of, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
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
    common_options(
        parser,
        *("checkpoint", "output_dir", "generation", "seed"),
        *("progress_dir", "keep_progress", "on_corrupt"),
    )
    parser.add_argument("--tensorboard", metavar="D", help="Folder for what TensorBoard shows.")
    parser.add_argument(
        "--trial",
        metavar="JSON",
        help="Values by key that a trial of a sweep has; how it went, a failure too, is written to"
        " outcome.json in the output's folder.",
    )
    of_the_run = {"decay_generations", "earlier_boards", "processes", "sweep", "sweep_by"}
    add_options(parser, settings.Train, of_the_run)
    add_options(parser, settings.Net, prefix="net_")
    add_options(parser, settings.Window, {"generations", "asynchronous"}, "window_")
    add_options(parser, settings.Inference)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    # Threads that wait for each other spin for a fraction of a millisecond and then sleep. If they
    # spun on, they would be half as quick as one where a core is shared with other work; if they
    # slept at once, likewise where the system takes long to wake them, as on some virtual machines.
    # OpenMP reads this when torch is imported.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # GNU's, as torch has on Linux
        os.environ.setdefault("KMP_BLOCKTIME", "0")  # LLVM's
    from hexlib.stages import train
    from hexlib.stages.train import sweep

    output_dir = Path(arguments.output_dir)
    sized = any(getattr(arguments, f"net_{key}") is not None for key in settings.Net.model_fields)
    training = partial(
        train.run,
        [Path(source) for source in arguments.source],
        Path(arguments.checkpoint),
        output_dir,
        section_of(arguments, settings.Train),
        section_of(arguments, settings.Window, "window_"),
        section_of(arguments, settings.Inference),
        net=section_of(arguments, settings.Net, "net_") if sized else None,
        state=Path(arguments.state) if arguments.state else None,
        generation=arguments.generation,
        seed=arguments.seed,
        progress_dir=Path(arguments.progress_dir or output_dir / ".progress"),
        keep_progress=arguments.keep_progress,
        on_corrupt=on_corrupt_of(arguments),
        tensorboard=Path(arguments.tensorboard) if arguments.tensorboard else None,
    )
    if arguments.trial is None:
        training()
        return
    try:
        values = dict(json.loads(arguments.trial))
    except (ValueError, TypeError):
        raise BadInput(f"--trial: {arguments.trial!r} is no JSON of values by key") from None
    sweep.attempt(training, values, output_dir)
