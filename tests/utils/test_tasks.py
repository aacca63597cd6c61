import pytest

from sapa_mm.utils.tasks import model_task


def test_a_depth_model_is_known_by_its_class_and_no_other_one_is():
    segmentors = pytest.importorskip('mmseg.models.segmentors')

    class Mine(segmentors.DepthEstimator):
        pass

    assert model_task(Mine) == model_task(Mine.__new__(Mine)) == 'depth'
    assert model_task(segmentors.EncoderDecoder) is None
    assert model_task(None) is None
