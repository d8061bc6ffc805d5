"""The checked settings, the names of all files, and what the rules of several stages share."""

import os
import re
import shlex
import shutil
import sys
from hashlib import sha256
from math import ceil
from pathlib import Path

import yaml

from hexlib import checksums, faults, files, hold, sources
from hexlib.code import PACKAGE, code_version
from hexlib.config import options, validate
from hexlib.errors import BadInput
from hexlib.settings import Source
from hexlib.summary import summary


def read_settings():
    """The checked settings, with the files of games that somebody else made and their records."""
    origins = [
        "config/config.yaml",
        *map(os.path.relpath, workflow.config_settings.configfiles),
    ]
    if workflow.config_settings.config:
        origins.append("--config")
    checked = validate(config, *origins)
    existing = sources.game_files(checked.selfplay.existing)
    games = checked.selfplay.games
    if existing:
        games = sources.count_records(existing, checked.on_corrupt)
    return checked, existing, games


def stop(error, exit_code=BadInput.exit_code):
    """End before any job, with the one line that says why."""
    print(error, file=sys.stderr)
    sys.exit(exit_code)


try:
    CONFIG, EXISTING, GAMES = read_settings()
except BadInput as error:
    stop(error)


# Numbers: generations have three digits; shards, chunks and buckets four.

FIRST = CONFIG.generations.first
LAST = CONFIG.generations.count - 1
SHARDS = [f"{shard:04d}" for shard in range(CONFIG.selfplay.shards)]
CHUNKS = [f"{chunk:04d}" for chunk in range(max(1, ceil(GAMES / CONFIG.clean.chunk_size)))]
BUCKETS = [f"{bucket:04d}" for bucket in range(CONFIG.shuffle.buckets)]

# The last generation's jobs and those of the ones before have rules of different names, so that
# `--until shuffle` stops before the last training and yet goes through all the others.
NEWEST = f"{LAST:03d}"
PAST = "|".join(f"{gen:03d}" for gen in range(FIRST, LAST)) or "(?!)"
MADE = "|".join(f"{gen:03d}" for gen in range(FIRST, LAST + 1))


wildcard_constraints:
    gen=r"\d{3}",
    shard=r"\d{4}",
    chunk=r"\d{4}",
    bucket=r"\d{4}",


# Whether products are files that all jobs see in place. Otherwise they are objects of a storage, of
# which a job has copies, and nothing can be looked for before Snakemake has planned.
SHARED_FILES = workflow.storage_settings.default_storage_provider is None

# Paths: `gen` is a number, or left out for a pattern that fits any generation.

RUN = (Path(CONFIG.results_dir) / CONFIG.run).as_posix()


def folder(gen):
    return "gen_{gen}" if gen is None else f"gen_{gen:03d}"


def product(path, gen=None):
    return f"{RUN}/{folder(gen)}/{path}"


def progress_of(path, gen=None):
    return f"{RUN}/.progress/{folder(gen)}/{path}"


def progress_of_parent(wildcards):
    """Progress of the training whose checkpoint a generation plays with."""
    gen = generation_of(wildcards) - CONFIG.lag
    return [progress_of("train", gen - 1)] if gen > 0 else []


def log_of(path, gen=None):
    return f"logs/{CONFIG.run}/{folder(gen)}/{path}.log"


def tensorboard_of(wildcards):
    """Where a training's curves go, side by side with those of all generations."""
    return f"logs/{CONFIG.run}/tensorboard/{folder(generation_of(wildcards))}"


def benchmark_of(path, gen=None):
    return f"{RUN}/benchmarks/{folder(gen)}/{path}.tsv"


def intermediate(path):
    """Mark a product that is dropped once what follows from it is made."""
    return path if CONFIG.keep_intermediate else temp(path)


def shown(path, caption, category, gen=None):
    """Mark a product of a generation as one for `snakemake --report`."""
    labels = {"generation": "{gen}" if gen is None else f"{gen:03d}", "file": Path(path).name}
    return report(path, caption=f"captions/{caption}.rst", category=category, labels=labels)


def in_all_generations(path, generations=range(LAST + 1)):
    """A product of each generation: those to be made, and those of earlier ones that are there."""
    paths = {gen: product(path, gen) for gen in generations}
    return [
        path for gen, path in paths.items() if gen >= FIRST or SHARED_FILES and Path(path).is_file()
    ]


def folder_of_output(wildcards, output):
    return str(Path(output[0]).parent)


def generation_of(wildcards):
    """The generation of a job; a rule that makes nothing but the last has no wildcard for it."""
    return int(wildcards.get("gen", LAST))


def checkpoint_before(gen):
    """The checkpoint that there is before a generation."""
    if gen > 0:
        return product("train/checkpoint.pt", gen - 1)
    return CONFIG.initial_checkpoint or rules.initial.output.checkpoint


def champion_before(gen):
    """The strongest one before a generation: the newest, or the gatekeeper's choice."""
    if CONFIG.evaluate.gate and gen > 0:
        return product("evaluate/champion.pt", gen - 1)
    return checkpoint_before(gen)


def starting_checkpoint(wildcards):
    """The checkpoint that a generation trains further."""
    return checkpoint_before(generation_of(wildcards))


def rival_checkpoint(wildcards):
    """The checkpoint that a generation's is matched against."""
    return champion_before(generation_of(wildcards))


def playing_checkpoint(wildcards):
    """The checkpoint that a generation plays with: the best that is there when it may begin.

    That is the one before it, or with `window.async`, where the training of the generation before
    runs at the same time, the one before that.
    """
    return champion_before(generation_of(wildcards) - CONFIG.lag)


def earlier_checkpoints(wildcards):
    """Checkpoints 2, 4, 8 … generations before, the oldest first, as far as they are there."""
    gen = generation_of(wildcards)
    earlier = on_board_of(gen, [gen - 2**k for k in reversed(range(1, 8)) if 2**k <= gen])
    paths = {one: product("train/checkpoint.pt", one) for one in earlier}
    return [path for one, path in paths.items() if one >= FIRST or Path(path).is_file()]


def board(wildcards):
    """The option that names a generation's board size."""
    return f"--board-size {CONFIG.board_size_of(generation_of(wildcards))}"


def on_board_of(gen, others):
    """Those of some generations that play on the same board as one does."""
    size = CONFIG.board_size_of(gen)
    return [other for other in others if CONFIG.board_size_of(other) == size]


def window_of(gen):
    """Generations that one generation trains on, itself included, oldest first."""
    return on_board_of(gen, range(max(0, gen + 1 - CONFIG.window.generations), gen + 1))


def plain_files():
    """Files that are not made here but that the settings ask for, each with the key that does."""
    if CONFIG.initial_checkpoint:
        yield CONFIG.initial_checkpoint, "initial_checkpoint"
    if CONFIG.evaluate.positions not in ("auto", "none"):
        yield CONFIG.evaluate.positions, "evaluate.positions"
    if FIRST > 0:
        yield product("train/checkpoint.pt", FIRST - 1), "generations.first"
        if FIRST > CONFIG.lag > 0:
            yield champion_before(FIRST - CONFIG.lag), "generations.first"
        yield product("train/state.pt", FIRST - 1), "generations.first"
        if CONFIG.evaluate.gate:
            yield product("evaluate/champion.pt", FIRST - 1), "evaluate.gate"
        for gen in window_of(FIRST)[:-1]:
            yield product("shuffle/summary.json", gen), "generations.first"


for path, key in plain_files() if SHARED_FILES else ():
    if not Path(path).is_file():
        stop(BadInput(f"{path}: no such file, and {key} needs it; put it there or change {key}"))


# Settings as options of the commands. They are parameters of the rules: what changes there is made
# again. What does not alter a product is handed over as a resource instead, which no one compares.

SEED = f"--seed {CONFIG.seed}"
INFERENCE = options(CONFIG.inference)


# Progress of a job may only go once Snakemake has written down that its products are whole, since it
# removes those of a job that was killed at its very end. So the jobs that use them remove it.

# What jobs need. Memory is an upper estimate, from the most positions a generation can have.

LARGEST = max(CONFIG.board_size_of(gen) for gen in range(FIRST, LAST + 1))
POSITIONS = GAMES * LARGEST**2
DEVICE = CONFIG.inference.device
GPU = int(
    DEVICE.startswith("cuda") or (DEVICE == "auto" and shutil.which("nvidia-smi") is not None)
)


def megabytes(positions, bytes_each):
    return 1000 + positions * bytes_each // 10**6


def growing(amount):
    """Memory or time of a job: as much again at each further attempt, where `retries` allows one."""
    return lambda wildcards, attempt: amount * attempt


# A limit on GPUs is one of a machine: on a cluster, where jobs ask for theirs, it holds no job back.
resource_scopes:
    gpu="local",


# Before and after all jobs.

STOP = hold.Stop(RUN, local=workflow.local_exec)


def begin():
    """Make this workflow the one at work on the run, and let signals stop its jobs."""
    try:
        hold.take(RUN)
        write_settings()
    except BadInput as error:
        stop(error)
    except OSError as error:
        stop(faults.explain(error) or error, 1)
    STOP.listen()


def write_settings():
    """Write the settings as they are in force, defaults filled in, beside the results."""
    text = yaml.safe_dump(CONFIG.model_dump(by_alias=True), sort_keys=False, allow_unicode=True)
    files.write_text(f"{RUN}/config.yaml", text)


def say_what_was_made():
    if not SHARED_FILES:
        made = f"{workflow.storage_settings.default_storage_prefix}/{product('train/checkpoint.pt', LAST)}"
        print(f"Made {made}", file=sys.stderr)
        return
    checksums.tidy(Path(RUN))
    try:
        print(summary(RUN), file=sys.stderr)
    except BadInput as error:
        print(error, file=sys.stderr)
