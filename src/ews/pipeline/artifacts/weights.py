"""A run's weights on disk, and their checksum."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ews import models
from ews.core.errors import EwsError
from ews.core.files import atomic
from ews.data.dataset import Dataset
from ews.models.network import Head, Network
from ews.pipeline.artifacts.run import FinishedRun, not_brought, retrain
from ews.pipeline.artifacts.run_files import RECORD


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a network's parameters and buffers as safetensors, atomically; same weights, same bytes."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    with atomic(path) as temporary:
        # Not save_file: its own temporary file has a name that nobody would know to clear after a kill.
        temporary.write_bytes(save(tensors))


def checksum(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a network's parameters and buffers, 64 hex digits.

    Names, types, shapes and values count, in the order of names; where the tensors lie and how they are laid out does
    not. It costs a copy to the CPU and about a millisecond a megabyte: 0.1 s for a ResNet-50, once an epoch.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def read_network(run: FinishedRun, name: str, *, dataset: Dataset, device: torch.device) -> Network:
    """Return a run's network with the weights of the file ``name``, in evaluation mode, on the device.

    Args:
        run: the run.
        name: of the weights' file, see :mod:`ews.pipeline.artifacts.run_files`.
        dataset: the data it was trained on.
        device: where to compute.

    Raises:
        EwsError: the file is missing, is not the one that the record names, or does not fit the network.
    """
    if run.has(name) and not (run.folder / name).is_file():
        raise EwsError(f"{run.folder / name}: missing: {not_brought(run.folder)}")
    path = run.verified(name)
    architecture = run.record.cell.architecture
    # Any generator will do, and this one leaves the global one alone: the weights are replaced at once.
    head = Head(classes=len(dataset.classes), mean=dataset.mean, std=dataset.std, generator=torch.Generator())
    network = models.build(architecture.parameters, head, dynamic=architecture.dynamic_parameters)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise EwsError(f"{path}: does not fit the network of {RECORD}: {error} {retrain(run.folder)}") from None
    return network.to(device).eval()
