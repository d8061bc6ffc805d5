"""Buckets of the games that `train.sources` names, made by the stages before training."""


rule source_clean:
    input:
        unpack(games_of_source),
    output:
        games=of_source("clean/chunk_0000.trmph"),
        search=of_source("clean/chunk_0000.search.npz"),
        summary=of_source("clean/summary.json"),
        rejected=of_source("clean/rejected.tsv"),
    log:
        log_of_source("clean"),
    benchmark:
        benchmark_of_source("clean")
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=0,
        on_corrupt=CONFIG.on_corrupt,
    params:
        folder=folder_of_output,
        board=board_of_source,
        flags=f"--chunks 1 {options(CONFIG.clean, {'chunk_size'})}",
        code=code_version("hexlib.stages.clean"),
    message:
        "Source {wildcards.source}, clean"
    shell:
        "hexlib clean {input.games:q} --output-dir {params.folder:q} {params.board} {params.flags}"
        " --on-corrupt {resources.on_corrupt:q} --log {log:q}"


rule source_process:
    input:
        games=rules.source_clean.output.games,
        search=rules.source_clean.output.search,
    output:
        positions=temp(of_source("process/chunk_0000.npz")),
    log:
        log_of_source("process"),
    benchmark:
        benchmark_of_source("process")
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=0,
        on_corrupt=CONFIG.on_corrupt,
    params:
        board=board_of_source,
        flags=options(CONFIG.process),
        code=code_version("hexlib.stages.process"),
    message:
        "Source {wildcards.source}, process"
    shell:
        "hexlib process {input.games:q} --output {output.positions:q} {params.board} {params.flags}"
        " --on-corrupt {resources.on_corrupt:q} --log {log:q}"


rule source_scatter:
    input:
        positions=rules.source_process.output.positions,
    output:
        parts=temp(of_source("scattered/parts.npz")),
    log:
        log_of_source("scatter"),
    benchmark:
        benchmark_of_source("scatter")
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=0,
    params:
        folder=folder_of_output,
        flags=f"{SEED} {options(CONFIG.shuffle)}",
        code=code_version("hexlib.stages.shuffle"),
    message:
        "Source {wildcards.source}, shuffle: positions into buckets"
    shell:
        "hexlib shuffle scatter {input.positions:q} --output-dir {params.folder:q} {params.flags}"
        " --log {log:q}"


rule source_shuffle:
    input:
        parts=rules.source_scatter.output.parts,
    output:
        bucket=of_source("shuffle/bucket_{bucket}.npz"),
    log:
        log_of_source("bucket_{bucket}"),
    benchmark:
        benchmark_of_source("bucket_{bucket}")
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=0,
    params:
        folder=lambda wildcards, input: str(Path(input.parts).parent),
        flags=SEED,
        code=code_version("hexlib.stages.shuffle"),
    message:
        "Source {wildcards.source}, shuffle: bucket {wildcards.bucket}"
    shell:
        "hexlib shuffle gather {params.folder:q} --bucket {wildcards.bucket}"
        " --output {output.bucket:q} {params.flags} --log {log:q}"
