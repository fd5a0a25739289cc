"""What a run has trained, ready to be used or exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

import numpy as np

from uniface_mx.models import Uniface, get_model
from uniface_mx.models.files import ModelFiles, PathLike, load_weights
from uniface_mx.train import TrainError
from uniface_mx.train.checkpoint import Checkpoints

# What a manifest says of weights, and goes with them into another export.
ABOUT = ('training', 'licence', 'mean_embedding', 'embedding')


class TrainedModel(NamedTuple):
    """A network with trained weights.

    `mean` is the mean teacher embedding (128,), if embeddings were taught; `details` are a manifest's entries
    on where the weights come from.
    """

    net: Uniface
    name: str
    mean: Optional[np.ndarray]
    details: Dict[str, Any]


def load_run(run: PathLike, which: str = 'best', **overrides: Any) -> TrainedModel:
    """Load the network that a run has trained.

    Parameters
    ----------
    run : path
        The run's folder.
    which : {'best', 'last'}
        The best checkpoint by the run's validation, or the last; without validation they are the same.
    **overrides
        Arguments of `get_model` beside those of the run's configuration.

    Raises
    ------
    TrainError
        The folder has no checkpoint that can be read.
    """
    checkpoints = Checkpoints(run)
    if not checkpoints.numbers():
        raise TrainError(f'{Path(run)}: no checkpoint in this folder; give --out of tools/train.py')
    checkpoint = checkpoints.load()
    best = checkpoint.state['best']['iteration']
    if which == 'best' and best is not None:
        checkpoint = checkpoints.load(best)
    state = checkpoint.state
    model = dict(state['config']['model'], **overrides)
    given = {key: value for key, value in model.items() if key != 'name' and value is not None}
    net = get_model(state['model'], **given)
    load_weights(net, checkpoints.result(checkpoint.iteration))
    mean = np.array(state['mean_embedding'], np.float32) if state['mean_embedding'] else None
    # Where the records lay on the machine that trained says nothing to those who get the model.
    data = {key: value for key, value in state['config']['data'].items() if key != 'root'}
    details = {
        'model': {'name': state['model'], 'overrides': given},
        'training': {
            'iteration': checkpoint.iteration,
            'views': state['meter']['totals']['faces'],
            'config': dict(state['config'], data=data),
            'teachers': state['teachers'],
            'records': state['records'],
        },
    }
    return TrainedModel(net, state['model'], mean, details)


def load_exported(prefix: PathLike, **overrides: Any) -> TrainedModel:
    """Load the network of an exported model, or of one that ships, to export the same weights anew.

    What was subtracted from them stays subtracted: `mean` is None.

    Parameters
    ----------
    prefix : path
        ``DIR/NAME`` of ``DIR/NAME.json``, or the name of a model that ships trained.
    **overrides
        Arguments of `get_model` beside the manifest's; with any, its figures and its verification threshold are
        left behind.

    Raises
    ------
    UnifaceError
        A file is missing or damaged, or the manifest does not say which model it is.
    """
    files = ModelFiles.find(prefix)
    manifest = files.verify()
    told = manifest.get('model') or {}
    if not told.get('name'):
        raise TrainError(f'{files.prefix}: its manifest does not say which model it is')
    given = dict(told.get('overrides') or {}, **overrides)
    net = get_model(told['name'], **given)
    load_weights(net, files.weights_path())
    kept = ABOUT if overrides else ABOUT + ('results',)
    details = {key: manifest[key] for key in kept if key in manifest}
    if not overrides:
        people = ('verification', 'identification')
        details['thresholds'] = {name: manifest['thresholds'].get(name) for name in people}
    details['model'] = dict(told, overrides=given)
    return TrainedModel(net, manifest['name'], None, details)
