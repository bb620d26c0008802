# Named targets: the phases of the studies in `reproduce`, and every study by its name.
CHOSEN = PLAN.params.reproduce


localrules:
    all,
    data,
    corruptions,
    train,
    evaluate,
    tables,
    figures,


rule data:
    input:
        planned(data.datasets, studies=CHOSEN),


rule corruptions:
    input:
        planned(data.corrupted_sets, studies=CHOSEN),
        planned(data.contact_sheets, studies=CHOSEN),


rule train:
    input:
        planned(studies.records, studies=CHOSEN),


rule evaluate:
    input:
        planned(studies.evaluations, studies=CHOSEN),


rule tables:
    input:
        # Tables and figures are committed: in a fresh clone they are there, and only what stands behind them is missing.
        planned(studies.evaluations, studies=CHOSEN),
        planned(studies.tables, studies=CHOSEN),


rule figures:
    input:
        planned(studies.evaluations, studies=CHOSEN),
        planned(studies.figures, studies=CHOSEN),
        planned(data.contact_sheets, studies=CHOSEN),


for study in PLAN.params.studies:

    rule:
        name:
            study
        input:
            planned(studies.evaluations, studies=[study]),
            planned(studies.tables, studies=[study]),
            planned(studies.figures, studies=[study]),
            planned(data.contact_sheets, studies=[study]),
        localrule: True


# The values of a study that tunes are chosen before its rows are planned: a call of its own.
for study in PLAN.plans.trials:

    rule:
        name:
            f"tune_{study}"
        input:
            f"results/{study}/tuned.yaml",
        localrule: True
