# One job per cell and kind of evaluation; settings that differ from the defaults get a folder of their own ({where}).


rule evaluate_cell:
    input:
        data=planned(run_rules.data, "run"),
        # Which weights are measured, by their checksums; the weights themselves may be elsewhere once that is done.
        trained=planned(run_rules.trained, "run", "where", "kind"),
        # None where images are made while they are measured.
        corrupted=corrupted_sets,
    output:
        result=paths.file("{run}{where}", run_files.result("{kind}")),
        arrays=paths.file("{run}{where}", run_files.arrays("{kind}")),
    log:
        "logs/evaluate/{run}{where}/{kind}.log",
    benchmark:
        "logs/evaluate/{run}{where}/{kind}.tsv"
    conda:
        ENVIRONMENT
    threads: evaluation_threads
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=planned(run_rules.minutes, "kind"),
    params:
        asked=planned(run_rules.asked, "run", "where", "kind"),
        code=planned(run_rules.evaluate_code, "run", "where", "kind"),
    shell:
        commands.rule(
            commands.managed(
                commands.evaluate(
                    "{wildcards.kind}",
                    run=f"{RUNS}/{{wildcards.run}}",
                    data="$(dirname {input.data})",
                    out=f"{RUNS}/{{wildcards.run}}{{wildcards.where}}",
                    code="{params.code}",
                    asked=["{params.asked}"],
                    how={"threads": "{threads}"},
                )
            )
        )
