"""The trunk's weights in a file of their own with a description beside it, and the check of them by the source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, Sequence, Union

import cv2
import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock

from uniface_mx.backbones.source import PREFIX, SCALINGS, Source, convert
from uniface_mx.errors import UnifaceError
from uniface_mx.files import file_hash, written_aside
from uniface_mx.models.files import PathLike, load_arrays, save_arrays, stock_name
from uniface_mx.nn.inception import InceptionTrunk
from uniface_mx.nn.normalize import ChannelNormalize

FORMAT = 1
# Side of what `classify` looks at, and what layers of classifiers end in.
SIZE = 299
ACTIVATIONS = {
    'linear': lambda values: values,
    'relu': lambda values: np.maximum(values, 0),
    'softmax': lambda values: np.exp(values - values.max()) / np.exp(values - values.max()).sum(),
}


def _hashes(path: Path) -> Dict[str, str]:
    """sha256 of a file, or of every file in a folder, by name."""
    if not path.is_dir():
        return {path.name: file_hash(path)}
    files = sorted(file for file in path.rglob('*') if file.is_file())
    return {file.relative_to(path).as_posix(): file_hash(file) for file in files}


def _is_foreign(path: Path) -> bool:
    """Whether something else than a description of a trunk lies there."""
    try:
        return not {'format', 'tensors', 'sha256'} <= set(json.loads(path.read_text()))
    except FileNotFoundError:
        return False
    except (ValueError, TypeError):
        return True


def write_trunk(path: PathLike, source: Source, origin: PathLike) -> None:
    """Write a trunk's weights and, beside them as ``.json``, where they come from and how they must be used.

    Parameters
    ----------
    path : path
        Ends in ``.params``. Names are MXNet's stock names: ``arg:trunk_conv_1a_conv_weight``.
    source : Source
    origin : path
        The file or folder that `source` was read from.

    Raises
    ------
    UnifaceError
        The source does not fit (see `convert`), the path ends in something else, or a file would be
        overwritten that is none of this function's, as a source's.
    """
    path, origin = Path(path), Path(origin)
    if path.suffix != '.params':
        raise UnifaceError(f'{path}: the file of weights must end in .params')
    beside = path.with_suffix('.json')
    for file, taken in ((path, path.resolve() == origin.resolve()), (beside, _is_foreign(beside))):
        if taken:
            raise UnifaceError(f'{file}: is there already, and no trunk; choose another name for --out')
    arrays = convert(source)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, {stock_name(PREFIX + name): mx.nd.array(array) for name, array in arrays.items()})
    description = {
        'format': FORMAT,
        'kind': source.kind,
        'source': {'path': origin.name, 'sha256': _hashes(origin)},
        'scaling': dict(SCALINGS[source.scaling]._asdict(), name=source.scaling),
        'count_include_pad': source.count_include_pad,
        'tensors': {
            'used': {PREFIX + name: source.names.get(name, 'none: 1') for name in arrays},
            'classifier': source.classifier_names,
            'unused': source.unused,
        },
        'sha256': file_hash(path),
    }
    with written_aside(beside) as aside:
        aside.write_text(json.dumps(description, indent=1, sort_keys=True) + '\n')


def trunk_options(path: PathLike) -> Dict[str, bool]:
    """Arguments of `get_model` that trunk weights ask for: ``{'count_include_pad': False}`` from Keras.

    Raises
    ------
    UnifaceError
        The file that `write_trunk` wrote or the description beside it is missing or damaged, or they do not
        belong together.
    """
    path, beside = Path(path), Path(path).with_suffix('.json')
    try:
        description = json.loads(beside.read_text())
        version, rule, digest = (description[key] for key in ('format', 'count_include_pad', 'sha256'))
    except FileNotFoundError:
        raise UnifaceError(
            f'{beside}: no such file; it lies beside every trunk that tools/import_backbone.py writes'
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UnifaceError(f'{beside}: is no description of a trunk ({error!r})') from None
    if version != FORMAT or not isinstance(rule, bool):
        raise UnifaceError(f'{beside}: was written by another version; import the trunk again')
    if not path.is_file():
        raise UnifaceError(f'{path}: no such file of weights')
    if file_hash(path) != digest:
        raise UnifaceError(f'{path}: is damaged, its checksum is not the one in {beside.name}')
    return {'count_include_pad': rule}


def load_trunk(
    net: HybridBlock, path: PathLike, ctx: Union[None, mx.Context, Sequence[mx.Context]] = None
) -> List[str]:
    """Fill the trunk of a model, or both of Model B, from a file that `write_trunk` wrote.

    The rest of the model stays as it is. Call it on a model that is initialized, or before ``initialize``,
    which then leaves the trunk alone and warns of it. ::

        net = get_model('uniface_a', **trunk_options('trunk.params'))
        net.initialize(ctx=ctx)
        load_trunk(net, 'trunk.params', ctx)

    The pooling rule belongs to the model's arguments from then on, as `model.count_include_pad` of a
    configuration and as an override in the manifest of an export. The weights expect the graph's ``channel``
    normalization; with ``image`` they are a start and no more.

    Parameters
    ----------
    net : HybridBlock
        A model of full width, with the pooling rule that `trunk_options` gives.
    path : path
        The ``.params`` file.
    ctx : mxnet.Context or list of them, optional
        Where an uninitialized trunk comes to lie.

    Returns
    -------
    list of str
        Names of the parameters that were filled.

    Raises
    ------
    UnifaceError
        The file is damaged, or the model has no trunk of this width or this pooling rule.
    """
    rule = trunk_options(path)['count_include_pad']
    arrays = {name.split(':', 1)[1][len(PREFIX) :]: array for name, array in load_arrays(path).items()}
    trunks: List[InceptionTrunk] = []
    net.apply(lambda block: trunks.append(block) if isinstance(block, InceptionTrunk) else None)
    if not trunks:
        raise UnifaceError(f'{path}: the model has no Inception trunk')
    pairs = []
    for trunk in trunks:
        if trunk.count_include_pad != rule:
            raise UnifaceError(
                f'{path}: these weights want a model with count_include_pad={rule}; in a configuration, '
                f'set model.count_include_pad to {str(rule).lower()}'
            )
        for name, parameter in trunk.collect_params().items():
            array, shape = arrays.get(name[len(trunk.prefix) :]), parameter.shape
            # A side is 0 where nothing has gone through the network yet.
            if (
                array is None
                or len(shape) != array.ndim
                or not all(side in (0, other) for side, other in zip(shape, array.shape))
            ):
                raise UnifaceError(f'{path}: does not fit {name} of shape {shape}; a trunk must have width 1')
            pairs.append((parameter, array))
    for parameter, array in pairs:
        parameter._load_init(array.astype(parameter.dtype), ctx)
    return [parameter.name for parameter, _ in pairs]


def classify(image: np.ndarray, path: PathLike, source: Source) -> np.ndarray:
    """Probabilities of the source's classes for a photo, from the trunk as it was written.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, 3) uint8, RGB; brought to 299x299 whatever its sides.
    path : path
        The file that `write_trunk` wrote from `source`.
    source : Source
        Brings the classifier.

    Returns
    -------
    numpy.ndarray
        (classes,) float32.

    Raises
    ------
    UnifaceError
        The source has no classifier, or one that cannot be followed.
    """
    if not source.classifier:
        raise UnifaceError('the source has no classifier to check the trunk with')
    trunk = InceptionTrunk(same_padding=False, prefix='trunk_', **trunk_options(path))
    load_trunk(trunk, path)
    data = cv2.resize(image, (SIZE, SIZE)).transpose(2, 0, 1)[None]
    last = trunk(ChannelNormalize()(mx.nd.array(data)))[-1]
    values = last.mean(axis=(2, 3)).asnumpy()[0]
    for layer in source.classifier:
        weight, bias = source.tensors[layer.weight], source.tensors[layer.bias]
        if layer.activation not in ACTIVATIONS or weight.shape != (len(bias), len(values)):
            raise UnifaceError(
                f'{layer.weight}: shape {weight.shape} or activation {layer.activation} is not known'
            )
        values = ACTIVATIONS[layer.activation](weight @ values + bias)
    return values
