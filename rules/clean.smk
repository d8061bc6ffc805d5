"""One set of valid, different games, in chunks of equal size."""


rule clean:
    input:
        unpack(games_to_clean),
    output:
        games=expand(product("clean/chunk_{chunk}.trmph"), chunk=CHUNKS, allow_missing=True),
        search=expand(product("clean/chunk_{chunk}.search.npz"), chunk=CHUNKS, allow_missing=True),
        summary=shown(product("clean/summary.json"), "clean", "Games"),
        rejected=product("clean/rejected.tsv"),
    log:
        log_of("clean/clean"),
    benchmark:
        benchmark_of("clean/clean")
    wildcard_constraints:
        gen=NEWEST,
    priority: 1
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        # One file with its search statistics, and the hash of each game so far.
        mem_mb=growing(
            megabytes(POSITIONS // (1 if EXISTING else len(SHARDS)), 300) + GAMES // 10**4
        ),
        runtime=growing(120),
        gpu=0,
        on_corrupt=CONFIG.on_corrupt,
    params:
        given=lambda wildcards, input: CONFIG.selfplay.existing or input.games,
        folder=folder_of_output,
        spent=progress_of("selfplay"),
        board=board,
        flags=f"--chunks {len(CHUNKS)} {options(CONFIG.clean, {'chunk_size'})}",
        code=code_version("hexlib.stages.clean"),
    message:
        "Generation {wildcards.gen}, clean: {GAMES} games"
    shell:
        "rm -rf -- {params.spent:q} && hexlib clean {params.given:q} --output-dir {params.folder:q}"
        " {params.board} {params.flags} --on-corrupt {resources.on_corrupt:q} --log {log:q}"


use rule clean as clean_past with:
    wildcard_constraints:
        gen=PAST,
