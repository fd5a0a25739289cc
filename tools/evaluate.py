"""The paper's evaluations of a model, or of the teachers: LFW, FDDB, landmarks, detection, groups, cost.

Each writes a result file, and what belongs to it, into the folder given by --out.
"""
from __future__ import annotations

import argparse
import itertools
import os
import sys
from pathlib import Path

from uniface_mx.errors import UnifaceError

TEACHERS = ('mtcnn', 'dlib')
ANY_SCORE = 0.01


def default_cache() -> Path:
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'uniface_mx'


def teacher(arguments: argparse.Namespace, embed: bool = True, centre=None):
    """The teachers' pipeline, as the options describe it."""
    from uniface_mx.data.prepare.look import teacher_options
    from uniface_mx.evaluation.subject import TeacherSubject
    from uniface_mx.teachers import create_teacher

    landmarks, embeddings = (teacher_options(spec) for spec in arguments.teachers)
    return TeacherSubject(
        create_teacher(landmarks[0], **landmarks[1]),
        create_teacher(embeddings[0], **embeddings[1]) if embed else None,
        mirror=arguments.mirror,
        centre=centre,
    )


def subject(arguments: argparse.Namespace, embed: bool = True, score_threshold=None, centre=None):
    """Whom the options name: a model or the teachers."""
    from uniface_mx.evaluation.subject import Enlarged, ModelSubject

    if arguments.teacher:
        chosen = teacher(arguments, embed, centre)
    else:
        from uniface_mx.predictor import Predictor

        options = {'backend': arguments.backend}
        if score_threshold is not None:
            options['score_threshold'] = score_threshold
        predictor = Predictor.load(arguments.model, device=arguments.device, **options)
        chosen = ModelSubject(predictor, arguments.model, options)
    return chosen if arguments.enlarge == 1 else Enlarged(chosen, arguments.enlarge)


def write(arguments: argparse.Namespace, name: str, chosen, data: dict, metrics: dict) -> None:
    from uniface_mx.results import write_result

    about = {'name': chosen.name, 'identity': chosen.identity}
    manifest = None if arguments.teacher or not arguments.model else model_manifest(arguments)
    if manifest:
        about.update({key: manifest[key] for key in ('model', 'training', 'licence') if key in manifest})
    path = write_result(
        arguments.out,
        name,
        subject=about,
        data=data,
        metrics=metrics,
        command=['tools/evaluate.py', *arguments.command_line],
    )
    print('wrote {}'.format(path))


def model_manifest(arguments: argparse.Namespace) -> dict:
    from uniface_mx.manifest import read_manifest

    return read_manifest(arguments.model, verify=False)


def mean_embedding(arguments: argparse.Namespace):
    """The mean teacher embedding: of the record set that was named, or of the model's training set."""
    import numpy as np

    from uniface_mx.data.records import load_meta

    if arguments.mean:
        mean = load_meta(arguments.mean).mean_embedding
    else:
        mean = [] if arguments.teacher else model_manifest(arguments).get('mean_embedding')
    return np.array(mean, np.float32) if mean else None


def percent(value) -> str:
    return 'none' if value is None else '{:.2f} %'.format(100 * value)


def run_lfw(arguments: argparse.Namespace) -> None:
    from uniface_mx.evaluation import lfw
    from uniface_mx.evaluation.figures import draw_verification

    pairs = lfw.read_pairs(arguments.pairs)
    photos = lfw.find_photos(arguments.images, sorted(set(pairs.first) | set(pairs.second)))
    chosen = subject(arguments, score_threshold=arguments.score_threshold)
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
                'seed {}: '.format(seed) if arguments.perturb else '',
                percent(figures['accuracy']),
                100 * figures['std'],
                100 * figures['standard_error'],
                figures['area'],
                figures['photos_without_face'],
            )
        )
    name = 'lfw' + ('' if arguments.mirror or not arguments.teacher else '_single')
    metrics = dict(runs[0], choose=arguments.choose)
    if arguments.perturb:
        name += '_perturb{}'.format(arguments.perturb)
        metrics = dict(lfw.average(runs), choose=arguments.choose, perturb=arguments.perturb, seeds=runs)
        print('over {} seeds: {}'.format(len(runs), percent(metrics['accuracy'])))
    draw_verification(
        Path(arguments.out) / (name + '_roc.png'),
        {chosen.name: (curve.false_accepts[1:], curve.true_accepts[1:])},
    )
    write(
        arguments,
        name,
        chosen,
        {
            'name': 'LFW',
            'photos': len(photos),
            'pairs': len(pairs.same),
            'protocol': 'unrestricted, labeled outside data',
        },
        metrics,
    )


def run_fddb(arguments: argparse.Namespace) -> None:
    from uniface_mx.evaluation import fddb, fddb_crops

    out = Path(arguments.out)
    if arguments.crops:
        name, title = 'fddb_crops', 'FDDB-crops (not FDDB), discrete score'
        chosen = subject(arguments, embed=False, score_threshold=arguments.score_threshold)
        curve, counts = fddb_crops.evaluate(
            chosen, fddb_crops.read_crops(arguments.crops), arguments.progress
        )
        data = dict(
            counts, name='FDDB-crops', note='crops of FDDB photos, easier than FDDB; no figure on FDDB'
        )
    else:
        name, title = 'fddb', 'FDDB, discrete score'
        annotations = fddb.read_annotations(arguments.annotations)
        sizes = None
        if arguments.images:
            photos = fddb.find_photos(arguments.images, annotations)
        if arguments.detections:
            chosen = Detections(Path(arguments.detections))
            if arguments.images:
                sizes = fddb.read_sizes(photos)
        else:
            chosen = subject(arguments, embed=False, score_threshold=arguments.score_threshold)
            found, sizes = fddb.detect(chosen, photos, arguments.progress)
            fddb.write_detections(out, fddb.fold_names(arguments.annotations), found)
        curve = fddb.evaluate(annotations, fddb.read_detections(arguments.detections or out), sizes)
        data = {
            'name': 'FDDB',
            'photos': len(annotations),
            'faces': curve.faces,
            'image_sizes': 'known' if sizes is not None else 'estimated from faces and detections',
        }
    prefix = '' if name == 'fddb' else name + '-'
    fddb.write_curves(out, curve, prefix)
    figures = fddb.summary(curve)
    for at, rate in figures['discrete'].items():
        print(
            '{:>5} false positives: discrete {}, continuous {}'.format(
                at, percent(rate), percent(figures['continuous'][at])
            )
        )
    print('the curve ends at {false_positives} false positives'.format(**figures['last']))
    draw_curves(arguments, out / (name + '.png'), chosen.name, out / (prefix + 'DiscROC.txt'), title)
    write(arguments, name, chosen, data, figures)


class Detections:
    """Stands for whoever wrote a folder of official output files."""

    def __init__(self, directory: Path):
        self.name = directory.resolve().name
        self.identity = {'detections': self.name}


def draw_curves(arguments: argparse.Namespace, path: Path, name: str, ours: Path, title: str) -> None:
    """Our curve over those of other detectors, ``*DiscROC*.txt`` in a folder."""
    from uniface_mx.evaluation import fddb
    from uniface_mx.evaluation.figures import draw_fddb

    curves = {name: fddb.read_curve(ours)}
    if arguments.curves:
        others = sorted(Path(arguments.curves).glob('*DiscROC*.txt'))
        if not others:
            raise UnifaceError('{}: no *DiscROC*.txt, the form of published curves'.format(arguments.curves))
        for other in others:
            curves[other.stem.replace('DiscROC', '') or other.stem] = fddb.read_curve(other)
    draw_fddb(path, curves, title)


def run_landmarks(arguments: argparse.Namespace) -> None:
    from uniface_mx.data.sources import open_source
    from uniface_mx.evaluation import landmarks

    source = open_source(arguments.source)
    chosen = subject(arguments, embed=False, score_threshold=arguments.score_threshold)
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
    write(
        arguments,
        'landmarks_' + source.name,
        chosen,
        {'name': source.name, 'photos': figures['photos'], 'faces': figures['faces']},
        figures,
    )


def run_detection(arguments: argparse.Namespace) -> None:
    from uniface_mx.data.records import RecordReader
    from uniface_mx.evaluation import detection

    readers = [RecordReader(name) for name in arguments.records]
    mean = mean_embedding(arguments)
    chosen = subject(
        arguments,
        embed=mean is not None and any(reader.meta.embeddings for reader in readers),
        score_threshold=arguments.score_threshold,
        centre=mean,
    )
    figures = detection.evaluate(
        chosen, itertools.chain(*readers), arguments.threshold, mean, arguments.progress
    )
    print(
        'average precision {}; at score {:g}: recall {}, precision {}'.format(
            percent(figures['average_precision']),
            figures['threshold'],
            percent(figures['recall']),
            percent(figures['precision']),
        )
    )
    for row in figures['recall_by_height']:
        print(
            '  height {:>3} to {:>3}: {:>6} faces, recall {}'.format(
                row['from'], row['below'], row['faces'], percent(row['recall'])
            )
        )
    names = [Path(name).name for name in arguments.records]
    write(
        arguments,
        'detection_' + (arguments.name or '_'.join(names)),
        chosen,
        {
            'name': ', '.join(names),
            'photos': figures['photos'],
            'faces': figures['faces'],
            'sha256': [reader.meta.files['.rec']['sha256'] for reader in readers],
        },
        figures,
    )


def run_cost(arguments: argparse.Namespace) -> None:
    from uniface_mx.export import inference_graphs
    from uniface_mx.models import get_model
    from uniface_mx.summary import count

    model = model_manifest(arguments).get('model')
    if not model:
        raise UnifaceError('{}.json does not say which model it is'.format(arguments.model))
    graphs = inference_graphs(get_model(model['name'], **model.get('overrides', {})))
    image, face = (count(*graphs[part]) for part in ('trunk', 'faces'))
    figures = {
        'parameters': image.parameters + face.parameters,
        'parameters_of_recognition': face.parameters,
        'multiply_adds_image': image.multiply_adds,
        'multiply_adds_face': face.multiply_adds,
    }
    for name, value in figures.items():
        print('{}: {:,}'.format(name.replace('_', ' '), value))
    chosen = argparse.Namespace(name=Path(arguments.model).name, identity={'model': model})
    write(arguments, 'cost', chosen, {'name': 'graph'}, figures)


def run_groups(arguments: argparse.Namespace) -> None:
    from uniface_mx.evaluation import groups

    only = None
    if arguments.only:
        try:
            only = {
                Path(line.strip()).name
                for line in Path(arguments.only).read_text(encoding='utf-8').splitlines()
            }
        except OSError as error:
            raise UnifaceError('{}: {}'.format(arguments.only, error.strerror)) from error
    people, unnamed = groups.read_people(arguments.images, arguments.kind, only)
    people = groups.choose_people(people, arguments.limit, arguments.sample_seed)
    mean = mean_embedding(arguments)
    if mean is None:
        raise UnifaceError(
            'embeddings are compared around their mean: give a record set with --mean, the model has none'
        )
    chosen = subject(arguments, score_threshold=arguments.score_threshold, centre=mean)
    reference = teacher(arguments, centre=mean)
    figures = dict(
        groups.evaluate(chosen, reference, people, arguments.margin, arguments.progress),
        photos_of_other_names=unnamed,
        reference=reference.identity,
    )
    for kind in ('age', 'origin'):
        for group, part in figures[kind].items():
            print(
                '{:<14} {:>6} faces, recall {}, landmark error {}, cosine to the teacher {}'.format(
                    group,
                    part['faces'],
                    percent(part['recall']['share']),
                    percent(part['landmark_error']['mean']),
                    (
                        'none'
                        if part['cosine_to_teacher']['mean'] is None
                        else '{:.3f}'.format(part['cosine_to_teacher']['mean'])
                    ),
                )
            )
    write(
        arguments,
        'groups_' + arguments.kind,
        chosen,
        {
            'name': arguments.kind,
            'photos': len(people),
            'limit_per_group': arguments.limit,
            'held_out': bool(arguments.only),
        },
        figures,
    )


def add_common(command: argparse.ArgumentParser, score_threshold) -> None:
    who = command.add_mutually_exclusive_group()
    who.add_argument('--model', metavar='PREFIX', help='of an exported model, as DIR/NAME')
    who.add_argument(
        '--teacher', action='store_true', help='the teachers instead: what a model can reach at best'
    )
    command.add_argument('--out', required=True, metavar='DIR', help='by custom experiments/results/NAME')
    command.add_argument('--backend', default='mxnet', help='of the predictor (%(default)s)')
    command.add_argument('--device', default='cpu', help='cpu or gpu:N (%(default)s)')
    command.add_argument(
        '--score-threshold',
        type=float,
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
    command.add_argument(
        '--no-mirror',
        dest='mirror',
        action='store_false',
        help="teachers: the face's embedding alone, not averaged with its mirror image's",
    )
    command.add_argument(
        '--enlarge', type=float, default=1, metavar='F', help='show every photo F times as large'
    )
    command.add_argument('--no-progress', dest='progress', action='store_false')


def parse(argv) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)

    def add(name: str, run, text: str, score_threshold=None) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        add_common(command, score_threshold)
        command.set_defaults(run=run)
        return command

    command = add('lfw', run_lfw, 'LFW: ten folds, and the robustness test')
    command.add_argument('--images', required=True, metavar='DIR')
    command.add_argument('--pairs', required=True, metavar='FILE', help='the official pairs.txt')
    command.add_argument(
        '--choose',
        choices=('centre', 'largest'),
        default='centre',
        help='whom a photo with several faces is about (%(default)s)',
    )
    command.add_argument(
        '--perturb',
        type=int,
        default=0,
        metavar='PIXELS',
        help='crop or pad each side by up to so many pixels; the paper takes 60',
    )
    command.add_argument(
        '--seed',
        type=int,
        nargs='+',
        default=[0],
        metavar='S',
        help='of the perturbation; several are averaged',
    )
    command.add_argument(
        '--cache', metavar='DIR', default=default_cache(), help='of embeddings (%(default)s)'
    )

    command = add('fddb', run_fddb, 'FDDB, as its own program counts', ANY_SCORE)
    command.add_argument('--images', metavar='DIR', help='with 2002/08/11/big/img_591.jpg and so on')
    command.add_argument('--annotations', metavar='DIR', help='FDDB-folds')
    command.add_argument('--detections', metavar='DIR', help='official output files instead of a model')
    command.add_argument('--crops', metavar='DIR', help='FDDB-crops instead of FDDB')
    command.add_argument('--curves', metavar='DIR', help="other detectors' *DiscROC*.txt, to be drawn beside")

    command = add('landmarks', run_landmarks, 'error of the five landmarks')
    command.add_argument('--source', required=True, metavar='KIND:PATH', help='with annotated points')
    command.add_argument(
        '--margin',
        type=float,
        default=0,
        metavar='F',
        help='black room around each photo, in shares of its longer side, for tight crops',
    )

    command = add('detection', run_detection, "a record set's faces found again", ANY_SCORE)
    command.add_argument('--records', required=True, nargs='+', metavar='NAME')
    command.add_argument('--name', help="of the result; the record sets' by default")
    command.add_argument(
        '--threshold', type=float, default=0.5, help='for recall and precision (%(default)s)'
    )
    command.add_argument(
        '--mean', metavar='NAME', help="record set whose mean embedding to take; the model's own by default"
    )

    add('cost', run_cost, 'parameters and multiply-adds')

    command = add('groups', run_groups, 'by age and origin, beside the teachers')
    command.add_argument('--images', required=True, metavar='DIR')
    command.add_argument(
        '--kind', required=True, choices=('utkface', 'all_age_faces'), help='whose names the photos have'
    )
    command.add_argument(
        '--only', metavar='FILE', help='names of photos to take, a line each: those not trained on'
    )
    command.add_argument(
        '--limit', type=int, default=200, metavar='N', help='of each age group and origin (%(default)s)'
    )
    command.add_argument('--sample-seed', type=int, default=0, metavar='S', help='of their choice')
    command.add_argument(
        '--margin', type=float, default=0.5, metavar='F', help='black room around each photo (%(default)s)'
    )
    command.add_argument(
        '--mean', metavar='NAME', help="record set whose mean embedding to take; the model's own by default"
    )

    arguments = parser.parse_args(argv)
    official = arguments.command == 'fddb' and arguments.detections
    if bool(arguments.model) + arguments.teacher + bool(official) != 1:
        parser.error(
            'give one of --model PREFIX, --teacher'
            + (' and --detections DIR' if arguments.command == 'fddb' else '')
        )
    if arguments.command == 'fddb' and not (
        arguments.crops or arguments.annotations and (arguments.images or official)
    ):
        parser.error('give --crops DIR, or --annotations DIR with --images DIR or --detections DIR')
    if arguments.command == 'cost' and not arguments.model:
        parser.error('give --model PREFIX')
    if arguments.enlarge <= 0:
        parser.error('--enlarge must be above 0')
    return arguments


def main(argv=None) -> int:
    arguments = parse(argv)
    arguments.command_line = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments.run(arguments)
    except UnifaceError as error:
        print('error: {}'.format(error), file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
