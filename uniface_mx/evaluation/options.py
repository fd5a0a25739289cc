"""What evaluations share as commands: options of whom to evaluate, what these make, and the result file."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

import numpy as np

from uniface_mx.cli.program import at_least
from uniface_mx.data.records import Record, RecordReader, load_meta, require_teachers
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.results import write_result
from uniface_mx.evaluation.subject import Enlarged, ModelSubject, Subject, TeacherSubject, about_model
from uniface_mx.models.files import ModelFiles
from uniface_mx.provenance import portable
from uniface_mx.teachers import open_teacher

# Score from which faces count where a curve needs the doubtful ones.
ANY_SCORE = 0.01
# Options that say where to keep and whether to show something, and nothing about the figures.
UNRECORDED = ('--cache', '--no-progress')
# Types of numbers.
WHOLE, COUNT, SHARE = at_least(0), at_least(1), at_least(0, float)


def add_subject(command: argparse.ArgumentParser, score_threshold: Optional[float] = None) -> None:
    """Options of whom to evaluate, a model or the teachers, and with what."""
    who, add = command.add_mutually_exclusive_group(), command.add_argument
    who.add_argument('--model', metavar='PREFIX', help='of an exported model, as DIR/NAME')
    text = 'the teachers instead: what a model can reach at best'
    who.add_argument('--teacher', action='store_true', help=text)
    add_backend(command)
    default = '%(default)s' if score_threshold else "the model's own"
    text = f"of the model's faces ({default})"
    add('--score-threshold', type=SHARE, metavar='S', default=score_threshold, help=text)
    text, pair = 'NAME or NAME?OPTION=VALUE&... (%(default)s)', ('mtcnn_pypi', 'dlib')
    add('--teachers', nargs=2, default=pair, metavar=('LANDMARKS', 'EMBEDDINGS'), help=text)
    mirror = command.add_mutually_exclusive_group()
    text = "average a face's embedding with its mirror image's (teachers do so anyhow)"
    mirror.add_argument('--mirror', action='store_true', default=None, help=text)
    text = "teachers: the face's embedding alone"
    mirror.add_argument('--no-mirror', dest='mirror', action='store_false', help=text)
    text = 'show every photo F times as large'
    add('--enlarge', type=at_least(0.01, float), default=1, metavar='F', help=text)
    command.set_defaults(check=one_subject)


def one_subject(arguments: argparse.Namespace) -> Optional[str]:
    """What is wrong with the options of whom to evaluate, or None."""
    chosen = bool(arguments.model) + arguments.teacher
    return None if chosen == 1 else 'give one of --model PREFIX, --teacher'


def add_model(command: argparse.ArgumentParser) -> None:
    """The option of a model that has to be one."""
    command.add_argument('--model', required=True, metavar='PREFIX', help='of an exported model, as DIR/NAME')


def add_backend(command: argparse.ArgumentParser) -> None:
    """Options of what runs a model, and of progress bars."""
    command.add_argument('--backend', default='mxnet', help='of the predictor (%(default)s)')
    command.add_argument('--device', default='cpu', help='cpu or gpu(N) (%(default)s)')
    command.add_argument('--no-progress', dest='progress', action='store_false')


def add_mean(command: argparse.ArgumentParser) -> None:
    """The option that names a mean embedding, for `mean_embedding`."""
    text = "record set whose mean embedding to take; the model's own by default"
    command.add_argument('--mean', metavar='NAME', help=text)


def add_limit(command: argparse.ArgumentParser, limit: Optional[int]) -> None:
    """The option that takes a part of record sets, for `spread`."""
    text = f'photos of each record set, evenly spread over it ({limit or "all"})'
    command.add_argument('--limit', type=COUNT, default=limit, metavar='N', help=text)


def teacher(
    arguments: argparse.Namespace, embed: bool = True, centre: Optional[np.ndarray] = None
) -> TeacherSubject:
    """The teachers' pipeline, as the options describe it; `centre` is the mean embedding (128,)."""
    landmarks, embeddings = arguments.teachers
    embedder = open_teacher(embeddings) if embed else None
    return TeacherSubject(open_teacher(landmarks), embedder, arguments.mirror is not False, centre)


def subject(
    arguments: argparse.Namespace, embed: bool = True, centre: Optional[np.ndarray] = None
) -> Subject:
    """Whom the options name: a model, or the teachers as `teacher` gives them."""
    chosen = teacher(arguments, embed, centre) if arguments.teacher else _model(arguments, embed)
    return chosen if arguments.enlarge == 1 else Enlarged(chosen, arguments.enlarge)


def _model(arguments: argparse.Namespace, embed: bool) -> ModelSubject:
    options = {'backend': arguments.backend}
    # Identities have no entry for what is as usual.
    for key, usual in (('device', 'cpu'), ('score_threshold', None), ('mirror', None)):
        value = getattr(arguments, key)
        if value != usual and value is not False:
            options[key] = value
    predictor = Predictor.load(arguments.model, **options)
    if embed and not predictor.manifest.get('embedding', {}).get('centred'):
        exported = f'{arguments.model} was exported without a mean embedding'
        print(f'note: {exported}, so the cosine of strangers is not near 0', file=sys.stderr)
    return ModelSubject(predictor, arguments.model, options)


def manifest_of(arguments: argparse.Namespace) -> Dict[str, Any]:
    """The manifest of the model that the options name, by its prefix or as one that ships."""
    return ModelFiles.find(arguments.model).manifest


def mean_embedding(arguments: argparse.Namespace, needed: bool = True) -> Optional[np.ndarray]:
    """The mean teacher embedding (128,), of the record set that was named or of the model's training set.

    None where there is none; `UnifaceError` if it is `needed`.
    """
    if arguments.mean:
        mean = load_meta(arguments.mean).mean_embedding
    else:
        mean = [] if arguments.teacher else manifest_of(arguments).get('mean_embedding')
    if needed and not mean:
        told = 'embeddings are compared around their mean'
        raise UnifaceError(f'{told}: give a record set with --mean, the model has none')
    return np.array(mean, np.float32) if mean else None


def open_records(arguments: argparse.Namespace, names: Sequence[str]) -> List[RecordReader]:
    """Record sets, whose embeddings must come from the teacher that the model learned from."""
    readers = [RecordReader(name) for name in names]
    training = manifest_of(arguments).get('training') if arguments.model else None
    taught_by = training.get('teachers') if isinstance(training, dict) else None
    for reader in readers if taught_by else ():
        require_teachers(reader.meta, taught_by, reader.name)
    return readers


def spread(readers: Sequence[Sequence[Record]], limit: Optional[int] = None) -> Iterator[Record]:
    """At most ``limit`` records of each set, evenly spread over it and always the same; all without a limit."""
    return chain.from_iterable(
        reader
        if limit is None or limit >= len(reader)
        else (reader[int(number)] for number in np.linspace(0, len(reader) - 1, limit).round())
        for reader in readers
    )


def about_records(readers: Sequence[RecordReader]) -> Dict[str, Any]:
    """Record sets as results name them."""
    return {
        'name': ', '.join(Path(reader.name).name for reader in readers),
        'sha256': [reader.meta.files['.rec']['sha256'] for reader in readers],
    }


def recorded(command_line: Sequence[str]) -> List[str]:
    """A command line as results keep it: without what does not bear on the figures, and this machine's folders."""
    kept = list(command_line)
    if '--cache' in kept:
        del kept[kept.index('--cache') + 1]
    return portable([word for word in kept if word.partition('=')[0] not in UNRECORDED])


def write(
    arguments: argparse.Namespace, name: str, about: Union[Subject, Dict], data: Dict, metrics: Dict
) -> None:
    """Write a result; ``about`` is whom it is about, to which the model's manifest adds what it says."""
    if isinstance(about, Subject):
        about = {'name': about.name, 'identity': about.identity}
    if getattr(arguments, 'model', None):
        about = dict(about, **about_model(arguments.model, 'model', 'training', 'licence'))
    command = ['tools/evaluate.py', *recorded(arguments.command_line)]
    path = write_result(arguments.out, name, subject=about, data=data, metrics=metrics, command=command)
    print(f'wrote {path}')
