"""The positions of a chunk of games."""

PROCESS_FLAGS = options(CONFIG.process)
PROCESS_CODE = code_version("hexlib.stages.process")


rule process:
    input:
        games=product("clean/chunk_{chunk}.trmph"),
        search=product("clean/chunk_{chunk}.search.npz"),
    output:
        positions=intermediate(product("process/chunk_{chunk}.npz")),
    log:
        log_of("process/chunk_{chunk}"),
    benchmark:
        benchmark_of("process/chunk_{chunk}")
    wildcard_constraints:
        gen=NEWEST,
    priority: 1
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(megabytes(POSITIONS // len(CHUNKS), 400)),
        runtime=growing(30),
        gpu=0,
        on_corrupt=CONFIG.on_corrupt,
    params:
        board=board,
        flags=PROCESS_FLAGS,
        code=PROCESS_CODE,
    message:
        "Generation {wildcards.gen}, process: positions of chunk {wildcards.chunk}"
    shell:
        "hexlib process {input.games:q} --output {output.positions:q} {params.board} {params.flags}"
        " --on-corrupt {resources.on_corrupt:q} --log {log:q}"


use rule process as process_past with:
    wildcard_constraints:
        gen=PAST,
