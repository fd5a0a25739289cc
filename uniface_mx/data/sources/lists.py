"""Lists of annotations: five points, `wider64`, WIDER FACE, CelebA, FDDB, AFLW, and how such files are read."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Tuple

import numpy as np

from uniface_mx.data.sources.base import PathLike, Source, SourceError, SourceImage, annotated, require_folder
from uniface_mx.geometry import ellipse_to_box, xywh_to_xyxy

# `FILE:LINE`, an image's path, and a row of numbers for each face.
Block = Tuple[str, str, List[List[float]]]
WIDER_ROW = 'x y w h blur expression illumination invalid occlusion pose'
INVALID = WIDER_ROW.split().index('invalid')
UNKNOWN = -1
# CelebA's files.
SPLITS = {'train': 0, 'val': 1, 'test': 2}
BOXES = 'list_bbox_celeba.txt'
POINTS = 'list_landmarks_celeba.txt'
ALIGNED_POINTS = 'list_landmarks_align_celeba.txt'
IDENTITIES = 'identity_CelebA.txt'
PARTITION = 'list_eval_partition.txt'
FDDB_SUFFIX = '-ellipseList.txt'
FDDB_NAMES = re.compile(r'.*fold-0*(\d+)' + re.escape(FDDB_SUFFIX))
# AFLW names points as the viewer sees them: LeftEyeLeftCorner is the leftmost eye point of an upright face.
AFLW_POINTS = ('LeftEyeCenter', 'RightEyeCenter', 'NoseCenter', 'MouthLeftCorner', 'MouthRightCorner')
UNSEEN = (np.nan, np.nan)
AFLW_FACES = """SELECT FaceImages.filepath, Faces.face_id, FaceRect.x, FaceRect.y, FaceRect.w, FaceRect.h
           FROM Faces JOIN FaceImages ON FaceImages.file_id = Faces.file_id
           LEFT JOIN FaceRect ON FaceRect.face_id = Faces.face_id ORDER BY Faces.face_id"""
AFLW_COORDINATES = f"""SELECT FeatureCoords.face_id, FeatureCoordTypes.descr, FeatureCoords.x, FeatureCoords.y
            FROM FeatureCoords JOIN FeatureCoordTypes USING (feature_id)
            WHERE FeatureCoordTypes.descr IN ({', '.join('?' * len(AFLW_POINTS))})"""


def relative_key(text: str, where: str) -> str:
    """A path from a list as a key; refuses one that leaves the root."""
    parts = [part for part in text.strip().replace('\\', '/').split('/') if part not in ('', '.')]
    if not parts or '..' in parts:
        raise SourceError(f'{where}: {text!r} is no path below the root')
    return '/'.join(parts)


def collect(root: Path, entries: Iterable[Tuple[str, str, Dict[str, Any]]]) -> Dict[str, SourceImage]:
    """Images by their keys, from (`FILE:LINE`, path below the root, what `annotated` takes) of each.

    Raises
    ------
    SourceError
        A path leaves the root, or stands twice.
    """
    images: Dict[str, SourceImage] = {}
    for where, text, faces in entries:
        key = relative_key(text, where)
        if key in images:
            raise SourceError(f'{where}: {key} is listed twice')
        images[key] = annotated(key, root / key, **faces)
    return images


def read_lines(path: PathLike) -> List[Tuple[str, str]]:
    """The lines of a text file that are not blank, each with `FILE:LINE`, for messages."""
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except OSError as error:
        raise SourceError(f'{path}: {error.strerror or error}') from None
    except UnicodeDecodeError:
        raise SourceError(f'{path}: no text file in UTF-8') from None
    lines = enumerate(map(str.strip, text.split('\n')), 1)
    return [(f'{path}:{number}', line) for number, line in lines if line]


def parse_numbers(fields: Sequence[str], count: int, where: str, what: str) -> List[float]:
    """Exactly `count` finite numbers."""
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        found = ' '.join(fields)
        raise SourceError(f'{where}: expected {what} ({count} numbers), found {found!r}')
    return values


def counted_blocks(lines: Sequence[Tuple[str, str]], columns: int, what: str) -> Iterator[Block]:
    """(`FILE:LINE`, image, rows) of each block of a path, a number of faces, and a row of numbers for each.

    WIDER FACE writes a row of zeros after a number of 0: it is passed over.
    """
    at = 0
    while at < len(lines):
        where, image = lines[at]
        if at + 1 == len(lines) or not lines[at + 1][1].isdigit():
            raise SourceError(f'{where}: {image!r}: expected an image and then the number of its faces')
        count = int(lines[at + 1][1])
        faces = lines[at + 2 : at + 2 + count]
        rows = [parse_numbers(line.split(), columns, place, what) for place, line in faces]
        if len(rows) < count:
            raise SourceError(f'{where}: {image}: the file ends before its {count} faces')
        at += 2 + count
        if not count and at < len(lines) and not set(lines[at][1].split()) - {'0'}:
            at += 1
        yield where, image, rows


def open_points(
    path: PathLike, *, order: str = 'xy', root: str = '', name: str = '', **common: Any
) -> Source:
    """Faces known by their points; their boxes are the teacher's. Lines that begin with `#` are comments.

    Parameters
    ----------
    path : str or Path
        The list. Points are ordered as in `SourceImage`.
    order : str
        `xy`: x1 y1 x2 y2 ... y5. `mtfl`: x1 ... x5 y1 ... y5, then whatever attributes (MTFL's own lists have
        four).
    root : str
        Folder that the list's paths are relative to; the list's own if not given.
    """
    if order not in ('xy', 'mtfl'):
        raise SourceError(f'{path}: order={order}: there are xy and mtfl')
    folder = Path(root or Path(path).parent)
    faces = defaultdict(list)
    for where, line in read_lines(path):
        if line.startswith('#'):
            continue
        fields = line.split()
        image, numbers = (fields[:-10], fields[-10:]) if order == 'xy' else (fields[:1], fields[1:11])
        values = parse_numbers(numbers, 10, where, f'five points after the path, in order {order}')
        points = np.reshape(values, (5, 2)) if order == 'xy' else np.reshape(values, (2, 5)).T
        faces[relative_key(' '.join(image), where)].append(points)
    images = {key: annotated(key, folder / key, landmarks=points) for key, points in faces.items()}
    return Source(folder, images, images.__getitem__, name=name or Path(path).stem, **common)


def open_wider64(path: PathLike, **common: Any) -> Source:
    """Photos of WIDER FACE: `images/` and `boxes_xyxy.json`, {name: [[left, top, right, bottom], ...]}."""
    root = require_folder(path, 'with images/ and boxes_xyxy.json')
    listed = root / 'boxes_xyxy.json'
    try:
        content = json.loads(listed.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise SourceError(f'{listed}: {error}') from None
    if not isinstance(content, dict):
        raise SourceError(f'{listed}: expected an object {{image: boxes}}')
    entries = []
    for name, rows in content.items():
        where = f'{listed}: {name}'
        try:
            boxes = np.array(rows, np.float64)
        except (TypeError, ValueError):
            boxes = np.array(np.nan)
        if boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4) or not np.isfinite(boxes).all():
            raise SourceError(f'{where}: expected a list of boxes [left, top, right, bottom]')
        entries.append((where, f'images/{name}', {'boxes': boxes}))
    images = collect(root, entries)
    return Source(root, images, images.__getitem__, **common)


def open_widerface(path: PathLike, *, root: str = '', **common: Any) -> Source:
    """WIDER FACE with all its boxes; those marked invalid are to be ignored.

    The form is seen from the first line. Official: a path, the number of faces, and a row of four box numbers
    (left, top, width, height) and six attributes for each; for 0 faces a row of zeros stands there all the
    same. `label.txt`: `# path`, then a row for each face of its box, five points with a flag each (image-left
    eye first, -1 where a point is unknown), and a quality; or of its box alone. A face with an unknown point
    has no landmarks.

    Parameters
    ----------
    path : str or Path
        `wider_face_train_bbx_gt.txt`, `wider_face_val_bbx_gt.txt` or a `label.txt`.
    root : str
        Folder that paths are relative to. If not given: `../WIDER_train/images` (`val`) beside the official
        file's folder, `images` beside a `label.txt`.
    """
    lines = read_lines(path)
    five_points = bool(lines) and lines[0][1].startswith('#')
    folder = Path(root) if root else _default_root(Path(path), five_points)
    blocks = _label_blocks(lines) if five_points else counted_blocks(lines, 10, WIDER_ROW)
    faces = _label_faces if five_points else _official_faces
    images = collect(folder, ((where, image, faces(rows)) for where, image, rows in blocks))
    return Source(folder, images, images.__getitem__, **common)


def _official_faces(rows: List[List[float]]) -> Dict[str, Any]:
    boxes = [xywh_to_xyxy(row[:4]) for row in rows]
    return {'boxes': boxes, 'ignore': [row[INVALID] != 0 for row in rows]}


def _label_faces(rows: List[List[float]]) -> Dict[str, Any]:
    points = [np.reshape(row[4:19], (5, 3))[:, :2] for row in rows]
    landmarks = [np.where((five == UNKNOWN).any(), np.nan, five) for five in points]
    return {'boxes': [xywh_to_xyxy(row[:4]) for row in rows], 'landmarks': landmarks}


def _label_blocks(lines: List[Tuple[str, str]]) -> Iterator[Block]:
    image, rows = lines[0], []
    for where, line in lines[1:]:
        if line.startswith('#'):
            yield image[0], image[1][1:], rows
            image, rows = (where, line), []
            continue
        fields = line.split()
        if len(fields) == 4:
            fields += [str(UNKNOWN)] * 16
        rows.append(parse_numbers(fields, 20, where, 'x y w h, five times x y flag, quality'))
    yield image[0], image[1][1:], rows


def _default_root(path: Path, five_points: bool) -> Path:
    if five_points:
        return path.parent / 'images'
    split = re.search('train|val|test', path.name)
    if not split:
        raise SourceError(f'{path}: its name says no split: give the folder of images by root=')
    return path.parent.parent / f'WIDER_{split.group()}' / 'images'


def open_celeba(
    path: PathLike, *, aligned: bool = False, images: str = '', split: str = '', **common: Any
) -> Source:
    """CelebA in the wild (boxes, points, people) or aligned (points, people); one face a photo is annotated.

    The lists are looked for in the folder itself and in its `Anno` and `Eval`. Boxes reach well around the
    head.

    Parameters
    ----------
    aligned : bool
        The images are those of `img_align_celeba`.
    images : str
        Folder of the images below the path; `img_celeba` or `img_align_celeba`, in it or in its `Img`, if not
        given.
    split : str
        `train`, `val` or `test` of the official partition; all if not given.
    """
    root = require_folder(path, 'CelebA with its lists')
    if split and split not in SPLITS:
        raise SourceError(f'{path}: split={split}: there are {", ".join(SPLITS)}')
    points = _table(root, ALIGNED_POINTS if aligned else POINTS, 10, header=True)
    boxes = None if aligned else _table(root, BOXES, 4, header=True)
    people = _table(root, IDENTITIES, 1)
    wanted = list(points)
    if split:
        splits = _table(root, PARTITION, 1)
        wanted = [key for key in points if splits.get(key) == [SPLITS[split]]]
    folder = images or _find(root, 'img_align_celeba' if aligned else 'img_celeba', ('', 'Img'))
    found = {}
    for key in wanted:
        if boxes is not None and key not in boxes:
            raise SourceError(f'{root}: {key} is missing in {BOXES}')
        box = None if boxes is None else xywh_to_xyxy(boxes[key])
        person = f'{people[key][0]:.0f}' if key in people else None
        found[key] = annotated(key, root / folder / key, box, points[key], persons=(person,))
    return Source(root / folder, found, found.__getitem__, **common)


def _find(root: Path, name: str, folders: Sequence[str]) -> Path:
    for folder in folders:
        if (root / folder / name).exists():
            return Path(folder) / name
    raise SourceError(f'{root}: no {name} in it or its {", ".join(filter(None, folders))}')


def _table(root: Path, name: str, columns: int, header: bool = False) -> Dict[str, List[float]]:
    """The numbers of each image in one of the lists."""
    path = root / _find(root, name, ('', 'Anno', 'Eval'))
    lines = read_lines(path)
    if header:
        # A count and a line of column names stand first.
        (where, count), lines = lines[0] if lines else (f'{path}:1', ''), lines[2:]
        if count != str(len(lines)):
            raise SourceError(f'{where}: {count!r} images promised, {len(lines)} lines follow')
    table = {}
    for where, line in lines:
        image, *fields = line.split()
        table[relative_key(image, where)] = parse_numbers(fields, columns, where, 'columns of ' + name)
    return table


def open_fddb(path: PathLike, *, root: str = '', fold: str = '', **common: Any) -> Source:
    """Images of FDDB with the upright boxes around its ellipses. For evaluation only.

    A fold's list of images (`FDDB-fold-01.txt`) must name the same images as its ellipses do, where it is
    there.

    Parameters
    ----------
    path : str or Path
        Folder with `FDDB-fold-01-ellipseList.txt` to `-10-`, or with such of FDDB-crops; or the folder above
        `FDDB-folds`.
    root : str
        Folder of the images (`2002/08/11/big/img_591.jpg`); if not given `images` in the path, else
        `originalPics` beside the folder of the ellipses.
    fold : str
        Number of the one fold wanted.
    """
    folds = require_folder(path, f'with {FDDB_SUFFIX}')
    if (folds / 'FDDB-folds').is_dir():
        folds = folds / 'FDDB-folds'
    own = folds / 'images'
    folder = Path(root) if root else own if own.is_dir() else folds.parent / 'originalPics'
    images = collect(
        folder,
        (
            (where, f'{image}.jpg', {'boxes': [ellipse_to_box(row[:5]) for row in rows]})
            for where, image, rows in _blocks(folds, fold.lstrip('0'))
        ),
    )
    if not images:
        raise SourceError(f'{folds}: no {f"fold {fold} in " if fold else ""}...{FDDB_SUFFIX}')
    return Source(folder, images, images.__getitem__, **common)


def _blocks(folds: Path, fold: str) -> Iterator[Block]:
    """The ellipses of each image, of all folds or of one."""
    for listed in sorted(folds.glob('*' + FDDB_SUFFIX)):
        match = FDDB_NAMES.fullmatch(listed.name)
        if not match or fold and match.group(1) != fold:
            continue
        blocks = list(counted_blocks(read_lines(listed), 6, 'radii, angle, centre and 1 of an ellipse'))
        names = listed.with_name(listed.name.replace(FDDB_SUFFIX, '.txt'))
        if names.exists() and [line for _, line in read_lines(names)] != [block[1] for block in blocks]:
            raise SourceError(f'{names}: not the images of {listed.name}')
        yield from blocks


def open_aflw(path: PathLike, *, root: str = '', **common: Any) -> Source:
    """Photos of AFLW with the square boxes and those of the 21 points that the paper uses.

    AFLW marks only the points that can be seen: a face with fewer than the five has no landmarks here. A face
    without a rectangle is left out, and counted.

    Parameters
    ----------
    path : str or Path
        `aflw.sqlite`.
    root : str
        Folder of the images; `flickr` beside the SQLite file if not given.
    """
    path = Path(path)
    folder = Path(root) if root else path.parent / 'flickr'
    faces, points = _read_aflw(path)
    marks: Dict[int, Dict[str, Tuple[float, float]]] = defaultdict(dict)
    for face, feature, x, y in points:
        marks[face][feature] = (x, y)
    rows, without = defaultdict(list), []
    for image, face, *rect in faces:
        key = relative_key(str(image), f'{path}: face {face}')
        if None in rect:
            without.append((key, f'face_id {face}: it has no rectangle'))
            rows[key] += []
            continue
        try:
            five = np.array([marks[face].get(feature, UNSEEN) for feature in AFLW_POINTS], np.float32)
            box = xywh_to_xyxy(np.array(rect, np.float32))
        except (TypeError, ValueError):
            raise SourceError(f'{path}: face_id {face}: not all numbers') from None
        rows[key].append((box, five if np.isfinite(five).all() else np.full_like(five, np.nan)))
    images = {}
    for key, found in rows.items():
        boxes, points = zip(*found) if found else ((), ())
        images[key] = annotated(key, folder / key, boxes, points)
    return Source(folder, images, images.__getitem__, left_out=without, **common)


def _read_aflw(path: Path) -> Tuple[List[tuple], List[tuple]]:
    if not path.is_file():
        raise SourceError(f"{path}: no such file (AFLW's aflw.sqlite)")
    try:
        connection = sqlite3.connect(path.resolve().as_uri() + '?mode=ro', uri=True)
        try:
            return connection.execute(AFLW_FACES).fetchall(), connection.execute(
                AFLW_COORDINATES, AFLW_POINTS
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SourceError(f"{path}: not AFLW's SQLite file ({error})") from None
