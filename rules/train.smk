"""The next checkpoint, from the positions of this generation and the window before it."""


# `snakemake train` needs a rule without wildcards: the last generation's.
rule train:
    input:
        unpack(training_inputs),
    output:
        **training_products(LAST),
    log:
        log_of("train/train", LAST),
    benchmark:
        benchmark_of("train/train", LAST)
    priority: 1
    conda:
        "../envs/hexlib.yaml"
    threads: CONFIG.train.processes * CONFIG.train.threads
    resources:
        mem_mb=growing(2000 * CONFIG.train.processes),
        runtime=growing(1440),
        gpu=GPU * CONFIG.train.processes,
        on_corrupt=CONFIG.on_corrupt,
        keep_last=CONFIG.train.keep_last,
        keep_every=CONFIG.train.keep_every,
        training_threads=CONFIG.train.threads,
        tensorboard=tensorboard_of,
    params:
        command=TRAIN,
        start=training_start,
        sources=training_sources,
        folder=folder_of_output,
        generation=generation_of,
        rates=learning_rates,
        flags=train_flags,
        shared=TRAINING,
        progress=progress_of("train", LAST),
        code=code_version("hexlib.stages.train"),
    message:
        "Generation {params.generation:03d}, train"
    shell:
        "{params.command} --source {params.sources:q} {params.start} --output-dir {params.folder:q}"
        " --generation {params.generation} {params.rates} {params.flags} {params.shared}"
        " --keep-last {resources.keep_last} --keep-every {resources.keep_every}"
        " --threads {resources.training_threads}"
        " --tensorboard {resources.tensorboard:q}"
        " --progress-dir {params.progress:q} --keep-progress"
        " --on-corrupt {resources.on_corrupt:q} --log {log:q}"


use rule train as train_past with:
    output:
        **training_products(),
    log:
        log_of("train/train"),
    benchmark:
        benchmark_of("train/train")
    wildcard_constraints:
        gen=PAST,
    params:
        progress=progress_of("train"),
