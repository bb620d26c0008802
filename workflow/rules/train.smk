# One job per cell and seed. Beside the declared outputs lie others, for which record.json vouches, and while it runs work in
# progress (state.pt): a killed job resumes.


rule train_cell:
    input:
        data=planned(runs.data, "run"),
        extra=planned(runs.extra, "run"),
        teachers=planned(runs.teacher_records, "run"),
    output:
        model=paths.file("{run}", names.LAST),
        epochs=paths.file("{run}", names.EPOCHS),
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
        cell=planned(runs.cell, "run"),
        code=planned(runs.train_code, "run"),
        teachers=planned(runs.teacher_options, "run"),
    shell:
        commands.rule(
            commands.train(
                cell="{params.cell:q}",
                data="$(dirname {input.data})",
                out=f"{RUNS}/{{wildcards.run}}",
                code="{params.code}",
                teachers=["{params.teachers}"],
                how={"threads": "{threads}"},
            )
        )
