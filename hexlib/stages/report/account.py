"""Where the time, the records and the checkpoints went: glance, accounting and lineage."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import yaml

from hexlib.logs import duration
from hexlib.stages.report.read import Run, first_player, last_with
from hexlib.stages.report.words import UNKNOWN, Section, Table, bar, digest

STAGES = ["selfplay", "clean", "process", "shuffle", "train", "evaluate", "report"]


def glance(run: Run) -> Section:
    """The run in a few numbers, where its time went, its settings and what is missing."""
    cleaned = [one.clean for one in run.generations if one.clean]
    shuffled = [one.shuffle for one in run.generations if one.shuffle]
    solved = last_with(run, "solved")
    trained = sum(one.lineage is not None for one in run.generations)
    planned = run.config.get("generations")
    count = planned.get("count") if isinstance(planned, dict) else None
    size = run.config.get("board_size") or next(
        (one.lineage.board_size for one in run.generations if one.lineage), None
    )
    facts = [
        ("Board", f"{size}×{size}" if size else UNKNOWN, ""),
        ("Generations", f"{trained}", f"of {count} planned" if count else "trained"),
        ("Games", f"{sum(one.kept for one in cleaned):,}" if cleaned else UNKNOWN, "kept"),
        (
            "Positions",
            f"{sum(one.rows for one in shuffled):,}" if shuffled else UNKNOWN,
            "to train on",
        ),
        (
            "Time",
            duration(run.times["seconds"].sum()) if len(run.times) else UNKNOWN,
            "over all jobs",
        ),
    ]
    names = {one.name for one in run.generations}
    if run.ladder is not None and run.ladder.generation.isin(names).any():
        last = run.ladder[run.ladder.generation.isin(names)].iloc[-1]  # others are fixed players
        facts.append(
            ("Elo", f"{last.elo:+,.0f}", f"{last.generation} over {first_player(run.ladder)}")
        )
    if solved and solved.solved and solved.solved.search.move_accuracy is not None:
        accuracy = solved.solved.search.move_accuracy
        facts.append(("Solved moves", f"{accuracy:.1%}", f"found with search, {solved.name}"))
    settings = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
    return Section(
        "glance",
        "At a glance",
        facts=facts,
        tables=[_times(run)] if len(run.times) else [],
        folded=[_times_by_generation(run)] if len(run.times) else [],
        settings=settings if run.config else "",
        notes=run.notes,
    )


def _times(run: Run) -> Table:
    by_stage = run.times.groupby("stage").agg(
        {"jobs": "sum", "seconds": "sum", "memory": "max", "processor": "sum"}
    )
    by_stage = by_stage.reindex(_in_order(by_stage.index))
    total = by_stage["seconds"].sum()
    rows = [
        [
            str(stage),
            f"{row.jobs:,.0f}",
            duration(row.seconds),
            bar(row.seconds / total if total else 0.0),
            duration(row.processor) if row.processor else UNKNOWN,
            f"{row.memory:,.0f} MB" if row.memory else UNKNOWN,
        ]
        for stage, row in by_stage.iterrows()
    ]
    return Table(
        "Time by stage",
        ["stage", "jobs", "time of all jobs", "share", "processor time", "most memory"],
        rows,
        [
            *("all", f"{by_stage['jobs'].sum():,.0f}", duration(total), ""),
            *(duration(by_stage["processor"].sum()), ""),
        ],
    )


def _times_by_generation(run: Run) -> Table:
    wide = run.times.pivot(index="generation", columns="stage", values="seconds")
    stages = _in_order(wide.columns)
    rows = [
        [str(name), *(UNKNOWN if pd.isna(row[s]) else duration(row[s]) for s in stages)]
        for name, row in wide.iterrows()
    ]
    return Table("Time by generation and stage", ["generation", *stages], rows)


def _in_order(stages: Iterable[str]) -> list[str]:
    """Known stages in the order of the workflow, then any others."""
    return sorted(stages, key=lambda stage: (stage not in STAGES, [*STAGES, stage].index(stage)))


def accounting(run: Run) -> Section:
    """Every record that came in, to every sample that was trained on."""
    section = Section(
        "accounting",
        "From records to samples",
        "Each record is kept, a duplicate or rejected. A kept game gives its positions; a training"
        " draws its samples from the window over the generations.",
    )
    rows, sums = [], np.zeros(6, np.int64)
    reasons: dict[str, int] = {}
    for one in run.generations:
        clean, shuffle, line = one.clean, one.shuffle, one.lineage
        if not (clean or shuffle or line):
            continue
        counts = [
            *(
                [clean.records, clean.kept, clean.duplicates, clean.rejected]
                if clean
                else [None] * 4
            ),
            shuffle.rows if shuffle else None,
            line.samples if line else None,
        ]
        sums += [count or 0 for count in counts]
        cells = [UNKNOWN if count is None else f"{count:,}" for count in counts]
        window = f"{line.rows_window:,}" if line else UNKNOWN
        rows.append([one.name, *cells[:5], window, cells[5]])
        if clean:
            for reason, count in clean.reasons.items():
                reasons[reason] = reasons.get(reason, 0) + count
            if clean.records != clean.kept + clean.duplicates + clean.rejected:
                section.notes.append(f"{one.name}: the records do not add up")
    if not rows:
        section.empty = "No records have been cleaned yet."
        return section
    headers = ["generation", "records", "kept", "duplicates", "rejected", "positions"]
    total = [f"{count:,}" for count in sums]
    section.tables = [
        Table(
            "Records, positions and samples",
            [*headers, "in the window", "samples"],
            rows,
            ["all", *total[:5], "", total[5]],
        )
    ]
    if reasons:
        ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        section.folded = [
            Table(
                "Why records were rejected",
                ["reason", "records"],
                [[reason, f"{count:,}"] for reason, count in ranked],
            )
        ]
    return section


def lineage(run: Run) -> Section:
    """Which checkpoint came from which, and from what rows."""
    section = Section("lineage", "Lineage")
    lines = [(one, one.lineage) for one in run.generations if one.lineage]
    if not lines:
        section.empty = "No checkpoint has been trained yet."
        return section
    rows = []
    made: dict[int, str] = {}
    for one, line in lines:
        before = made.get(one.number - 1)
        if before is not None and before != line.parent:
            section.notes.append(
                f"{one.name} was trained from another checkpoint than that of the generation before"
            )
        made[one.number] = line.checkpoint
        versions = ", ".join(f"{name} {version}" for name, version in line.versions.items())
        rows.append(
            [
                one.name,
                digest(line.parent),
                digest(line.checkpoint),
                f"{line.seed}",
                line.device,
                versions or UNKNOWN,
            ]
        )
    headers = ["generation", "from", "checkpoint", "seed", "device", "versions"]
    section.intro = "Digests (sha256, shortened; point at one for all of it) name the checkpoints."
    section.tables = [Table("Checkpoints", headers, rows)]
    last, line = lines[-1]
    sources = [[source.name, f"{source.rows:,}"] for source in line.sources]
    section.folded = [Table(f"What {last.name} was trained on", ["source", "rows"], sources)]
    return section
