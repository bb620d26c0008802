"""A parameter goes from params.yaml to the network by few files, and a result is parsed once."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import walk  # noqa: E402


@pytest.mark.slow
def test_the_width_of_subnets_passes_few_files_and_a_result_is_parsed_once(tmp_path: Path) -> None:
    ways, reads = walk.follow(tmp_path)
    files, forms = walk.on_the_way(ways)
    assert files[-1] == "ews/models/space.py" and "ews/methods/ews/ews.py" in files
    assert len(files) <= 15 and len(forms) <= 5, (files, forms)
    assert reads == {"ews report measure": 1, "ews report table": 0, "ews report figures": 1}
