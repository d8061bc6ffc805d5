"""How strong each generation is: against others, and on solved positions."""

# On different boards a player is not equally strong, so a ladder is of one.
RANKED = on_board_of(LAST, range(LAST + 1))
UNRANKED = [gen for gen in range(LAST + 1) if gen not in RANKED]


rule evaluate_match:
    input:
        newer=product("train/checkpoint.pt"),
        older=rival_checkpoint,
    output:
        match=shown(product("evaluate/match.json"), "match", "Strength"),
    log:
        log_of("evaluate/match"),
    benchmark:
        benchmark_of("evaluate/match")
    wildcard_constraints:
        gen=MADE,
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
        gpu=GPU,
        batch_size=CONFIG.evaluate.batch_size,
    params:
        board=board,
        spent=progress_of("train"),
        flags=f"{SEED} {options(CONFIG.evaluate, UNMATCHED)} {INFERENCE}",
        code=code_version("hexlib.stages.evaluate.match"),
    message:
        "Generation {wildcards.gen}, evaluate: {CONFIG.evaluate.games} games against the one before"
    shell:
        "rm -rf -- {params.spent:q} && hexlib evaluate match --a {input.newer:q} --b {input.older:q} --output {output.match:q}"
        " {params.board} {params.flags} --batch-size {resources.batch_size} --log {log:q}"


rule evaluate_pool:
    input:
        checkpoint=product("train/checkpoint.pt"),
        earlier=earlier_checkpoints,
    output:
        pool=shown(product("evaluate/pool.json"), "pool", "Strength"),
    log:
        log_of("evaluate/pool"),
    benchmark:
        benchmark_of("evaluate/pool")
    wildcard_constraints:
        gen=MADE,
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
        gpu=GPU,
        batch_size=CONFIG.evaluate.batch_size,
    params:
        board=board,
        earlier=lambda wildcards, input: shlex.join(["--earlier", *input.earlier]),
        flags=f"{SEED} {options(CONFIG.evaluate, {'batch_size', 'positions', 'gate', 'games'})}"
        f" {INFERENCE}",
        code=code_version("hexlib.stages.evaluate.pool"),
    message:
        "Generation {wildcards.gen}, evaluate: games against fixed players and an earlier one"
    shell:
        "hexlib evaluate pool --checkpoint {input.checkpoint:q} {params.earlier}"
        " --output {output.pool:q} {params.board} {params.flags} --batch-size {resources.batch_size} --log {log:q}"


rule evaluate_gate:
    input:
        match=product("evaluate/match.json"),
        newer=product("train/checkpoint.pt"),
        older=rival_checkpoint,
    output:
        champion=product("evaluate/champion.pt"),
    log:
        log_of("evaluate/gate"),
    benchmark:
        benchmark_of("evaluate/gate")
    wildcard_constraints:
        gen=MADE,
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        gpu=0,
    params:
        code=code_version("hexlib.stages.evaluate.gate"),
    message:
        "Generation {wildcards.gen}, evaluate: which checkpoint to play with"
    shell:
        "hexlib evaluate gate --match {input.match:q} --newer {input.newer:q}"
        " --older {input.older:q} --output {output.champion:q} --log {log:q}"


rule evaluate_solved:
    input:
        checkpoint=product("train/checkpoint.pt"),
        positions=POSITION_FILE,
    output:
        solved=shown(product("evaluate/solved.json"), "solved", "Strength"),
    log:
        log_of("evaluate/solved"),
    benchmark:
        benchmark_of("evaluate/solved")
    wildcard_constraints:
        gen=MADE,
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
        gpu=GPU,
        batch_size=CONFIG.evaluate.batch_size,
    params:
        board=board,
        flags=f"{options(CONFIG.evaluate, UNMATCHED - {'positions'} | {'games'})} {INFERENCE}",
        code=code_version("hexlib.stages.evaluate.solved"),
    message:
        "Generation {wildcards.gen}, evaluate: solved positions"
    shell:
        "hexlib evaluate solved --checkpoint {input.checkpoint:q} --output {output.solved:q}"
        " {params.board} {params.flags} --batch-size {resources.batch_size} --log {log:q}"


rule evaluate:
    input:
        matches=in_all_generations("evaluate/match.json", RANKED),
        pools=in_all_generations("evaluate/pool.json", RANKED),
        others=in_all_generations("evaluate/match.json", UNRANKED),
        solved=in_all_generations("evaluate/solved.json", filter(has_solved, range(LAST + 1))),
    output:
        ladder=report(f"{RUN}/ladder.csv", caption="captions/ladder.rst", category="Strength"),
    log:
        f"logs/{CONFIG.run}/evaluate.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate.tsv"
    localrule: True
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        gpu=0,
    params:
        code=code_version("hexlib.ladder"),
    message:
        "Ladder of all generations"
    shell:
        "hexlib evaluate ladder {input.matches:q} {input.pools:q} --output {output.ladder:q} --log {log:q}"
