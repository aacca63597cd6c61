"""Compose images to test matting on, once; those that are there are kept.

`comp1k` composes the 1000 test images of Composition-1k, which Adobe delivers as 50 foregrounds, on
backgrounds of PASCAL VOC 2012. `plain` takes a folder of your own with fg/, alpha/ and bg/, and
makes trimaps, too.

Example:
    python tools/prepare_data.py comp1k data/comp1k data/VOCdevkit/VOC2012/JPEGImages
    python tools/prepare_data.py plain data/mine --num-backgrounds 5
"""

import argparse

from sapa_mm.matting.compose_images import compose_comp1k, compose_plain
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description='Compose images to test matting on.')
    commands = parser.add_subparsers(required=True, metavar='comp1k | plain')

    def add(name, compose, help):
        # What is not given is left to the function's own defaults.
        command = commands.add_parser(name, help=help, argument_default=argparse.SUPPRESS)
        command.set_defaults(compose=compose)
        return command

    comp1k = add('comp1k', compose_comp1k, 'the 1000 test images of Composition-1k')
    comp1k.add_argument('root', help="Adobe's folder, with Test_set/")
    comp1k.add_argument('backgrounds', help='JPEGImages of PASCAL VOC 2012')
    plain = add('plain', compose_plain, 'images and trimaps from fg/, alpha/ and bg/')
    plain.add_argument('root', help='the folder that has them')
    plain.add_argument(
        '--num-backgrounds', type=int, help='images of each foreground (default: 20)'
    )
    plain.add_argument('--seed', type=int, help='the same makes the same images (default: 0)')
    for command in (comp1k, plain):
        command.add_argument('--overwrite', action='store_true', help='compose all of them again')
    return parser


def main() -> None:
    """Compose them."""
    parser = make_parser()
    args = vars(parser.parse_args())
    with exit_on(parser, OSError, ValueError):
        count = args.pop('compose')(**args)
        print(f'\n{count} images composed')


if __name__ == '__main__':
    main()
