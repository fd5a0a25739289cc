"""The evaluations as `tools/evaluate.py` has them: for each its options, what it runs, prints and writes."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from uniface_mx.cli.program import at_least
from uniface_mx.data.records import RecordReader, load_meta, require_teachers
from uniface_mx.data.sources import open_source
from uniface_mx.deploy.export import inference_graphs
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import detection, fddb, fddb_crops, groups, landmarks, lfw, speed, verification
from uniface_mx.evaluation.figures import draw_fddb, draw_verification
from uniface_mx.evaluation.subject import Enlarged, ModelSubject, TeacherSubject, hash_model
from uniface_mx.models import get_model
from uniface_mx.models.cost import count
from uniface_mx.models.manifest import find_model, read_manifest
from uniface_mx.paths import data_root
from uniface_mx.provenance import portable, read_result, write_result
from uniface_mx.teachers import open_teacher

TEACHERS = ('mtcnn', 'dlib')
ANY_SCORE = 0.01
# Options that say where to keep and whether to show something, and nothing about the figures.
UNRECORDED = ('--cache', '--no-progress')


def default_cache() -> Path:
    """Where embeddings are kept."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'uniface_mx'


def teacher(arguments: argparse.Namespace, embed: bool = True, centre=None):
    """The teachers' pipeline, as the options describe it."""
    landmarks, embeddings = arguments.teachers
    return TeacherSubject(
        open_teacher(landmarks),
        open_teacher(embeddings) if embed else None,
        mirror=arguments.mirror is not False,
        centre=centre,
    )


def subject(arguments: argparse.Namespace, embed: bool = True, centre=None):
    """Whom the options name: a model or the teachers."""
    if arguments.teacher:
        chosen = teacher(arguments, embed, centre)
    else:
        options = {'backend': arguments.backend}
        if arguments.device != 'cpu':
            options['device'] = arguments.device
        if arguments.score_threshold is not None:
            options['score_threshold'] = arguments.score_threshold
        if arguments.mirror:
            options['mirror'] = True
        predictor = Predictor.load(arguments.model, **options)
        if embed and not predictor.manifest.get('embedding', {}).get('centred'):
            print(
                f'note: {arguments.model} was exported without a mean embedding, so the cosine of strangers is not '
                'near 0',
                file=sys.stderr,
            )
        chosen = ModelSubject(predictor, arguments.model, options)
    return chosen if arguments.enlarge == 1 else Enlarged(chosen, arguments.enlarge)


def recorded(command_line: Sequence[str]) -> List[str]:
    """A command line as results keep it: without what does not bear on the figures, and without this
    machine's folders.
    """
    kept = list(command_line)
    if '--cache' in kept:
        del kept[kept.index('--cache') + 1]
    return portable([word for word in kept if word.partition('=')[0] not in UNRECORDED])


def told_training(manifest: Dict[str, Any]) -> Any:
    """What a manifest says of a model's training, without the whole configuration that a run's export has."""
    training = manifest.get('training')
    if not isinstance(training, dict) or 'config' not in training:
        return training
    config, losses = (training['config'].get(section, {}) for section in ('training', 'losses'))
    told = {key: value for key, value in training.items() if key != 'config'}
    settings = dict(iterations=config.get('iterations'), seed=config.get('seed'))
    return dict(told, **settings, contrast=losses.get('contrast'))


def manifest_of(arguments: argparse.Namespace) -> Dict[str, Any]:
    """The manifest of the model that the options name, by its prefix or as one that ships."""
    return read_manifest(find_model(arguments.model), verify=False)


def write(
    arguments: argparse.Namespace,
    name: str,
    about: Dict[str, Any],
    data: Dict[str, Any],
    metrics: Dict[str, Any],
) -> None:
    """Write a result; ``about`` is whom it is about, to which the model's manifest adds what it says."""
    if getattr(arguments, 'model', None):
        manifest = manifest_of(arguments)
        told = dict(
            model=manifest.get('model'), training=told_training(manifest), licence=manifest.get('licence')
        )
        about = dict(about, **{key: value for key, value in told.items() if value is not None})
    path = write_result(
        arguments.out,
        name,
        subject=about,
        data=data,
        metrics=metrics,
        command=['tools/evaluate.py', *recorded(arguments.command_line)],
    )
    print(f'wrote {path}')


def whom(chosen) -> Dict[str, Any]:
    """A subject as results name it."""
    return {'name': chosen.name, 'identity': chosen.identity}


def percent(value: Optional[float]) -> str:
    """A share as printed."""
    return 'none' if value is None else f'{100 * value:.2f} %'


def mean_embedding(arguments: argparse.Namespace) -> Optional[np.ndarray]:
    """The mean teacher embedding: of the record set that was named, or of the model's training set."""
    if arguments.mean:
        mean = load_meta(arguments.mean).mean_embedding
    else:
        mean = [] if arguments.teacher else manifest_of(arguments).get('mean_embedding')
    return np.array(mean, np.float32) if mean else None


def needed_mean(arguments: argparse.Namespace) -> np.ndarray:
    """:func:`mean_embedding`, which must be there."""
    mean = mean_embedding(arguments)
    if mean is None:
        raise UnifaceError(
            'embeddings are compared around their mean: give a record set with --mean, the model has none'
        )
    return mean


def open_records(arguments: argparse.Namespace, names: Sequence[str]) -> List[RecordReader]:
    """Record sets, whose embeddings must come from the teacher that the model learned from."""
    readers = [RecordReader(name) for name in names]
    training = manifest_of(arguments).get('training') if arguments.model else None
    taught_by = training.get('teachers') if isinstance(training, dict) else None
    for reader in readers if taught_by else ():
        require_teachers(reader.meta, taught_by, reader.name)
    return readers


def add_subject(command: argparse.ArgumentParser, score_threshold: Optional[float]) -> None:
    """Options of whom to evaluate, and with what."""
    who = command.add_mutually_exclusive_group()
    who.add_argument('--model', metavar='PREFIX', help='of an exported model, as DIR/NAME')
    who.add_argument(
        '--teacher', action='store_true', help='the teachers instead: what a model can reach at best'
    )
    add_backend(command)
    command.add_argument(
        '--score-threshold',
        type=at_least(0, float),
        metavar='S',
        default=score_threshold,
        help="of the model's faces ({})".format('%(default)s' if score_threshold else "the model's own"),
    )
    command.add_argument(
        '--teachers',
        nargs=2,
        default=TEACHERS,
        metavar=('LANDMARKS', 'EMBEDDINGS'),
        help='NAME or NAME?OPTION=VALUE&... (%(default)s)',
    )
    mirror = command.add_mutually_exclusive_group()
    mirror.add_argument(
        '--mirror',
        action='store_true',
        default=None,
        help="average a face's embedding with its mirror image's (teachers do so anyhow)",
    )
    mirror.add_argument(
        '--no-mirror', dest='mirror', action='store_false', help="teachers: the face's embedding alone"
    )
    command.add_argument(
        '--enlarge',
        type=at_least(0.01, float),
        default=1,
        metavar='F',
        help='show every photo F times as large',
    )


def add_backend(command: argparse.ArgumentParser) -> None:
    """Options of what runs a model, and of progress bars."""
    command.add_argument('--backend', default='mxnet', help='of the predictor (%(default)s)')
    command.add_argument('--device', default='cpu', help='cpu or gpu(N) (%(default)s)')
    command.add_argument('--no-progress', dest='progress', action='store_false')


def add_mean(command: argparse.ArgumentParser) -> None:
    """The option that names a mean embedding."""
    command.add_argument(
        '--mean', metavar='NAME', help="record set whose mean embedding to take; the model's own by default"
    )


def add_lfw(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_lfw`."""
    command.add_argument('--images', required=True, metavar='DIR')
    command.add_argument('--pairs', required=True, metavar='FILE', help='the official pairs.txt')
    command.add_argument(
        '--choose',
        choices=lfw.CHOICES,
        default='centre',
        help='whom a photo with several faces is about (%(default)s)',
    )
    command.add_argument(
        '--perturb',
        type=at_least(0),
        default=0,
        metavar='PIXELS',
        help='crop or pad each side by up to so many pixels; the paper takes 60',
    )
    command.add_argument(
        '--seed',
        type=at_least(0),
        nargs='+',
        default=[0],
        metavar='S',
        help='of the perturbation; several are averaged',
    )
    command.add_argument(
        '--cache', metavar='DIR', default=default_cache(), help='of embeddings (%(default)s)'
    )


def run_lfw(arguments: argparse.Namespace) -> None:
    """Ten folds, of photos as they are or perturbed."""
    pairs = lfw.read_pairs(arguments.pairs)
    photos = lfw.find_photos(arguments.images, sorted(set(pairs.first) | set(pairs.second)))
    chosen = subject(arguments)
    runs = []
    for seed in arguments.seed if arguments.perturb else (0,):
        embedded = lfw.cached_embeddings(
            arguments.cache, chosen, photos, arguments.choose, arguments.perturb, seed, arguments.progress
        )
        figures, curve = lfw.evaluate(pairs, embedded, chosen.metric)
        runs.append(dict(figures, seed=seed) if arguments.perturb else figures)
        print(
            '{}accuracy {} +- {:.2f} (std of the folds), standard error {:.2f}, area {:.5f}, '
            '{} photos without face'.format(
                f'seed {seed}: ' if arguments.perturb else '',
                percent(figures['accuracy']),
                100 * figures['std'],
                100 * figures['standard_error'],
                figures['area'],
                figures['photos_without_face'],
            )
        )
    unusual = {(True, False): '_single', (False, True): '_mirror'}
    name = 'lfw' + unusual.get((arguments.teacher, arguments.mirror), '')
    metrics = dict(runs[0], choose=arguments.choose)
    if arguments.perturb:
        name += f'_perturb{arguments.perturb}'
        metrics = dict(lfw.average(runs), choose=arguments.choose, perturb=arguments.perturb, seeds=runs)
        print(f'over {len(runs)} seeds: {percent(metrics["accuracy"])}')
    draw_verification(
        Path(arguments.out) / (name + '_roc.png'),
        {chosen.name: (curve.false_accepts[1:], curve.true_accepts[1:])},
    )
    data = {
        'name': 'LFW',
        'photos': len(photos),
        'pairs': len(pairs.same),
        'protocol': 'unrestricted, labeled outside data',
    }
    write(arguments, name, whom(chosen), data, metrics)


def add_fddb(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_fddb`."""
    command.add_argument('--images', metavar='DIR', help='with 2002/08/11/big/img_591.jpg and so on')
    command.add_argument('--annotations', metavar='DIR', help='FDDB-folds')
    command.add_argument('--detections', metavar='DIR', help='official output files instead of a model')
    command.add_argument('--crops', metavar='DIR', help='FDDB-crops instead of FDDB')
    command.add_argument('--curves', metavar='DIR', help="other detectors' *DiscROC*.txt, to be drawn beside")
    command.add_argument(
        '--official',
        metavar='DIR',
        help="what FDDB's own program made of the same detections, *DiscROC.txt and *ContROC.txt: tell how "
        'far ours are from it',
    )


class _Measured(NamedTuple):
    """FDDB or FDDB-crops: the result's name, the figure's title, whom and what it is about, and the curves."""

    name: str
    title: str
    about: Dict[str, Any]
    data: Dict[str, Any]
    curve: fddb.Curve


def _fddb_crops(arguments: argparse.Namespace) -> _Measured:
    chosen = subject(arguments, embed=False)
    curve, counts = fddb_crops.evaluate(chosen, fddb_crops.read_crops(arguments.crops), arguments.progress)
    note = 'crops of FDDB photos, easier than FDDB; no figure on FDDB'
    data = dict(counts, name='FDDB-crops', note=note)
    return _Measured('fddb_crops', 'FDDB-crops (not FDDB), discrete score', whom(chosen), data, curve)


def _fddb(arguments: argparse.Namespace) -> _Measured:
    annotations = fddb.read_annotations(arguments.annotations)
    photos = fddb.find_photos(arguments.images, annotations) if arguments.images else None
    if arguments.detections:
        detector = Path(arguments.detections).resolve().name
        about = {'name': detector, 'identity': {'detections': detector}}
        sizes = fddb.read_sizes(photos) if photos else None
    else:
        chosen = subject(arguments, embed=False)
        about = whom(chosen)
        found, sizes = fddb.detect(chosen, photos, arguments.progress)
        fddb.write_detections(Path(arguments.out), fddb.fold_names(arguments.annotations), found)
    curve = fddb.evaluate(annotations, fddb.read_detections(arguments.detections or arguments.out), sizes)
    data = {
        'name': 'FDDB',
        'photos': len(annotations),
        'faces': curve.faces,
        'image_sizes': 'known' if sizes is not None else 'estimated from faces and detections',
    }
    return _Measured('fddb', 'FDDB, discrete score', about, data, curve)


def run_fddb(arguments: argparse.Namespace) -> None:
    """FDDB, or FDDB-crops, of a model or of a detector's official output."""
    out = Path(arguments.out)
    name, title, about, data, curve = (_fddb_crops if arguments.crops else _fddb)(arguments)
    figures = fddb.summary(curve)
    for at, rate in figures['discrete'].items():
        print(
            '{:>5} false positives: discrete {}, continuous {}'.format(
                at, percent(rate), percent(figures['continuous'][at])
            )
        )
    print('the curve ends at {false_positives} false positives'.format(**figures['last']))
    if arguments.official:
        figures['agreement'] = fddb.agreement(curve, arguments.official)
        print(
            "largest difference from the official program's at {from} to {to} false positives: "
            'discrete {discrete:.4f}, continuous {continuous:.4f}'.format(**figures['agreement']['largest'])
        )
    prefix = '' if name == 'fddb' else name + '-'
    fddb.write_curves(out, curve, prefix)
    curves = {about['name']: fddb.read_curve(out / (prefix + 'DiscROC.txt'))}
    draw_fddb(out / (name + '.png'), dict(curves, **other_curves(arguments.curves)), title)
    write(arguments, name, about, data, figures)


def other_curves(folder: Optional[str]) -> Dict[str, np.ndarray]:
    """Published curves, ``*DiscROC*.txt`` in a folder, by detector."""
    paths = sorted(Path(folder).glob('*DiscROC*.txt')) if folder else []
    if folder and not paths:
        raise UnifaceError(f'{folder}: no *DiscROC*.txt, the form of published curves')
    return {path.stem.replace('DiscROC', '') or path.stem: fddb.read_curve(path) for path in paths}


def add_landmarks(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_landmarks`."""
    command.add_argument('--source', required=True, metavar='KIND:PATH', help='with annotated points')
    command.add_argument(
        '--margin',
        type=at_least(0, float),
        default=0,
        metavar='F',
        help='black room around each photo, in shares of its longer side, for tight crops',
    )


def run_landmarks(arguments: argparse.Namespace) -> None:
    """Error of the five landmarks."""
    source = open_source(arguments.source)
    chosen = subject(arguments, embed=False)
    figures = landmarks.evaluate(chosen, source, arguments.margin, arguments.progress)
    print(
        '{} of {} faces found; error {} of the distance of the eyes, failures {}; {} photos skipped'.format(
            figures['found'],
            figures['faces'],
            percent(figures['error']),
            percent(figures['failure_rate']),
            figures['skipped'],
        )
    )
    data = {'name': source.name, 'photos': figures['photos'], 'faces': figures['faces']}
    write(arguments, 'landmarks_' + source.name, whom(chosen), data, figures)


def add_detection(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_detection`."""
    command.add_argument('--records', required=True, nargs='+', metavar='NAME')
    command.add_argument('--name', help="of the result; the record sets' by default")
    command.add_argument(
        '--threshold', type=at_least(0, float), default=0.5, help='for recall and precision (%(default)s)'
    )
    add_limit(command, None)
    add_mean(command)


def add_limit(command: argparse.ArgumentParser, limit: Optional[int]) -> None:
    """The option that takes a part of record sets."""
    command.add_argument(
        '--limit',
        type=at_least(1),
        default=limit,
        metavar='N',
        help=f'photos of each record set, evenly spread over it ({limit or "all"})',
    )


def run_detection(arguments: argparse.Namespace) -> None:
    """A record set's faces found again."""
    readers = open_records(arguments, arguments.records)
    mean = mean_embedding(arguments)
    chosen = subject(
        arguments, embed=mean is not None and any(reader.meta.embeddings for reader in readers), centre=mean
    )
    records = itertools.chain(*(detection.spread(reader, arguments.limit) for reader in readers))
    figures = detection.evaluate(chosen, records, arguments.threshold, mean, arguments.progress)
    print(
        'average precision {}; at score {:g}: recall {}, precision {}'.format(
            percent(figures['average_precision']),
            figures['threshold'],
            percent(figures['recall']),
            percent(figures['precision']),
        )
    )
    for row in figures['by_height']:
        print(
            '  height {:>3} to {:>3}: {:>6} faces, average precision {}, recall {}'.format(
                row['from'],
                row['below'],
                row['faces'],
                percent(row['average_precision']),
                percent(row['recall']),
            )
        )
    name = arguments.name or '_'.join(Path(reader.name).name for reader in readers)
    write(
        arguments,
        'detection_' + name,
        whom(chosen),
        dict(about_records(readers), **counted(figures)),
        figures,
    )


def about_records(readers: Sequence[RecordReader]) -> Dict[str, Any]:
    """Record sets as results name them."""
    return {
        'name': ', '.join(Path(reader.name).name for reader in readers),
        'sha256': [reader.meta.files['.rec']['sha256'] for reader in readers],
    }


def counted(figures: Dict[str, Any]) -> Dict[str, int]:
    """How many photos and faces figures are about."""
    return {key: figures[key] for key in ('photos', 'faces')}


def add_cosine(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_cosine`."""
    command.add_argument(
        '--held-out', required=True, nargs='+', metavar='NAME', help='record sets of people not trained on'
    )
    command.add_argument('--training', nargs='+', default=[], metavar='NAME', help='record sets trained on')
    add_limit(command, 2000)
    add_mean(command)


def run_cosine(arguments: argparse.Namespace) -> None:
    """Centred cosine to the teacher on held-out people, beside that on those trained on."""
    mean = needed_mean(arguments)
    named = {'held_out': arguments.held_out, 'training': arguments.training}
    readers = {part: open_records(arguments, names) for part, names in named.items() if names}
    chosen = subject(arguments, centre=mean)
    figures = {}
    for part, own in readers.items():
        records = itertools.chain(*(detection.spread(reader, arguments.limit) for reader in own))
        found = detection.evaluate(chosen, records, 0, mean, arguments.progress)
        figures[part] = dict(
            found['cosine_to_teacher'],
            photos=found['photos'],
            recall=found['recall'],
            record_faces=found['faces'],
        )
        if figures[part]['mean'] is None:
            raise UnifaceError(f'{", ".join(named[part])}: none of its faces was found and has an embedding')
        print(
            '{}: cosine {:.3f} ({:.3f} to {:.3f}) over {} faces; {} of all faces found'.format(
                part.replace('_', ' '),
                figures[part]['mean'],
                *figures[part]['interval'],
                figures[part]['faces'],
                percent(found['recall']),
            )
        )
    data = {part: about_records(own) for part, own in readers.items()}
    data.update(name=data['held_out']['name'], limit=arguments.limit)
    write(arguments, 'cosine', whom(chosen), data, figures)


def add_cost(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_cost`."""
    command.add_argument('--model', required=True, metavar='PREFIX', help='of an exported model, as DIR/NAME')


def run_cost(arguments: argparse.Namespace) -> None:
    """Parameters and multiply-adds."""
    model = manifest_of(arguments).get('model')
    if not isinstance(model, dict) or 'name' not in model:
        raise UnifaceError(f'{arguments.model}.json does not say which model it is')
    graphs = inference_graphs(get_model(model['name'], **model.get('overrides', {})))
    image, face = (count(*graphs[part]) for part in ('trunk', 'faces'))
    figures = {
        'parameters': image.parameters + face.parameters,
        'parameters_of_recognition': face.parameters,
        'multiply_adds_image': image.multiply_adds,
        'multiply_adds_face': face.multiply_adds,
    }
    for name, value in figures.items():
        print(f'{name.replace("_", " ")}: {value:,}')
    write(arguments, 'cost', the_model(arguments), {'name': 'graph'}, figures)


def the_model(arguments: argparse.Namespace) -> Dict[str, Any]:
    """A model as results name it where no photo went through it."""
    return {'name': Path(arguments.model).name, 'identity': {'sha256': hash_model(arguments.model)}}


def add_groups(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_groups`."""
    command.add_argument('--images', required=True, metavar='DIR')
    command.add_argument(
        '--kind', required=True, choices=sorted(groups.NAMES), help='whose names the photos have'
    )
    command.add_argument(
        '--only',
        metavar='FILE',
        help="photos to take, those not trained on: a list of names, or a record set's .keys",
    )
    command.add_argument(
        '--limit',
        type=at_least(1),
        default=200,
        metavar='N',
        help='of each age group and origin (%(default)s)',
    )
    command.add_argument('--sample-seed', type=at_least(0), default=0, metavar='S', help='of their choice')
    command.add_argument(
        '--margin',
        type=at_least(0, float),
        default=0.5,
        metavar='F',
        help='black room around each photo (%(default)s)',
    )
    add_mean(command)


def run_groups(arguments: argparse.Namespace) -> None:
    """By age and origin, beside the teachers."""
    only = groups.read_names(arguments.only, arguments.kind) if arguments.only else None
    people, unnamed = groups.read_people(arguments.images, arguments.kind, only)
    people = groups.choose_people(people, arguments.limit, arguments.sample_seed)
    mean = needed_mean(arguments)
    chosen = subject(arguments, centre=mean)
    reference = teacher(arguments, centre=mean)
    figures = dict(
        groups.evaluate(chosen, reference, people, arguments.margin, arguments.progress),
        photos_of_other_names=unnamed,
        reference=reference.identity,
    )
    for kind in ('age', 'origin'):
        for group, part in figures[kind].items():
            cosine = part['cosine_to_teacher']['mean']
            print(
                '{:<14} {:>6} faces, recall {}, landmark error {}, cosine to the teacher {}'.format(
                    group,
                    part['faces'],
                    percent(part['recall']['share']),
                    percent(part['landmark_error']['mean']),
                    'none' if cosine is None else f'{cosine:.3f}',
                )
            )
    data = {
        'name': arguments.kind,
        'photos': len(people),
        'limit_per_group': arguments.limit,
        'held_out': bool(arguments.only),
    }
    write(arguments, 'groups_' + arguments.kind, whom(chosen), data, figures)


def add_speed(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_speed`."""
    add_cost(command)
    command.add_argument('--device', default='cpu', help='cpu or gpu(N) (%(default)s)')
    command.add_argument('--batches', nargs='+', type=at_least(1), default=[1, 32], metavar='N')
    command.add_argument(
        '--faces', nargs='+', type=at_least(0), default=[1], metavar='N', help='in a photo (1)'
    )
    command.add_argument(
        '--rounds', type=at_least(1), default=3, help='of which the median counts (%(default)s)'
    )
    command.add_argument('--portraits', metavar='DIR', help='photos of one face each (LFW)')


def run_speed(arguments: argparse.Namespace) -> None:
    """Images a second on all backends that the model was exported for, at 300 pixels."""
    images = max(arguments.batches)
    portraits = speed.read_portraits(arguments.portraits or str(data_root() / 'lfw'), max(16, images))
    models = speed.open_models([arguments.model], [], arguments.device, arguments.batches)
    rows = []
    for faces in arguments.faces:
        rows += speed.measure(models, portraits, faces, '300', images, arguments.rounds)
    print('\n'.join(speed.table(rows, '300')))
    data = {
        'name': 'portraits side by side',
        'photos': images,
        'rounds': arguments.rounds,
        'device': arguments.device,
    }
    write(arguments, 'speed', the_model(arguments), data, {'rows': rows})


def add_compare(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_compare`."""
    command.add_argument('first', metavar='FIRST', help='a lfw.json')
    command.add_argument('second', metavar='SECOND', help='another, over the same pairs')


def run_compare(arguments: argparse.Namespace) -> None:
    """Two LFW results fold by fold."""
    folds = []
    for path in (arguments.first, arguments.second):
        result = read_result(path)
        folds.append(result['metrics'].get('folds'))
        if folds[-1] is None:
            raise UnifaceError(f'{path}: no result of lfw, it has no folds')
    difference = verification.compare_folds(*folds)
    print('fold by fold, points: ' + ' '.join(f'{100 * value:+.2f}' for value in difference.folds))
    print(
        f'mean {100 * difference.mean:+.2f}, standard deviation {100 * difference.std:.2f}; paired t-test: t = {difference.t:.2f}, p = {difference.p:.2g}'
    )
    print(
        {1: 'the first is better', -1: 'the second is better', 0: 'neither is better'}[difference.answer]
        + ' by more than two standard deviations of the difference'
    )


class Part(NamedTuple):
    """A command: what adds its options, what runs it, what it is about, and the score from which faces count
    (None: the model's own). ``subjects``: whether it takes a model or the teachers.
    """

    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]
    text: str
    score_threshold: Optional[float] = None
    subjects: bool = True


PARTS: Dict[str, Part] = {
    'lfw': Part(add_lfw, run_lfw, 'LFW: ten folds, and the robustness test'),
    'fddb': Part(add_fddb, run_fddb, 'FDDB, as its own program counts', ANY_SCORE),
    'landmarks': Part(add_landmarks, run_landmarks, 'error of the five landmarks'),
    'detection': Part(add_detection, run_detection, "a record set's faces found again", ANY_SCORE),
    'cosine': Part(
        add_cosine, run_cosine, "embeddings beside the teacher's, of people held out and trained on"
    ),
    'groups': Part(add_groups, run_groups, 'by age and origin, beside the teachers'),
    'cost': Part(add_cost, run_cost, 'parameters and multiply-adds', subjects=False),
    'speed': Part(add_speed, run_speed, 'images a second on all backends', subjects=False),
}
