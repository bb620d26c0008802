"""The committed numbers are those that were measured: each study's files agree with their checksums."""

from pathlib import Path

import pytest

from ews.core import sums
from ews.pipeline.report import measurements, paired_images, study_rows, table

RESULTS = Path(__file__).parents[2] / "results"
STUDIES = sorted(path.parent for path in RESULTS.glob("*/study.json"))


def test_there_are_some() -> None:
    assert STUDIES


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_committed_files_are_as_measured(folder: Path) -> None:
    study = study_rows.load(folder / "study.json")
    images = [path for path in [folder / "images.csv"] if path.exists()]
    named = ("study.json", "measurements.csv", "records.json", "metrics.json")
    sums.verify(folder, [*(folder / name for name in named), *images], remedy="Commit them as they were measured.")
    assert measurements.read(folder / "measurements.csv", study)
    assert table.read_records(folder / "records.json", study)
    for path in images:
        paired_images.read(path, study)
