"""The command: files in the published layout whatever the workers, nothing half-written, a sheet that shows frames."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.perturbations import NAMES, frames, perturb
from ews.pipeline.perturb.generate_perturbed import generate
from ews.pipeline.perturb.perturb_command import main
from ews.pipeline.perturb.perturbation_sheet import LABEL_HEIGHT, LABEL_WIDTH, draw


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Seven images of 32 pixels."""
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8))
    return path


def call(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


def test_generate_writes_the_sequences_of_the_whole_set(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "ews.pipeline.perturb.generate_perturbed.PIECE", 3 * 31 * 32 * 32 * 3
    )  # pieces of 3, 3 and 1 images
    call("generate", "--images", images, "--out", tmp_path / "p", "--seed", 4, "--names", "snow", "translate")
    assert "32 pixels: the cifar constants" in capsys.readouterr().err
    for name in ("snow", "translate"):
        made = np.load(tmp_path / "p" / f"{name}.npy")
        np.testing.assert_array_equal(made, perturb(np.load(images), name=name, seed=4))
        record = json.loads((tmp_path / "p" / f"{name}.json").read_text())
        assert record["frames"] == made.shape[1] == frames(name, "cifar")
        assert (record["seed"], record["profile"], record["images"]) == (4, "cifar", 7)
    assert sorted(path.suffix for path in (tmp_path / "p").iterdir()) == [".json", ".json", ".npy", ".npy"]


def test_workers_and_crop(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ews.pipeline.perturb.generate_perturbed.PIECE", 1)
    settings = {"name": "scale", "seed": 0, "profile": "imagenet", "crop": 24}
    generate(images, tmp_path / "one.npy", **settings, workers=1)
    generate(images, tmp_path / "two.npy", **settings, workers=2)
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    expected = perturb(np.load(images), name="scale", seed=0, profile="imagenet", crop=24)
    np.testing.assert_array_equal(np.load(tmp_path / "one.npy"), expected)


class Killed(BaseException):
    """Stands for the end of the process."""


def test_killed_it_goes_on_and_ends_with_the_same_bytes(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ews.pipeline.perturb.generate_perturbed.PIECE", 1)
    monkeypatch.setattr("ews.images.pieces.NOTE_SECONDS", 0.0)
    settings = {"name": "snow", "seed": 1, "profile": "cifar", "workers": 1}
    generate(images, tmp_path / "whole" / "snow.npy", **settings)
    out = tmp_path / "p" / "snow.npy"
    made: list[int] = []

    def counted(*arguments: object, **options: object) -> np.ndarray:
        # The first image is made once more at each start, to find out whether all arguments fit.
        if "indices" in options:
            if len(made) == 4:
                raise Killed
            made.append(1)
        return perturb(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("ews.pipeline.perturb.generate_perturbed.perturb", counted)
    with pytest.raises(Killed):
        generate(images, out, **settings)
    assert [path.name for path in out.parent.iterdir()] == [".snow.npy.partial"]
    made.clear()
    generate(images, out, **settings)
    assert len(made) == 7 - 4
    made.clear()
    generate(images, out, **settings)
    assert made == []
    for file in ("snow.npy", "snow.json"):
        assert (out.parent / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert json.loads(out.with_suffix(".json").read_text())["sha256"] == sha256(out)
    # Another seed: made anew, and never the new array beside the old record.
    monkeypatch.setattr("ews.pipeline.perturb.generate_perturbed.perturb", perturb)
    generate(images, out, **{**settings, "seed": 2})
    np.testing.assert_array_equal(np.load(out), perturb(np.load(images), name="snow", seed=2))
    record = json.loads(out.with_suffix(".json").read_text())
    assert (record["seed"], record["sha256"]) == (2, sha256(out))


def test_a_file_without_room_is_one_message(images: Path, tmp_path: Path) -> None:
    command = ("--images", images, "--out", tmp_path / "p", "--seed", 0, "--names", "tilt")
    result = subprocess.run(
        [
            "bash",
            "-c",
            'ulimit -f 100; exec "$@"',
            "bash",
            sys.executable,
            "-m",
            "ews",
            "perturb",
            "generate",
            *map(str, command),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    out = tmp_path / "p" / "tilt.npy"
    size = f"{7 * 31 * 32 * 32 * 3:,}"
    said = result.stderr.splitlines()[-1]
    assert said.startswith(f"error: {out}: cannot be written: File too large. The file takes {size} bytes.")
    assert list(out.parent.iterdir()) == []


def test_outputs_that_cannot_be_right_are_refused(images: Path, tmp_path: Path) -> None:
    settings = {"name": "tilt", "seed": 0, "profile": "cifar"}
    before = images.read_bytes()
    with pytest.raises(EwsError, match=r"must end in \.npy"):
        generate(images, tmp_path / "p" / "tilt", **settings)
    with pytest.raises(EwsError, match="would overwrite"):
        generate(images, tmp_path / "images.npy", **settings)
    images.rename(tmp_path / "tilt.npy")
    with pytest.raises(EwsError, match="would overwrite"):
        call("generate", "--images", tmp_path / "tilt.npy", "--out", tmp_path, "--seed", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["tilt.npy"]
    assert (tmp_path / "tilt.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"junk", "damaged, or not an .npy file"),
        (np.zeros((2, 32, 32), np.uint8), r"uint8 \(2, 32, 32\); valid is uint8 \[N, H, W, 3\]"),
        (np.zeros((2, 32, 32, 3)), "float64"),
        (np.zeros((0, 32, 32, 3), np.uint8), "N at least 1"),
        (np.zeros((2, 8, 8, 3), np.uint8), "H and W at least 16"),
    ],
)
def test_files_that_are_no_images_are_refused(tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "images.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    for command in (["generate", "--seed", 0, "--out", tmp_path / "p"], ["sheet", "--out", tmp_path / "sheet.png"]):
        with pytest.raises(EwsError, match=said):
            call(*command, "--images", path)
    assert not (tmp_path / "sheet.png").exists()
    assert not list(tmp_path.glob("p/*"))


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--names", "fog"], "snow"), (["--profile", "mnist"], "imagenet"), (["--seed", "x"], "invalid int")],
)
def test_wrong_options_name_the_valid_values(
    images: Path, tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call("generate", "--images", images, "--out", tmp_path / "p", "--seed", 0, *more)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--crop", 40, "crop 40"), ("--workers", -1, "--workers -1: must be a whole number")],
)
def test_wrong_numbers_are_refused(images: Path, tmp_path: Path, option: str, value: int, said: str) -> None:
    with pytest.raises(EwsError, match=said):
        call("generate", "--images", images, "--out", tmp_path / "p", "--seed", 0, "--names", "tilt", option, value)
    assert not list(tmp_path.glob("p/*"))


def test_sheet_has_a_row_for_each_perturbation(images: Path, tmp_path: Path) -> None:
    call("sheet", "--images", images, "--out", tmp_path / "sheet.png")
    width, height = Image.open(tmp_path / "sheet.png").size
    assert height >= len(NAMES) * (96 + LABEL_HEIGHT) and width >= LABEL_WIDTH + 11 * 96


def test_sheet_shows_the_first_and_the_last_frame() -> None:
    rows = []
    for level, name in enumerate(NAMES):
        stack = np.full((frames(name, "cifar"), 32, 32, 3), 50, np.uint8)
        stack[0], stack[-1] = 100 + level, 200 + level
        rows.append(stack)
    sheet = draw(rows, profile="cifar")
    for level in range(len(NAMES)):
        assert (sheet == 100 + level).all(axis=2).sum() >= 96 * 96
        assert (sheet == 200 + level).all(axis=2).sum() >= 96 * 96
    assert (sheet == 50).all(axis=2).sum() >= 9 * len(NAMES) * 96 * 96
