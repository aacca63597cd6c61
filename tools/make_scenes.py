"""Write the generated scenes, the embedded default dataset, to a folder.

The folder is laid out like ADE20K for mmseg and holds COCO instance and panoptic files for mmdet.
Run again with the same arguments, the command leaves a complete folder as it is.

Example:
    python tools/make_scenes.py data/scenes --train 200 --val 50
"""

import argparse

from sapa_mm.datasets import write_scenes
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Write the generated scenes in ADE20K layout and COCO formats.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('root', metavar='out', help='folder to write to; made if missing')
    parser.add_argument(
        '--train', dest='num_train', type=int, default=200, help='number of training scenes'
    )
    parser.add_argument(
        '--val', dest='num_val', type=int, default=50, help='number of validation scenes'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(160, 160),
        metavar=('HEIGHT', 'WIDTH'),
        help='size of the images in pixels, each side 32 or more',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed; the same gives the same scenes')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace scenes that were written to the folder with other arguments',
    )
    return parser


def main() -> None:
    """Write the scenes."""
    parser = make_parser()
    args = parser.parse_args()
    with exit_on(parser, OSError, ValueError):
        write_scenes(**vars(args))


if __name__ == '__main__':
    main()
