"""Teachers in params.yaml: which cells they are, under which overrides, in which folders, and what is refused."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ews.core.errors import EwsError
from ews.pipeline.study.cell import TeacherRun, read_cell
from ews.pipeline.study.cells import manifest, plan, trainings
from ews.pipeline.study.flat import flat_section, flatten
from ews.pipeline.study.naming import LONGEST, canonical
from ews.pipeline.study.params import validate
from ews.pipeline.study.planned import Planned
from ews.pipeline.study.plans import all_cells
from ews.pipeline.study.schema import Params
from ews.pipeline.study.sizes import Size, check_sizes

AddStudy = Callable[..., Params]
METHOD = "methods.mixacm.teachers.robust.method"
SEED = "methods.mixacm.teachers.robust.seed"
AT = "digits/wrn10_1/standard/at/seed0"


def student(with_study: AddStudy, **keys: Any) -> list[Planned]:
    return plan(
        with_study(**{"dataset": "digits", "architecture": "wrn10_1", "seed": 0, "method": "mixacm", **keys}), "mine"
    )


def teacher(entry: Planned) -> TeacherRun:
    return entry.cell.teachers["robust"]


def test_a_teacher_is_planned_though_no_study_lists_it(with_study: AddStudy) -> None:
    params = with_study(dataset="digits", architecture="wrn10_1", seed=0, method="mixacm")
    (entry,) = plan(params, "mine")
    assert entry.run == "digits/wrn10_1/standard/mixacm/seed0"
    names = {"augmentation": "standard", "method": "at"}
    assert teacher(entry) == TeacherRun(run=AT, weights="best", architecture=entry.cell.architecture, seed=0, **names)
    planned = all_cells(params)
    assert AT not in planned and entry.run in planned
    runs = trainings(planned.values())
    assert AT in runs and runs[AT].method.names == ("at",)
    # Shown in no table: the manifest lists the student alone.
    assert [listed.run for listed in manifest(params, "mine").entries] == [entry.run]


def test_a_teacher_that_a_study_lists_is_the_same_cell(with_study: AddStudy) -> None:
    cells = student(with_study, method=["at", "mixacm"], seed=[0, 1])
    listed = {entry.run: entry.cell for entry in cells if entry.label.method == "at"}
    taught = {run: cell for entry in cells for run, cell in entry.teachers.items()}
    assert taught == listed and len(listed) == 2


def test_a_teacher_has_the_student_s_seed_and_architecture_unless_it_says_otherwise(with_study: AddStudy) -> None:
    cells = student(with_study, seed=[3, 4], architecture=["wrn10_1", "resnet8"], dataset="cifar10_jpeg")
    assert [teacher(entry).run for entry in cells] == [
        f"cifar10_jpeg/{architecture}/standard/at/seed{seed}"
        for architecture in ("wrn10_1", "resnet8")
        for seed in (3, 4)
    ]
    overrides = {
        "methods.mixacm.teachers.robust.architecture": "wrn16_1",
        "methods.mixacm.teachers.robust.augmentation": "augmix",
        "methods.mixacm.teachers.robust.weights": "last",
        SEED: 9,
    }
    (entry,) = student(with_study, overrides=overrides)
    assert teacher(entry).run == "digits/wrn16_1/augmix/at/seed9"
    assert teacher(entry).weights == "last" and flat_section(teacher(entry).architecture.parameters)["depth"] == 16
    assert flatten(entry.cell)["architecture.depth"] == 10 and entry.cell.augmentation.name == "standard"


def test_a_teacher_is_trained_under_the_same_overrides(with_study: AddStudy) -> None:
    overrides = {"methods.at.epsilon": "16/255", "recipes.digits.adversarial.epochs": 3}
    (entry,) = student(with_study, overrides=overrides)
    assert entry.cell.recipe.epochs == 3
    ((run, cell),) = entry.teachers.items()
    assert cell.recipe.epochs == 3
    assert flatten(cell)["at.epsilon"] == 16 / 255
    assert run == teacher(entry).run != AT
    # It is the cell that a study of `at` with these overrides plans.
    (alone,) = student(with_study, method="at", overrides=overrides)
    assert (alone.run, alone.cell) == (run, cell)


def test_what_changes_the_teacher_alone_changes_the_student_s_folder(with_study: AddStudy) -> None:
    sweep = {"methods.at.epsilon": ["8/255", "16/255"]}
    one, other = student(with_study, overrides=sweep)
    assert [entry.label.method for entry in (one, other)] == ["mixacm, epsilon=8/255", "mixacm, epsilon=16/255"]
    assert one.run == "digits/wrn10_1/standard/mixacm/seed0"
    assert other.run == f"digits/wrn10_1/standard/mixacm--mixacm.teachers.robust.at.epsilon-{16 / 255}/seed0"
    assert other.differs == {"mixacm.teachers.robust.at.epsilon": 16 / 255}
    # Only what it learns from differs.
    assert other.cell.model_copy(update={"teachers": one.cell.teachers}) == one.cell != other.cell


def test_an_override_of_no_cell_or_teacher_is_refused(with_study: AddStudy) -> None:
    with pytest.raises(EwsError, match=r"'methods\.trades\.beta' changes no cell of this study"):
        student(with_study, overrides={"methods.trades.beta": 1.0})
    assert student(with_study, overrides={"methods.trades.beta": 1.0, METHOD: "trades"})


def test_stages_that_student_or_teacher_lack_are_refused_before_anything_is_trained(with_study: AddStudy) -> None:
    four, three = ["preact_resnet18"], ["wrn10_1"]
    stages = {"methods.mixacm.stages": [[-4, -1]]}
    assert student(with_study, dataset="cifar10", architecture=four, overrides=stages)
    with pytest.raises(
        EwsError, match=r"stages = \[-4, -1\]: the network it trains, wrn10_1, has 3 stages; give .*-3, -2"
    ):
        student(with_study, dataset="cifar10", architecture=three, overrides=stages)
    mixed = stages | {"methods.mixacm.teachers.robust.architecture": "wrn10_1"}
    with pytest.raises(EwsError, match=r"the network of the teacher robust, wrn10_1, has 3 stages"):
        student(with_study, dataset="cifar10", architecture=four, overrides=mixed)


def test_teachers_can_be_swept(with_study: AddStudy) -> None:
    cells = student(with_study, overrides={METHOD: ["at", "trades", "at+ews"]})
    assert [entry.label.method for entry in cells] == [
        f"mixacm, robust.method={method}" for method in ("at", "trades", "at+ews")
    ]
    assert [entry.run.split("/")[3] for entry in cells] == [
        "mixacm",
        "mixacm--mixacm.teachers.robust.method-trades",
        "mixacm--mixacm.teachers.robust.method-at-ews",
    ]
    assert [teacher(entry).run.split("/")[3] for entry in cells] == ["at", "trades", "at-ews"]


def test_seeds_of_one_setting_share_a_folder_s_name(with_study: AddStudy) -> None:
    """Reports join seeds by the folder above them; a teacher of the student's seed is one setting."""
    cells = student(with_study, seed=[0, 1, 2], overrides={"methods.at.epsilon": "16/255"})
    assert len({entry.run.rpartition("/")[0] for entry in cells}) == 1
    assert len({teacher(entry).run for entry in cells}) == 3


def test_no_two_students_share_a_folder(with_study: AddStudy, raw: dict[str, Any]) -> None:
    sweeps: list[dict[str, Any]] = [
        {METHOD: ["at", "trades", "vanilla"]},
        {"methods.at.epsilon": ["4/255", "16/255"], "methods.mixacm.teachers.robust.weights": ["last", "best"]},
        {"recipes.digits.adversarial.epochs": [3, 4]},
        {"recipes.digits.standard.epochs": [3, 4], METHOD: "vanilla"},
        {"architectures.wrn10_1.widen": [1, 2], "methods.mixacm.teachers.robust.architecture": [None, "wrn16_1"]},
        {SEED: [None, 0, 1], "methods.mixacm.mixup": [0.0, 1.0]},
        {"methods.mixacm.teachers.robust.augmentation": ["standard", "augmix"], "augmentations.augmix.severity": 1},
    ]
    for number, overrides in enumerate(sweeps):
        raw["studies"][f"sweep{number}"] = {
            **{"dataset": "digits", "architecture": "wrn10_1", "method": ["mixacm", "mixacm+ews"], "seed": [0, 1]},
            "overrides": overrides,
        }
    params = validate(raw)
    folders: dict[str, str] = {}
    cells: dict[str, str] = {}
    for number in range(len(sweeps)):
        for entry in plan(params, f"sweep{number}"):
            content = canonical(entry.cell)
            assert folders.setdefault(entry.run, content) == content
            assert cells.setdefault(content, entry.run) == entry.run
            assert len(entry.run.split("/")[3]) <= LONGEST
    assert len(folders) > 50


def test_a_teacher_can_have_a_teacher(with_study: AddStudy, raw: dict[str, Any]) -> None:
    """AW-Net as MixACM's teacher: its own teachers are planned too, under the same overrides."""
    cells = student(with_study, overrides={METHOD: "awnet", "recipes.digits.standard.epochs": 2})
    (entry,) = cells
    methods = {cell.method.name: cell for cell in entry.teachers.values()}
    assert set(methods) == {"awnet", "vanilla", "trades"}
    assert methods["vanilla"].recipe.epochs == 2
    assert set(methods["awnet"].teachers) == {"clean", "robust"}
    assert re.fullmatch(r"mixacm--[0-9a-f]{12}", entry.run.split("/")[3])


CIRCLES = [
    (
        {"mixacm": {"robust": "mixacm"}},
        "methods.mixacm.teachers: mixacm learns from mixacm: no training of this circle could begin.",
    ),
    ({"mixacm": {"robust": "mixacm+ews"}}, "mixacm learns from mixacm+ews: no training of this circle"),
    (
        {"mixacm": {"robust": "awnet"}, "awnet": {"clean": "dropout+mixacm"}},
        "methods.mixacm.teachers: mixacm learns from awnet learns from dropout+mixacm: no training of this circle",
    ),
    (
        {"mixacm": {"robust": "awnet"}, "awnet": {"robust": "awnet"}},
        "methods.awnet.teachers: awnet learns from awnet: no training of this circle",
    ),
]


@pytest.mark.parametrize(("methods", "message"), CIRCLES)
def test_circles_are_refused_when_read(raw: dict[str, Any], methods: dict[str, Any], message: str) -> None:
    for name, roles in methods.items():
        for role, method in roles.items():
            raw["methods"][name]["teachers"][role]["method"] = method
    with pytest.raises(EwsError) as error:
        validate(raw)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_study_s_override_cannot_close_a_circle(with_study: AddStudy) -> None:
    with pytest.raises(
        EwsError, match=r"studies\.mine\.overrides: methods\.mixacm\.teachers: mixacm learns from mixacm"
    ):
        student(with_study, overrides={METHOD: "mixacm"})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "att"}, "methods.mixacm.teachers.robust.method: unknown method 'att'. Did you mean 'at'?"),
        ({"method": "ews+at"}, "methods.mixacm.teachers.robust.method: write 'ews+at' as 'at+ews'"),
        ({"method": ""}, "methods.mixacm.teachers.robust.method = ''"),
        ({"architecture": "vgg"}, "methods.mixacm.teachers.robust.architecture: unknown architecture 'vgg'"),
        ({"augmentation": "cutout"}, "methods.mixacm.teachers.robust.augmentation: unknown augmentation 'cutout'"),
        ({"weights": "middle"}, "methods.mixacm.teachers.robust.weights = 'middle'"),
        ({"seed": -1}, "methods.mixacm.teachers.robust.seed = -1"),
        ({"dataset": "digits"}, "methods.mixacm.teachers.robust.dataset: unknown key. Valid: method, architecture,"),
    ],
)
def test_bad_teachers_are_refused_when_read(raw: dict[str, Any], changed: dict[str, Any], message: str) -> None:
    raw["methods"]["mixacm"]["teachers"]["robust"] |= changed
    with pytest.raises(EwsError) as error:
        validate(raw)
    assert message in str(error.value)


def test_an_unknown_role_is_refused(raw: dict[str, Any]) -> None:
    raw["methods"]["mixacm"]["teachers"]["clean"] = raw["methods"]["mixacm"]["teachers"]["robust"]
    with pytest.raises(EwsError, match=r"methods\.mixacm\.teachers\.clean: unknown key\. Valid: robust\."):
        validate(raw)


def test_what_the_teacher_lacks_is_named(raw: dict[str, Any], with_study: AddStudy) -> None:
    raw["datasets"]["digits"]["validation"] = 0.0
    with pytest.raises(EwsError, match=r"teachers\.robust\.weights = 'best': without datasets\.digits\.validation"):
        student(with_study)
    assert student(with_study, overrides={"methods.mixacm.teachers.robust.weights": "last"})
    with pytest.raises(EwsError, match=r"datasets\.digits has no `extra`"):
        student(with_study, overrides={"methods.mixacm.teachers.robust.weights": "last", METHOD: "trades+rst"})


def test_a_subset_too_large_for_the_teacher_is_refused(with_study: AddStudy) -> None:
    overrides = {METHOD: "vanilla", "recipes.digits.standard.train_images": 5000}
    params = with_study(dataset="digits", method="mixacm", overrides=overrides)
    with pytest.raises(
        EwsError, match=r"vanilla--recipe\.train_images-5000/seed0: .*train_images = 5000: at most 1168"
    ):
        check_sizes(params, {"mine": plan(params, "mine")}, {"digits": Size(1298, 499)})


def test_more_images_than_there_are_may_be_attacked_only_where_nothing_is(raw: dict[str, Any]) -> None:
    raw["evaluation"]["adversarial"]["autoattack"]["n_examples"] = 5000
    raw["studies"]["mine"] = {"dataset": "digits", "method": "at", "evaluations": ["clean"]}
    params, sizes = validate(raw), {"digits": Size(1298, 499)}
    check_sizes(params, {"mine": plan(params, "mine")}, sizes)
    raw["studies"]["mine"]["evaluations"] = ["clean", "adversarial"]
    params = validate(raw)
    with pytest.raises(EwsError, match="n_examples = 5000: at most 499"):
        check_sizes(params, {"mine": plan(params, "mine")}, sizes)


def test_labels_of_mixtures_are_no_target_of_subnets(with_study: AddStudy) -> None:
    with pytest.raises(
        EwsError, match=r"'mixacm\+ews' with methods\.ews\.distillation = 'ce': a mixture of two images"
    ):
        student(with_study, method="mixacm+ews", overrides={"methods.ews.distillation": "ce"})
    assert student(with_study, method=["at+ews", "mixacm"], overrides={"methods.ews.distillation": "ce"})


def test_teachers_count_among_a_cell_s_parameters_by_what_they_are(with_study: AddStudy) -> None:
    (entry,) = student(with_study)
    flat = flatten(entry.cell)
    assert {key: value for key, value in flat.items() if ".teachers." in key} == {
        "mixacm.teachers.robust.method": "at",
        "mixacm.teachers.robust.architecture": "wrn10_1",
        "mixacm.teachers.robust.augmentation": "standard",
        "mixacm.teachers.robust.seed": 0,
        "mixacm.teachers.robust.weights": "best",
    }


def test_the_command_shows_teachers(tmp_path: Path, raw: dict[str, Any]) -> None:
    raw["studies"] = {"mine": {"dataset": "digits", "architecture": "wrn10_1", "seed": 0, "method": "mixacm"}}
    raw["reproduce"] = ["mine"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))

    def study(*arguments: str) -> str:
        command = [sys.executable, "-m", "ews", "study", "--params", str(path), *arguments]
        folder = Path(__file__).parents[3]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout

    mixacm = "digits/wrn10_1/standard/mixacm/seed0"
    assert study("list", "mine").split() == [mixacm]
    assert study("list", "mine", "--teachers").split() == [mixacm, AT]
    assert read_cell(study("cell", AT)).method.name == "at"
    assert read_cell(study("cell", mixacm)).teachers["robust"].run == AT
    assert re.search(r"and 1 that they learn from\.$", study("check").strip())
