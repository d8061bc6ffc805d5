configfile: "config/config.yaml"


report: "rules/captions/run.rst"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/selfplay.smk"
include: "rules/clean.smk"
include: "rules/process.smk"
include: "rules/shuffle.smk"
include: "rules/sources.smk"
include: "rules/sweep.smk" if CONFIG.train.sweep else "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        rules.train.output.checkpoint,
        rules.report.output,
    message:
        "All is made"


onstart:
    begin()


onsuccess:
    say_what_was_made()


onerror:
    STOP.leave()
