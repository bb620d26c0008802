# Of a study that tunes: its trials' errors on validation images choose values, which planning reads the next time.


rule tune:
    input:
        planned(studies.trial_files, "study"),
    output:
        "results/{study}/tuned.yaml",
    log:
        "logs/tune/{study}.log",
    conda:
        ENVIRONMENT
    params:
        digest=planned(studies.trials_digest, "study"),
        code=planned(studies.tune_code),
    shell:
        commands.rule(
            commands.managed(
                commands.tune("{wildcards.study}", params=f'"${paths.SETTINGS}"', digest="{params.digest}")
            )
        )
