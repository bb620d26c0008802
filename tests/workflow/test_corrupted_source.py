"""Generated and official corrupted images side by side, from archives to tables - and the contact sheets of both."""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.workflow import Project, evaluations, jobs, tiny

TEST = 20


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def pack(path: Path, files: dict[str, bytes], mode: str) -> dict[str, Any]:
    """Write a tar and return what the manifest says of it."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    body = path.read_bytes()
    return {"size": len(body), "checksum": [f"sha256:{hashlib.sha256(body).hexdigest()}"]}


@pytest.fixture
def small(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project with a CIFAR-10 of 100 + 20 images and its CIFAR-10-C in a mirror, and a study of both sources."""
    random = np.random.default_rng(0)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    binary = {"c/batches.meta.txt": "\n".join(map(str, range(10))).encode()}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        records = random.integers(0, 256, (TEST, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(TEST) % 10
        binary[f"c/{name}.bin"] = records.tobytes()
    published = {"CIFAR-10-C/labels.npy": npy(np.tile(np.arange(TEST, dtype=np.uint8) % 10, 5))}
    for name in ("contrast", "gaussian_noise", "snow"):
        published[f"CIFAR-10-C/{name}.npy"] = npy(random.integers(0, 256, (5 * TEST, 32, 32, 3), dtype=np.uint8))
    sources = yaml.safe_load((project.folder / "data/sources.yaml").read_text(encoding="utf-8"))
    sources["cifar10"] |= pack(mirror / "cifar-10-binary.tar.gz", binary, "w:gz") | {
        "url": [],
        "train": 100,
        "test": TEST,
    }
    sources["cifar10_c"] |= pack(mirror / "CIFAR-10-C.tar", published, "w") | {"url": [], "test": TEST}
    (project.folder / "data/sources.yaml").write_text(yaml.safe_dump(sources), encoding="utf-8")
    monkeypatch.setenv("EWS_MIRROR", str(mirror))

    def plan(content: dict[str, Any]) -> None:
        evaluation = content["evaluation"]
        tiny(content)
        content["evaluation"] = evaluation | content["evaluation"] | {"test_images": None}
        content["recipes"]["digits"]["standard"]["train_images"] = 64
        content["recipes"]["cifar10"] = content["recipes"]["digits"]
        content["studies"] = {"both": {"dataset": "cifar10", "architecture": "tiny", "method": "vanilla", "seed": 0}}
        content["studies"]["both"]["overrides"] = {"datasets.cifar10.corrupted.source": ["generated", "official"]}
        content["reproduce"] = ["both"]

    project.params(plan)
    return project


@pytest.mark.slow
def test_both_sources_are_measured_and_told_apart(small: Project) -> None:
    small.snakemake()
    folder = small.folder
    assert sorted(path.name for path in (folder / "data/cifar10-c-official").glob("*.npy")) == [
        *("contrast.npy", "gaussian_noise.npy", "labels.npy"),
    ]  # what no study asks for stays in the archive
    run = folder / "results/runs/cifar10/tiny/standard/vanilla/seed0"
    official = run / "evaluation--corrupted.source-official"
    assert len(list((folder / "results/runs").rglob("model.safetensors"))) == 1
    one, other = (dict(np.load(place / "corruption.npz")) for place in (run, official))
    assert not np.array_equal(one["confidence"], other["confidence"])
    record = json.loads((folder / "data/cifar10-c-official/contrast.json").read_text())
    assert record["source"] == "official"
    caption = (folder / "results/both/caption.txt").read_text(encoding="utf-8")
    assert "Corrupted images: the published files in rows with source=official, made here in the others." in caption
    table = (folder / "results/both/table.md").read_text(encoding="utf-8")
    assert "source=official" in table and "source=generated" in table
    for name in ("cifar10-c", "cifar10-c-official"):
        assert (folder / "results" / name / "contact-sheet.png").stat().st_size > 10_000
    assert "Nothing to be done" in small.snakemake("-n").stdout
    small.snakemake("--report", "report.html")
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "results/cifar10-c/contact-sheet.png" in report and "results/cifar10-c-official/contact-sheet.png" in report

    # A later default of all studies does not move results of official images to where those of ours lie.
    small.params(lambda content: content["studies"]["both"].pop("overrides"))
    small.params(lambda content: content["datasets"]["cifar10"]["corrupted"].update(source="official"))
    output = small.snakemake("-n").stdout
    assert not {"train_cell", "official_corruption"} & set(jobs(output)) and "corruption" not in evaluations(output)


def test_another_archive_makes_its_files_and_results_anew(small: Project) -> None:
    """Planning alone: which jobs depend on the official archive."""
    output = small.snakemake("-n").stdout
    planned = jobs(output)
    assert (planned["official_corruption"], planned["corruption"]) == (3, 2)
    assert (planned["train_cell"], planned["contact_sheet"]) == (1, 2)
    assert evaluations(output)["corruption"] == 2
    planned = jobs(small.snakemake("-n", "corruptions").stdout)
    assert set(planned) <= {
        *("dataset", "corruption", "corruption_labels", "official_corruption", "contact_sheet", "corruptions", "total"),
    }


def test_a_sheet_of_official_images_that_no_study_asks_for(project: Project) -> None:
    done = project.snakemake("-n", "results/digits-c-official/contact-sheet.png", check=False)
    assert done.returncode != 0
    assert "no study in params.yaml measures on the official corrupted images" in done.stdout


def test_official_images_of_other_data_are_refused_while_planning(project: Project) -> None:
    project.edit(
        "params.yaml", "corrupted: {profile: cifar, seed: 0}", "corrupted: {profile: cifar, seed: 0, source: official}"
    )
    done = project.snakemake(check=False)
    assert done.returncode != 0
    assert re.search(
        r"params\.yaml, line \d+, column \d+: datasets\.digits\.corrupted\.source = 'official'", done.stdout
    )
    assert "Traceback" not in done.stdout
