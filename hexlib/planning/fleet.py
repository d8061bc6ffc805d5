"""The machines that a run is to use, and how fast they are: what a prediction of its time needs."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from hexlib.config import checked, read_yaml
from hexlib.errors import BadInput
from hexlib.run_config import Config
from hexlib.settings import Net, Section

PAGE = "docs/benchmarks.md"
# Measured on one core of an AMD EPYC with avx512_bf16; tests/test_prediction.py compares them with
# the page that they are from.
EVALUATIONS = {  # blocks, channels, cells along a side: positions a second, by OpenVINO in bfloat16
    (4, 32, 7): 50_984,
    (4, 32, 11): 22_881,
    (4, 32, 13): 16_321,
    (6, 64, 7): 9_904,
    (6, 64, 11): 4_437,
    (6, 64, 13): 3_015,
    (10, 128, 7): 1_653,
    (10, 128, 11): 721,
    (10, 128, 13): 493,
}
SAMPLES = {(4, 32, 7): 3_301, (6, 64, 7): 809}  # positions trained on a second
TORCH = {(4, 32, 7): 32_446, (6, 64, 7): 7_988}  # evaluations a second by torch, which trains
CLEANED = 177_482 * 153  # moves a second: games of 153 moves
PROCESSED = 13_297_272 * 60.0  # bytes a second: positions of 60 bytes
SHUFFLED = 7_154_761 * 60.0  # bytes a second through both passes
DISK = 15_917_072 * 60.0  # bytes a second of `cp`, synced
STARTS = "jobs begun, one after the other"
START = 1.38  # s, of a job, until it calls a network


class Machine(Section):
    """Machines that are alike."""

    count: int = Field(1, ge=1, le=100_000, description="How many there are.")
    cores: int = Field(ge=1, le=10_000, description="Cores of one.")
    gpus: int = Field(0, ge=0, le=64, description="GPUs of one.")
    core_evaluations: float | None = Field(
        None, gt=0, description="Positions a second that a core evaluates with the run's network."
    )
    gpu_evaluations: float | None = Field(
        None, gt=0, description="Positions a second that a GPU evaluates with the run's network."
    )
    core_samples: float | None = Field(
        None, gt=0, description="Positions a second on which a core trains that network."
    )
    gpu_samples: float | None = Field(
        None, gt=0, description="Positions a second on which a GPU trains that network."
    )
    disk: float | None = Field(
        None, gt=0, description="Bytes a second that one machine reads or writes."
    )
    measured: str = Field("", description="Where these rates are from; is said beside each.")

    @model_validator(mode="after")
    def _core_for_each_gpu(self) -> "Machine":
        if self.gpus >= self.cores:
            raise ValueError(
                f"{self.cores} cores for {self.gpus} GPUs: each GPU keeps one core busy, and one"
                " is wanted besides; raise cores"
            )
        return self


class Fleet(Section):
    """All machines, and what they share."""

    machines: list[Machine] = Field(min_length=1, description="One entry for each kind.")
    shared_disk: float | None = Field(
        None, gt=0, description="Bytes a second that all machines together read or write."
    )
    job_seconds: float | None = Field(
        None, ge=0, description="From the submission of a job to the start of its work, s."
    )
    jobs: int | None = Field(
        None, ge=1, description="Jobs at once at most, as of `--jobs`; none: as many as fit."
    )

    def total(self, what: str) -> int:
        """All cores, or all GPUs."""
        return sum(machine.count * getattr(machine, what) for machine in self.machines)


def read_fleet(path: Path | str) -> Fleet:
    """Read and check a fleet file; raises `BadInput` with file, line, key and remedy."""
    return checked(Fleet, read_yaml(path), str(path))


@dataclass(frozen=True)
class Rate:
    """How fast one core or GPU is at something, and how that is known."""

    value: float  # a second
    what: str  # with its unit
    source: str


@dataclass(frozen=True)
class Rates:
    """What a kind of machine does a second: of one GPU where it is used, else of one core."""

    evaluate: Rate  # in self-play
    match: Rate  # the same in matches
    learn: Rate
    clean: Rate
    process: Rate
    scatter: Rate
    gather: Rate
    disk: Rate
    start: Rate  # of jobs, one after the other


Measured = dict[str, Rate]  # by the names of `Rates`; seen in an earlier run


def uses_gpus(config: Config, fleet: Fleet, path: str) -> bool:
    """Whether networks run on GPUs; `BadInput` where the settings ask for one in vain."""
    device, gpus = config.inference.device, fleet.total("gpus")
    if device.startswith("cuda") and not gpus:
        raise BadInput(
            f"{path}: no machine has a GPU, and inference.device: {device} asks for one; give"
            " gpus, or set inference.device to cpu"
        )
    wanted = config.train.processes
    if device != "cpu" and gpus and max(machine.gpus for machine in fleet.machines) < wanted:
        raise BadInput(
            f"{path}: no machine has {wanted} GPUs, and train.processes: {wanted} asks for them on"
            " one; lower that, or raise gpus"
        )
    return device != "cpu" and gpus > 0


def rates_of(
    config: Config, fleet: Fleet, machine: int, gpu: bool, measured: Measured, path: str
) -> Rates:
    """The rates of one kind of machine, by its place in the file.

    Its own come first, then those of an earlier run, then those of the benchmarks. `BadInput` where
    there is none, as for a GPU, which has not been measured.
    """
    own = fleet.machines[machine]
    one = "GPU" if gpu else "core"
    given = f"given in {path}" + (f": {own.measured}" if own.measured else "")
    evaluate_what, learn_what = f"positions evaluated, a {one}", f"positions trained on, a {one}"
    evaluations = own.gpu_evaluations if gpu else own.core_evaluations
    samples = own.gpu_samples if gpu else own.core_samples
    if evaluations:
        evaluate = Rate(evaluations, evaluate_what, given)
    elif "evaluate" in measured:
        evaluate = measured["evaluate"]
    elif gpu:
        raise BadInput(
            f"{path}: machines.{machine}.gpu_evaluations: wanted, since no GPU has been measured;"
            " play one shard there and give the evaluations a second of its log"
        )
    else:
        evaluate = _scaled(EVALUATIONS, config, evaluate_what, "Positions a second")
    if samples:
        learn = Rate(samples, learn_what, given)
    elif "learn" in measured:
        learn = measured["learn"]
    elif gpu or evaluations:
        key = max(SAMPLES)
        cost = TORCH[key] / SAMPLES[key]
        source = f"{cost:.2g} evaluations a position, as on a core by torch ({PAGE}, Training)"
        learn = Rate(evaluate.value / cost, learn_what, source)
    else:
        learn = _scaled(SAMPLES, config, learn_what, "Training")
    defaults = {
        "clean": Rate(CLEANED, "moves cleaned, a core", f"{PAGE}, Cleaning"),
        "process": Rate(
            PROCESSED, "bytes of positions made, a core", f"{PAGE}, Positions from games"
        ),
        "scatter": Rate(2 * SHUFFLED, "bytes of positions scattered, a core", f"{PAGE}, Shuffling"),
        "gather": Rate(2 * SHUFFLED, "bytes of positions gathered, a core", f"{PAGE}, Shuffling"),
        "match": evaluate,
        "start": Rate(1 / START, STARTS, f"{PAGE}, Self-play: start of a job"),
        "disk": Rate(DISK, "bytes read or written, a machine", f"{PAGE}, Shuffling many positions"),
    }
    found = {name: measured.get(name, rate) for name, rate in defaults.items()}
    if evaluations:
        found["match"] = evaluate
    if own.disk:
        found["disk"] = Rate(own.disk, defaults["disk"].what, given)
    if fleet.job_seconds is not None:
        start = 1 / max(fleet.job_seconds, 1e-3)
        found["start"] = Rate(start, defaults["start"].what, f"given in {path}: job_seconds")
    return Rates(evaluate=evaluate, learn=learn, **found)


def multiply_adds(net: Net, board_size: int) -> int:
    """Of one evaluation, about: two convolutions of 3×3 a block, on each cell."""
    return net.blocks * 2 * 9 * net.channels**2 * board_size**2


def _scaled(
    table: dict[tuple[int, int, int], int], config: Config, what: str, section: str
) -> Rate:
    """What the table has for this network and board, or for the nearest, by multiply-adds."""
    wanted = multiply_adds(config.net, config.board_size)

    def cost(key: tuple[int, int, int]) -> int:
        return multiply_adds(Net(blocks=key[0], channels=key[1]), key[2])

    nearest = min(table, key=lambda key: max(cost(key), wanted) / min(cost(key), wanted))
    blocks, channels, n = nearest
    source = f"{PAGE}, {section}: {blocks}×{channels} on {n}×{n}"
    if cost(nearest) != wanted:
        source += ", by multiply-adds"
    return Rate(table[nearest] * cost(nearest) / wanted, what, source)
