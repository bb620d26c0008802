"""What the fingerprint notices and what it does not, on a copy of the real package that is edited."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ews.core.fingerprint import NOT_FOLLOWED, reached
from ews.data.reader_registry import READERS

ROOT = Path(__file__).parents[2]
# Prints {cell: fingerprint of its training} for one cell of each method and augmentation.
PROGRAM = """
import json
from ews.core.fingerprint import fingerprint
from ews.pipeline.study.cells import plan
from ews.pipeline.study.params import validate
from ews.pipeline.train.training_uses import uses
import yaml
raw = yaml.safe_load(open("params.yaml"))
axes = {"augmentation": ["standard", "augmix"], "method": ["vanilla", "dropout", "ews"]}
raw["studies"]["probe"] = {"dataset": "digits", "seed": 0, **axes}
cells = plan(validate(raw), "probe")
print(json.dumps({entry.run: fingerprint("ews.pipeline.train.train_command", uses(entry.cell)) for entry in cells}))
"""

Fingerprints = Callable[[], dict[str, str]]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package that may be edited; what is compiled comes along, to start sooner."""
    shutil.copytree(ROOT / "src" / "ews", tmp_path / "ews")
    return tmp_path / "ews"


@pytest.fixture
def fingerprints(package: Path) -> Fingerprints:
    """A function that returns the copy's fingerprint of each cell."""
    return lambda: of_package(package)


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """The fingerprint of each cell before anything is edited."""
    return of_package(ROOT / "src" / "ews")


def of_package(package: Path) -> dict[str, str]:
    """Return the fingerprint of each cell by the code of a package, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, str] = json.loads(done.stdout)
    return result


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return 'augmentation/method' of the cells whose fingerprint changed."""
    return {"/".join(run.split("/")[2:4]) for run in before if before[run] != after[run]}


EVERY = {
    f"{augmentation}/{method}" for augmentation in ("standard", "augmix") for method in ("vanilla", "dropout", "ews")
}


def test_comments_docstrings_and_format_change_nothing(
    package: Path, before: dict[str, str], fingerprints: Fingerprints
) -> None:
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        text = text.replace('"""', '"""Reworded. ', 1)
        path.write_text(f"{text}\n\n\n# A comment.\n", encoding="utf-8")
    assert fingerprints() == before


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("pipeline/train/optim.py", EVERY),
        ("models/block.py", EVERY),
        ("methods/dropout/dropout.py", {name for name in EVERY if name.endswith("dropout")}),
        ("methods/ews/ews.py", {name for name in EVERY if name.endswith("ews")}),
        ("subnets/controller.py", {name for name in EVERY if name.endswith("ews")}),
        ("subnets/search/random.py", set()),
        ("augment/augmix/augmix.py", {name for name in EVERY if name.startswith("augmix")}),
        ("augment/standard/standard.py", {name for name in EVERY if name.startswith("standard")}),
        ("models/resnet/resnet.py", set()),
        ("pipeline/report/measure.py", set()),
        ("pipeline/study/cells.py", set()),
        ("corruptions/noise.py", set()),
    ],
)
def test_a_change_of_behaviour_reaches_what_uses_it(
    package: Path, before: dict[str, str], fingerprints: Fingerprints, module: str, expected: set[str]
) -> None:
    assert (package / module).is_file()
    with (package / module).open("a", encoding="utf-8") as file:
        file.write("\n\nADDED = 1\n")
    assert changed(before, fingerprints()) == expected


def test_a_new_method_changes_no_other_cell(package: Path, before: dict[str, str], fingerprints: Fingerprints) -> None:
    shutil.copytree(package / "methods" / "dropout", package / "methods" / "mine")
    for name in ("dropout.py", "dropout_spec.py"):
        path = package / "methods" / "mine" / name
        text = path.read_text(encoding="utf-8").replace("dropout", "mine").replace("Dropout", "Mine")
        (path.parent / name.replace("dropout", "mine")).write_text(text, encoding="utf-8")
        path.unlink()
    registry = package / "methods" / "method_registry.py"
    edit(
        registry,
        "from ews.methods.mixacm",
        "from ews.methods.mine.mine_spec import SPEC as MINE\nfrom ews.methods.mixacm",
    )
    edit(registry, "    DROPOUT,\n", "    DROPOUT,\n    MINE,\n")
    assert fingerprints() == before


@pytest.mark.parametrize(
    ("spec", "old", "new"),
    [
        ("methods/dropout/dropout_spec.py", "Probability of dropping", "Chance of dropping"),
        ("methods/ews/ews_spec.py", "default=0.7", "default=0.5"),
        ("augment/augmix/augmix_spec.py", "le=10", "le=9"),
        ("methods/method_specs.py", "    return 1\n", "    return 2\n"),
    ],
)
def test_what_a_spec_says_of_values_changes_nothing(
    package: Path, before: dict[str, str], fingerprints: Fingerprints, spec: str, old: str, new: str
) -> None:
    """The values themselves stand in the cell."""
    edit(package / spec, old, new)
    assert fingerprints() == before


def test_another_implementation_in_a_spec_changes_its_cells(
    package: Path, before: dict[str, str], fingerprints: Fingerprints
) -> None:
    edit(package / "methods" / "dropout" / "dropout_spec.py", "    return Dropout\n", "    return Dropout or None\n")
    assert changed(before, fingerprints()) == {name for name in EVERY if name.endswith("dropout")}


def test_modules_that_are_not_followed_exist_and_have_a_reason() -> None:
    for module, reason in NOT_FOLLOWED.items():
        assert importlib.util.find_spec(module) is not None and reason
        assert module not in reached("ews.data.data_command", [READERS["digits"].implementation])
    assert "ews.data.prepare" in reached("ews.data.data_command")


def test_the_same_on_every_python(package: Path, fingerprints: Fingerprints) -> None:
    """Runs made under another Python count as the same code: only the tree matters, not how a version spells it."""
    candidates = [path for version in ("3.12", "3.13") if (path := shutil.which(f"python{version}"))]
    # A version manager may have a command of that name that starts nothing.
    others = [path for path in candidates if subprocess.run([path, "-V"], capture_output=True).returncode == 0]
    if not others:
        pytest.skip("no other Python here")
    program = "import ews.core.fingerprint as f; print(f.fingerprint(f.__name__))"
    environment = {"PYTHONPATH": str(package.parent)}
    outputs = {
        subprocess.run([python, "-c", program], env=environment, capture_output=True, text=True, check=True).stdout
        for python in [sys.executable, *others]
    }
    assert len(outputs) == 1
