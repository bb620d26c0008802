"""Perturbation sequences in params.yaml: the default, what is refused, and what reports are told."""

import pytest

from ews.core.errors import EwsError
from ews.perturbations import NAMES
from ews.pipeline.evaluate.perturbation import perturbation_spec
from ews.pipeline.study.cells import manifest, plan
from ews.pipeline.study.params import validate

ALL = ["clean", "corruption", "perturbation"]


def test_all_ten_are_the_default_and_only_for_studies_that_ask(params, with_study):
    assert perturbation_spec.NAMES == NAMES == params.evaluation.of("perturbation").names
    assert all("perturbation" not in study.evaluations for study in params.studies.values())
    plain = with_study(dataset="digits", method="vanilla")
    assert plain.studies["mine"].evaluations == ["clean", "corruption"]
    assert [entry.options("perturbation") for entry in manifest(plain, "mine").entries] == [None] * 3


def test_the_manifest_names_perturbations_and_data_sets_of_imagenet(raw, with_study):
    names = ["snow", "tilt"]
    raw["datasets"]["digits"]["corrupted"]["profile"] = "imagenet"
    overrides = {"evaluation.perturbation.names": names}
    params = with_study(dataset=["digits", "cifar10"], method="vanilla", evaluations=ALL, overrides=overrides)
    content = manifest(params, "mine")
    found = {(entry.cell.dataset, entry.options("perturbation")) for entry in content.entries}
    assert {(dataset, options.names, options.profile) for dataset, options in found} == {
        ("digits", tuple(names), "imagenet"),
        ("cifar10", tuple(names), "cifar"),
    }
    # Other perturbations than the default's are kept apart from them.
    assert {entry.evaluation for entry in plan(params, "mine")} == {"evaluation--perturbation.names-snow-tilt"}


@pytest.mark.parametrize(
    ("names", "said"), [(["fog"], "'gaussian_noise'"), (["snow", "snow"], "stands twice"), ([], "at least 1")]
)
def test_names_that_are_none_are_refused(raw, names, said):
    raw["evaluation"]["perturbation"]["names"] = names
    with pytest.raises(EwsError, match=rf"evaluation\.perturbation\.names.*{said}"):
        validate(raw)


def test_unknown_evaluations_are_refused_with_the_valid_ones(with_study):
    with pytest.raises(EwsError, match="'perturbation'"):
        with_study(dataset="digits", method="vanilla", evaluations=["perturbations"])


def test_a_study_has_one_list_of_perturbations(with_study):
    overrides = {"evaluation.perturbation.names": [["snow"], ["tilt"]]}
    params = with_study(dataset="digits", method="vanilla", evaluations=ALL, overrides=overrides)
    with pytest.raises(EwsError, match="one list of perturbations; make a study for each"):
        plan(params, "mine")
