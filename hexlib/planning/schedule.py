"""Jobs on machines: when each could begin, and what the last of them waited for."""

import heapq
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Batch:
    """Jobs that are alike, and may all begin once those they wait for are done."""

    stage: str
    jobs: int
    seconds: list[float]  # [kinds] of one job, on each kind of machine; inf where it cannot run
    gpu: bool = False  # whether one keeps GPUs busy, and not cores
    slots: int = 1  # cores or GPUs that one needs
    after: list["Batch"] = field(default_factory=list)
    left: int = 0  # not done yet
    begun: int = 0


@dataclass(frozen=True)
class Schedule:
    """What came of it. Times in seconds."""

    wall: float
    waited: dict[str, float]  # by stage: its share of `wall`, along what the last job waited for
    busy: dict[str, float]  # by stage, of all jobs
    at_once: dict[str, int]  # by stage: the most jobs that ran at the same time


def run(batches: list[Batch], cores: list[int], gpus: list[int], jobs: int | None) -> Schedule:
    """Run batches, the first of the list first, on machines with so many cores and GPUs.

    `cores` and `gpus` are those of all machines of a kind, [kinds]; `jobs` run at once at most. A
    job takes the fastest kind that has room. Raises ValueError where a job fits none.
    """
    free = {False: list(cores), True: list(gpus)}
    running: list[tuple[float, int, Batch, int]] = []  # end, number of the job, batch, kind
    waited_for: list[tuple[int, float, str]] = []  # of each job: the one before, seconds, stage
    busy: dict[str, float] = defaultdict(float)
    now_running: dict[str, int] = defaultdict(int)
    at_once: dict[str, int] = defaultdict(int)
    for batch in batches:
        batch.left, batch.begun = batch.jobs, 0
    pending = list(batches)
    now, ended = 0.0, -1
    while pending or running:
        for batch in pending:
            if any(other.left for other in batch.after):
                continue
            while batch.begun < batch.jobs and (jobs is None or len(running) < jobs):
                kind = _fastest(batch, free[batch.gpu])
                if kind is None:
                    break
                seconds = batch.seconds[kind]
                free[batch.gpu][kind] -= batch.slots
                batch.begun += 1
                heapq.heappush(running, (now + seconds, len(waited_for), batch, kind))
                waited_for.append((ended, seconds, batch.stage))
                busy[batch.stage] += seconds
                now_running[batch.stage] += 1
                at_once[batch.stage] = max(at_once[batch.stage], now_running[batch.stage])
        pending = [batch for batch in pending if batch.begun < batch.jobs]
        if not running:
            if pending:
                raise ValueError(f"no machine can run a job of {pending[0].stage}")
            break
        now, ended, batch, kind = heapq.heappop(running)
        free[batch.gpu][kind] += batch.slots
        now_running[batch.stage] -= 1
        batch.left -= 1
    waited: dict[str, float] = defaultdict(float)
    while ended >= 0:
        ended, seconds, stage = waited_for[ended]
        waited[stage] += seconds
    return Schedule(now, dict(waited), dict(busy), dict(at_once))


def _fastest(batch: Batch, free: list[int]) -> int | None:
    """The kind of machine that ends a job of the batch first, among those with room."""
    fits = [kind for kind, room in enumerate(free) if room >= batch.slots]
    fits = [kind for kind in fits if batch.seconds[kind] < float("inf")]
    return min(fits, key=lambda kind: batch.seconds[kind], default=None)
