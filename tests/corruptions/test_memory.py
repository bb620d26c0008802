"""One image at a time, of any size, in bounded memory; and caches that are bounded in bytes."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ews.corruptions import blur, corrupt, elastic, weather
from ews.corruptions.blur import ZOOM_BLUR
from ews.images import filters
from ews.images.filters import centre_zoom, sparse_centre_zoom

GIBIBYTE = 2**20  # in KiB
# The last is a panorama: a square as long as it would take gigabytes.
SIZES = {
    "224": [(224, 224)] * 4,
    "photograph": [(1500, 2000)],
    "many sizes": [(200 + i, 300 + i) for i in range(5)],
    "long": [(64, 9000)],
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["zoom_blur", "elastic_transform", "glass_blur", "snow", "frost", "fog"])
def test_a_process_stays_under_a_gibibyte(name: str, size: str) -> None:
    """All severities one after the other, so that whatever is kept between them counts."""
    code = (
        "import numpy as np; from pathlib import Path; from ews.corruptions import corrupt\n"
        f"for height, width in {SIZES[size]}:\n"
        "    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)\n"
        f"    for severity in {[3] if size == 'long' else [1, 2, 3, 4, 5]}:\n"
        f"        corrupt(image, name={name!r}, severity=severity, seed=0, profile='imagenet')\n"
        "status = Path('/proc/self/status').read_text().splitlines()\n"
        "print([line.split()[1] for line in status if line.startswith('VmHWM')][0])"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert 0 < int(result.stdout) <= GIBIBYTE, result.stdout


@pytest.mark.parametrize("shape", [(32, 32), (64, 64), (224, 224), (37, 90), (251, 33)])
@pytest.mark.parametrize("severity", range(1, 6))
def test_zoom_in_strips_is_the_matrix(shape: tuple[int, int], severity: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(severity).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
    image[:, : shape[0] // 3] = 200  # flat: sums that are whole numbers
    made = []
    for largest in (0, 2**40):
        monkeypatch.setattr(blur, "LARGEST_OPERATOR", largest)
        made.append(corrupt(image, name="zoom_blur", severity=severity, seed=0, profile="imagenet"))
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("size", [16, 33, 224, 501])
def test_sparse_zoom_is_the_zoom(size: int) -> None:
    constants = {pair for profile in ZOOM_BLUR.values() for pair in profile}
    for factor in sorted({float(factor) for end, step in constants for factor in np.arange(1, end, step)}):
        matrix = sparse_centre_zoom(size, factor)
        np.testing.assert_allclose(matrix.toarray(), centre_zoom(size, factor), atol=1e-9, err_msg=str(factor))


@pytest.mark.parametrize(
    "cache",
    [centre_zoom, blur.zoom_operator, blur.zoom_axes, elastic.axis_smoothing, weather.scaled_photograph],
    ids=lambda cache: cache.__name__,
)
def test_caches_are_bounded_in_bytes_and_keep_the_latest(cache: filters.Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {
        "centre_zoom": lambda n: (30 + n, 1.1),
        "zoom_operator": lambda n: (30 + n, 30, 1.03, 0.01),
        "zoom_axes": lambda n: (30 + n, 30, 1.03, 0.01),
        "axis_smoothing": lambda n: (30 + n, 2.0),
        "scaled_photograph": lambda n: (0, 0.2 + n / 1000),
    }[cache.__name__]
    cache.forget()
    first = cache(*calls(0))
    one = cache.held()
    assert one > 0
    assert cache(*calls(0)) is first
    monkeypatch.setattr(filters, "KEPT", 3 * one + one // 2)
    for number in range(1, 9):
        latest = cache(*calls(number))
        assert cache.held() <= 3 * one + one // 2
    assert cache(*calls(8)) is latest
    monkeypatch.setattr(filters, "KEPT", one // 2)
    cache(*calls(9))
    assert cache.held() == 0


@pytest.mark.parametrize("shape", [(16, 1200), (700, 40), (901, 901)])
def test_frost_is_the_same_from_a_part_of_the_photograph(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    images = np.random.default_rng(3).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    found = []
    for largest in (2**40, 0):
        monkeypatch.setattr(weather, "LARGEST_PHOTOGRAPH", largest)
        found.append(corrupt(images, name="frost", severity=3, seed=5, profile="imagenet"))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("shape", [(16, 32767), (32767, 16)])
def test_frost_on_a_long_strip_needs_little_memory(shape: tuple[int, int]) -> None:
    images = np.full((1, *shape, 3), 128, np.uint8)
    tracemalloc.start()
    try:
        corrupt(images, name="frost", severity=5, seed=0, profile="cifar")
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
