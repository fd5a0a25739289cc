"""Import a pretrained Inception-v3 as the trunk's weights, from Gluon, torchvision or TensorFlow.js."""

from __future__ import annotations

import argparse
import sys

from uniface_mx.backbones import classify, read_source, write_trunk
from uniface_mx.cli.program import program
from uniface_mx.image import read_image


def import_trunk(arguments: argparse.Namespace) -> None:
    """Write a trunk, and print what its source's own classifier says of photos with it."""
    source = read_source(arguments.source, arguments.kind, arguments.scaling)
    write_trunk(arguments.out, source, arguments.source)
    padding = 'yes' if source.count_include_pad else 'no'
    rules = f'pixels scaled: {source.scaling}, padding counts in average pooling: {padding}'
    print(f'{arguments.out}: {len(source.names)} tensors of {arguments.source} ({source.kind}, {rules})')
    print(f'{len(source.classifier_names)} of its classifier: {" ".join(source.classifier_names) or "-"}')
    print(f'{len(source.unused)} unused: {" ".join(source.unused) or "-"}')
    for photo in arguments.check:
        probabilities = classify(read_image(photo), arguments.out, source)
        best = probabilities.argsort()[::-1][:3]
        labels = source.labels or [f'class {number}' for number in range(len(probabilities))]
        print(f'{photo}: {", ".join(f"{labels[i]} {probabilities[i]:.3f}" for i in best)}')


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    add = parser.add_argument
    add('source', help='.params of Gluon, .pth of torchvision, or a folder, model.json or npm .tgz')
    add('--out', required=True, metavar='FILE.params', help='the weights; FILE.json comes beside it')
    add('--kind', choices=('gluon', 'torchvision', 'tfjs'), help='by default the file tells')
    text = (
        "of the pixels in training, where it is not the usual one of its kind: ImageNet's means and "
        'deviations (gluon), x / 127.5 - 1 (torchvision, Keras), x / 255 (nsfwjs)'
    )
    add('--scaling', choices=('imagenet', 'symmetric', 'unit'), help=text)
    text = "then classify photos with the trunk written and the source's own classifier"
    add('--check', nargs='+', default=(), metavar='PHOTO', help=text)


main = program('import_backbone', __doc__, import_trunk, add_options)

if __name__ == '__main__':
    sys.exit(main())
