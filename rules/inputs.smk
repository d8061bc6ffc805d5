"""What the jobs of each stage read, and the options that depend on their generation."""


def first_game(wildcards, shard=None):
    """Number of a shard's first game: games are numbered over all shards of a generation."""
    shard = int(wildcards.shard) if shard is None else shard
    return shard * CONFIG.selfplay.games // CONFIG.selfplay.shards


def games_of_shard(wildcards):
    return first_game(wildcards, int(wildcards.shard) + 1) - first_game(wildcards)


def games_to_clean(wildcards):
    """Files of games, each with the search statistics that lie beside it."""
    if EXISTING:
        beside = map(sources.search_path, EXISTING)
        return {
            "games": EXISTING,
            "search": [path for path in beside if path.is_file()],
        }
    shards = expand(product("selfplay/shard_{shard}"), shard=SHARDS, gen=wildcards.gen)
    return {
        "games": [f"{shard}.trmph" for shard in shards],
        "search": [f"{shard}.search.npz" for shard in shards],
    }


def buckets_of(gen):
    """A generation's buckets: as many as the settings say, or as one that is not made again has."""
    if gen < FIRST and SHARED_FILES:
        return sorted(map(str, Path(product("shuffle", gen)).glob("bucket_*.npz")))
    return [product(f"shuffle/bucket_{bucket}.npz", gen) for bucket in BUCKETS]


def read_sources():
    """Folders of buckets that are drawn beside the run's own, all their buckets, and the games of
    which some of these are to be made, by the name of a folder in the run."""
    folders, buckets, games = [], [], {}
    for source in CONFIG.train.sources:
        end = source.skip_files + source.max_files if source.max_files else None
        found = sorted(map(str, Path(source.path).glob("bucket_*.npz")))
        kept = (found or sources.game_files([source.path]))[source.skip_files : end]
        if not kept:
            raise BadInput(
                f"train.sources: skip_files {source.skip_files} leaves no file of {source.path};"
                " lower it"
            )
        if not found:
            digest = sha256(source.model_dump_json(exclude={"weight"}).encode()).hexdigest()
            name = f"{re.sub('[^A-Za-z0-9_-]', '_', Path(source.path).name)}-{digest[:8]}"
            games[name] = source, kept
            folder = f"{RUN}/sources/{name}/shuffle"
            kept = [f"{folder}/bucket_{bucket}.npz" for bucket in BUCKETS]
            source = source.model_copy(update={"path": folder, "skip_files": 0, "max_files": 0})
        folders.append(source)
        buckets += kept
    return folders, buckets, games


try:
    SOURCES, SOURCE_BUCKETS, SOURCE_GAMES = read_sources()
except BadInput as error:
    stop(error)


def of_source(path):
    return f"{RUN}/sources/{{source}}/{path}"


def log_of_source(step):
    return f"logs/{CONFIG.run}/sources/{{source}}/{step}.log"


def benchmark_of_source(step):
    return f"{RUN}/benchmarks/sources/{{source}}/{step}.tsv"


def board_of_source(wildcards):
    source, _ = SOURCE_GAMES[wildcards.source]
    return f"--board-size {source.board_size or CONFIG.board_size}"


def games_of_source(wildcards):
    """The files of games, each with the search statistics that lie beside it."""
    _, games = SOURCE_GAMES[wildcards.source]
    beside = map(sources.search_path, games)
    return {"games": games, "search": [path for path in beside if path.is_file()]}


def last_on_earlier_boards(gen):
    """The last generation on each board of the curriculum before a generation's own."""
    if not CONFIG.train.earlier_boards:
        return []
    last = {CONFIG.board_size_of(one): one for one in range(gen)}
    last.pop(CONFIG.board_size_of(gen), None)
    return list(last.values())


def sources_beside(wildcards, input):
    """All that a generation trains on beside the window; a storage has its copies elsewhere."""
    earlier = [
        Source(
            path=str(Path(summary).parent),
            weight=CONFIG.train.earlier_boards,
            board_size=CONFIG.board_size_of(one),
        )
        for one, summary in zip(
            last_on_earlier_boards(generation_of(wildcards)), input.earlier, strict=True
        )
    ]
    return [*SOURCES, *earlier]


def training_inputs(wildcards):
    """The weights to go on from, with the optimiser's state after generation 0, and the rows."""
    gen = generation_of(wildcards)
    earlier = last_on_earlier_boards(gen)
    inputs = {
        "beside": SOURCE_BUCKETS + [bucket for one in earlier for bucket in buckets_of(one)],
        "earlier": [product("shuffle/summary.json", one) for one in earlier],
        "checkpoint": starting_checkpoint(wildcards),
        "summaries": [product("shuffle/summary.json", g) for g in window_of(gen)],
        "buckets": [bucket for g in window_of(gen) for bucket in buckets_of(g)],
    }
    if gen > 0:
        inputs["state"] = product("train/state.pt", gen - 1)
    return inputs


def training_start(wildcards, input):
    """Options that name the weights and the state to go on from."""
    state = ["--state", input.state] if "state" in input.keys() else []
    return shlex.join(["--checkpoint", input.checkpoint, *state])


# What of `train` no command is told as it stands: rates and earlier boards depend on the generation,
# what is kept of the mini-epochs alters no product, and a sweep is rules of its own.
NOT_FLAGS = {"learning_rate", "final_learning_rate", "decay_generations", "keep_last", "keep_every"}
NOT_FLAGS |= {"earlier_boards", "processes", "threads", "sweep", "sweep_by"}

# Several processes that share a training are started by torchrun.
TRAIN = "hexlib train"
if CONFIG.train.processes > 1:
    TRAIN = f"torchrun --standalone --nproc-per-node {CONFIG.train.processes} -m hexlib.cli train"


# What all trainings of the run are told, those of a sweep too.
TRAINING = (
    f"{SEED} {options(CONFIG.window, {'generations', 'asynchronous'}, 'window-')} {INFERENCE}"
)


def train_flags(wildcards, input, train=CONFIG.train):
    beside = sources_beside(wildcards, input)
    return options(train.model_copy(update={"sources": beside}), NOT_FLAGS)


def learning_rates(wildcards, tried=CONFIG):
    start, end = tried.learning_rates(generation_of(wildcards))
    return f"--learning-rate {start} --final-learning-rate {end}"


def training_sources(wildcards, input):
    return [str(Path(summary).parent) for summary in input.summaries]


def training_products(gen=None):
    """The files that a training makes, by the names that the rules use."""
    return {
        "checkpoint": product("train/checkpoint.pt", gen),
        "state": product("train/state.pt", gen),
        "metrics": shown(product("train/metrics.csv", gen), "metrics", "Training", gen),
        "calibration": product("train/calibration.csv", gen),
        "lineage": product("train/lineage.json", gen),
    }


POSITION_FILE = [] if CONFIG.evaluate.positions in ("auto", "none") else CONFIG.evaluate.positions


def has_solved(gen):
    """Whether there are solved positions for the board of a generation."""
    size = CONFIG.board_size_of(gen)
    if POSITION_FILE:
        return size == CONFIG.board_size
    shipped = PACKAGE / f"data/solved/positions_{size}x{size}.csv"
    return CONFIG.evaluate.positions == "auto" and shipped.is_file()


# What of `evaluate` no match depends on.
UNMATCHED = {"batch_size", "positions", "earlier_games", "anchor_games", "gate"}
