"""Tell what a run will make, the disk it needs, and its time on a fleet."""

import argparse

from hexlib.options import common_options

SETTINGS = "config/config.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "--config",
        metavar="F.yaml",
        help=f"Changes to {SETTINGS}, if that is there, as snakemake --configfile takes them.",
    )
    parser.add_argument("--json", action="store_true", help="As JSON; sizes are in bytes.")
    parser.add_argument(
        "--fleet",
        metavar="F.yaml",
        help="Machines to run on, such as config/fleets/cores100.yaml: tell the time, the stage"
        " that holds it up, and the bytes moved.",
    )
    parser.add_argument(
        "--measured",
        metavar="RUN_DIR",
        help="With --fleet: take rates from the jobs of an earlier run, such as results/default.",
    )
    common_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    import json
    from dataclasses import asdict
    from pathlib import Path
    from typing import Any

    from hexlib.config import read_config
    from hexlib.errors import BadInput
    from hexlib.planning.disk import in_words, plan
    from hexlib.planning.fleet import read_fleet
    from hexlib.planning.measured import measured_rates
    from hexlib.planning.prediction import as_dict, in_lines, predict

    if arguments.measured and not arguments.fleet:
        raise BadInput("--measured: is of use with --fleet only; name a file of machines there")
    given = [arguments.config] if arguments.config else []
    base = [SETTINGS] if Path(SETTINGS).is_file() or not given else []
    planned = plan(read_config(*base, *given))
    predicted = fleet = None
    if arguments.fleet:
        fleet = read_fleet(arguments.fleet)
        measured = measured_rates(Path(arguments.measured)) if arguments.measured else {}
        predicted = predict(planned, fleet, measured, arguments.fleet)
    if not arguments.json:
        lines = in_words(planned)
        if predicted and fleet:
            lines += in_lines(predicted, fleet, len(planned.generations))
        print("\n".join(lines))
        return
    disk = {"kept": planned.kept, "most": planned.most, "items": list(map(asdict, planned.items))}
    generations = list(map(asdict, planned.generations))
    document: dict[str, Any] = {"generations": generations, "disk": disk}
    if predicted:
        document["fleet"] = as_dict(predicted)
    print(json.dumps(document, indent=2))
