"""What holds for every kind of evaluation: what its spec names exists, and a result becomes numbers of tables."""

from pathlib import Path

import numpy as np
import pytest

from ews.pipeline.artifacts.evaluation import read_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluate_command import main
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import NoSection

PLAIN = [name for name, spec in EVALUATIONS.items() if spec.section is NoSection]


@pytest.mark.parametrize("name", EVALUATIONS)
def test_a_spec_is_described_and_what_it_imports_exists(name: str) -> None:
    spec = EVALUATIONS[name]
    assert spec.summary and all(field.description for field in spec.section.model_fields.values())
    assert spec.implementation().__module__ == f"ews.pipeline.evaluate.{name}.{name}"
    assert callable(spec.scoring().scores)


@pytest.mark.parametrize("name", PLAIN)
def test_a_result_is_read_as_its_type_and_scored(name: str, run: Path, data: Path) -> None:
    main([name, "--run", str(run), "--data", str(data), "--out", str(run)])
    spec = EVALUATIONS[name]
    found = read_result(run, spec, FinishedRun.open(run))
    assert isinstance(found.result, spec.findings)
    scoring = spec.scoring()
    scores = scoring.scores(found.result, found.options)
    assert set(scoring.headline(found.options)) <= set(scores)
    if scoring.wrong is not None:
        with np.load(run / f"{name}.npz") as arrays:
            wrong = scoring.wrong(arrays, found.options)
        for metric, one in wrong.items():
            assert float(np.mean(one.share)) == pytest.approx(scores[metric].error)
