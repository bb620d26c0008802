# One job per cell and seed. Beside the declared outputs lie others, for which record.json vouches, and while it runs work in
# progress (state.pt): a killed job resumes. A finished run is kept until an evaluation begins: no repeated job trains it again.


rule train_cell:
    input:
        data=planned(run_rules.data, "run"),
        extra=planned(run_rules.extra, "run"),
        teachers=planned(run_rules.teacher_records, "run"),
    output:
        model=paths.file("{run}", run_files.LAST),
        epochs=paths.file("{run}", run_files.EPOCHS),
        record=paths.record("{run}"),
    log:
        "logs/train/{run}.log",
    benchmark:
        "logs/train/{run}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=2880,
    params:
        cell=planned(run_rules.cell, "run"),
        code=planned(run_rules.train_code, "run"),
        teachers=planned(run_rules.teacher_options, "run"),
    shell:
        commands.rule(
            commands.managed(
                commands.train(
                    cell="{params.cell:q}",
                    data="$(dirname {input.data})",
                    out=f"{RUNS}/{{wildcards.run}}",
                    code="{params.code}",
                    teachers=["{params.teachers}"],
                    how={"threads": "{threads}"},
                )
            )
        )
