"""Arrays out of a pickle that is not trusted: nothing that it names is imported, called or built, stand-ins are.

A pickle is a program. The one with the 500,000 pseudo-labelled images is read here by a machine that knows dicts,
lists, numbers, text, bytes, and NumPy arrays and scalars of integers, floating-point numbers and truth values; whatever
else it asks for ends in an error.
"""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ews.core.errors import EwsError

_TYPE = re.compile(r"[ui][1248]|f[248]|b1")
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_MODULES = (*_MULTIARRAY, "numpy.core.numeric", "numpy._core.numeric")
_ADMITTED = (
    "dicts, lists, tuples, numbers, text, bytes, and NumPy arrays and scalars of integers (1 to 8 bytes), "
    "floating-point numbers (2, 4 or 8 bytes) and truth values"
)


def read(path: Path) -> dict[str, Any]:
    """Return the dict that a pickle holds, its arrays as NumPy arrays, NumPy's scalars as Python's numbers.

    Args:
        path: a pickle of protocol 2 to 5, from Python 3 (or 2).

    Raises:
        EwsError: it asks for anything but plain values and arrays of numbers, is damaged, or holds no dict.
    """
    try:
        with path.open("rb") as file:
            content = _Reader(file, encoding="latin1").load()
        if isinstance(content, dict):
            return {str(key): value.array() if isinstance(value, _Array) else value for key, value in content.items()}
    except _Forbidden as refused:
        raise EwsError(
            f"{path}: refused: the pickle asks for {refused}. Admitted: {_ADMITTED}. If you trust the file, write its "
            "images and labels to an .npz file."
        ) from None
    except OSError:
        raise
    except Exception as error:
        # A pickle can fail in as many ways as a program; none of them is ours.
        raise EwsError(f"{path}: not a pickle of arrays, or a damaged one ({type(error).__name__}: {error}).") from None
    raise EwsError(f"{path}: holds no dict of arrays.")


class _Forbidden(Exception):
    """What the pickle asks for."""


class _Inert:
    """Base of the stand-ins: a pickle may not give them attributes."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise _Forbidden(f"a state of {type(self).__name__.strip('_').lower()}")


class _Dtype(_Inert):
    """`numpy.dtype("u1")`: a letter, a size, and the byte order that its state holds; no objects, text or fields."""

    __slots__ = ("text",)

    def __init__(self, text: Any, *_: Any) -> None:
        text = text.decode("ascii") if isinstance(text, bytes) else text
        if not isinstance(text, str) or not _TYPE.fullmatch(text.lstrip("<>|=")):
            raise _Forbidden(f"arrays or scalars of type {text!r}")
        self.text = text.lstrip("=")

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise _Forbidden("arrays or scalars with fields")
        self.text = f"{'' if order == '=' else order}{self.text.lstrip('<>|')}"


class _Array(_Inert):
    """An array as a pickle describes it; its bytes become one when the pickle has been read."""

    __slots__ = ("dtype", "fortran", "raw", "shape")

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.fortran, self.raw = state

    def array(self) -> NDArray[Any]:
        """Return the array; the bytes have to be as many as its shape says."""
        if not isinstance(self.dtype, _Dtype):
            raise _Forbidden("an array without a type")
        values = np.frombuffer(_content(self.raw), np.dtype(self.dtype.text))
        return values.reshape(self.shape, order="F" if self.fortran else "C")


class _Reconstruct(_Inert):
    """Makes the array that the next opcode fills."""

    def __call__(self, kind: Any, *_: Any) -> _Array:
        if kind is not _Array:
            raise _Forbidden("something that is no array")
        return _Array()


class _FromBuffer(_Inert):
    """The same in protocol 5."""

    def __call__(self, raw: Any, dtype: Any, shape: Any, order: Any) -> _Array:
        made = _Array()
        made.__setstate__((1, shape, dtype, order == "F", raw))
        return made


class _Scalar(_Inert):
    """Makes a NumPy scalar, as a number of Python's."""

    def __call__(self, dtype: Any, raw: Any) -> int | float | bool:
        if not isinstance(dtype, _Dtype):
            raise _Forbidden("a scalar without a type")
        (value,) = np.frombuffer(_content(raw), np.dtype(dtype.text))
        number: int | float | bool = value.item()
        return number


class _Encode(_Inert):
    """How protocol 2 spells bytes: text in latin1."""

    def __call__(self, text: Any, encoding: Any = None) -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise _Forbidden(f"the encoding {encoding!r}")
        return text.encode("latin1")


def _content(raw: Any) -> bytes:
    """Return the bytes of an array or a scalar; Python 2 wrote them as text. A number would ask for so much memory."""
    if not isinstance(raw, str | bytes | bytearray):
        raise _Forbidden(f"the content of an array or a scalar from {type(raw).__name__.strip('_').lower()}")
    return raw.encode("latin1") if isinstance(raw, str) else bytes(raw)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return _Array
        if (module, name) == ("numpy", "dtype"):
            return _Dtype
        if module in _MODULES and name == "_reconstruct":
            return _Reconstruct()
        if module in _MODULES and name == "_frombuffer":
            return _FromBuffer()
        if module in _MULTIARRAY and name == "scalar":
            return _Scalar()
        if (module, name) == ("_codecs", "encode"):
            return _Encode()
        raise _Forbidden(f"{module}.{name}")
