# One job per cell and seed. Work in progress (state.pt) lies beside the outputs, undeclared, so that a killed job resumes.

# Methods with a subnet search keep the controller's log as well.
SEARCHING = r"[^/]+/[^/]+/[^/]+/(?:[a-z0-9_]+\+)*ews(?:[+,][^/]*)?/seed\d+"


rule train_cell:
    input:
        data=dataset_of,
        extra=extra_of,
        teachers=teacher_records,
    output:
        model=f"{RUNS}/{{run}}/model.safetensors",
        epochs=f"{RUNS}/{{run}}/epochs.csv",
        record=f"{RUNS}/{{run}}/record.json",
    log:
        "logs/train/{run}.log",
    benchmark:
        "logs/train/{run}.tsv"
    wildcard_constraints:
        run=rf"(?!{SEARCHING}/)[^/]+/[^/]+/[^/]+/[^/]+/seed\d+",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=2880,
    params:
        cell=cell_json,
        code=train_code,
        teachers=teacher_options,
    shell:
        "python -m ews train --cell {params.cell:q} --fingerprint {params.code} --data $(dirname {input.data})"
        f" --out {RUNS}/{{wildcards.run}} {{params.teachers}} --threads {{threads}} > {{log}} 2>&1"


use rule train_cell as train_searching_cell with:
    output:
        model=f"{RUNS}/{{run}}/model.safetensors",
        epochs=f"{RUNS}/{{run}}/epochs.csv",
        controller=f"{RUNS}/{{run}}/controller.csv",
        kept=f"{RUNS}/{{run}}/kept.csv",
        record=f"{RUNS}/{{run}}/record.json",
    wildcard_constraints:
        run=SEARCHING,
