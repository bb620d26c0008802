"""How many paths and channels a width keeps."""

import pytest
import torch
from helpers.sizes import size

from ews.core.errors import EwsError
from ews.models.space import BlockSpace, SubnetSpace, kept_count

SPACE = SubnetSpace((BlockSpace((16,)), BlockSpace((8, 10))))


@pytest.mark.parametrize(
    ("total", "width", "kept"),
    [(2, 0.7, 2), (2, 0.5, 2), (2, 0.49, 1), (2, 0.1, 1), (64, 0.7, 45), (10, 0.7, 8), (16, 1.0, 16), (16, 0.01, 1)],
)
def test_counts_are_rounded_up_with_the_margin(total, width, kept):
    assert kept_count(total, width) == kept


def test_channel_counts_follow_the_layers():
    assert SPACE.kept_channels(size(0.7)) == ((12,), (6, 8))


@pytest.mark.parametrize(("width", "mean"), [(0.7, 1.4), (0.5, 1.0), (0.3, 1.0), (1.0, 2.0), (0.9, 1.8)])
def test_expected_rounding_has_its_mean(width, mean, generator):
    counts = torch.tensor(
        SPACE.path_counts(size(width, "expected"), samples=4000, generator=generator), dtype=torch.float64
    )
    assert set(counts.flatten().tolist()) <= {1.0, 2.0}
    assert counts.shape == (4000, 2)
    assert float(counts.mean()) == pytest.approx(mean, abs=4 * 0.5 / 8000**0.5 if mean not in (1.0, 2.0) else 0)


@pytest.mark.parametrize(
    ("width", "rounding", "drops"),
    [
        (0.7, "ceil", False),
        (0.5, "ceil", False),
        (0.4, "ceil", True),
        (0.7, "expected", True),
        (1.0, "expected", False),
        (0.5, "expected", True),
    ],
)
def test_whether_paths_are_dropped(width, rounding, drops, generator):
    assert SPACE.drops_paths(size(width, rounding)) is drops
    counts = SPACE.path_counts(size(width, rounding), samples=200, generator=generator)
    assert any(count < 2 for row in counts for count in row) is drops


def test_fixed_counts_draw_no_random_number(generator):
    before = generator.get_state()
    SPACE.path_counts(size(0.7), samples=3, generator=generator)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("width", [0.0, -0.5, 1.5, float("nan")])
def test_width_out_of_range_is_refused(width):
    with pytest.raises(EwsError, match="width"):
        SPACE.kept_channels(size(width))


def test_unknown_rounding_names_the_valid_ones(generator):
    with pytest.raises(EwsError, match="ceil, expected"):
        SPACE.path_counts(size(0.7, "floor"), samples=1, generator=generator)
