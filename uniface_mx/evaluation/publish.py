"""From a model's results into its manifest: the thresholds of one person, and figures for its users."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, Optional, Union

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.options import add_model
from uniface_mx.evaluation.results import read_result
from uniface_mx.evaluation.subject import hash_model
from uniface_mx.models.files import ModelFiles

HELP = "a model's threshold of one person, and its figures, from its results into its manifest"
# Of each result, by the beginning of its name, the figures that a manifest keeps.
KEPT = {
    'lfw': ('accuracy', 'std', 'area'),
    'fddb': ('discrete',),
    'landmarks': ('error', 'failure_rate'),
    'detection': ('average_precision',),
    'cosine': ('held_out', 'training'),
}
# A manifest's thresholds, and their names among the figures of LFW.
THRESHOLDS = {'verification': 'threshold', 'identification': 'strict_threshold'}


def publish(
    prefix: Union[str, Path], folder: Union[str, Path], licence: Optional[str] = None
) -> Dict[str, Any]:
    """Write what a folder of results says of a model into the model's manifest.

    The thresholds are those of the ``lfw`` result: ``verification`` the similarity that parts its 6,000 pairs best,
    ``identification`` the one at which a hundredth of its pairs of two people would pass for one. Gives the manifest's
    new entries.

    Parameters
    ----------
    prefix : path
        ``DIR/NAME`` of the exported model.
    folder : path
        Results of `tools/evaluate.py` on this very model; `UnifaceError` where one is about another, or ``lfw`` is
        missing.
    licence : str, optional
        What the model may be used for.
    """
    files = ModelFiles.find(prefix)
    manifest, identity = files.verify(), hash_model(files.prefix)
    figures, thresholds = {}, {}
    for path in sorted(Path(folder).glob('*.json')):
        kept = KEPT.get(path.stem.split('_')[0])
        if kept is None:
            continue
        result = read_result(path)
        if result['subject'].get('identity', {}).get('sha256') != identity:
            raise UnifaceError(f'{path}: about another model than {files.prefix}')
        figures[path.stem] = {key: result['metrics'][key] for key in kept if key in result['metrics']}
        if path.stem == 'lfw':
            thresholds = {key: float(result['metrics'][name]) for key, name in THRESHOLDS.items()}
    if not thresholds:
        raise UnifaceError(f'{folder}: no lfw.json, which the thresholds of one person come from')
    entries = dict(results=figures, thresholds=dict(manifest['thresholds'], **thresholds))
    if licence:
        entries['licence'] = licence
    files.write_manifest(dict(manifest, **entries))
    return entries


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    add_model(command)
    command.add_argument('--results', required=True, metavar='DIR', help='with lfw.json among them')
    command.add_argument('--licence', metavar='TEXT', help='what the model may be used for')


def run(arguments: argparse.Namespace) -> None:
    """Complete a model's manifest."""
    entries = publish(arguments.model, arguments.results, arguments.licence)
    threshold, figures = entries['thresholds']['verification'], ', '.join(entries['results'])
    print(f'{arguments.model}: one person from a similarity of {threshold:.3f} on; figures of {figures}')
