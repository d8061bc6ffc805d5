"""How strong each generation is: against the one before, and on solved positions."""

EVALUATE_CODE = code_version("hexlib.stages.evaluate")
SHIPPED = PACKAGE / f"data/solved/positions_{CONFIG.board_size}x{CONFIG.board_size}.csv"
POSITION_FILE = [] if CONFIG.evaluate.positions in ("auto", "none") else CONFIG.evaluate.positions
HAS_SOLVED = POSITION_FILE or (CONFIG.evaluate.positions == "auto" and SHIPPED.is_file())


rule evaluate_match:
    input:
        newer=product("train/checkpoint.pt"),
        older=starting_checkpoint,
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
        spent=progress_of("train"),
        flags=f"{SEED} {options(CONFIG.evaluate, {'batch_size', 'positions'})} {INFERENCE}",
        code=EVALUATE_CODE,
    message:
        "Generation {wildcards.gen}, evaluate: {CONFIG.evaluate.games} games against the one before"
    shell:
        "rm -rf -- {params.spent:q} && hexlib evaluate match --a {input.newer:q} --b {input.older:q} --output {output.match:q}"
        " {params.flags} --batch-size {resources.batch_size} --log {log:q}"


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
        flags=f"{options(CONFIG.evaluate, {'batch_size', 'games'})} {INFERENCE}",
        code=EVALUATE_CODE,
    message:
        "Generation {wildcards.gen}, evaluate: solved positions"
    shell:
        "hexlib evaluate solved --checkpoint {input.checkpoint:q} --output {output.solved:q}"
        " {params.flags} --batch-size {resources.batch_size} --log {log:q}"


rule evaluate:
    input:
        matches=in_all_generations("evaluate/match.json"),
        solved=in_all_generations("evaluate/solved.json") if HAS_SOLVED else [],
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
        code=EVALUATE_CODE,
    message:
        "Ladder of all generations"
    shell:
        "hexlib evaluate ladder {input.matches:q} --output {output.ladder:q} --log {log:q}"
