"""Find the faces in photos, a video or a camera's picture: JSON lines, marked pictures, upright crops."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, TextIO, Union

import cv2
import numpy as np
from tqdm import tqdm

from uniface_mx.cli.photos import (
    add_predictor_options,
    face_entry,
    found_faces,
    load_predictor,
    look,
    refuse_overwriting,
    report_skipped,
    save_picture,
    say,
)
from uniface_mx.cli.program import DONE, PARTLY, at_least, program
from uniface_mx.deploy.drawing import draw_faces, face_crop
from uniface_mx.deploy.predictor import Face, Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.files import files_aside, lines_file
from uniface_mx.photos import VIDEO_ENDINGS, PhotoFile, Video, find_photos

LINES, VIDEO, CROPS = 'faces.jsonl', 'video.mp4', 'crops'


def video_source(inputs: Sequence[str]) -> Union[str, int, None]:
    """The path or the camera's number, or None for photos."""
    if len(inputs) != 1 or Path(inputs[0]).suffix.lower() not in VIDEO_ENDINGS | {''}:
        return None
    if inputs[0].isdigit() and not Path(inputs[0]).exists():
        return int(inputs[0])
    return inputs[0] if Path(inputs[0]).suffix else None


def tell(
    arguments: argparse.Namespace,
    file: Optional[TextIO],
    about: Dict[str, Any],
    name: str,
    image: np.ndarray,
    faces: Sequence[Face],
) -> None:
    """A JSON line on a photo or frame, and one for people; crops where they are wanted."""
    entries, boxes = [], []
    for number, face in enumerate(faces):
        entry = face_entry(face)
        left, top, right, bottom = entry['box']
        size = f'{round(right - left)}x{round(bottom - top)}'
        boxes.append(f'{size} at {round(left)},{round(top)} ({entry["score"]:.2f})')
        if arguments.embeddings:
            entry['embedding'] = face.embedding.tolist()
        entries.append(entry)
        if arguments.crops:
            save_picture(arguments.out / CROPS / f'{name}-{number}.jpg', face_crop(image, face.landmarks))
    where = f'frame {about["frame"]}' if 'frame' in about else about['photo']
    entry = dict(about, width=image.shape[1], height=image.shape[0], faces=entries)
    say(entry, f'{where}: {", ".join(boxes) or "no face"}', arguments.json, file)


def detect_photos(
    arguments: argparse.Namespace, photos: Sequence[PhotoFile], predictor: Predictor, file: Optional[TextIO]
) -> int:
    """Find the faces of photos; `PARTLY` where one was skipped."""
    skipped: Dict[str, str] = {}
    counts = []
    for photo, image, faces in found_faces(arguments, predictor, photos, skipped):
        tell(arguments, file, {'photo': str(photo.path)}, photo.name, image, faces)
        counts.append(len(faces))
        if arguments.out:
            save_picture(photo.picture(arguments.out), draw_faces(image, faces))
    report_skipped(skipped, arguments.json, file)
    most = max(counts, default=0)
    print(f'{len(counts)} photos, {sum(counts)} faces, {len(skipped)} photos skipped', file=sys.stderr)
    if most == predictor.limit and not (arguments.tile or arguments.max_faces):
        print(f'the model finds {most} faces in a photo at most; --tile finds more', file=sys.stderr)
    return PARTLY if skipped else DONE


def detect_video(
    arguments: argparse.Namespace, source: Union[str, int], predictor: Predictor, file: Optional[TextIO]
) -> int:
    """Find the faces of a video's frames; Ctrl-C is how a camera's picture ends."""
    video, drawn, counts = Video(source), None, []
    frames = islice(tqdm(video, unit='frame', disable=None), arguments.frames)
    images = (({'frame': number, 'seconds': round(seconds, 3)}, image) for number, seconds, image in frames)
    together = 1 if isinstance(source, int) else arguments.batch
    with files_aside(arguments.out) if arguments.out else nullcontext() as aside:
        try:
            for when, image, faces in look(predictor, images, together):
                about, name = dict(photo=str(source), **when), f'frame-{when["frame"]:06d}'
                tell(arguments, file, about, name, image, faces)
                counts.append(len(faces))
                if aside:
                    drawn = drawn or video_writer(aside / VIDEO, video.rate, image)
                    drawn.write(cv2.cvtColor(draw_faces(image, faces), cv2.COLOR_RGB2BGR))
        except KeyboardInterrupt:
            if not isinstance(source, int):
                raise
        if drawn:
            drawn.release()
    if not counts:
        raise UnifaceError(f'{source}: holds no picture that can be read')
    print(f'{len(counts)} frames, {sum(counts)} faces', file=sys.stderr)
    return DONE


def video_writer(path: Path, rate: float, image: np.ndarray) -> cv2.VideoWriter:
    """What writes frames as large as an image into a new video."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, image.shape[1::-1])
    if not writer.isOpened():
        raise UnifaceError(f'{path}: this OpenCV cannot write videos there')
    return writer


def check_out(arguments: argparse.Namespace, photos: Sequence[PhotoFile]) -> None:
    """Refuse to overwrite anything but an earlier run's files; no photos mean a video."""
    out = arguments.out
    marked = [(photo.path, photo.picture(out)) for photo in photos]
    refuse_overwriting(marked or [(Path(arguments.inputs[0]), out / VIDEO)], out / LINES)
    if arguments.crops and any(photo.name.startswith(f'{CROPS}/') for photo in photos):
        raise UnifaceError('--crops: the photos lie in a folder crops themselves; name the folder itself')
    if arguments.crops and (out / CROPS).exists() and not (out / LINES).exists():
        advice = 'a crop might overwrite what is in it; choose another folder for --out'
        raise UnifaceError(f'{out}/{CROPS}: was there before, and {advice}')


def detect(arguments: argparse.Namespace) -> int:
    """Find faces in whatever was given."""
    source = video_source(arguments.inputs)
    if arguments.crops and not arguments.out:
        arguments.error('--crops needs --out')
    if arguments.frames and source is None:
        arguments.error('--frames goes with a video or a camera')
    photos = find_photos(arguments.inputs) if source is None else []
    if arguments.out:
        check_out(arguments, photos)
    predictor = load_predictor(arguments)
    with lines_file(arguments.out and arguments.out / LINES) as file:
        if source is None:
            return detect_photos(arguments, photos, predictor, file)
        return detect_video(arguments, source, predictor, file)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    text = 'photos, folders, patterns; or one video file; or the number of a camera'
    parser.add_argument('inputs', nargs='+', metavar='PHOTO', help=text)
    add_predictor_options(parser)
    text = 'write faces.jsonl and marked pictures (or video.mp4) into this folder'
    parser.add_argument('--out', type=Path, metavar='DIR', help=text)
    parser.add_argument('--crops', action='store_true', help='also write each face, upright, into DIR/crops')
    parser.add_argument('--json', action='store_true', help='print JSON, a line a photo or frame')
    text = 'with the 128 numbers that tell people apart'
    parser.add_argument('--embeddings', action='store_true', help=text)
    parser.add_argument('--frames', type=at_least(1), metavar='N', help='of a video or camera, the first N')


main = program('detect', __doc__, detect, add_options, partly='a photo could not be read and was skipped')

if __name__ == '__main__':
    sys.exit(main())
