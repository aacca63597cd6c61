"""Write the generated scenes, the embedded default dataset, to a folder.

The folder is laid out like ADE20K for mmseg and holds COCO instance and panoptic files for mmdet.
Run again with the same arguments, the command leaves a complete folder as it is.

Example:
    python tools/make_scenes.py data/scenes --train 200 --val 50
"""

import argparse

from sapa_mm.datasets import write_scenes


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description='Write the generated scenes in ADE20K layout and COCO formats.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('out', help='folder to write to; made if missing')
    parser.add_argument('--train', type=int, default=200, help='number of training scenes')
    parser.add_argument('--val', type=int, default=50, help='number of validation scenes')
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


def main():
    """Write the scenes."""
    parser = make_parser()
    args = parser.parse_args()
    try:
        write_scenes(
            args.out,
            num_train=args.train,
            num_val=args.val,
            size=args.size,
            seed=args.seed,
            overwrite=args.overwrite,
        )
    except ValueError as error:
        parser.error(str(error))


if __name__ == '__main__':
    main()
