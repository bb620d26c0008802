"""Iterations and images of an epoch, counted by hand and against the authors' sampler written out."""

import itertools
import math

import pytest

from ews.core.errors import EwsError
from ews.methods.epoch_sizes import EpochSizes, MixtureParameters, epoch_sizes, mixture_of
from ews.methods.rst.rst_spec import RstParameters
from ews.methods.trades.trades_spec import TradesParameters


def mixture(epoch: str, share: float = 0.5) -> MixtureParameters:
    return MixtureParameters.model_validate({"epoch": epoch, "share": share})


def sampled(images: int, batch: int, share: float, iterations: int) -> EpochSizes:
    """Carmon et al.'s sampler, counting: parts of permutations, one after the other, each filled with extra images."""
    size = batch - int(batch * share)
    parts = itertools.cycle([min(size, images - start) for start in range(0, images, size)])
    labelled = tuple(itertools.islice(parts, iterations))
    return EpochSizes(labelled, tuple(batch - number for number in labelled))


def test_an_epoch_of_cifar() -> None:
    """ceil(50,000 / 128) = 391 batches of 64 + 64; a pass over the labelled ones takes ceil(50,000 / 64) = 782.

    Here 45,000 train: 352 against 704, as without extra images and twice as many.
    """
    for images, batches, whole in ((50_000, 391, 782), (45_000, 352, 704)):
        assert epoch_sizes(images, 128, None).iterations == batches
        released = epoch_sizes(images, 128, mixture("batches"))
        assert released == EpochSizes((64,) * batches, (64,) * batches)
        assert epoch_sizes(images, 128, mixture("pass")).iterations == whole
    assert released.images == 352 * 128 == 45_056


@pytest.mark.parametrize("batch", [2, 5, 8, 128])
@pytest.mark.parametrize("images", [1, 7, 8, 9, 24, 100, 257, 1000])
def test_as_many_batches_as_without_and_what_the_released_sampler_puts_into_them(images: int, batch: int) -> None:
    alone = epoch_sizes(images, batch, None)
    lonely = images % batch == 1 and images > 1
    assert alone.iterations == math.ceil(images / batch) - lonely
    assert alone.images == images - lonely and set(alone.extra) == {0}
    for share in (0.05, 0.29, 0.3, 0.5, 0.7, 0.95):
        if not 0 < int(batch * share) < batch:
            with pytest.raises(EwsError, match=rf"methods\.rst\.share = {share}: batches of {batch} images"):
                epoch_sizes(images, batch, mixture("batches", share))
            continue
        mixed = epoch_sizes(images, batch, mixture("batches", share))
        assert mixed == sampled(images, batch, share, alone.iterations)
        # Of one permutation; and all batches are whole.
        assert sum(mixed.labelled) <= images and mixed.images == alone.iterations * batch


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("images", [1, 7, 64, 100, 257])
def test_a_pass_shows_each_labelled_image_and_keeps_the_proportion(images: int, share: float) -> None:
    sizes = epoch_sizes(images, 20, mixture("pass", share))
    assert sum(sizes.labelled) == images and sizes.iterations == math.ceil(images / (20 - round(20 * share)))
    assert all(
        extra == max(1, round(number * share / (1 - share)))
        for number, extra in zip(sizes.labelled, sizes.extra, strict=True)
    )


def test_the_last_batch_of_a_permutation_is_filled_with_extra_images() -> None:
    # 54 + 6 twice, of which 46 labelled ones remain for the second.
    assert epoch_sizes(100, 60, mixture("batches", 0.1)) == EpochSizes((54, 46), (6, 14))
    assert epoch_sizes(100, 60, mixture("pass", 0.1)) == EpochSizes((54, 46), (6, 5))


def test_a_share_is_rounded_down_as_released_and_to_the_nearest_in_a_pass() -> None:
    assert epoch_sizes(100, 10, mixture("batches", 0.37)).extra[0] == 3
    assert epoch_sizes(100, 10, mixture("pass", 0.37)).extra[0] == 4


def test_of_a_method_s_components_that_of_data_says_it() -> None:
    rst = RstParameters(share=0.25)
    assert mixture_of([TradesParameters(), rst]) is rst and rst.epoch == "batches"
    assert mixture_of([TradesParameters()]) is None
