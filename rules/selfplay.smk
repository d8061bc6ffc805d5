"""Games by the newest network against itself, and the network that the first of them need."""

UNTRACKED = {
    "games",
    "shards",
    "batch_size",
    "cache_size",
    "existing",
    "accept_partial",
}
# For each cell of a slot's board: the policies of its game so far, and the nodes of its search.
SLOT_BYTES = 12 * LARGEST**2 + 10 * max(
    CONFIG.selfplay.simulations, CONFIG.selfplay.early_simulations
)


rule initial:
    output:
        checkpoint=f"{RUN}/initial.pt",
    log:
        f"logs/{CONFIG.run}/initial.log",
    benchmark:
        f"{RUN}/benchmarks/initial.tsv"
    localrule: True
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        gpu=0,
    params:
        flags=f"--board-size {CONFIG.board_size_of(0)} {options(CONFIG.net)} {SEED}",
        code=code_version("hexlib.nn.checkpoint"),
    message:
        "A first checkpoint, of random weights"
    shell:
        "hexlib init --output {output.checkpoint:q} {params.flags} --log {log:q}"


rule selfplay:
    input:
        checkpoint=playing_checkpoint,
    output:
        games=product("selfplay/shard_{shard}.trmph"),
        search=product("selfplay/shard_{shard}.search.npz"),
    log:
        log_of("selfplay/shard_{shard}"),
    benchmark:
        benchmark_of("selfplay/shard_{shard}")
    wildcard_constraints:
        gen=NEWEST,
    priority: 1
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(megabytes(CONFIG.selfplay.batch_size * LARGEST**2, SLOT_BYTES)),
        runtime=growing(1440),
        gpu=GPU,
        batch_size=CONFIG.selfplay.batch_size,
        cache_size=CONFIG.selfplay.cache_size,
        partial=("--accept-partial" if CONFIG.selfplay.accept_partial else "--no-accept-partial"),
    params:
        games=games_of_shard,
        first_game=first_game,
        generation=generation_of,
        board=board,
        flags=f"{SEED} {options(CONFIG.selfplay, UNTRACKED)} {INFERENCE}",
        progress=progress_of("selfplay/shard_{shard}"),
        spent=progress_of_parent,
        code=code_version("hexlib.stages.selfplay"),
    message:
        "Generation {wildcards.gen}, self-play: {params.games} games of shard {wildcards.shard}"
    shell:
        "rm -rf -- {params.spent:q} && hexlib selfplay --checkpoint {input.checkpoint:q} --output {output.games:q}"
        " --games {params.games} --first-game {params.first_game}"
        " --generation {params.generation} {params.board} {params.flags} {resources.partial}"
        " --batch-size {resources.batch_size} --cache-size {resources.cache_size}"
        " --progress-dir {params.progress:q} --keep-progress --log {log:q}"


use rule selfplay as selfplay_past with:
    wildcard_constraints:
        gen=PAST,
