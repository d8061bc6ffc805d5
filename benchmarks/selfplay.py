"""Self-play: its speed beside bare forward passes and peers; a job's start, memory, duplicates."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import common
import inference
import numpy as np
import peers

from hexlib.nn.backends import Answer, empty_planes
from hexlib.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from hexlib.nn.device import choose, processor_has_bfloat16
from hexlib.nn.inference import Evaluator
from hexlib.nn.model import random_network
from hexlib.search.gumbel import GumbelSearch
from hexlib.search.interface import Found
from hexlib.settings import Clean, Inference, Net, Selfplay
from hexlib.stages import clean, selfplay

NET, LARGE_NET = Net(blocks=4, channels=32), Net(blocks=10, channels=128)
SIMULATIONS, BATCH = 32, 128
# Random openings end games sooner; the cache would count positions that the network never saw.
SETTINGS = Selfplay(
    simulations=SIMULATIONS,
    batch_size=BATCH,
    cache_size=0,
    random_openings=0,
    balanced_first_move=0,
)
SECONDS = {7: 5.0, 11: 15.0}  # by board size, so long that games come to their end
MUST_MOVES, MUST_MOVES_INT8 = {7: 1500, 11: 680}, {7: 2300, 11: 1000}
LAP = 0.5  # seconds of self-play between two looks at the bare network

SPEED_NOTES = """\
A network of 4 blocks of 32 channels, random weights, 32 simulations a move, 128 games in flight,
no cache, no random openings. "Bare" is the same network called with the same batch and nothing
else, measured every half a second of the self-play. mctx plays Gumbel MuZero on pgx's rules (which
its environment offers for 11×11 only) with an equal network in XLA; OpenSpiel's MCTS bot asks an
equal network for one position at a time, or plays one random game in place of each evaluation,
which is no player to learn from. The aim is a ratio of 0.95, and the moves a second in the last
column."""
JOB_NOTES = """\
Start: from the start of the process to the first call of the network, compiled code in numba's
cache. Memory: the most in use in the given processor seconds; what fills up only later are the
cache of 60,000 positions ({cache:.0f} MB) and the policies of the games in flight ({games:.0f} MB).
"""


class Enough(Exception):
    """Ends a self-play job that has been watched for long enough."""


class Speed(NamedTuple):
    """Rates a second."""

    evaluations: float
    bare: float | None
    moves: float


def watch(checkpoint: Path, n: int, settings: Inference, seconds: float, lap: float) -> Speed:
    """Run the stage for some seconds, and the bare network in between."""
    clock = time.process_time if choose(settings).device.type == "cpu" else time.perf_counter
    evaluations = moves = 0
    spent, since, next_look = 0.0, None, 0.0
    bare: list[float] = []
    ask, found = Evaluator.ask, GumbelSearch.found

    def watched(evaluator: Evaluator, boards: np.ndarray) -> Callable[[], Answer]:
        nonlocal evaluations, spent, since, next_look
        if since is not None:
            spent += clock() - since
            evaluations += len(boards)
        if spent >= seconds:
            raise Enough
        if spent >= next_look:
            next_look += lap
            planes = empty_planes(evaluator.backend.batch, n)

            def forward() -> int:
                evaluator.backend(planes)
                return len(planes)

            forward()
            bare.append(common.rate(forward, lap / 5, clock))
        since = clock()
        return ask(evaluator, boards)

    def counted(search: GumbelSearch, slots: np.ndarray) -> Found:
        nonlocal moves
        moves += len(slots)
        return found(search, slots)

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(Evaluator, "ask", watched),
        mock.patch.object(GumbelSearch, "found", counted),
    ):
        try:
            play(checkpoint, Path(folder), SETTINGS, settings, n, 50_000)
        except Enough:
            return Speed(evaluations / spent, statistics.median(bare), moves / spent)
    raise AssertionError("self-play ended before it was stopped")


def play(
    checkpoint: Path, folder: Path, settings: Selfplay, inference: Inference, n: int, games: int
) -> Path:
    """The stage, with what does not matter here; returns the shard."""
    shard = folder / "shard.trmph"
    selfplay.run(
        checkpoint,
        shard,
        settings,
        inference,
        board_size=n,
        games=games,
        first_game=0,
        generation=0,
        seed=0,
        progress_dir=folder / "progress",
    )
    return shard


def saved(folder: Path, net: Net, n: int) -> Path:
    """A checkpoint of random weights."""
    path = folder / f"{net.blocks}x{net.channels}.pt"
    save_checkpoint(path, Checkpoint(random_network(net, 0), [n], {"kind": "initial"}))
    return path


def players(n: int, quick: bool, folder: Path) -> dict[str, Callable[[], Speed] | None]:
    """What plays on an n×n board and measures itself; None if it is not installed."""
    seconds = 0.3 if quick else SECONDS[n]
    checkpoint = saved(folder, NET, n)
    found: dict[str, Callable[[], Speed] | None] = {}
    for name, settings in inference.best_ways().items():
        lap = seconds if quick else LAP
        found[f"hexlib, {name}"] = (
            partial(watch, checkpoint, n, settings, seconds, lap) if settings else None
        )

    def peer(step: Callable[[], int], bare: Callable[[], int] | None = None) -> Speed:
        """A step makes moves, of which each took the simulations and the root's own evaluation."""
        moves = common.rate(step, seconds / 3)
        per_move = SIMULATIONS + 1
        passes = common.rate(bare, seconds / 10) if bare else None
        return Speed(moves * per_move, passes, moves)

    batch = 4 if quick else BATCH
    others = {
        "pgx + mctx, XLA float32": peers.installed(peers.mctx_moves, n, NET, SIMULATIONS, batch),
        "OpenSpiel MCTS, torch float32": peers.installed(
            peers.openspiel_network_moves, n, random_network(NET, 0), SIMULATIONS
        ),
        "OpenSpiel MCTS in C++, no network": peers.installed(peers.openspiel_moves, n, SIMULATIONS),
    }
    for name, steps in others.items():
        for step in steps or ():
            step()  # compiles
        found[name] = steps and partial(peer, *steps)
    return found


def speed_table(quick: bool, folder: Path) -> str:
    """Rates of hexlib and its peers."""
    rows = []
    for n in [7] if quick else SECONDS:
        contestants = players(n, quick, folder)
        rounds: dict[str, list[Speed]] = {name: [] for name in contestants}
        for _ in range(1 if quick else 3):
            for name, measure in contestants.items():
                if measure:
                    rounds[name].append(measure())
        best = max(
            statistics.median(speed.moves for speed in speeds)
            for name, speeds in rounds.items()
            if name.startswith("hexlib") and speeds
        )
        for name, speeds in rounds.items():
            ours = name.startswith("hexlib")
            aims = MUST_MOVES_INT8 if name.endswith("int8") else MUST_MOVES
            if not speeds:
                rows.append([f"{n}×{n}", name, common.MISSING, *["–"] * 5])
                continue
            evaluations, moves = (
                statistics.median(getattr(speed, rate) for speed in speeds)
                for rate in ("evaluations", "moves")
            )
            passes = [speed.bare for speed in speeds if speed.bare]
            bare = statistics.median(passes) if passes else None
            shares = [speed.evaluations / speed.bare for speed in speeds if speed.bare]
            share = statistics.median(shares) if shares else None
            rows.append(
                [
                    f"{n}×{n}",
                    name,
                    common.number(evaluations),
                    common.number(bare),
                    common.number(share),
                    common.number(moves),
                    common.ratio(best, moves),
                    f"{aims[n]:,}" if ours else "–",
                ]
            )
    header = ["board", "player", "evaluations/s", "bare/s", "÷ bare"]
    return common.table([*header, "moves/s", "best hexlib ÷ it", "aim"], rows)


def job(checkpoint: Path, n: int, seconds: float, *options: object) -> dict[str, float]:
    """What `job.py` tells of a self-play job."""
    with tempfile.TemporaryDirectory() as folder:
        words: list[object] = [
            "selfplay",
            "--checkpoint",
            checkpoint,
            "--output",
            f"{folder}/shard.trmph",
        ]
        words += ["--games", "1500", "--board-size", n, "--seed", "0", *options]
        script = Path(__file__).with_name("job.py")
        watched = [sys.executable, script, repr(time.time()), seconds, *words]
        done = subprocess.run([str(word) for word in watched], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{script.name} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def job_table(quick: bool, folder: Path) -> str:
    """Start and memory of a job."""
    n, seconds = 13, 2.0 if quick else 40.0
    small, large = saved(folder, NET, 7), saved(folder, NET if quick else LARGE_NET, n)
    starts = [job(small, 7, 0) for _ in range(1 if quick else 6)][-5:]  # the first fills the caches
    wall, processor = (
        statistics.median(start[kind] for start in starts) for kind in ("wall", "processor")
    )
    games = ["--simulations", SIMULATIONS, "--batch-size", BATCH]
    worker = job(large, n, seconds, *games)
    size = "4×32" if quick else "10×128"
    rows = [
        ["start of a 7×7 job, 4×32 net, wall time", f"{wall:.2f} s", "4 s"],
        ["the same, processor time", f"{processor:.2f} s", "–"],
        [
            f"memory of a 13×13 worker, 128 games, {size} net, in {seconds:.0f} s",
            f"{worker['memory']:,.0f} MB",
            "1,500 MB",
        ],
    ]
    return common.table(["job", "measured", "at most"], rows)


def duplicates_table(checkpoint: Path, games: int) -> str:
    """How many games of a checkpoint `hexlib clean` would drop as duplicates."""
    n = load_checkpoint(checkpoint).board_sizes[-1]
    with tempfile.TemporaryDirectory() as folder:
        shard = play(checkpoint, Path(folder), Selfplay(), Inference(), n, games)
        summary = clean.run([shard], Path(folder) / "clean", n, Clean(), None)
    share = summary["duplicates"] / summary["records"]
    row = [f"{n}×{n}", f"{games:,}", f"{summary['duplicates']:,}", f"{share:.1%}", "5 %"]
    return common.table(["board", "games", "duplicates", "share", "at most"], [row])


def main() -> None:
    """Measure, print, write."""
    parser = common.start(__doc__ or "")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="C", help="Count duplicates among its games instead."
    )
    parser.add_argument(
        "--games", type=int, default=20_000, metavar="N", help="How many. Default: 20000."
    )
    arguments = parser.parse_args()
    if arguments.checkpoint:
        note = "Default settings; a game and its 180° turn are the same."
        parts = [duplicates_table(arguments.checkpoint, arguments.games), note]
        common.publish("duplicates", "Duplicate games", parts, arguments.write)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache, games = 60_000 * (13**2 + 5) * 4 / 1e6, BATCH * 13**4 * 4 / 1e6
        parts = [
            speed_table(arguments.quick, folder),
            SPEED_NOTES,
            job_table(arguments.quick, folder),
            JOB_NOTES.format(cache=cache, games=games).rstrip(),
        ]
    # The kinds of processors have a section each, for comparison.
    section = "selfplay", "Self-play"
    if "amx_bf16" in common.machine():
        section = "selfplay-matrices", "Self-play on a processor that multiplies matrices (AMX)"
    elif not processor_has_bfloat16():
        section = "selfplay-older", "Self-play on a processor without bfloat16"
    common.publish(*section, parts, arguments.write)


if __name__ == "__main__":
    main()
