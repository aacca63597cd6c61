# CamVid with 11 classes, 255 for what has no label.
_base_ = '../../configs/segformer/segformer_mit-tiny_sapa-d_1xb8-300_scenes-128x128.py'

dataset = dict(
    data_root='data/camvid',
    metainfo=dict(
        _delete_=True,
        classes=(
            'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'car',
            'pedestrian', 'cyclist',
        ),
        palette=[
            [128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222],
            [128, 128, 0], [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192],
        ],
    ),
    reduce_zero_label=False,
)  # fmt: skip
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'), **dataset
    )
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'), **dataset)
)
test_dataloader = val_dataloader
