"""Error measures in closed form, and predictions of awkward networks."""

import numpy as np
import pytest
import torch
from torch import nn

from ews.core.errors import EwsError
from ews.pipeline.artifacts.evaluation import write_arrays
from ews.pipeline.evaluate.metrics import correct, error, mce
from ews.pipeline.evaluate.predict import BATCH, predict


def test_error_is_the_share_of_wrong_predictions_in_percent():
    prediction, labels = np.array([0, 1, 2, 2], np.uint8), np.array([0, 1, 1, 2])
    assert correct(prediction, labels) == 3
    assert error(prediction, labels) == 25.0
    assert error(labels, labels) == 0.0


def test_labels_beyond_the_stored_type_do_not_wrap():
    assert error(np.array([0], np.uint8), np.array([256])) == 100.0


def test_error_needs_images_of_one_shape():
    with pytest.raises(ValueError, match="no images"):
        error(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="differ in shape"):
        error(np.zeros(3), np.zeros((3, 1)))


def test_mce_divides_by_the_baseline_per_corruption():
    errors, baseline = {"fog": [10, 30], "snow": [5, 5]}, {"fog": [40, 40], "snow": [10, 10]}
    # 40/80 and 10/20.
    assert mce(errors, baseline) == 50
    assert mce({**errors, "snow": [20, 20]}, baseline) == 125
    assert mce(baseline, baseline) == 100


@pytest.mark.parametrize(
    ("baseline", "message"),
    [({"fog": [1]}, "differ"), ({"fog": [1], "snow": [1, 1]}, "differ"), ({"fog": [0], "snow": [1]}, "'fog'")],
)
def test_mce_refuses_a_baseline_that_does_not_fit(baseline, message):
    with pytest.raises(EwsError, match=message):
        mce({"fog": [1], "snow": [1]}, baseline)


@pytest.mark.parametrize("errors", [{}, {"fog": []}])
def test_nothing_to_average_is_refused(errors):
    with pytest.raises(EwsError, match="no errors to average"):
        mce(errors, errors)


class Table(nn.Module):
    """Gives row i of a table for an image of brightness i."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits[(x[:, 0, 0, 0] * 255).round().long()]


def images(count: int) -> np.ndarray:
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 3))


def run(logits: torch.Tensor, indices: np.ndarray):
    return predict(Table(logits).eval(), images(len(logits)), indices=indices, device=torch.device("cpu"))


def test_predictions_follow_the_indices_over_several_batches():
    logits = torch.randn(250, 7, generator=torch.Generator().manual_seed(0))
    indices = np.random.default_rng(0).integers(0, 250, 2 * BATCH + 3)
    found = run(logits, indices)
    assert np.array_equal(found.prediction, logits.argmax(1).numpy()[indices])
    assert np.allclose(found.confidence, logits.softmax(1).amax(1).numpy()[indices], atol=1e-3)


@pytest.mark.parametrize(("classes", "kind"), [(10, np.uint8), (255, np.uint8), (256, np.uint16), (1000, np.uint16)])
def test_the_stored_type_holds_every_class(classes, kind):
    logits = torch.zeros(1, classes)
    logits[0, -1] = 1
    found = run(logits, np.array([0]))
    assert found.prediction.dtype == kind
    assert found.prediction[0] == classes - 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_logit_that_is_not_finite_is_never_right(bad):
    logits = torch.tensor([[1.0, 0.0], [bad, 0.0], [0.0, 1.0]])
    found = run(logits, np.arange(3))
    assert found.prediction.tolist() == [0, 2, 1]
    assert found.confidence[1] == 0
    assert error(found.prediction, np.array([0, 0, 1])) == pytest.approx(100 / 3)


def test_a_network_in_training_mode_is_not_measured():
    with pytest.raises(ValueError, match="training mode"):
        predict(Table(torch.zeros(1, 2)), images(1), indices=np.array([0]), device=torch.device("cpu"))


def test_arrays_of_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="pickled"):
        write_arrays(tmp_path / "a.npz", {"names": np.array(["fog", None], dtype=object)})
    assert not list(tmp_path.iterdir())
