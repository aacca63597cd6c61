import pytest

from sapa_mm.utils.tasks import model_task


def test_a_task_is_known_by_the_nearest_class():
    segmentors = pytest.importorskip('mmseg.models.segmentors')

    class Mine(segmentors.DepthEstimator):
        pass

    assert model_task(Mine) == model_task(Mine.__new__(Mine)) == 'depth'
    assert model_task(segmentors.CascadeEncoderDecoder) == 'segmentation'
    assert model_task(segmentors.BaseSegmentor) is None
    assert model_task(None) is None
