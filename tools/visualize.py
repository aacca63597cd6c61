"""Draw what trained models do on an image: features, kernels, points, predictions.

Example:
    python tools/visualize.py features --model CONFIG CHECKPOINT --image photo.jpg --out out.png
    python tools/visualize.py gallery --model CONFIG CHECKPOINT --model CONFIG CHECKPOINT \\
        --sample 0 --out gallery.html
"""

import argparse

from sapa_mm.engine.arguments import add_cfg_options, add_data_root, start_tool
from sapa_mm.utils.flags import exit_on
from sapa_mm.visualization.visualize import CHOICES, visualize


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('figure', choices=CHOICES, help='what to draw')
    parser.add_argument(
        '--model',
        dest='models',
        nargs=2,
        action='append',
        required=True,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='a trained model; several for upsamplers, predictions and gallery',
    )
    parser.add_argument('--image', help='a photograph')
    parser.add_argument('--trimap', help='its trimap, for matting')
    parser.add_argument(
        '--truth', help="its label map, depth map or alpha matte, as in the config's dataset"
    )
    parser.add_argument(
        '--sample', type=int, help="index in the first config's validation set, in place of --image"
    )
    parser.add_argument(
        '--out', required=True, help='.png, .pdf or .svg to write; .html for a gallery'
    )
    parser.add_argument(
        '--position',
        nargs=2,
        type=int,
        metavar=('ROW', 'COLUMN'),
        help='pixel of the image whose kernel or points are drawn (default: on a border between '
        "predicted classes, or at a step of predicted depth or alpha, near the image's centre)",
    )
    parser.add_argument(
        '--upsampler',
        type=int,
        help="whose kernel or points: index in the order of the upsamplers' calls (default: last)",
    )
    parser.add_argument(
        '--channels',
        nargs='+',
        type=int,
        help='single channels of the features (default: the mean of all)',
    )
    add_data_root(parser)
    add_cfg_options(parser, 'override settings of all configs')
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    with exit_on(parser, OSError, ValueError):
        visualize(**vars(args))


if __name__ == '__main__':
    main()
