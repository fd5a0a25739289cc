"""Import a pretrained Inception-v3 as the trunk's weights, from Gluon, torchvision or TensorFlow.js."""

from __future__ import annotations

import argparse
import sys

from uniface_mx.cli.program import run


def check(photos, path: str, source) -> None:
    """Print what the source's own classifier says of photos, with the trunk that was written."""
    from uniface_mx.backbones import classify
    from uniface_mx.image import read_image

    for photo in photos:
        probabilities = classify(read_image(photo), path, source)
        best = probabilities.argsort()[::-1][:3]
        labels = source.labels or [f'class {number}' for number in range(len(probabilities))]
        print(f'{photo}: {", ".join(f"{labels[i]} {probabilities[i]:.3f}" for i in best)}')


def import_trunk(arguments: argparse.Namespace) -> None:
    from uniface_mx.backbones import read_source, write_trunk

    source = read_source(arguments.source, arguments.kind, arguments.scaling)
    write_trunk(arguments.out, source, arguments.source)
    print(
        '{}: {} tensors of {} ({}, pixels scaled: {}, padding counts in average pooling: {})'.format(
            arguments.out,
            len(source.names),
            arguments.source,
            source.kind,
            source.scaling,
            'yes' if source.count_include_pad else 'no',
        )
    )
    print(f'{len(source.classifier_names)} of its classifier: {" ".join(source.classifier_names) or "-"}')
    print(f'{len(source.unused)} unused: {" ".join(source.unused) or "-"}')
    check(arguments.check, arguments.out, source)


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'source', help='.params of Gluon, .pth of torchvision, or a folder, model.json or npm .tgz'
    )
    parser.add_argument(
        '--out', required=True, metavar='FILE.params', help='the weights; FILE.json comes beside it'
    )
    parser.add_argument('--kind', choices=('gluon', 'torchvision', 'tfjs'), help='by default the file tells')
    parser.add_argument(
        '--scaling',
        choices=('imagenet', 'symmetric', 'unit'),
        help="of the pixels in training, where it is not the usual one of its kind: ImageNet's means and "
        'deviations (gluon), x / 127.5 - 1 (torchvision, Keras), x / 255 (nsfwjs)',
    )
    parser.add_argument(
        '--check',
        nargs='+',
        default=(),
        metavar='PHOTO',
        help="then classify photos with the trunk written and the source's own classifier",
    )
    arguments = parser.parse_args(argv)
    return run('import_backbone', lambda: import_trunk(arguments))


if __name__ == '__main__':
    sys.exit(main())
