# One job per cell and kind of evaluation; settings that differ from the defaults get a folder of their own ({where}).


rule evaluate_clean:
    input:
        data=dataset_of,
        model=f"{RUNS}/{{run}}/model.safetensors",
        record=f"{RUNS}/{{run}}/record.json",
    output:
        result=f"{RUNS}/{{run}}{{where}}/clean.json",
        predictions=f"{RUNS}/{{run}}{{where}}/clean.npz",
    log:
        "logs/evaluate/{run}{where}/clean.log",
    benchmark:
        "logs/evaluate/{run}{where}/clean.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=60,
    params:
        images=test_images,
        code=evaluate_code("clean"),
    shell:
        f"python -m ews evaluate clean --run {RUNS}/{{wildcards.run}} --data $(dirname {{input.data}}) {{params.images}}"
        " --fingerprint {params.code} --out {output.result} --predictions {output.predictions}"
        " --threads {threads} > {log} 2>&1"


rule evaluate_corruption:
    input:
        data=dataset_of,
        model=f"{RUNS}/{{run}}/model.safetensors",
        record=f"{RUNS}/{{run}}/record.json",
        # None where images are made while they are measured.
        corrupted=corrupted_inputs,
    output:
        result=f"{RUNS}/{{run}}{{where}}/corruption.csv",
        about=f"{RUNS}/{{run}}{{where}}/corruption.json",
        predictions=f"{RUNS}/{{run}}{{where}}/corruption.npz",
    log:
        "logs/evaluate/{run}{where}/corruption.log",
    benchmark:
        "logs/evaluate/{run}{where}/corruption.tsv"
    conda:
        ENVIRONMENT
    threads: corruption_threads
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=240,
    params:
        names=corruption_names,
        images=test_images,
        made=corruption_options,
        archive=corruption_archive,
        code=evaluate_code("corruption"),
    shell:
        f"python -m ews evaluate corruption --run {RUNS}/{{wildcards.run}} --data $(dirname {{input.data}})"
        " --corrupted {input.corrupted} --names {params.names} {params.images} {params.made}"
        " --fingerprint {params.code} --out {output.result} --predictions {output.predictions}"
        " --threads 1 > {log} 2>&1"


rule evaluate_perturbation:
    input:
        data=dataset_of,
        model=f"{RUNS}/{{run}}/model.safetensors",
        record=f"{RUNS}/{{run}}/record.json",
    output:
        result=f"{RUNS}/{{run}}{{where}}/perturbation.csv",
        about=f"{RUNS}/{{run}}{{where}}/perturbation.json",
        predictions=f"{RUNS}/{{run}}{{where}}/perturbation.npz",
    log:
        "logs/evaluate/{run}{where}/perturbation.log",
    benchmark:
        "logs/evaluate/{run}{where}/perturbation.tsv"
    conda:
        ENVIRONMENT
    threads: perturbation_threads
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=240,
    params:
        names=perturbation_names,
        images=test_images,
        made=perturbation_options,
        code=evaluate_code("perturbation"),
    shell:
        f"python -m ews evaluate perturbation --run {RUNS}/{{wildcards.run}} --data $(dirname {{input.data}})"
        " --names {params.names} {params.images} {params.made} --workers {threads}"
        " --fingerprint {params.code} --out {output.result} --predictions {output.predictions}"
        " --threads 1 > {log} 2>&1"


rule evaluate_adversarial:
    input:
        data=dataset_of,
        model=f"{RUNS}/{{run}}/model.safetensors",
        record=f"{RUNS}/{{run}}/record.json",
    output:
        result=f"{RUNS}/{{run}}{{where}}/adversarial.json",
        predictions=f"{RUNS}/{{run}}{{where}}/adversarial.npz",
    log:
        "logs/evaluate/{run}{where}/adversarial.log",
    benchmark:
        "logs/evaluate/{run}{where}/adversarial.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
        mem_mb=4000,
        # What is finished of an evaluation that is cut off here is kept.
        runtime=1440,
    params:
        options=attack_options("adversarial"),
        code=evaluate_code("adversarial"),
    shell:
        f"python -m ews evaluate adversarial --run {RUNS}/{{wildcards.run}} --data $(dirname {{input.data}})"
        " {params.options} --fingerprint {params.code} --out {output.result}"
        " --predictions {output.predictions} --threads {threads} > {log} 2>&1"


rule evaluate_adaptive:
    input:
        data=dataset_of,
        model=f"{RUNS}/{{run}}/model.safetensors",
        record=f"{RUNS}/{{run}}/record.json",
    output:
        result=f"{RUNS}/{{run}}{{where}}/adaptive.json",
        predictions=f"{RUNS}/{{run}}{{where}}/adaptive.npz",
    log:
        "logs/evaluate/{run}{where}/adaptive.log",
    benchmark:
        "logs/evaluate/{run}{where}/adaptive.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
        mem_mb=4000,
        # What is finished of an evaluation that is cut off here is kept.
        runtime=1440,
    params:
        options=attack_options("adaptive"),
        code=evaluate_code("adaptive"),
    shell:
        f"python -m ews evaluate adaptive --run {RUNS}/{{wildcards.run}} --data $(dirname {{input.data}})"
        " {params.options} --fingerprint {params.code} --out {output.result}"
        " --predictions {output.predictions} --threads {threads} > {log} 2>&1"
