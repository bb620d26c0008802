"""Robust error against a network whose worst case is known, resumption after a kill, and what is refused."""

import json
import re
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.datasets import write_dataset
from helpers.processes import start
from helpers.ruler import Quick, attack

from ews.attacks import ensemble
from ews.core import finished
from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream
from ews.data.dataset import load
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.weights import read_network
from ews.pipeline.evaluate import evaluation_options
from ews.pipeline.evaluate.adaptive.adaptive_spec import AdaptiveOptions
from ews.pipeline.evaluate.adversarial import masking, shards
from ews.pipeline.evaluate.adversarial.adversarial_scores import SCORING
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialFindings, AdversarialOptions
from ews.pipeline.evaluate.evaluate_command import main

EPSILON = 8 / 255
GREY = 60
TEST = 48
PIXELS = 8 * 8 * 3

Attacked = Callable[..., tuple[dict[str, Any], dict[str, np.ndarray]]]


@pytest.fixture
def margins() -> np.ndarray:
    """Grey levels by which each test image misses the brightness of its class, odd: it takes 30 less that to fool."""
    return 2 * numpy_stream("margins").integers(5, 15, TEST) + 1


@pytest.fixture
def data(tmp_path: Path, margins: np.ndarray) -> Path:
    """Images of four classes, all with brightness to spare at both ends; the network is wrong from a miss of 31 on."""
    folder = tmp_path / "data" / "grey"
    labels = np.arange(TEST) % 4
    miss = margins.copy()
    miss[:3] = 35
    values = (GREY * labels + np.where(labels < 2, miss, -miss)).astype(np.uint8)
    arrays = {
        "train_images": np.zeros((4, 8, 8, 3), np.uint8),
        "train_labels": np.arange(4),
        "test_images": np.broadcast_to(values[:, None, None, None], (TEST, 8, 8, 3)).copy(),
        "test_labels": labels.astype(np.int64),
        "validation": np.arange(0),
    }
    return write_dataset(folder, arrays, classes="abcd")


def fooled(margins: np.ndarray, levels: float) -> np.ndarray:
    """Which images a change by so many grey levels fools; the first three are wrong anyway."""
    wrong = margins + levels > 30
    wrong[:3] = True
    return wrong


SETTINGS = {"--epsilon": EPSILON, "--step-size": 2 / 255, "--steps": 8, "--restarts": 2, "--version": "standard"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoAttack with a tenth of the iterations, in shards of 20."""
    monkeypatch.setattr(ensemble, "AutoAttack", Quick)
    monkeypatch.setattr(shards, "SHARD", 20)


@pytest.fixture
def adversarial(run: Path, data: Path, quick: None) -> Attacked:
    """Run the command; returns the content of adversarial.json and the arrays. Options by name; None leaves one out."""

    def call(**changes: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        options = SETTINGS | {"--batch-size": 16} | {f"--{key.replace('_', '-')}": changes[key] for key in changes}
        words = [str(word) for pair in options.items() for word in pair if pair[1] is not None]
        main(["adversarial", "--run", str(run), "--data", str(data), "--out", str(run), *words])
        content = json.loads((run / "adversarial.json").read_text())
        found = {**content["result"]["last"], **content["result"], "options": content["options"]}
        return found, dict(np.load(run / "adversarial.npz", allow_pickle=False))

    return call


def test_all_errors_are_the_closed_form_of_the_worst_case(adversarial, margins):
    found, arrays = adversarial()
    expected = fooled(margins, 8)
    assert 0.2 < expected.mean() < 0.8
    assert found["clean"] == {"error": pytest.approx(100 * 3 / TEST), "n": TEST}
    for kind in ("pgd", "autoattack"):
        assert (found[kind]["error"], found[kind]["n"]) == (pytest.approx(100 * expected.mean()), TEST)
        robust = arrays[f"{kind}_robust"] if kind == "pgd" else arrays["autoattack_robust"][-1]
        assert np.array_equal(robust, ~expected[arrays[f"{kind}_index"]])
    errors = [attack["error"] for attack in found["autoattack"]["attacks"]]
    assert errors == sorted(errors) and errors[-1] == found["autoattack"]["error"]
    names = [attack["attack"] for attack in found["autoattack"]["attacks"]]
    assert names == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert sum(attack["fooled"] for attack in found["autoattack"]["attacks"]) == expected.sum() - 3
    assert found["options"]["restarts"] == 2 and found["options"]["batch_size"] == 16
    assert found["versions"]["pyautoattack"] and found["versions"]["torch"]


@pytest.mark.parametrize("version", ["standard", "rand"])
def test_in_the_euclidean_norm_the_errors_are_its_closed_form(adversarial, margins, version):
    """A change of all pixels by t grey levels, the cheapest that fools this network, has the length t sqrt(pixels)."""
    length = PIXELS**0.5 / 255
    found, _ = adversarial(norm="L2", epsilon=8 * length, step_size=2 * length, version=version, eot=1)
    expected = fooled(margins, 8)
    for kind in ("pgd", "autoattack"):
        assert found[kind]["error"] == pytest.approx(100 * expected.mean())
        again = found[kind]["again"]
        assert again["changed"] == 0 and 7.9 * length < again["distance"] <= 8 * length + 1e-5
    assert found["options"]["norm"] == "L2" and found["options"]["version"] == version
    # Single pixels change by more than they may in the maximum norm; the largest radius makes all images grey.
    sweep = [row["epsilon"] for row in found["sweep"]["errors"]]
    assert sweep == pytest.approx([levels * length for levels in (8, 16, 32, 64, 128)])
    assert sweep[-1] >= 0.5 * PIXELS**0.5 > sweep[-2] and found["sweep"]["errors"][-1]["error"] == 100
    names = ["apgd-ce", "apgd-dlr"] if version == "rand" else ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert [attack["attack"] for attack in found["autoattack"]["attacks"]] == names


def test_what_cannot_run_with_few_classes_is_named(adversarial, tmp_path, data, run, write_run):
    few = load(data)
    keep = np.flatnonzero(few.test_labels < 3)
    folder = tmp_path / "data" / "few"
    arrays = {
        "train_images": np.zeros((3, 8, 8, 3), np.uint8),
        "train_labels": np.arange(3),
        "test_images": few.test_images[keep],
        "test_labels": few.test_labels[keep],
        "validation": np.arange(0),
    }
    write_dataset(folder, arrays, classes="abc")
    write_run(run, folder, shifts={"model.safetensors": 0.0})
    found, _ = adversarial(data=folder)
    assert found["autoattack"]["left_out"] == ["apgd-t"]
    assert [attack["attack"] for attack in found["autoattack"]["attacks"]] == ["apgd-ce", "fab-t", "square"]
    content = json.loads((run / "adversarial.json").read_text())["result"]
    findings = AdversarialFindings.model_validate_json(json.dumps(content))
    (note,) = SCORING.notes(findings)
    assert note.startswith("AutoAttack without apgd-t: with so few classes")


def test_stored_images_lie_in_the_ball_and_give_the_same_errors_in_a_pass_of_their_own(adversarial, data, run):
    found, arrays = adversarial()
    dataset = load(data)
    network = read_network(FinishedRun.open(run), "model.safetensors", dataset=dataset, device=torch.device("cpu"))
    for kind in ("pgd", "autoattack"):
        images = arrays[f"{kind}_images"]
        index, count = arrays[f"{kind}_index"][: len(images)], len(images)
        clean = dataset.test_images[index].transpose(0, 3, 1, 2).astype(np.float64) / 255
        assert (images.dtype, count) == (np.float32, 20)
        assert np.abs(images - clean).max() <= EPSILON + 1e-6
        assert images.min() >= 0 and images.max() <= 1
        robust = arrays[f"{kind}_robust"] if kind == "pgd" else arrays["autoattack_robust"][-1]
        with torch.no_grad():
            right = network(torch.from_numpy(images)).argmax(1).numpy() == dataset.test_labels[index]
        assert np.array_equal(right, robust[:count])
        # The record's own pass, over all shards.
        again = found[kind]["again"]
        assert again["error"] == found[kind]["error"] and again["changed"] == 0
        assert again["distance"] <= EPSILON + 1e-6 and again["lowest"] >= 0 and again["highest"] <= 1


def test_the_error_follows_the_radius_and_falls_to_nothing_right(adversarial, margins):
    found, _ = adversarial(epsilon=4 / 255)
    sweep = found["sweep"]["errors"]
    assert [round(255 * row["epsilon"]) for row in sweep] == [4, 8, 16, 32, 64, 128]
    for row in sweep[:3]:
        assert row["error"] == pytest.approx(100 * fooled(margins, 255 * row["epsilon"]).mean())
    assert sweep[-1]["error"] == 100
    assert not [text for text in found["warnings"] if "plain grey" in text]


def test_both_weights_are_attacked_where_there_are_two(adversarial, run, data, write_run, margins):
    write_run(run, data, shifts={"model.safetensors": 0.0, "model-best.safetensors": 1.0})
    found, arrays = adversarial()
    assert found["best"]["clean"]["error"] > found["clean"]["error"]
    assert found["best"]["pgd"]["n"] == found["best"]["autoattack"]["n"] == TEST
    assert np.array_equal(arrays["pgd_robust"], ~fooled(margins, 8)[arrays["pgd_index"]])


def test_weights_that_are_alike_are_attacked_once(adversarial, run, data, write_run, capsys):
    write_run(run, data, shifts={"model.safetensors": 0.0, "model-best.safetensors": 0.0})
    found, _ = adversarial()
    for kind in ("clean", "pgd", "autoattack", "sweep", "warnings"):
        assert found["best"][kind] == found[kind]
    assert "best-" not in capsys.readouterr().err


def test_fewer_images_for_autoattack_are_a_stratified_part_of_those_for_pgd(adversarial, data):
    found, arrays = adversarial(test_images=32, n_examples=12)
    labels = load(data).test_labels
    assert (found["pgd"]["n"], found["autoattack"]["n"]) == (32, 12)
    assert set(arrays["autoattack_index"]) < set(arrays["pgd_index"])
    assert np.bincount(labels[arrays["autoattack_index"]]).tolist() == [3, 3, 3, 3]
    assert arrays["autoattack_robust"].shape == (5, 12)


def test_pgd_does_not_depend_on_the_batch(adversarial):
    _, first = adversarial(batch_size=16)
    _, second = adversarial(batch_size=5)
    for name in ("pgd_images", "pgd_robust"):
        assert np.array_equal(first[name], second[name])


def test_killed_and_resumed_is_undisturbed(run, data, tmp_path):
    """Killed by the system as soon as the first of AutoAttack's shards is whole."""

    said = tmp_path / "said"

    def begin(out: Path) -> BaseProcess:
        places = ["--run", str(run), "--data", str(data), "--out", str(out.parent)]
        options = [str(word) for pair in (SETTINGS | {"--batch-size": 16}).items() for word in pair]
        return start(said, attack, ["adversarial", *places, *options])

    whole, cut = tmp_path / "whole" / "adversarial.json", tmp_path / "cut" / "adversarial.json"
    for out in (whole, cut):
        out.parent.mkdir()
    undisturbed = begin(whole)
    undisturbed.join(300)
    assert undisturbed.exitcode == 0, said.read_text()
    first = begin(cut)
    partial = cut.with_name(f".{cut.name}.partial")
    deadline = time.monotonic() + 300
    while not (partial / "last-autoattack-0000.npz").exists():
        assert first.is_alive() and time.monotonic() < deadline
        time.sleep(0.005)
    first.kill()
    first.join()
    assert not cut.exists()
    kept = sorted(path.name for path in partial.glob("*.npz") if not path.name.startswith("."))
    assert "last-autoattack-0000.npz" in kept and "last-sweep-0000.npz" not in kept
    before = {name: (partial / name).stat().st_mtime_ns for name in kept}
    second = begin(cut)
    second.join(300)
    assert second.exitcode == 0, said.read_text()
    # What was kept was not attacked again.
    assert before and not [name for name in before if name.removesuffix(".npz") in said.read_text()]
    assert cut.read_bytes() == whole.read_bytes()
    assert cut.with_suffix(".npz").read_bytes() == whole.with_suffix(".npz").read_bytes()
    assert not partial.exists()


def test_kept_shards_of_other_settings_or_damaged_ones_are_attacked_again(adversarial, run, monkeypatch, capsys):
    adversarial()
    finished.forget(run / "adversarial.json")
    capsys.readouterr()

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(masking, "radii", stop)
    with pytest.raises(KeyboardInterrupt):
        adversarial()
    assert "last-pgd-0000" in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        adversarial()
    assert capsys.readouterr().err == ""
    with pytest.raises(KeyboardInterrupt):
        adversarial(restarts=1)
    assert "last-pgd-0000" in capsys.readouterr().err
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epsilon": 8}, "--epsilon 8: .*less than or equal to 1"),
        ({"epsilon": -0.1}, r"--epsilon -0\.1: .*greater than or equal to 0"),
        ({"epsilon": "300/255"}, "--epsilon 300/255: "),
        ({"step_size": "0/255"}, "--step-size 0/255: .*greater than 0"),
        ({"step_size": 0}, "--step-size 0: .*greater than 0"),
        ({"steps": 0}, "--steps 0: .*greater than or equal to 1"),
        ({"steps": 1.5}, r"--steps 1\.5: .*valid integer"),
        ({"restarts": 0}, "--restarts 0: .*greater than or equal to 1"),
        ({"batch_size": 0}, "--batch-size 0: .*greater than or equal to 1"),
        (
            {"steps": 3},
            r"^ews evaluate adversarial: steps = 3 times step_size = 2/255 is 0\.75 times epsilon = 8/255: ",
        ),
        ({"epsilon": "17/255"}, r"steps = 8 times .* is 0\.941 times epsilon = 17/255: the attack cannot reach its"),
        (
            {"norm": "L2", "epsilon": 0.5, "step_size": 0.05},
            r"is 0\.8 times epsilon = 0\.5: .* Raise steps or step_size",
        ),
        ({"n_examples": 49}, "n_examples: 49 of 48 test images; valid: 1 to 48, or null"),
        ({"n_examples": 0}, "--n-examples 0: .*greater than or equal to 1"),
        ({"version": "custom"}, "--version custom: .*'standard', 'plus' or 'rand'"),
        ({"eot": 0}, "--eot 0: .*greater than or equal to 1"),
        ({"norm": "L1"}, "--norm L1: .*'Linf' or 'L2'"),
        ({"norm": "L2", "epsilon": -0.5}, r"--epsilon -0\.5: .*greater than or equal to 0"),
        ({"norm": "L2", "step_size": 0}, "--step-size 0: .*greater than 0"),
    ],
)
def test_bad_settings_are_one_message_before_anything_is_attacked(adversarial, run, changes, message, capsys):
    with pytest.raises(EwsError, match=message):
        adversarial(**changes)
    assert capsys.readouterr().err == ""
    assert not list(run.glob("*adversarial*"))


@pytest.mark.parametrize("option", ["epsilon", "step_size"])
@pytest.mark.parametrize("text", ["8/0", "x/255", "nan", "inf", "8/256", "1e999", "/255", "8 / 255", ""])
def test_what_is_no_size_of_a_change_is_one_message(adversarial, run, option, text, capsys):
    with pytest.raises(EwsError, match=f"^--{option.replace('_', '-')} {re.escape(text)}: "):
        adversarial(**{option: text})
    assert capsys.readouterr().err == ""
    assert not list(run.glob("*adversarial*"))


@pytest.mark.parametrize(
    ("kind", "own"), [(AdversarialOptions, {"version": "standard"}), (AdaptiveOptions, {"weights": ["1"]})]
)
def test_grey_levels_are_the_number_that_params_makes_of_them(kind, own):
    effort = {"steps": "8", "restarts": "1", "batch_size": "4", **own}
    given = evaluation_options.parsed(kind, {"epsilon": "8/255", "step_size": "2.5/255", **effort})
    assert (given.epsilon, given.step_size) == (8 / 255, 2.5 / 255)
    assert evaluation_options.parsed(kind, {"epsilon": "0.03", "step_size": "1e-3", **effort}).epsilon == 0.03


def test_the_usual_norm_stands_in_no_command_and_may_be_missing_in_a_result():
    """So that evaluations of before are neither asked for anew nor refused."""
    given = {"epsilon": "8/255", "step_size": "2/255", "steps": "20", "restarts": "1", "batch_size": "4"}
    usual = evaluation_options.parsed(AdversarialOptions, given | {"version": "standard"})
    assert not {"--norm", "--eot"} & set(evaluation_options.words(usual))
    old = {key: value for key, value in usual.model_dump().items() if key not in ("norm", "eot")}
    assert AdversarialOptions.model_validate(old) == usual
    other = evaluation_options.parsed(AdversarialOptions, given | {"version": "rand", "norm": "L2", "eot": "5"})
    words = evaluation_options.words(other)
    assert words[words.index("--norm") + 1] == "L2" and words[words.index("--eot") + 1] == "5"


def test_a_network_that_diverged_is_named_before_anything_is_attacked(adversarial, run, data, write_run, capsys):
    write_run(run, data, shifts={"model.safetensors": float("nan")})
    with pytest.raises(EwsError, match="logits are not finite"):
        adversarial()
    assert capsys.readouterr().err == ""


def test_adversarial_images_outside_the_ball_are_an_error(adversarial, monkeypatch):
    attack = shards.autoattack

    def wide(network: Any, images: Any, labels: Any, **keywords: Any) -> Any:
        found = attack(network, images, labels, **keywords)
        found.images[0] += 0.05
        return found

    monkeypatch.setattr(shards, "autoattack", wide)
    with pytest.raises(EwsError, match="away from the clean ones"):
        adversarial()
