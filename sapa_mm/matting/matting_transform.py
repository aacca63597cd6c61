"""What the transforms of matting have in common."""

from typing import Any, ClassVar

from mmcv.transforms import BaseTransform

#: The transforms that add a key.
_MADE_BY = {
    'img': 'LoadMattingImage or MergeFgAndBg',
    'trimap': 'LoadTrimap or GenerateTrimap',
    'alpha': 'LoadAlphaAnnotations or LoadFgAndBg',
    'fg': 'LoadFgAndBg',
    'bg': 'LoadFgAndBg',
}
#: What is made of other keys in training: these must not change afterwards.
_MADE_OF = {'trimap': ('GenerateTrimap', {'alpha'}), 'img': ('MergeFgAndBg', {'fg', 'bg', 'alpha'})}


class MattingTransform(BaseTransform):
    """Base class that refuses a sample without what it needs, and an order that falsifies one.

    Attributes:
        needs (tuple[str, ...]): The keys that a sample must have.
        changes (tuple[str, ...]): Those that are there and may change. The trimap and the image
            that are made of them must change with them, or not be there yet.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    changes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Check a sample, and transform it.

        Args:
            results (dict): The sample.

        Returns:
            dict: What ``transform`` returns.

        Raises:
            ValueError: If a key is missing, or the transform must come before another one.
        """
        name = type(self).__name__
        for key in self.needs:
            if key not in results:
                advice = f'put {_MADE_BY.get(key)} before it'
                if key.endswith('_path'):
                    prefix = key.removeprefix('other_')
                    advice = f'MattingDataset gives it where its data_prefix has {prefix}'
                raise ValueError(f'{name} needs {key}; {advice}')
        for made, (maker, sources) in _MADE_OF.items():
            changed = [key for key in self.changes if key in sources]
            if made in results and made not in self.changes and changed:
                raise ValueError(
                    f'{name} must come before {maker}: it changes {changed[0]}, of which {made} '
                    'has been made'
                )
        return super().__call__(results)
