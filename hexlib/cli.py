"""The command line: `hexlib VERB`, one verb a stage, plus tools.

Each verb is a module of `hexlib.verbs`: its docstring is its help, `add_arguments` names its
options and `run` does it, importing its stage only then, which keeps help and errors quick.
Options that are settings are made from `hexlib.settings`, so that their names, types, defaults and
texts are those of the configuration.
"""

import argparse
import faulthandler
import importlib
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Sequence

import hexlib
from hexlib import checksums, faults, files, hold, logs, signals
from hexlib.errors import BadInput, Interrupted

VERBS = (
    "init",
    "plan",
    "selfplay",
    "clean",
    "process",
    "shuffle",
    "train",
    "sweep",
    "evaluate",
    "report",
    "inspect",
    "status",
    "verify",
    "convert",
    "play",
    "htp",
    "analyze",
)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="hexlib", description="Trains neural networks to play Hex. One verb a stage."
    )
    top.add_argument("--version", action="version", version=f"hexlib {hexlib.__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        module = importlib.import_module(f"hexlib.verbs.{verb}")
        one = verbs.add_parser(verb, help=module.__doc__, description=module.__doc__)
        module.add_arguments(one)
        one.set_defaults(run=module.run)
        if verb not in ("plan", "shuffle", "evaluate"):  # they, or their steps, have their own
            one.add_argument(
                "--config", metavar="F.yaml", help="Settings to start from; options override them."
            )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit code: 0 done, 1 our failure, 2 bad input, 128 + a signal."""
    arguments = parser().parse_args(argv)
    # A crash of native code says where, in the job's output, if it has one.
    if sys.__stderr__ and not faulthandler.is_enabled():
        faulthandler.enable(sys.__stderr__)
    try:
        with signals.listening():
            hold.join()
            logs.start(arguments.log)
            logs.detail(
                "hexlib %s: %s",
                hexlib.__version__,
                shlex.join(sys.argv[1:] if argv is None else argv),
            )
            begun = time.monotonic()
            arguments.run(arguments)
            sys.stdout.flush()
            if run := hold.run_of_job():
                checksums.record(run, files.written)
            logs.detail("%s%s", logs.DONE, logs.duration(time.monotonic() - begun))
    except (BadInput, Interrupted) as error:
        logs.log.error(f"hexlib {arguments.verb}: {error}")
        return error.exit_code
    except BrokenPipeError:
        # Who reads standard output has seen enough, as `head` does. Python would fail again at its
        # end, of what is still in the buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        reason, trace = faults.explain(error), traceback.format_exc().rstrip()
        if reason:
            logs.detail("%s", trace)
        logs.log.error(f"hexlib {arguments.verb}: {reason or f'failed{chr(10)}{trace}'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
