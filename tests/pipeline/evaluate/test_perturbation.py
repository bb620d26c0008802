"""The evaluation of stability: against stored sequences, by hand on known frames, its memory, and what is refused."""

import json

import numpy as np
import pytest
import torch
from helpers.runs import a_cell

from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.core.fingerprint import reached
from ews.corruptions.corrupt_images import InvalidInput
from ews.data.dataset import load
from ews.perturbations import NAMES, perturb
from ews.perturbations import perturbed_batches as stream
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionOptions
from ews.pipeline.evaluate.evaluate_command import main
from ews.pipeline.evaluate.evaluation_specs import Options
from ews.pipeline.evaluate.evaluation_uses import COMMAND, uses
from ews.pipeline.evaluate.perturbation import perturbation as module
from ews.pipeline.evaluate.perturbation.perturbation_spec import PerturbationOptions
from ews.pipeline.evaluate.predict import predict

GREY = 60


@pytest.fixture
def bigger(data, run, write_run):
    """The dataset with images of 16 pixels that are not plain, and a run that was trained on it."""
    train = np.load(data / "train_images.npy").repeat(2, axis=1).repeat(2, axis=2)
    np.save(data / "train_images.npy", train)
    images = np.load(data / "test_images.npy").repeat(2, axis=1).repeat(2, axis=2).astype(int)
    generator = np.random.default_rng(0)
    # Brightness from one class's to the next's, so that small changes move some images over a border.
    images += generator.integers(-30, 31, (len(images), 1, 1, 1)) + generator.integers(
        -40, 41, (len(images), 16, 16, 3)
    )
    np.save(data / "test_images.npy", np.clip(images, 0, 255).astype(np.uint8))
    info = json.loads((data / "dataset.json").read_text())
    info["image_size"] = 16
    info["files"] |= {name: sha256(data / name) for name in ("train_images.npy", "test_images.npy")}
    (data / "dataset.json").write_text(json.dumps(info))
    write_run(run, data, shifts={"model.safetensors": 0.3})
    return data


@pytest.fixture
def evaluate(bigger, run):
    """Run the command; returns the rows and the arrays."""

    def call(*names, more=(), seed=0):
        main(
            [
                *(
                    "perturbation",
                    "--run",
                    str(run),
                    "--data",
                    str(bigger),
                    "--out",
                    str(run),
                ),
                *("--profile", "cifar", "--seed", str(seed), "--workers", "1", "--names", *names, *more),
            ]
        )
        content = json.loads((run / "perturbation.json").read_text())
        return content["result"]["rows"], dict(np.load(run / "perturbation.npz", allow_pickle=False))

    return call


class Nearest(torch.nn.Module):
    """The rule of the fixture's network, with its shift."""

    def forward(self, x):
        distance = x.mean((1, 2, 3))[:, None] * 255 / GREY + 0.3 - torch.arange(4)
        return -10 * distance.abs()


def test_the_same_predictions_as_on_stored_sequences(evaluate, bigger, monkeypatch):
    monkeypatch.setattr(stream, "BATCH", 7 * 31 * 16 * 16 * 3)  # batches of 7 sequences of 40
    rows, arrays = evaluate(*NAMES, seed=5)
    assert arrays["names"].tolist() == list(NAMES) == [row["perturbation"] for row in rows]
    images = np.load(bigger / "test_images.npy")
    flipping = 0
    for row, name in zip(rows, NAMES, strict=True):
        stack = perturb(images, name=name, seed=5)
        frames = stack.shape[1]
        stored = predict(
            Nearest().eval(),
            stack.reshape(-1, 16, 16, 3),
            indices=np.arange(40 * frames),
            device=torch.device("cpu"),
        )
        expected = stored.prediction.reshape(40, frames)
        np.testing.assert_array_equal(arrays[f"prediction_{name}"], expected)
        np.testing.assert_array_equal(arrays[f"confidence_{name}"], stored.confidence.reshape(40, frames))
        against_first = name in ("gaussian_noise", "shot_noise")
        before = expected[:, :1] if against_first else expected[:, :-1]
        assert float(row["flip_probability"]) == pytest.approx(100 * (expected[:, 1:] != before).mean())
        assert (row["frames"], row["n"]) == (frames, 40)
        assert row["compared"] == ("first" if against_first else "previous")
        flipping += float(row["flip_probability"]) > 0
    assert flipping >= 5  # otherwise the comparison would say little


def test_flips_by_hand(evaluate, bigger, run, write_run):
    """Brightness moves grey images through the classes' borders once each, upwards."""
    rows, arrays = evaluate("brightness")
    prediction = arrays["prediction_brightness"].astype(int)
    assert (np.diff(prediction, axis=1) >= 0).all()
    crossings = (prediction[:, -1] - prediction[:, 0]).sum()
    assert crossings > 0
    assert float(rows[0]["flip_probability"]) == pytest.approx(100 * crossings / (40 * 30))


def test_a_subset_has_the_sequences_that_it_has_in_the_whole(evaluate, bigger):
    _, whole = evaluate("snow", "gaussian_noise")
    indices = load(bigger).test_indices(12)
    rows, part = evaluate("snow", "gaussian_noise", more=["--test-images", "12"])
    for name in ("snow", "gaussian_noise"):
        np.testing.assert_array_equal(part[f"prediction_{name}"], whole[f"prediction_{name}"][indices])
        np.testing.assert_array_equal(part[f"confidence_{name}"], whole[f"confidence_{name}"][indices])
    assert [row["n"] for row in rows] == [12, 12]


def test_batches_do_not_matter(evaluate, monkeypatch):
    rows, arrays = evaluate("shot_noise", "tilt")
    monkeypatch.setattr(stream, "BATCH", 1)
    again, others = evaluate("shot_noise", "tilt")
    assert again == rows
    for name, array in arrays.items():
        np.testing.assert_array_equal(others[name], array)


def test_workers_do_not_matter(bigger, monkeypatch):
    monkeypatch.setattr(stream, "BATCH", 9 * 31 * 16 * 16 * 3)
    path, indices = bigger / "test_images.npy", np.arange(3, 40)
    settings = {"name": "snow", "indices": indices, "profile": "cifar", "seed": 2}
    one, two = ([*stream.batches(path, **settings, workers=workers)] for workers in (1, 2))
    assert [len(stack) for stack in one] == [9, 9, 9, 9, 1]
    np.testing.assert_array_equal(np.concatenate(one), np.concatenate(two))
    expected = perturb(np.load(path)[3:], name="snow", seed=2, indices=indices)
    np.testing.assert_array_equal(np.concatenate(one), expected)


def test_batches_are_made_one_at_a_time(bigger, monkeypatch):
    """Bounded memory: no second batch exists before the first is taken."""
    monkeypatch.setattr(stream, "BATCH", 4 * 31 * 16 * 16 * 3)
    made = []
    monkeypatch.setattr(stream, "perturb", lambda still, **rest: made.append(len(still)) or perturb(still, **rest))
    settings = {"indices": np.arange(40), "name": "rotate", "profile": "cifar", "seed": 0, "workers": 1}
    sequences = stream.batches(bigger / "test_images.npy", **settings)
    assert made == [1]  # the check of the arguments
    for count in (1, 2, 3):
        next(sequences)
        assert made[1:] == [4] * count


def test_a_killed_evaluation_goes_on_with_the_next_perturbation(evaluate, run, monkeypatch, capsys):
    rows, arrays = evaluate("tilt", "snow", "scale")
    for path in run.glob("perturbation*"):
        path.unlink()
    batches, begun = module.batches, []

    def killed(*arguments, name, **rest):
        begun.append(name)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return batches(*arguments, name=name, **rest)

    monkeypatch.setattr(module, "batches", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate("tilt", "snow", "scale")
    assert not list(run.glob("perturbation*"))
    again, others = evaluate("tilt", "snow", "scale")
    assert begun == ["tilt", "snow", "scale", "scale"]
    assert "snow: was done before" in capsys.readouterr().err
    assert again == rows
    for name, array in arrays.items():
        np.testing.assert_array_equal(others[name], array)
    assert not list(run.glob(".perturbation*.partial"))


def test_partial_work_with_another_seed_is_not_resumed(evaluate, monkeypatch):
    batches, begun = module.batches, []

    def killed(*arguments, name, **rest):
        begun.append((name, rest["seed"]))
        if len(begun) == 2:
            raise KeyboardInterrupt
        return batches(*arguments, name=name, **rest)

    monkeypatch.setattr(module, "batches", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate("snow", "tilt", seed=1)
    evaluate("snow", "tilt", seed=2)
    assert begun == [("snow", 1), ("tilt", 1), ("snow", 2), ("tilt", 2)]


def test_what_was_measured_stands_beside(evaluate, run, bigger):
    evaluate("snow", seed=9)
    about = json.loads((run / "perturbation.json").read_text())
    assert about["run"] == FinishedRun.open(run).identity and about["data"] == load(bigger).checksum
    assert about["options"] == {"test_images": None, "names": ["snow"], "seed": 9, "profile": "cifar"}


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (["snow", "tilt", "snow"], [], "--names .*stands twice"),
        (["snow"], ["--workers", "-1"], "--workers -1: must be a whole number of at least 0"),
    ],
)
def test_bad_arguments_are_refused(evaluate, run, names, more, said):
    with pytest.raises(EwsError, match=said):
        evaluate(*names, more=more)
    assert not list(run.glob("perturbation*"))


@pytest.mark.parametrize(("name", "profile"), [("fog", "cifar"), ("snow", "mnist")])
def test_unknown_names_and_profiles_are_named_with_the_valid_ones(bigger, run, name, profile):
    out = ["--out", str(run / "x"), "--seed", "0"]
    with pytest.raises(EwsError) as refused:
        main(["perturbation", "--run", str(run), "--data", str(bigger), *out, "--names", name, "--profile", profile])
    said = str(refused.value)
    assert "translate" in said if name == "fog" else "imagenet" in said
    assert not list(run.glob("x*"))


def test_images_that_are_too_small_are_refused(run, data):
    out = ["--out", str(run / "x"), "--seed", "0", "--profile", "cifar"]
    with pytest.raises(InvalidInput, match="at least 16"):
        main(["perturbation", "--run", str(run), "--data", str(data), *out, "--names", "snow"])
    assert not list((run / "x").glob("*"))


@pytest.mark.parametrize("module_name", ["ews.perturbations.frame_geometry", "ews.images.filters", "ews.perturbations"])
def test_an_edit_of_a_perturbation_reruns_this_evaluation_and_no_other(module_name):
    asked = {
        "clean": Options(),
        "corruption": CorruptionOptions(names=("fog",)),
        "perturbation": PerturbationOptions(names=("snow",), seed=0, profile="cifar"),
    }
    found = [kind for kind, options in asked.items() if module_name in reached(COMMAND, uses(a_cell(), kind, options))]
    assert found == ["perturbation"]
