"""Embeddings beside the teacher's, of people held out and trained on: the gap tells what more data would do."""

from __future__ import annotations

import argparse

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import detection, options
from uniface_mx.evaluation.results import shown

HELP = "embeddings beside the teacher's, of people held out and trained on"


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    options.add_subject(command)
    text = 'record sets of people not trained on'
    command.add_argument('--held-out', required=True, nargs='+', metavar='NAME', help=text)
    command.add_argument('--training', nargs='+', default=[], metavar='NAME', help='record sets trained on')
    options.add_limit(command, 2000)
    options.add_mean(command)


def run(arguments: argparse.Namespace) -> None:
    """Centred cosine to the teacher on held-out people, beside that on those trained on."""
    mean = options.mean_embedding(arguments)
    named = {'held_out': arguments.held_out, 'training': arguments.training}
    readers = {kind: options.open_records(arguments, names) for kind, names in named.items() if names}
    chosen = options.subject(arguments, centre=mean)
    figures = {}
    for kind, own in readers.items():
        records = options.spread(own, arguments.limit)
        found = detection.evaluate(chosen, records, 0, mean, arguments.progress)
        cosine = found['cosine_to_teacher']
        more = {'photos': found['photos'], 'recall': found['recall'], 'record_faces': found['faces']}
        figures[kind] = dict(cosine, **more)
        if cosine['mean'] is None:
            raise UnifaceError(f'{", ".join(named[kind])}: none of its faces was found and has an embedding')
        low, high = cosine['interval']
        print(
            f'{kind.replace("_", " ")}: cosine {cosine["mean"]:.3f} ({low:.3f} to {high:.3f}) over '
            f'{cosine["faces"]} faces; {shown(found["recall"])} of all faces found'
        )
    data = {kind: options.about_records(own) for kind, own in readers.items()}
    data.update(name=data['held_out']['name'], limit=arguments.limit)
    options.write(arguments, 'cosine', chosen, data, figures)
