"""Panoptic FPN that also returns the instances that its panoptic map was made of."""

from mmdet.models.detectors import PanopticFPN
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor


@MODELS.register_module()
class PanopticFPNWithInstances(PanopticFPN):
    """Panoptic FPN whose results can be measured in box AP and mask AP as well as in PQ.

    The stock class drops the instances once they are fused. Average precision needs instances of
    low score as well, so set ``test_cfg.rcnn.score_thr`` low here; only instances of at least
    ``test_cfg.panoptic.score_thr`` (default 0: all) are fused. The panoptic map is the one that the
    stock class computes with this threshold in ``test_cfg.rcnn``, because in non-maximum
    suppression an instance never removes one of higher score. Arguments are those of mmdet's
    ``PanopticFPN``.
    """

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Predict instances and panoptic maps.

        Args:
            batch_inputs (Tensor): Images (N, 3, H, W).
            batch_data_samples (list[DetDataSample]): Their meta information.
            rescale (bool): Whether results have the size of the original images.
                Defaults to True.

        Returns:
            list[DetDataSample]: With ``pred_instances`` (bboxes, scores, labels, masks) and
            ``pred_panoptic_seg`` (``sem_seg``, (1, H, W)).
        """
        features = self.extract_feat(batch_inputs)
        proposals = self.rpn_head.predict(features, batch_data_samples, rescale=False)
        instances = self.roi_head.predict(features, proposals, batch_data_samples, rescale=rescale)
        metas = [sample.metainfo for sample in batch_data_samples]
        semantic = self.semantic_head.predict(features, metas, rescale)
        threshold = self.test_cfg.panoptic.get('score_thr', 0)
        fused = [found[found.scores >= threshold] for found in instances]
        maps = self.panoptic_fusion_head.predict(fused, semantic)
        for sample, found in zip(batch_data_samples, instances, strict=True):
            sample.pred_instances = found
        return self.add_pred_to_datasample(batch_data_samples, maps)
