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
from typing import Any, Dict, Type
from urllib.parse import unquote

from uniface_mx.data.sources.aflw import AFLWSource
from uniface_mx.data.sources.base import Source, SourceError, SourceImage
from uniface_mx.data.sources.celeba import CelebASource
from uniface_mx.data.sources.fddb import FDDBSource
from uniface_mx.data.sources.folder import FolderSource, LFWSource
from uniface_mx.data.sources.points import PointsSource
from uniface_mx.data.sources.voc import VOCSource
from uniface_mx.data.sources.wider64 import Wider64Source
from uniface_mx.data.sources.widerface import WiderFaceSource

__all__ = ['SOURCES', 'Source', 'SourceError', 'SourceImage', 'open_source']

_KINDS = (
    FolderSource,
    LFWSource,
    VOCSource,
    PointsSource,
    Wider64Source,
    WiderFaceSource,
    CelebASource,
    AFLWSource,
    FDDBSource,
)
SOURCES = {source.kind: source for source in _KINDS}
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
    types = _option_types(SOURCES[kind])
    options: Dict[str, Any] = {}
    for item in filter(None, query.split('&')):
        option, _, value = item.partition('=')
        if option not in types:
            known = ', '.join(sorted(types))
            raise SourceError(f'source {spec!r}: unknown option {option!r}; {kind} has {known}')
        options[option] = unquote(value)
        if 'bool' in types[option]:
            flag = FLAGS.get(options[option].lower())
            if flag is None:
                raise SourceError(f'source {spec!r}: {option} must be 0 or 1')
            options[option] = flag
    return SOURCES[kind](path, **options)


def _option_types(source: Type[Source]) -> Dict[str, str]:
    """The names of a kind's options with their annotations, its bases' included."""
    signatures = [inspect.signature(cls.__init__).parameters.values() for cls in (source, Source)]
    return {p.name: p.annotation for parameters in signatures for p in parameters if p.kind is p.KEYWORD_ONLY}
