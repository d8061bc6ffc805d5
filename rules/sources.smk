"""Buckets of the games that `train.sources` names, made by the rules of the stages before training."""


use rule clean as source_clean with:
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
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=0,
        on_corrupt=CONFIG.on_corrupt,
    params:
        given=lambda wildcards, input: input.games,
        spent=[],
        board=board_of_source,
        flags=f"--chunks 1 {options(CONFIG.clean, {'chunk_size'})}",
    message:
        "Source {wildcards.source}, clean"


use rule process as source_process with:
    input:
        games=rules.source_clean.output.games,
        search=rules.source_clean.output.search,
    output:
        positions=temp(of_source("process/chunk_0000.npz")),
    log:
        log_of_source("process"),
    benchmark:
        benchmark_of_source("process")
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=0,
        on_corrupt=CONFIG.on_corrupt,
    params:
        board=board_of_source,
    message:
        "Source {wildcards.source}, process"


use rule scatter as source_scatter with:
    input:
        positions=rules.source_process.output.positions,
    output:
        parts=temp(of_source("scattered/parts.npz")),
    log:
        log_of_source("scatter"),
    benchmark:
        benchmark_of_source("scatter")
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=0,
    message:
        "Source {wildcards.source}, shuffle: positions into buckets"


use rule shuffle as source_shuffle with:
    input:
        parts=[rules.source_scatter.output.parts],
    output:
        bucket=of_source("shuffle/bucket_{bucket}.npz"),
    log:
        log_of_source("bucket_{bucket}"),
    benchmark:
        benchmark_of_source("bucket_{bucket}")
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=0,
    message:
        "Source {wildcards.source}, shuffle: bucket {wildcards.bucket}"
