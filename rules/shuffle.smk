"""Positions in random order, in two passes: scatter each chunk, gather each bucket."""

SHUFFLE_CODE = code_version("hexlib.stages.shuffle")
PARTS = product("shuffle/scattered/chunk_{chunk}/parts.npz")


rule scatter:
    input:
        positions=product("process/chunk_{chunk}.npz"),
    output:
        parts=intermediate(PARTS),
    log:
        log_of("shuffle/scatter_{chunk}"),
    benchmark:
        benchmark_of("shuffle/scatter_{chunk}")
    wildcard_constraints:
        gen=NEWEST,
    priority: 1
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
        gpu=0,
    params:
        folder=folder_of_output,
        flags=f"{SEED} {options(CONFIG.shuffle)}",
        code=SHUFFLE_CODE,
    message:
        "Generation {wildcards.gen}, shuffle: positions of chunk {wildcards.chunk} into buckets"
    shell:
        "hexlib shuffle scatter {input.positions:q} --output-dir {params.folder:q} {params.flags}"
        " --log {log:q}"


use rule scatter as scatter_past with:
    wildcard_constraints:
        gen=PAST,


rule shuffle:
    input:
        parts=expand(PARTS, chunk=CHUNKS, allow_missing=True),
    output:
        bucket=product("shuffle/bucket_{bucket}.npz"),
    log:
        log_of("shuffle/bucket_{bucket}"),
    benchmark:
        benchmark_of("shuffle/bucket_{bucket}")
    wildcard_constraints:
        gen=NEWEST,
    priority: 1
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(megabytes(POSITIONS // len(BUCKETS), 8)),
        runtime=growing(60),
        gpu=0,
    params:
        folders=lambda wildcards, input: [str(Path(part).parent) for part in input.parts],
        flags=SEED,
        code=SHUFFLE_CODE,
    message:
        "Generation {wildcards.gen}, shuffle: bucket {wildcards.bucket}"
    shell:
        "hexlib shuffle gather {params.folders:q} --bucket {wildcards.bucket}"
        " --output {output.bucket:q} {params.flags} --log {log:q}"


use rule shuffle as shuffle_past with:
    wildcard_constraints:
        gen=PAST,


rule shuffle_summary:
    input:
        buckets=expand(product("shuffle/bucket_{bucket}.npz"), bucket=BUCKETS, allow_missing=True),
    output:
        summary=product("shuffle/summary.json"),
    log:
        log_of("shuffle/summary"),
    benchmark:
        benchmark_of("shuffle/summary")
    wildcard_constraints:
        gen=NEWEST,
    priority: 1
    localrule: SHARED_FILES
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        gpu=0,
    params:
        code=SHUFFLE_CODE,
    message:
        "Generation {wildcards.gen}, shuffle: summary"
    shell:
        "hexlib shuffle summary {input.buckets:q} --output {output.summary:q} --log {log:q}"


use rule shuffle_summary as shuffle_summary_past with:
    wildcard_constraints:
        gen=PAST,
    localrule: SHARED_FILES
