"""A cell as text, and what is refused when it is read back."""

import json
from pathlib import Path
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.methods.dropout.dropout_spec import DropoutParameters
from ews.methods.ews.ews_spec import EwsParameters
from ews.pipeline.study.cell import ComponentCell, read_cell
from ews.pipeline.study.cells import trainings
from ews.pipeline.study.naming import canonical
from ews.pipeline.study.plans import all_cells
from ews.pipeline.study.schema import Params


def test_every_planned_cell_is_read_back_as_it_was_written(params: Params, tmp_path: Path) -> None:
    cells = trainings(all_cells(params).values())
    for cell in cells.values():
        assert read_cell(canonical(cell)) == cell
    (tmp_path / "cell.json").write_text(cell.model_dump_json())
    assert read_cell(f"@{tmp_path / 'cell.json'}") == cell


def changed(params: Params, *path: str, value: Any) -> str:
    cell = json.loads(canonical(all_cells(params)["digits/resnet8_thin/standard/ews/seed0"].cell))
    node = cell
    for key in path[:-1]:
        node = node[int(key) if key.isdigit() else key]
    node[path[-1]] = value
    return json.dumps(cell)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "method.components.0.parameters.width",
            2,
            r"method\.components\.0\.parameters\.width: .*less than or equal to 1",
        ),
        ("method.components.0.parameters.depth", 2, r"method\.components\.0\.parameters\.depth: Extra inputs"),
        ("method.components.0.name", "ewz", r"unknown method 'ewz'\. Did you mean 'ews'\?"),
        ("architecture.parameters.network", "vgg", r"architecture\.parameters: .*unknown network 'vgg'"),
        ("architecture.parameters.depth", 9, r"architecture\.parameters\.depth: .*6n \+ 2"),
        ("augmentation.name", "cutout", r"unknown augmentation 'cutout'"),
        ("recipe.epochs", 0, r"recipe\.epochs: .*greater than or equal to 1"),
        ("seed", "0", r"seed: .*valid integer"),
        ("extra", 1, r"extra: Extra inputs"),
    ],
)
def test_a_wrong_cell_is_refused_with_its_key(params: Params, path: str, value: Any, message: str) -> None:
    with pytest.raises(EwsError, match=message):
        read_cell(changed(params, *path.split("."), value=value))


@pytest.mark.parametrize("text", ["{", "[]", "{}", "@nowhere.json"])
def test_what_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(EwsError):
        read_cell(text)


@pytest.mark.parametrize("given", ["text", "file"])
def test_text_and_file_have_one_reader(params: Params, tmp_path: Path, given: str) -> None:
    """A key that stands twice and a number that is none are refused in both."""
    whole = changed(params, "seed", value=0)
    for text, words in (
        ('{"seed": 1, ' + whole.lstrip()[1:], "the key 'seed' stands twice in an object"),
        (whole.replace('"seed":', '"seed": NaN, "other":', 1), "NaN is no number of JSON"),
        (whole + "{}", "Extra data"),
    ):
        (tmp_path / "cell.json").write_text(text, encoding="utf-8")
        with pytest.raises(EwsError, match=rf"not valid JSON \({words}.*`ews study cell RUN` prints a whole cell"):
            read_cell(text if given == "text" else f"@{tmp_path / 'cell.json'}")


def test_parameters_of_another_component_are_refused() -> None:
    assert ComponentCell(name="ews", parameters=EwsParameters()).parameters == EwsParameters()
    with pytest.raises(ValueError, match="EwsParameters"):
        ComponentCell(name="ews", parameters=DropoutParameters())
