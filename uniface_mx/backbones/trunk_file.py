"""The trunk's weights in a file of their own, and a description beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, Sequence, Union

import mxnet as mx
from mxnet.gluon import HybridBlock

from uniface_mx.backbones.layout import PREFIX
from uniface_mx.backbones.source import SCALINGS, Source, convert
from uniface_mx.errors import UnifaceError
from uniface_mx.files import file_hash, written_aside
from uniface_mx.models.files import PathLike, load_arrays, save_arrays
from uniface_mx.models.weights import STATISTICS
from uniface_mx.nn.inception import InceptionTrunk

FORMAT = 1


def _description_path(path: PathLike) -> Path:
    return Path(path).with_suffix('.json')


def source_hashes(path: PathLike) -> Dict[str, str]:
    """sha256 of a file, or of every file in a folder, by name."""
    path = Path(path)
    files = sorted(file for file in path.rglob('*') if file.is_file()) if path.is_dir() else [path]
    return {
        file.relative_to(path).as_posix() if path.is_dir() else file.name: file_hash(file) for file in files
    }


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
    path = Path(path)
    if path.suffix != '.params':
        raise UnifaceError(f'{path}: the file of weights must end in .params')
    beside = _description_path(path)
    for file, taken in ((path, path.resolve() == Path(origin).resolve()), (beside, _is_foreign(beside))):
        if taken:
            raise UnifaceError(f'{file}: is there already, and no trunk; choose another name for --out')
    arrays = convert(source)
    description = {
        'format': FORMAT,
        'kind': source.kind,
        'source': {'path': Path(origin).name, 'sha256': source_hashes(origin)},
        'scaling': dict(SCALINGS[source.scaling]._asdict(), name=source.scaling),
        'count_include_pad': source.count_include_pad,
        'tensors': {
            'used': {PREFIX + name: source.names.get(name, 'none: 1') for name in sorted(arrays)},
            'classifier': source.classifier_names,
            'unused': source.unused,
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(
        path,
        {
            ('aux:' if name.endswith(STATISTICS) else 'arg:') + PREFIX + name: mx.nd.array(array)
            for name, array in arrays.items()
        },
    )
    description['sha256'] = file_hash(path)
    with written_aside(beside) as aside:
        aside.write_text(json.dumps(description, indent=1, sort_keys=True) + '\n')


def read_description(path: PathLike) -> dict:
    """What `write_trunk` wrote beside a file of weights; the weights must be the ones that it describes.

    Raises
    ------
    UnifaceError
        Either file is missing, or damaged.
    """
    beside = _description_path(path)
    try:
        description = json.loads(beside.read_text())
        known = isinstance(description['count_include_pad'], bool) and description['format'] == FORMAT
        wanted = description['sha256']
    except FileNotFoundError:
        raise UnifaceError(
            f'{beside}: no such file; it lies beside every trunk that tools/import_backbone.py writes'
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UnifaceError(f'{beside}: is no description of a trunk ({error!r})') from None
    if not known:
        raise UnifaceError(f'{beside}: was written by another version; import the trunk again')
    if not Path(path).is_file():
        raise UnifaceError(f'{path}: no such file of weights')
    if file_hash(path) != wanted:
        raise UnifaceError(f'{path}: is damaged, its checksum is not the one in {beside.name}')
    return description


def trunk_options(path: PathLike) -> Dict[str, bool]:
    """Arguments of `get_model` that trunk weights ask for: ``{'count_include_pad': False}`` from Keras.

    Raises
    ------
    UnifaceError
        See `read_description`.
    """
    return {'count_include_pad': read_description(path)['count_include_pad']}


def find_trunks(block: HybridBlock) -> List[InceptionTrunk]:
    """All trunks in a block: two in Model B, one in the others."""
    if isinstance(block, InceptionTrunk):
        return [block]
    return [trunk for child in block._children.values() for trunk in find_trunks(child)]


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
    description = read_description(path)
    arrays = {name.split(':', 1)[1][len(PREFIX) :]: array for name, array in load_arrays(path).items()}
    trunks = find_trunks(net)
    if not trunks:
        raise UnifaceError(f'{path}: the model has no Inception trunk')
    pairs = []
    for trunk in trunks:
        if trunk.count_include_pad != description['count_include_pad']:
            rule = description['count_include_pad']
            raise UnifaceError(
                f'{path}: these weights want a model with count_include_pad={rule}; in a configuration, '
                f'set model.count_include_pad to {str(rule).lower()}'
            )
        parameters = trunk.collect_params()
        for name, parameter in parameters.items():
            array = arrays.get(name[len(trunk.prefix) :])
            known = (
                array is not None
                and len(parameter.shape) == array.ndim
                and all(side in (0, other) for side, other in zip(parameter.shape, array.shape))
            )
            if not known:
                raise UnifaceError(
                    f'{path}: does not fit {name} of shape {parameter.shape}; a trunk must have width 1'
                )
            pairs.append((parameter, array))
    for parameter, array in pairs:
        parameter._load_init(array.astype(parameter.dtype), ctx)
    return [parameter.name for parameter, _ in pairs]
