"""Random numbers as a function of (seed, corruption, severity, image index), cheap for 10,000 images.

Each image has a stream of the counter-based generator Philox4x64-10 (Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", SC 2011): the key holds the hash of (seed, corruption, severity) and the
image's index, the counter's top word the draw's slot. Only raw bits are taken from NumPy, whose
Philox is fixed by its specification; its distributions may change between versions.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri


class Streams:
    """The streams of one block of images.

    A slot names a draw: the same slot gives the same numbers again, different slots independent ones.
    """

    def __init__(self, *, seed: int, name: str, severity: int, indices: Sequence[int] | NDArray[np.integer]) -> None:
        text = f"{int(seed)}\x1f{name}\x1f{int(severity)}".encode()
        self.key = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
        self._indices = np.asarray(indices, dtype=np.uint64)
        self._generator = np.random.Philox(0)

    def __len__(self) -> int:
        """The number of images."""
        return len(self._indices)

    def words(self, slot: int, count: int, *, first: int = 0) -> NDArray[np.uint64]:
        """Return ``count`` uniform 64-bit words for each image, uint64 [N, count]: those from ``first`` on."""
        words = np.empty((len(self), count), np.uint64)
        key = np.array([self.key, 0], np.uint64)
        state: Any = {
            "bit_generator": "Philox",
            # Each count of the counter makes four words.
            "state": {"counter": np.array([first // 4, 0, 0, slot], np.uint64), "key": key},
            "buffer": np.zeros(4, np.uint64),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        for row, index in enumerate(self._indices):
            key[1] = index
            self._generator.state = state
            self._generator.random_raw(first % 4)
            words[row] = self._generator.random_raw(count)
        return words

    def bits(self, slot: int, count: int) -> NDArray[np.uint32]:
        """Return ``count`` uniform 32-bit words for each image, uint32 [N, count]."""
        return self.words(slot, (count + 1) // 2).astype("<u8", copy=False).view("<u4")[:, :count]

    def uniform(
        self, slot: int, shape: Sequence[int], *, low: float = 0.0, high: float = 1.0, first: int = 0
    ) -> NDArray[np.float64]:
        """Return uniform numbers inside (low, high), float64 [N, *shape]: those of the slot from ``first`` on."""
        words = self.words(slot, int(np.prod(shape)), first=first)
        # The middle of 2^53 equal intervals: neither end occurs, so that the normal quantile is finite.
        values = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * (2.0**-53 * (high - low)) + low
        return values.reshape(len(self), *shape)

    def normal(self, slot: int, shape: Sequence[int]) -> NDArray[np.float64]:
        """Return standard normal numbers, float64 [N, *shape]."""
        values: NDArray[np.float64] = ndtri(self.uniform(slot, shape))
        return values

    def integers(self, slot: int, shape: Sequence[int], high: int) -> NDArray[np.int64]:
        """Return integers uniform on 0..high-1, int64 [N, *shape]; the bias is below high / 2^32.

        Args:
            slot: names the draw.
            shape: of one image's draw.
            high: 1 to 2^16.
        """
        bits = self.bits(slot, int(np.prod(shape))).astype(np.uint64)
        values = ((bits * np.uint64(high)) >> np.uint64(32)).astype(np.int64)
        return values.reshape(len(self), *shape)
