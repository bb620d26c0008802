"""What training refuses for its settings alone is refused when it is planned, and what is planned is trained.

The two are compared on a grid of settings, each planned from a params.yaml and trained without asking the plan; and
every place that raises on the way of a training is listed with what keeps its refusal from coming late.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from ews import models
from ews.core.errors import EwsError
from ews.core.seeds import torch_stream
from ews.data.dataset import Dataset
from ews.models.architecture_registry import ARCHITECTURES
from ews.models.network import Head, Network
from ews.models.resnet.resnet_spec import SPEC as RESNET
from ews.models.resnet.resnet_spec import ResNetParameters
from ews.pipeline.study.overrides import override
from ews.pipeline.study.params import validate
from ews.pipeline.study.resolve import Resolver
from ews.pipeline.train.training import Training
from ews.pipeline.workflow.workflow_plan import Plan

ROOT = Path(__file__).parents[3]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
TRAIN, VALIDATION, SIDE, CLASSES = 30, 6, 12, 3
TINY = {"network": "cifar_resnet", "depth": 8, "width": 4}


def plain(parameters: ResNetParameters, head: Head) -> Network:
    """A network without residual blocks."""
    return Network(stem=4, blocks=[], head=head, parameters=parameters)


@pytest.fixture(autouse=True)
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``resnet`` a kind without blocks: the kinds in params.yaml are those that its types were made with."""
    monkeypatch.setattr(ResNetParameters, "stages", 0)
    monkeypatch.setitem(ARCHITECTURES.entries, "resnet", replace(RESNET, implementation=lambda: plain))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A manifest with the tiny dataset's counts."""
    source = {"title": "blobs", "kind": "image_folder", "folder": "images", "licence": "none", "citation": "none"}
    counts = {"train": TRAIN, "test": 6, "classes": CLASSES, "image_size": SIDE}
    path = tmp_path / "sources.yaml"
    path.write_text(yaml.safe_dump({"blobs": source | counts}), encoding="utf-8")
    return path


def parameters(study: dict[str, Any], *, validation: float = VALIDATION / TRAIN) -> dict[str, Any]:
    """Return the shipped params.yaml with one study, of the tiny dataset, and what that needs."""
    raw = copy.deepcopy(SHIPPED)
    dataset = copy.deepcopy(raw["datasets"]["digits"])
    dataset |= {"source": "blobs", "architecture": "tiny", "validation": validation}
    dataset |= {"standard": {"padding": 2, "flip": True, "fill": 0}, "extra": {"file": "blobs.npz"}}
    raw["datasets"] = {"blobs": dataset}
    raw["architectures"] = {"tiny": TINY, "plain": {"network": "resnet", "depth": 18, "width": 4}}
    raw["recipes"] = {"blobs": raw["recipes"]["digits"]}
    raw["studies"] = {"mine": {"dataset": "blobs", "seed": 0, "evaluations": ["clean"], **study}}
    raw["reproduce"] = ["mine"]
    for recipe in raw["recipes"]["blobs"].values():
        recipe |= {"batch_size": 8, "epochs": 1, "warmup_epochs": 0}
    return raw


def planned(raw: dict[str, Any], sources: Path) -> str | None:
    """Return why planning refuses it; None: it does not."""
    try:
        Plan.of(raw, sources=sources)
    except EwsError as error:
        return str(error)
    return None


def trained(raw: dict[str, Any], dataset: Dataset) -> str | None:
    """Return why the training entry refuses the cell, which no plan has seen; any other exception passes.

    One batch is trained on, since some refusals come with it.
    """
    study = raw["studies"]["mine"]
    params = validate({**raw, "studies": {"mine": {**study, "overrides": {}}}})
    changed = override(params, study.get("overrides", {}), where=str)
    architecture = study.get("architecture", ["tiny"])[0]
    cell = Resolver(changed).resolve(("blobs", architecture, "standard", study["method"]), 0).cell
    head = Head(classes=CLASSES, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("teacher"))
    teachers = {role: models.build(taught.architecture.parameters, head) for role, taught in cell.teachers.items()}
    try:
        training = Training(cell, dataset, device=torch.device("cpu"), workers=0, teachers=teachers)
        training.method.begin_epoch(0)
        training.network.train()
        training.method.gradients(next(iter(training.batches(0))))
    except EwsError as error:
        return str(error)
    return None


RECIPES = ("recipes.blobs.standard", "recipes.blobs.adversarial")
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "parts of few images": (
        {"method": "sam", "overrides": {"recipes.blobs.standard.train_images": 3}},
        "sub_batches = 8 is too many",
    ),
    "parts of too few images for their statistics": (
        {
            "method": "sam",
            "overrides": {
                "recipes.blobs.standard.train_images": 3,
                "methods.sam.sub_batches": 2,
                "methods.sam.statistics": "part",
            },
        },
        "sub_batches = 2 is too many for it; valid: 1 to 1",
    ),
    "parts of a small batch": ({"method": "damp", "overrides": {"methods.damp.sub_batches": 9}}, "= 9 is too many"),
    "parts of a small dataset": (
        {"method": "asam", "overrides": {"methods.asam.sub_batches": 25, "recipes.blobs.standard.batch_size": 64}},
        "sub_batches = 25 is too many",
    ),
    "more images than there are": (
        {"method": "vanilla", "overrides": {"recipes.blobs.standard.train_images": 25}},
        "train_images = 25: at most 24",
    ),
    "more validation images than there are": (
        {"method": "at", "overrides": {"methods.at.validation_images": 7}},
        "methods.at.validation_images = 7: at most 6",
    ),
    "a share without extra images": (
        {"method": "rst", "overrides": {"methods.rst.share": 0.05}},
        "would have 8 labelled and 0 extra ones",
    ),
    "padding": (
        {"method": "vanilla", "overrides": {"datasets.blobs.standard.padding": 13}},
        "padding = 13: its images have 12 pixels",
    ),
    "stages that are none": (
        {"method": "mixacm", "overrides": {"methods.mixacm.stages": [-4, -1]}},
        "has 3 stages",
    ),
    **{
        f"no blocks for {method}": ({"method": method, "architecture": ["plain"]}, f"{method.split('+')[-1]} works on")
        for method in ("ews", "dropout", "at+ews", "awnet")
    },
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_trained_is_refused_when_it_is_planned_and_when_it_is_trained(
    case: str, sources: Path, dataset_of: Any
) -> None:
    study, message = WRONG[case]
    raw = parameters(study)
    for found in (planned(raw, sources), trained(raw, dataset_of(TRAIN, VALIDATION))):
        assert found is not None and message in found, found


def test_a_network_without_blocks_trains_by_what_needs_none_and_has_no_subnets(
    dataset_of: Any, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("vanilla", "at", "sam"):
        raw = parameters({"method": method, "architecture": ["plain"]})
        assert planned(raw, sources) is None and trained(raw, dataset_of(TRAIN, VALIDATION)) is None
    # A kind that says it has stages, and has none.
    monkeypatch.setattr(ResNetParameters, "stages", 4)
    found = trained(parameters({"method": "ews", "architecture": ["plain"]}), dataset_of(TRAIN, VALIDATION))
    assert found is not None and "the network has no residual blocks, and so no subnets" in found


SAM = "methods.sam.sub_batches"
GRID: list[dict[str, Any]] = [
    *({"method": method} for method in ("vanilla", "ews", "at", "trades+awp", "rst", "dropout")),
    *({"method": "sam", "overrides": {SAM: count, "methods.sam.statistics": "part"}} for count in (1, 2, 4)),
    *({"method": "sam", "overrides": {SAM: count}} for count in (1, 3, 8)),
    *({"method": "damp", "overrides": {"methods.damp.sub_batches": count}} for count in (1, 3, 8)),
    *({"method": "at", "overrides": {"methods.at.validation_images": count}} for count in (6, 7)),
    *({"method": "sam+rst", "overrides": {"methods.rst.share": share, SAM: 4}} for share in (0.1, 0.5, 0.95)),
]


def grid() -> Iterator[dict[str, Any]]:
    """Every method above with several sizes of batch and of what trains, with blocks and without."""
    for study in GRID:
        for batch_size, images in ((8, None), (2, None), (8, 3), (64, None), (8, 25)):
            sizes = {f"{recipe}.batch_size": batch_size for recipe in RECIPES}
            sizes |= {f"{recipe}.train_images": images for recipe in RECIPES}
            used = RECIPES[study["method"].split("+")[0] in ("at", "trades")]
            own = {key: value for key, value in sizes.items() if key.startswith(used)}
            yield study | {"overrides": study.get("overrides", {}) | own}
        yield study | {"architecture": ["plain"]}


@pytest.mark.slow
def test_planning_and_training_refuse_the_same_settings(sources: Path, dataset_of: Any) -> None:
    dataset, counts = dataset_of(TRAIN, VALIDATION), {True: 0, False: 0}
    for study in grid():
        raw = parameters(study)
        early = planned(raw, sources)
        if early is not None and "changes no cell" in early:
            raise AssertionError(early)
        late = trained(raw, dataset)
        assert (early is None) == (late is None), f"{study}: planning says {early!r}, training {late!r}"
        counts[early is None] += 1
    assert min(counts.values()) > 20, counts


@pytest.mark.parametrize(("share", "refused"), [(0.2, False), (0.9, False), (0.95, True), (0.99, True), (0.01, True)])
def test_a_validation_share_that_leaves_nothing_to_train_or_to_validate_on(
    share: float, refused: bool, sources: Path
) -> None:
    found = planned(parameters({"method": "vanilla"}, validation=share), sources)
    assert (found is not None) == refused
    if found is not None:
        assert f"datasets.blobs.validation = {share}: " in found and "valid: 1 to 27 images" in found


def test_training_refuses_a_dataset_that_has_a_class_in_validation_only(dataset_of: Any) -> None:
    whole = dataset_of(TRAIN, VALIDATION)
    raw = parameters({"method": "vanilla"})
    for held_out, lost in (
        ([0, 3, 6], None),
        (np.flatnonzero(whole.train_labels == 1).tolist(), f"class {whole.classes[1]!r}"),
    ):
        dataset = Dataset(**{**vars(whole), "validation": np.array(held_out)})
        found = trained(raw, dataset)
        assert found is None if lost is None else found is not None and lost in found and "blobs: 10 of 30" in found


EVALUATION: dict[str, tuple[dict[str, Any], str]] = {
    "more test images than there are": ({"overrides": {"evaluation.test_images": 7}}, "test_images = 7: at most 6"),
    "more images for AutoAttack than there are": (
        {"evaluations": ["adversarial"], "overrides": {"evaluation.adversarial.autoattack.n_examples": 7}},
        "autoattack.n_examples = 7: at most 6",
    ),
    "more images to mimic than there are": (
        {"evaluations": ["mimicry"], "overrides": {"evaluation.mimicry.images": 7}},
        "mimicry.images = 7: at most 6",
    ),
    "attacks that fall short": (
        {"evaluations": ["adversarial"], "overrides": {"evaluation.adversarial.steps": 1}},
        "evaluation.adversarial: steps = 1 times",
    ),
    "no router": ({"evaluations": ["adaptive"]}, "no cell of this study has one"),
    "no validation images": ({"evaluations": ["validation"]}, "needs validation images"),
    "small images": ({"evaluations": ["corruption"]}, "changes images of 16 pixels a side at least"),
}


@pytest.mark.parametrize("case", EVALUATION)
def test_what_cannot_be_measured_is_refused_when_it_is_planned(case: str, sources: Path) -> None:
    """That evaluations refuse it too, their own tests show."""
    study, message = EVALUATION[case]
    share = 0.0 if case == "no validation images" else VALIDATION / TRAIN
    found = planned(parameters({"method": "vanilla"} | study, validation=share), sources)
    assert found is not None and message in found, found


LATE = {
    "pipeline/evaluate/adversarial/shards.py": "the disk",
    "pipeline/evaluate/corruption/corrupted_images.py": "stored images: files",
    "pipeline/evaluate/corruption/corruption.py": "words of a command line; a plan builds them",
    "pipeline/evaluate/evaluation_options.py": "words of a command line; a plan builds them",
    "pipeline/evaluate/filters/filters.py": "weights that diverged",
    "pipeline/evaluate/metrics.py": "what a mean is taken of: the benchmark's corruptions",
    "pipeline/evaluate/perturbation/stability.py": "what a mean is taken of: the benchmark's perturbations",
    "pipeline/evaluate/reach.py": "what an attack returned",
    "attacks/adaptive_attack.py": "what a person gives to an attack",
    "attacks/ball.py": "what a person gives to an attack",
    "attacks/ensemble.py": "what a person gives to an attack; a network that diverged",
    "attacks/pgd.py": "what a person gives to an attack",
    "attacks/restarts.py": "what a person gives to an attack",
    # What a training depends on beside its settings: files, other runs, and what it computes.
    "pipeline/train/loop.py": "passes on what was refused, with the folder",
    "pipeline/train/teacher_networks.py": "runs that --teacher names; a plan's own are those that it trains",
    "pipeline/train/train_command.py": "words of a command line; a plan builds them",
    "pipeline/train/training.py": "the loss is not finite",
    "pipeline/train/extra_images.py": "extra images are missing or damaged: files",
    "pipeline/train/checkpoint.py": "a damaged sidecar: a file",
    "pipeline/train/outputs.py": "the disk",
    # Of what the code is given by code: a resolved cell never leads there.
    "methods/compose.py": "names of components: ews.pipeline.study.methods.components, asked by both",
    "models/block.py": "blocks that a kind of network declares",
    "models/network.py": "blocks that a kind of network declares, and a rate whose range is that of its key",
    "models/space.py": "a width, whose range is that of its key",
    "models/inputs.py": "what a person gives to a network or an attack",
    "models/awnet/awnet.py": "a network without a router: the method brings it; subnets of it: awnet excludes ews",
    "methods/awnet/awnet.py": "a router and teachers, which planning puts into the cell",
    "subnets/distil.py": "a form of the term, whose names are those of its key",
    "subnets/policy.py": "a form of the entropy, whose names are those of its key",
    "subnets/search/policy_gradient.py": "parameters of a policy, which EwsParameters are",
    "augment/crop.py": "images of another type, which no dataset has; a padding: case `padding`",
}
PLANNED = {
    "attacks/effort.py": "attacks that fall short",
    "pipeline/evaluate/adaptive/adaptive.py": "no router",
    "pipeline/evaluate/adversarial/adversarial.py": "more images for AutoAttack than there are",
    "pipeline/evaluate/held_out.py": "no validation images",
    "pipeline/evaluate/mimicry/mimicry.py": "more images to mimic than there are",
    "methods/parts.py": "parts of few images",
    "methods/epoch_sizes.py": "a share without extra images",
    "methods/channel_maps.py": "stages that are none",
    "methods/mixacm/mixacm.py": "stages that are none",
    "subnets/search/search.py": "no blocks for ews",
    "augment/crop.py": "padding",
}


def test_every_place_that_refuses_is_known_here() -> None:
    """A new one is either a setting, and then has a case above, or is listed with what it depends on."""
    found = set()
    for package in ("methods", "models", "subnets", "augment", "attacks", "pipeline/train", "pipeline/evaluate"):
        for path in sorted((ROOT / "src/ews" / package).rglob("*.py")):
            raised = [node.exc for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]
            names = {getattr(getattr(one, "func", None), "id", "") for one in raised}
            if names & {"EwsError", "WrongInput", "unknown"}:
                found.add(str(path.relative_to(ROOT / "src/ews")))
    unknown = found - set(LATE) - set(PLANNED)
    assert not unknown, f"{sorted(unknown)}: add a case to WRONG and PLANNED, or say in LATE what they depend on"
    assert set(PLANNED.values()) <= {*WRONG, *EVALUATION}
    assert set(PLANNED) <= found
