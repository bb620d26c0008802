"""An exported network computes the same in a fresh process, and its record has RobustBench's form."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from helpers.datasets import write_dataset
from helpers.runs import a_cell, adversarial_result, attacked_weights, finish, method, reseal
from helpers.science import build_network
from safetensors.torch import save_file

from ews.core.errors import EwsError
from ews.core.files import write_json
from ews.core.seeds import torch_stream
from ews.data.dataset import load as load_data
from ews.pipeline.artifacts.evaluation import Result, write_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialFindings, AdversarialOptions
from ews.pipeline.export import architecture_name, export, load

KEYS = {
    *("link", "name", "authors", "additional_data", "number_forward_passes", "dataset", "venue", "architecture", "eps"),
    *("clean_acc", "reported", "autoattack_acc", "unreliable", "footnote"),
}
NETWORK = {"name": "thin", "parameters": {"network": "preact_resnet", "depth": 18, "width": 4}, "dynamic": None}
ARCHITECTURE = {"name": "thin", "network": "preact_resnet", "depth": 18, "width": 4}
PARAMS = Path(__file__).parents[3] / "params.yaml"
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "made_up"
    arrays = {
        "train_images": np.zeros((5, 8, 8, 3), np.uint8),
        "train_labels": np.arange(5),
        "test_images": np.zeros((10, 8, 8, 3), np.uint8),
        "test_labels": np.arange(10) % 5,
        "validation": np.arange(0),
    }
    return write_dataset(folder, arrays, classes="abcde", mean=MEAN, std=STD)


def network(key: str) -> torch.nn.Module:
    """A network with statistics that are not the initial ones."""
    built = build_network(ARCHITECTURE, classes=5, mean=MEAN, std=STD, generator=torch_stream(key))
    built.train()(torch.rand(8, 3, 8, 8, generator=torch_stream(key, "statistics")))
    return built.eval()


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("model", "model-best"):
        save_file(network(name).state_dict(), folder / f"{name}.safetensors")
    cell = a_cell(dataset="made_up", architecture=NETWORK, seed=3, method=method("trades+rst"))
    finish(folder, cell, files=[path.name for path in folder.glob("*.safetensors")], data=load_data(data).checksum)
    return folder


def attacked(run: Path, *, identity: str | None = None, **changes: Any) -> None:
    """Write adversarial.json; ``changes`` of the last weights' part."""
    numbers = {"pgd": 40.0, "autoattack": 50.5, "first": 45.0, "n": 10, "chosen": 10}
    last = {**attacked_weights(clean=15.0, **numbers), **changes}
    content = adversarial_result(last, attacked_weights(clean=16.0, **numbers))
    threat = {"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 20, "restarts": 1}
    result = Result(
        evaluation="adversarial",
        options=AdversarialOptions(**threat, version="standard", batch_size=250, n_examples=None),
        code="0" * 16,
        run=identity or FinishedRun.open(run).identity,
        dataset="made_up",
        data="0" * 64,
        files={},
        result=AdversarialFindings.model_validate_json(json.dumps(content)),
    )
    write_result(run, result, {})


@pytest.mark.parametrize("name", ["model", "model-best"])
def test_three_lines_in_a_fresh_process_give_the_same_logits(run, data, tmp_path, name):
    out = tmp_path / "exported"
    export(run=run, data=data, out=out, best=name == "model-best")
    images = torch.rand(4, 3, 8, 8, generator=torch_stream("images"))
    torch.save(images, tmp_path / "images.pt")
    script = (
        "import torch\n"
        "from ews.pipeline.export import load\n"
        f"model = load({str(out)!r})\n"
        "assert isinstance(model, torch.nn.Module) and not model.training\n"
        f"torch.save(model(torch.load({str(tmp_path / 'images.pt')!r})).detach(), {str(tmp_path / 'logits.pt')!r})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    with torch.no_grad():
        expected = network(name)(images)
    assert expected.shape == (4, 5)
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), expected)


def test_the_record_has_robustbench_s_form(run, data, tmp_path):
    attacked(run)
    out = tmp_path / "exported"
    export(run=run, data=data, out=out, given={"name": "Ours", "authors": "A. Nonymous"})
    info = json.loads((out / "model_info.json").read_text())
    assert set(info) == KEYS
    assert (info["clean_acc"], info["autoattack_acc"], info["eps"]) == ("85.00", "49.50", "8/255")
    assert (info["name"], info["authors"], info["dataset"], info["architecture"]) == (
        *("Ours", "A. Nonymous"),
        *("made_up", "thin"),
    )
    assert (info["additional_data"], info["unreliable"], info["number_forward_passes"]) == (True, False, 1)
    export(run=run, data=data, out=out, best=True)
    info = json.loads((out / "model_info.json").read_text())
    assert info["clean_acc"] == "84.00" and "validation" in info["footnote"]


IMAGES = torch.rand(4, 3, 8, 8, generator=torch_stream("images"))
NO_INPUT = {
    "uint8": ((255 * IMAGES).to(torch.uint8), r"images: torch\.uint8; a floating type with values in \[0, 1\]"),
    "grey levels": (255 * IMAGES, r"images reach from .* Divide grey levels by 255"),
    "normalised": ((IMAGES - 0.5) / 0.25, r"must be in \[0, 1\]\. .* leave the normalisation"),
    "a little too bright": (IMAGES + 0.05, r"must be in \[0, 1\]"),
    "nan": (IMAGES.clone().index_fill_(0, torch.tensor(1), torch.nan), "images reach from nan"),
    "one channel": (IMAGES[:, :1], r"of shape \[4, 1, 8, 8\]; this network takes \[B, 3, 8, 8\]"),
    "channels last": (IMAGES.movedim(1, 3), r"of shape \[4, 8, 8, 3\]; this network takes .* channels first"),
    "other size": (torch.rand(2, 3, 32, 32), r"this network takes \[B, 3, 8, 8\]"),
    "one image": (IMAGES[0], r"of shape \[3, 8, 8\]; \[B, C, H, W\] is needed"),
    "float64": (IMAGES.double(), r"images: torch\.float64, and the network torch\.float32"),
    "array": (IMAGES.numpy(), "images: a ndarray; a tensor"),
    "elsewhere": (IMAGES.to("meta"), "images: on meta, and the network on cpu"),
    "nothing": (None, "images: a NoneType; a tensor"),
}


@pytest.mark.parametrize("case", NO_INPUT)
def test_what_are_no_images_an_exported_network_refuses(run, data, tmp_path, case):
    export(run=run, data=data, out=tmp_path / "exported")
    model = load(tmp_path / "exported")
    images, message = NO_INPUT[case]
    for call in (lambda: model(images), lambda: model(x=images)):
        with pytest.raises(EwsError, match=message) as caught:
            call()
        assert str(caught.value).endswith(".")


def test_what_are_images_it_takes_and_what_it_was_told_not_to_check(run, data, tmp_path):
    export(run=run, data=data, out=tmp_path / "exported")
    model, plain = load(tmp_path / "exported"), load(tmp_path / "exported", checked=False)
    expected = network("model")(IMAGES)
    for images in (IMAGES, IMAGES.contiguous(memory_format=torch.channels_last), IMAGES.requires_grad_()):
        torch.testing.assert_close(model(images), expected)
    assert model(IMAGES[:0]).shape == (0, 5)
    # Where an attack's start lies a little outside.
    outside = (IMAGES + 0.009).detach()
    torch.testing.assert_close(model(outside), plain(outside))
    assert torch.equal(plain(IMAGES * 255), network("model")(IMAGES * 255))
    assert plain(torch.rand(1, 3, 16, 16)).shape == (1, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(IMAGES.bfloat16()).shape == (4, 5)
    copied = copy.deepcopy(model)
    with pytest.raises(EwsError, match="Divide grey levels"):
        copied(IMAGES * 255)


@pytest.mark.parametrize("device", ["nowhere", "meta:x", "cuda:99"])
def test_a_device_that_is_none_is_refused(run, data, tmp_path, device):
    export(run=run, data=data, out=tmp_path / "exported")
    with pytest.raises(EwsError, match=f"device '{device}': torch cannot compute there"):
        load(tmp_path / "exported", device=device)


@pytest.mark.parametrize("folder", [None, 3])
def test_what_is_no_folder_is_refused(folder):
    with pytest.raises(EwsError, match=f"load: {folder} is no path; give the folder that `ews export` wrote"):
        load(folder)


def test_compiled_code_has_no_check(run, data, tmp_path):
    """A check of values would break the graph: the whole network is one graph, and computes the same."""
    export(run=run, data=data, out=tmp_path / "exported")
    model = load(tmp_path / "exported")
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(model, backend=backend, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(IMAGES), model(IMAGES))
    assert len(graphs) == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("wrn34_10", "WideResNet-34-10"),
        ("wrn28_10", "WideResNet-28-10"),
        ("wrn10_1", "WideResNet-10-1"),
        ("preact_resnet18", "PreActResNet-18"),
        ("resnet18", "ResNet-18"),
        ("resnet50", "ResNet-50"),
        ("resnet20", "ResNet-20"),
        # A published name would say another width.
        ("preact_resnet18_thin", "preact_resnet18_thin"),
        ("resnet20_thin", "resnet20_thin"),
    ],
)
def test_architectures_are_named_as_robustbench_names_them(key, name):
    parameters = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["architectures"][key]
    architecture = {"name": key, "parameters": parameters, "dynamic": None}
    assert architecture_name(a_cell(architecture=architecture).architecture) == name
    routed = architecture | {"dynamic": {"name": "awnet", "parameters": {"extractor": [4]}}}
    assert architecture_name(a_cell(architecture=routed).architecture) == f"{name}, awnet"
    smooth = routed | {"parameters": {**parameters, "activation": "softplus"}}
    assert architecture_name(a_cell(architecture=smooth).architecture) == f"{name}, softplus, awnet"


def test_a_network_s_options_travel_with_it(data, tmp_path):
    parameters = {**NETWORK["parameters"], "activation": "softplus", "softplus_beta": 3.0, "normalise": False}
    generator = torch_stream("options")
    built = build_network(parameters, classes=5, mean=MEAN, std=STD, generator=generator).eval()
    folder = tmp_path / "options"
    folder.mkdir()
    save_file(built.state_dict(), folder / "model.safetensors")
    cell = a_cell(dataset="made_up", architecture={**NETWORK, "parameters": parameters}, method=method("at"))
    finish(folder, cell, files=["model.safetensors"], data=load_data(data).checksum)
    export(run=folder, data=data, out=tmp_path / "exported")
    x = torch.rand(4, 3, 8, 8, generator=generator)
    assert torch.equal(load(tmp_path / "exported")(x), built(x))
    plain = build_network(NETWORK["parameters"], classes=5, mean=MEAN, std=STD, generator=torch_stream("options"))
    assert not torch.allclose(built(x), plain.eval()(x))


def test_what_makes_the_number_no_leaderboard_number_stands_in_the_record(run, data, tmp_path):
    fewer = attacked_weights(clean=15.0, pgd=40.0, autoattack=50.0, first=45.0, n=6, chosen=4)
    attacked(run, **{**fewer, "warnings": ["Odd."]})
    export(run=run, data=data, out=tmp_path / "exported")
    info = json.loads((tmp_path / "exported" / "model_info.json").read_text())
    assert info["unreliable"] is True and "AutoAttack (standard) on 4 of 10 test images" in info["footnote"]
    assert "Clean accuracy on 6 of 10." in info["footnote"]


def test_without_an_evaluation_there_are_no_accuracies(run, data, tmp_path):
    export(run=run, data=data, out=tmp_path / "exported")
    info = json.loads((tmp_path / "exported" / "model_info.json").read_text())
    assert set(info) == KEYS and info["clean_acc"] is info["autoattack_acc"] is None


def test_an_evaluation_of_another_training_is_refused(run, data, tmp_path):
    attacked(run, identity="0" * 64)
    with pytest.raises(EwsError, match=r"adversarial\.json: is of an earlier training"):
        export(run=run, data=data, out=tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_weights_that_the_run_does_not_have_are_refused(run, data, tmp_path):
    reseal(run / "record.json", lambda record: record["files"].pop("model-best.safetensors"))
    with pytest.raises(EwsError, match="no validation images selected"):
        export(run=run, data=data, out=tmp_path / "exported", best=True)


@pytest.mark.parametrize("damage", ["truncate", "other weights", "format", "not an export"])
def test_a_damaged_export_is_refused_by_name(run, data, tmp_path, damage):
    out = tmp_path / "exported"
    export(run=run, data=data, out=out)
    weights, about = out / "model.safetensors", out / "model.json"
    if damage == "truncate":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif damage == "other weights":
        save_file(network("other").state_dict(), weights)
    elif damage == "format":
        write_json(about, json.loads(about.read_text()) | {"format": 99})
    else:
        about.unlink()
    with pytest.raises(EwsError, match=r"exported"):
        load(out)


def test_the_command_exports(run, data, tmp_path):
    words = ["--run", run, "--data", data, "--out", tmp_path / "exported", "--venue", "Somewhere"]
    done = subprocess.run(
        [sys.executable, "-m", "ews", "export", *map(str, words)], capture_output=True, text=True, check=True
    )
    assert "exported" in done.stdout
    assert json.loads((tmp_path / "exported" / "model_info.json").read_text())["venue"] == "Somewhere"
    assert load(tmp_path / "exported").classes == 5
