# Per study: manifest and measurements, table in four formats, figures.


rule measure:
    input:
        records=study_records,
        evaluations=study_evaluations,
        logs=study_logs,
        reported=REPORTED,
    output:
        study="results/{study}/study.json",
        measurements="results/{study}/measurements.csv",
        records="results/{study}/records.json",
        metrics="results/{study}/metrics.json",
        images="results/{study}/images.csv",
    log:
        "logs/report/{study}/measure.log",
    conda:
        ENVIRONMENT
    params:
        # The cells themselves would make the metadata as large as the study.
        digest=study_digest,
        code=fingerprint("ews.pipeline.report"),
    shell:
        "(python -m ews study manifest {wildcards.study} --digest {params.digest} --out {output.study} &&"
        f" python -m ews report measure --study {{output.study}} --runs {RUNS} --reported {{input.reported}}"
        " --out {output.measurements} --records {output.records} --metrics {output.metrics}"
        " --images {output.images}) > {log} 2>&1"


rule table:
    input:
        study="results/{study}/study.json",
        measurements="results/{study}/measurements.csv",
        records="results/{study}/records.json",
        images="results/{study}/images.csv",
        reported=REPORTED,
        # No module, so that the fingerprint does not know it.
        template=TEMPLATE,
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
        code=fingerprint("ews.pipeline.report"),
    shell:
        "python -m ews report table --study {input.study} --measurements {input.measurements}"
        " --records {input.records} --images {input.images} --reported {input.reported}"
        " --out-dir results/{wildcards.study} > {log} 2>&1"


rule figure:
    input:
        study="results/{study}/study.json",
        measurements="results/{study}/measurements.csv",
        records=study_records,
        teachers=study_teachers,
        evaluations=study_evaluations,
        logs=study_logs,
    output:
        [
            report(
                f"results/{{study}}/{name}.svg",
                caption=f"../report/{name}.rst",
                category="{study}",
                labels={"what": name},
            )
            for name in FIGURES
        ],
    log:
        "logs/report/{study}/figures.log",
    conda:
        ENVIRONMENT
    params:
        code=fingerprint("ews.pipeline.report"),
    shell:
        f"python -m ews report figures --study {{input.study}} --runs {RUNS} --measurements {{input.measurements}}"
        " --out-dir results/{wildcards.study} > {log} 2>&1"
