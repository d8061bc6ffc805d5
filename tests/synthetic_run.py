"""A whole run made up in the formats of the products, for tests of what reads a run."""

import json

import numpy as np
import pandas as pd
import yaml

from hexlib.game import positions, records
from hexlib.game.board import geometry, random_games
from hexlib.ladder import write_ladder
from hexlib.sources import search_path

SIZE = 7


def digest(number):
    return f"{number + 1:02x}" * 32


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def make_run(root, generations, *, name="default", size=SIZE, trials=0):
    """A whole run of `generations`, with numbers that a test can compute again."""
    run = root / name
    config = {"run": name, "board_size": size, "generations": {"count": generations, "first": 0}}
    put(run / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    for number in range(generations):
        make_generation(run / f"gen_{number:03d}", number, size)
        for trial in range(trials):
            metrics = pd.read_csv(run / f"gen_{number:03d}/train/metrics.csv")
            metrics[["loss", "validation_loss"]] += 0.1 * trial
            folder = run / f"gen_{number:03d}/train/trials/learning_rate={trial + 1}e-3"
            put(folder / "metrics.csv", metrics.to_csv(index=False))
        for stage, seconds in [("selfplay", 30), ("train", 60.5), ("evaluate", 12)]:
            header = "s\th:m:s\tmax_rss\tcpu_time\n"
            folder = run / "benchmarks" / f"gen_{number:03d}" / stage
            put(folder / "0.tsv", f"{header}{seconds}\t0:00:30\t512.5\t29\n")
    matches = [run / f"gen_{number:03d}/evaluate/match.json" for number in range(generations)]
    write_ladder(matches, run / "ladder.csv")
    return run


def make_logs(root, generations):
    """Logs of self-play as `logs.Progress` and the stage write them."""
    for number in range(generations):
        for shard in range(2):
            put(
                root / f"gen_{number:03d}/selfplay/shard_{shard:04d}.log",
                "2026-01-01 00:00:00,000 INFO selfplay shard_0000, generation 1: 9 of 1,500 games,"
                " 1/s, 9 s left, 5,000 positions asked for, 9% of them in the cache\n"
                f"2026-01-01 00:01:40,000 INFO selfplay shard_{shard:04d}, generation {number}:"
                " 1,500 games in 1 min 40 s, 15/s, 400,000 positions asked for,"
                f" {10 + number}% of them in the cache\n",
            )


def make_bucket(folder, number, size, rows=400):
    """A bucket of empty boards whose values are those of a coin that knows its odds."""
    random = np.random.default_rng(number)
    root_value = random.uniform(-1, 1, rows).astype(np.float16)
    won = random.random(rows) < (1 + root_value.astype(float)) / 2
    packed = np.zeros((rows, -(-(size**2) // 8)), np.uint8)
    bucket = positions.Positions(
        size,
        own=packed,
        opponent=packed,
        policy_count=np.full(rows, 2, np.uint8),
        value=np.where(won, 1, -1).astype(np.int8),
        root_value=root_value,
        weight=np.ones(rows, np.float16),
        game=np.arange(rows, dtype=np.uint32),
        ply=np.zeros(rows, np.uint16),
        policy_cell=np.tile(np.array([0, 1], np.uint16), rows),
        policy_probability=np.full(2 * rows, 0.5, np.float16),
    )
    positions.write_positions(folder / "shuffle/bucket_0000.npz", bucket, {})


def make_games(folder, number, size, count=60):
    """A cleaned chunk of random games, with made up search statistics."""
    area = size**2
    moves, lengths = np.empty((count, area), np.int16), np.empty(count, np.int32)
    winners = np.empty(count, np.int8)
    random_games(size, count, number + 1, *geometry(size), moves, lengths, winners)
    games = records.Games(
        size,
        np.concatenate([row[:length] for row, length in zip(moves, lengths, strict=True)]),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        winners,
    )
    random = np.random.default_rng(number)
    values = random.uniform(-1, 1, len(games.moves)).astype(np.float16)
    values[games.offsets[:-1]] = np.nan  # as where an opening was made by lot
    counts = np.where(np.isnan(values), 0, 1).astype(np.uint8)
    search = records.SearchStatistics(
        values, counts, games.moves[counts > 0].astype(np.uint16), np.ones(counts.sum(), np.float16)
    )
    chunk = folder / "clean/chunk_0000.trmph"
    records.write_games(chunk, [games], {"kind": "games", "board_size": size})
    records.write_search(search_path(chunk), search, {})
    return games, search


def make_generation(folder, number, size=SIZE):
    kept, duplicates, rejected = 3900 - number, 90 + number, 10
    lengths = np.clip(np.random.default_rng(number).normal(30 + 0.2 * number, 4, kept), 13, 49)
    counts = pd.Series(lengths.astype(int)).value_counts().sort_index()
    moves = int((counts.index * counts).sum())
    put(
        folder / "clean/summary.json",
        {
            "records": kept + duplicates + rejected,
            "kept": kept,
            "duplicates": duplicates,
            "rejected": rejected,
            "reasons": {"unfinished": 7, "winner <wrong>": 3},
            "moves": moves,
            "mean_length": moves / kept,
            "length_histogram": {str(k): int(v) for k, v in counts.items()},
            "blue_wins": 2000 + 10 * number,
        },
    )
    make_games(folder, number, size)
    make_bucket(folder, number, size)
    rows = moves + kept
    put(
        folder / "shuffle/summary.json",
        {"rows": rows, "buckets": [{"name": "bucket_0.npz", "rows": rows}]},
    )
    steps = np.arange(30, 301, 30)
    progress = number + steps / 300
    noise = np.random.default_rng(100 + number).normal(0, 0.03, (4, len(steps)))
    metrics = pd.DataFrame(
        {
            "step": steps,
            "samples": steps * 256,
            "learning_rate": 0.002,
            "policy_loss": 1.5 + 2 * np.exp(-progress / 3) + noise[0],
            "value_loss": 0.3 + 0.4 * np.exp(-progress / 3) + noise[1],
            "policy_top1": 0.6 - 0.4 * np.exp(-progress / 3) + noise[2] / 2,
            "value_accuracy": 0.9 - 0.3 * np.exp(-progress / 3) + noise[3] / 3,
            "gradient_norm": 0.8 + noise[0],
        }
    )
    metrics["loss"] = metrics.policy_loss + metrics.value_loss
    for name in ["loss", "policy_loss", "value_loss", "policy_top1", "value_accuracy"]:
        metrics[f"validation_{name}"] = (metrics[name] + 0.05).where(metrics.step == 300)
    put(folder / "train/metrics.csv", metrics.to_csv(index=False))
    put(
        folder / "train/lineage.json",
        {
            "generation": number,
            "board_size": size,
            "parent": digest(number - 1),
            "checkpoint": digest(number),
            "rows_made": 120_000 * (number + 1),
            "rows_window": 60_000 + 30_000 * number,
            "samples": 76_800,
            "sources": [{"name": f"gen_{number:03d}", "rows": rows}],
            "settings": {"batch_size": 256},
            "versions": {"hexlib": "0.1.0", "torch": "2.9.0", "numpy": "2.4.0"},
            "device": "cpu",
            "seed": 17,
        },
    )
    row, column = np.divmod(np.arange(size * size), size)
    distance = abs(row - size // 2) + abs(column - size // 2) + abs(row - column) / 2
    values = np.clip(
        1 - distance / 4 + np.random.default_rng(number).normal(0, 0.2, size**2), -1, 1
    )
    raw, search = 0.5 + 0.015 * number, 0.55 + 0.018 * number
    put(
        folder / "evaluate/solved.json",
        {
            "board_size": size,
            "positions": {"name": "positions.csv", "sha256": digest(99), "count": 1200},
            "simulations": 64,
            "raw": accuracy(raw, size),
            "search": accuracy(search, size),
            "opening_values": values.round(4).tolist(),
            "opening_truth": np.where(distance < 4, 1, -1).tolist(),
        },
    )
    wins = 120 + number
    put(
        folder / "evaluate/match.json",
        {
            "a": {"name": f"gen_{number:03d}", "sha256": digest(number)},
            "b": {
                "name": f"gen_{number - 1:03d}" if number else "initial",
                "sha256": digest(number - 1),
            },
            "games": 200,
            "a_wins": wins,
            "score": wins / 200,
            "interval": [wins / 200 - 0.0684, wins / 200 + 0.0646],
            "simulations": 64,
            "a_wins_as_blue": 70,
            "a_wins_as_red": wins - 70,
        },
    )


def accuracy(share, size):
    return {
        "value_accuracy": share + 0.1,
        "move_accuracy": share,
        "openings_right": int(share * size**2),
        "openings": size**2,
    }
