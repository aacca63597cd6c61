"""Panoptic FPN that also returns the instances of its panoptic map."""

from mmdet.models.detectors import PanopticFPN
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor


@MODELS.register_module()
class PanopticFPNWithInstances(PanopticFPN):
    """Panoptic FPN whose results can be evaluated in box AP and mask AP as well as PQ.

    The stock class drops the instances once they are fused. Average precision also needs
    instances of low score, so set ``test_cfg.rcnn.score_thr`` low here; only instances of at least
    ``test_cfg.panoptic.score_thr`` (default 0: all) are fused. The panoptic map equals that of the
    stock class with this threshold in ``test_cfg.rcnn``, because non-maximum suppression never
    removes an instance in favour of one with a lower score. Takes the arguments of mmdet's
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
        fused = [detected[detected.scores >= threshold] for detected in instances]
        maps = self.panoptic_fusion_head.predict(fused, semantic)
        for sample, detected in zip(batch_data_samples, instances, strict=True):
            sample.pred_instances = detected
        return self.add_pred_to_datasample(batch_data_samples, maps)
