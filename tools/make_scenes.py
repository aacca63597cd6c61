"""Write generated data, which everything here can be tried on, to a folder.

Scenes are laid out like ADE20K for mmseg and come with COCO instance and panoptic files for mmdet;
rooms have depth maps, for mmseg's NYUDataset; mattes are foregrounds with alpha, backgrounds and
trimaps. Run again with the same arguments, the command leaves a complete folder as it is.

Example:
    python tools/make_scenes.py data/scenes --train 200 --val 50
    python tools/make_scenes.py data/rooms --kind rooms
    python tools/make_scenes.py data/mattes --kind mattes
"""

import argparse

from sapa_mm.datasets.scenes.writers import WRITERS
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    # What is not given is left to the writer's own defaults.
    parser = argparse.ArgumentParser(
        description='Write generated scenes with classes, rooms with depth or mattes with alpha.',
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument('root', metavar='out', help='folder to write to; made if missing')
    parser.add_argument(
        '--kind',
        choices=sorted(WRITERS),
        default='scenes',
        help='scenes (default) in ADE20K layout and COCO formats, rooms in the layout of NYU, or '
        "mattes in folders like Adobe's",
    )
    parser.add_argument(
        '--train',
        dest='num_train',
        type=int,
        help='number of training images (default: 200 scenes, 1600 rooms or 400 mattes)',
    )
    parser.add_argument(
        '--val',
        dest='num_val',
        type=int,
        help='number of validation images (default: 50 scenes, 100 rooms or 48 mattes)',
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='size of the images in pixels, each side 32 or more (default: 160 160)',
    )
    parser.add_argument('--seed', type=int, help='the same gives the same images (default: 0)')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace what was written to the folder with other arguments',
    )
    return parser


def main() -> None:
    """Write the data."""
    parser = make_parser()
    args = vars(parser.parse_args())
    with exit_on(parser, OSError, ValueError):
        WRITERS[args.pop('kind')](**args)


if __name__ == '__main__':
    main()
