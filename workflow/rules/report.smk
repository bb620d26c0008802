# Per study: manifest and measurements, table in four formats, figures; and those of single evaluations where it asks for these.


rule measure:
    input:
        records=planned(studies.study_records, "study"),
        evaluations=planned(studies.study_evaluations, "study"),
        reported=paths.shipped(paths.REPORTED),
    output:
        study="results/{study}/study.json",
        measurements="results/{study}/measurements.csv",
        records="results/{study}/records.json",
        metrics="results/{study}/metrics.json",
        images="results/{study}/images.csv",
        sums="results/{study}/SHA256SUMS",
    log:
        "logs/report/{study}/measure.log",
    conda:
        ENVIRONMENT
    params:
        digest=planned(studies.study_digest, "study"),
        code=planned(studies.code),
    shell:
        commands.rule(
            # No parameter of the rule: which file it is repeats nothing, the digest says what it plans.
            commands.manifest(
                "{wildcards.study}", params=f'"${paths.SETTINGS}"', digest="{params.digest}", out="{output.study}"
            ),
            commands.managed(
                commands.measure(
                    study="{output.study}", runs=RUNS, reported="{input.reported}", out="results/{wildcards.study}"
                )
            ),
        )


rule table:
    input:
        study="results/{study}/study.json",
        measurements="results/{study}/measurements.csv",
        sums="results/{study}/SHA256SUMS",
        records="results/{study}/records.json",
        images="results/{study}/images.csv",
        reported=paths.shipped(paths.REPORTED),
        # No module, so that the fingerprint does not know it.
        template=paths.shipped(paths.TEMPLATE),
    output:
        "results/{study}/caption.txt",
        "results/{study}/table.csv",
        "results/{study}/table.md",
        "results/{study}/table.tex",
        report(
            "results/{study}/table.html",
            caption="../report/table.rst",
            category="{study}",
            labels={"what": "table"},
        ),
    log:
        "logs/report/{study}/table.log",
    conda:
        ENVIRONMENT
    params:
        code=planned(studies.code),
    shell:
        commands.rule(commands.table(folder="results/{wildcards.study}", reported="{input.reported}"))


rule figure:
    input:
        study="results/{study}/study.json",
        measurements="results/{study}/measurements.csv",
        sums="results/{study}/SHA256SUMS",
        records=planned(studies.study_records, "study"),
        teachers=planned(studies.study_teachers, "study"),
        evaluations=planned(studies.study_evaluations, "study"),
    output:
        [
            report(
                f"results/{{study}}/{name}.svg",
                caption=f"../report/{name}.rst",
                category="{study}",
                labels={"what": name},
            )
            for name in paths.FIGURES
        ],
    log:
        "logs/report/{study}/figures.log",
    conda:
        ENVIRONMENT
    params:
        code=planned(studies.code),
    shell:
        commands.rule(commands.figures(folder="results/{wildcards.study}", runs=RUNS))


for kind in studies.OWN:

    rule:
        name:
            f"figure_{kind}"
        input:
            study="results/{study}/study.json",
            measurements="results/{study}/measurements.csv",
            sums="results/{study}/SHA256SUMS",
            evaluations=planned(studies.own_evaluations, "study", kind=kind),
        output:
            report(
                f"results/{{study}}/{kind}.svg",
                caption=f"../report/{kind}.rst",
                category="{study}",
                labels={"what": kind},
            ),
        log:
            f"logs/report/{{study}}/{kind}.log",
        conda:
            ENVIRONMENT
        params:
            code=planned(studies.code),
            # The command is put together when the job runs, after the loop.
            kind=kind,
        shell:
            commands.rule(commands.figures(folder="results/{wildcards.study}", runs=RUNS, evaluation="{params.kind}"))
