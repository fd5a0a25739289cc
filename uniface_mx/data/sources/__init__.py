"""Sources: one small module for each form in which sets of faces come.

`open_source('KIND:PATH?option=value&...')` opens one. `%26` in a value stands for `&`.

========= ========================= ==========================================================================
kind      path                      options (default)
========= ========================= ==========================================================================
folder    a folder of photos        `person=folder`; `pattern`: a regular expression for files, whose group
                                    `person` names who it is; `faces` (1): 0 for photos without a face
lfw       LFW's folder              none
voc       a Pascal VOC set          `annotations` (Annotations), `images` (JPEGImages); classes, separated by
                                    commas: `face` (face), `masked` (none)
points    a list of five points     `order` (xy): xy or mtfl; `root` (the list's folder)
wider64   the set's folder          none
widerface ..._bbx_gt.txt, label.txt `root` (as in the official layout)
celeba    CelebA's folder           `aligned` (0), `images` (img_celeba), `split` (all): train, val or test
aflw      aflw.sqlite               `root` (flickr beside it)
fddb      FDDB-folds or its parent  `root` (originalPics), `fold` (all)
========= ========================= ==========================================================================

All kinds have `name` (after the kind or the path), `licence`, `complete`, `teacher_box` (the kind's own) and
`part` (all; a slice of the sorted keys), as `Source` describes them.
"""

from __future__ import annotations

import inspect
from itertools import chain
from typing import Any, Callable, Dict, Tuple
from urllib.parse import unquote

from uniface_mx.data.sources import lists
from uniface_mx.data.sources.base import Source, SourceError, SourceImage
from uniface_mx.data.sources.folder import open_folder, open_lfw
from uniface_mx.data.sources.voc import open_voc

__all__ = ['SOURCES', 'Source', 'SourceError', 'SourceImage', 'open_source']

_WIDER = dict(licence='CC BY-NC-ND 4.0 (WIDER FACE)', complete=True)
_EVALUATION = dict(licence='research, evaluation only')
_CELEBA = dict(licence='CelebA, non-commercial research', teacher_box=True)
_AFLW = dict(licence='AFLW, non-commercial research', teacher_box=True)
# Kind to what opens it, and what is known of it where no option says otherwise.
SOURCES: Dict[str, Tuple[Callable[..., Source], Dict[str, Any]]] = {
    'folder': (open_folder, {}),
    'lfw': (open_lfw, _EVALUATION),
    'voc': (open_voc, {}),
    'points': (lists.open_points, {}),
    'wider64': (lists.open_wider64, _WIDER),
    'widerface': (lists.open_widerface, dict(_WIDER, name='widerface')),
    'celeba': (lists.open_celeba, dict(_CELEBA, name='celeba')),
    'aflw': (lists.open_aflw, dict(_AFLW, name='aflw')),
    'fddb': (lists.open_fddb, dict(_EVALUATION, name='fddb', complete=True, teacher_box=True)),
}
FLAGS = {'0': False, 'false': False, 'no': False, '1': True, 'true': True, 'yes': True}


def open_source(spec: str) -> Source:
    """Open the source that `KIND:PATH?option=value&...` describes.

    Raises
    ------
    SourceError
        The kind or an option is unknown, or the source cannot be read.
    """
    kind, colon, rest = spec.partition(':')
    if not colon or kind not in SOURCES:
        raise SourceError(
            f'source {spec!r}: expected KIND:PATH?option=value&..., KIND one of {", ".join(SOURCES)}'
        )
    path, _, query = rest.partition('?')
    if not path:
        raise SourceError(f'source {spec!r}: no path')
    read, known = SOURCES[kind]
    parameters = chain(*(inspect.signature(take).parameters.values() for take in (read, Source)))
    types = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
    options: Dict[str, Any] = dict(known)
    for item in filter(None, query.split('&')):
        option, _, value = item.partition('=')
        if option not in types:
            has = ', '.join(sorted(types))
            raise SourceError(f'source {spec!r}: unknown option {option!r}; {kind} has {has}')
        options[option] = unquote(value)
        if types[option] == 'bool':
            flag = FLAGS.get(options[option].lower())
            if flag is None:
                raise SourceError(f'source {spec!r}: {option} must be 0 or 1')
            options[option] = flag
    return read(path, kind=kind, **options)
