"""A pretended accelerator: computes on the CPU, to the bit, and refuses what a device with its own memory would.

What a machine without a GPU can then show: which code mixes devices, draws with another device's generator or asks
NumPy for a device's memory, and where the host waits to read a value. What it cannot: kernels, precision, speed.
"""

import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
from helpers.processes import PROCESSES
from torch import Tensor
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

NAME = "pretended"
Reads = Counter[tuple[str, str]]
"""How often the host waited for a value: by operation and by the line of this project, ``ews/....py:12``."""
READING = {"aten::_local_scalar_dense", "aten::equal", "aten::nonzero"}
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
_generator, _tensor, _save, _lstm_cell = torch.Generator, torch.tensor, torch.save, torch._VF.lstm_cell  # type: ignore[attr-defined]


def on_accelerator(job: Callable[..., None], *arguments: Any) -> Reads:
    """Run an importable function as ``job(device, *arguments)`` in a process of its own; fails as it fails."""
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_inside, args=(theirs, job, arguments))
    process.start()
    theirs.close()
    try:
        kind, found = ours.recv()
    except EOFError:
        kind, found = "error", "the process died"
    process.join()
    assert kind == "reads", found
    reads: Reads = found
    return reads


def _inside(pipe: Connection, job: Callable[..., None], arguments: Sequence[Any]) -> None:
    try:
        accelerator = Accelerator()
        with accelerator:
            job(accelerator.device, *arguments)
        pipe.send(("reads", accelerator.reads))
    except BaseException:
        pipe.send(("error", traceback.format_exc()))


class There(Tensor):
    """A tensor in the accelerator's memory; ``here`` is where its values really are."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "There":
        """Wrap a tensor of the CPU: same shape, strides and type, another device."""
        made: There = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=torch.device(NAME, 0),
        )
        made.here = here
        return made

    def __init__(self, here: Tensor) -> None:
        """Do nothing: all is made in ``__new__``."""

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Never reached: the accelerator takes every operation first."""
        raise AssertionError(f"{operation}: a tensor outlived its accelerator")

    def tolist(self) -> Any:
        """Return the values, which the host waits for."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Refuse, as every device but the CPU does."""
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy.")


class Accelerator(TorchDispatchMode):
    """Takes every operation in this process; the process is good for nothing else afterwards."""

    def __init__(self) -> None:
        """Make torch know the device, and its own functions that pass operations by."""
        super().__init__()

        class Module(_DummyBackendModule):  # type: ignore[misc]
            def get_amp_supported_dtype(self) -> list[torch.dtype]:
                return [torch.bfloat16]

        _setup_privateuseone_for_python_backend(NAME, backend_module=Module())
        self.device = torch.device(NAME, 0)
        self.reads: Reads = Counter()
        self.seeds: set[int] = set()
        # Module.to would put new values under old tensors otherwise.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        torch.Generator = self._make_generator_class()  # type: ignore[misc]
        torch.tensor, torch.save = self._make_tensor, _save_from_cpu
        torch._VF.lstm_cell = _unfused_lstm_cell  # type: ignore[attr-defined]

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the CPU; refuse mixed devices, count what the host waits for."""
        kwargs = kwargs or {}
        given = tree.tree_leaves((args, kwargs))
        there = [x for x in given if isinstance(x, There)]
        asked = kwargs.get("device")
        stays = bool(there) if asked is None else torch.device(asked).type == NAME
        for x in given:
            if isinstance(x, _generator) and (x.initial_seed() in self.seeds) != stays:
                raise RuntimeError(f"{operation} at {_place()}: another device's generator")
        name = operation._schema.name
        if there and name == "aten::copy_":
            target, source = args[:2]
            if not isinstance(target, There):
                self._read(name)
            _here(target).copy_(_here(source))
            return target
        if there:
            self._check(operation, name, args, given, stays)
        args, kwargs = tree.tree_map(_here, (args, kwargs))
        out = operation(*args, **kwargs)
        if not stays:
            return out
        # An operation in place returns what it was given.
        known = {id(x.here): x for x in there}
        return tree.tree_map(
            lambda x: (known[id(x)] if id(x) in known else There(x)) if isinstance(x, Tensor) else x, out
        )

    def _check(self, operation: Any, name: str, args: Any, given: list[Any], stays: bool) -> None:
        if name in READING or (name == "aten::_to_copy" and not stays):
            self._read(name)
        mixed = any(isinstance(x, Tensor) and not isinstance(x, There) and x.dim() > 0 for x in given)
        if name in INDEXING and isinstance(args[0], There):
            # A device takes indices of the CPU, after a copy; a mask must be counted before the result has a size.
            indices = [x for x in args[1] if isinstance(x, Tensor)]
            if mixed or any(x.dtype in (torch.bool, torch.uint8) for x in indices):
                self._read(name)
        elif mixed:
            raise RuntimeError(f"{operation} at {_place()}: tensors of two devices")

    def _read(self, name: str) -> None:
        self.reads[name, _place()] += 1

    def _make_tensor(self, data: Any, *, device: Any = None, **named: Any) -> Tensor:
        if device is None or torch.device(device).type != NAME:
            return _tensor(data, device=device, **named)
        return _tensor(data, **named).to(device)

    def _make_generator_class(self) -> type[torch.Generator]:
        seeds = self.seeds

        class Generator(_generator):  # type: ignore[misc]
            there: bool

            def __new__(cls, device: Any = "cpu") -> "Generator":
                made: Generator = super().__new__(cls, device="cpu")
                made.there = torch.device(device).type == NAME
                return made

            def __init__(self, device: Any = "cpu") -> None:
                pass

            @property
            def device(self) -> torch.device:
                return torch.device(NAME, 0) if self.there else torch.device("cpu")

            def manual_seed(self, seed: int) -> "Generator":
                super().manual_seed(seed)
                if self.there:
                    seeds.add(seed)
                return self

        return Generator


def _here(x: Any) -> Any:
    if isinstance(x, There):
        return x.here
    return torch.device("cpu") if isinstance(x, torch.device) else x


def _place() -> str:
    """Return the innermost line of the project in the stack."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if "/src/ews/" in frame.f_code.co_filename:
            return f"{frame.f_code.co_filename.split('/src/')[-1]}:{frame.f_lineno}"
    return "?"


def _save_from_cpu(state: Any, *given: Any, **named: Any) -> None:
    """Write tensors of the accelerator as those of the CPU: torch asks for storages, of which it has none."""
    _save(tree.tree_map(lambda x: x.detach().cpu() if isinstance(x, There) else x, state), *given, **named)


def _unfused_lstm_cell(x: Tensor, state: Any, *weights: Tensor) -> tuple[Tensor, Tensor]:
    """Compute an LSTM's step by plain operations, as torch does on the CPU; on other devices it has a kernel for it."""
    if x.device.type != NAME:
        found: tuple[Tensor, Tensor] = _lstm_cell(x, state, *weights)
        return found
    h, c = state
    linear = torch.nn.functional.linear
    i, f, g, o = (linear(x, weights[0], weights[2]) + linear(h, weights[1], weights[3])).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c
