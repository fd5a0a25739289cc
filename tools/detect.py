"""Find the faces in photos, a video or a camera's picture: JSON lines, marked pictures, upright crops."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, TextIO, Union

import cv2
import numpy as np
from tqdm import tqdm

from uniface_mx.cli.options import add_predictor_options
from uniface_mx.cli.photos import (
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


class Report:
    """Writes down what was found, photo by photo or frame by frame; `counts` are the faces of each."""

    def __init__(self, arguments: argparse.Namespace, file: Optional[TextIO]) -> None:
        self._arguments, self._file = arguments, file
        self.counts: List[int] = []

    def add(self, about: Dict[str, Any], name: str, image: np.ndarray, faces: Sequence[Face]) -> None:
        """A JSON line, and one for people; crops where they are wanted."""
        entries = [face_entry(face, self._arguments.embeddings) for face in faces]
        boxes = []
        for face in entries:
            left, top, right, bottom = face['box']
            size = f'{round(right - left)}x{round(bottom - top)}'
            boxes.append(f'{size} at {round(left)},{round(top)} ({face["score"]:.2f})')
        where = f'frame {about["frame"]}' if 'frame' in about else about['photo']
        height, width = image.shape[:2]
        entry = dict(about, width=width, height=height, faces=entries)
        say(entry, f'{where}: {", ".join(boxes) or "no face"}', self._arguments.json, self._file)
        self.counts.append(len(faces))
        for number, face in enumerate(faces if self._arguments.crops else ()):
            path = Path(self._arguments.out) / CROPS / f'{name}-{number}.jpg'
            save_picture(path, face_crop(image, face.landmarks))

    def skip(self, skipped: Dict[str, str]) -> None:
        """Tell what was left out, and why."""
        report_skipped(skipped, self._arguments.json, self._file)


def detect_photos(
    arguments: argparse.Namespace, photos: Sequence[PhotoFile], predictor: Predictor, report: Report
) -> int:
    """Find the faces of photos; `PARTLY` where one was skipped."""
    skipped: Dict[str, str] = {}
    for photo, image, faces in found_faces(arguments, predictor, photos, skipped):
        report.add({'photo': str(photo.path)}, photo.name, image, faces)
        if arguments.out:
            save_picture(photo.picture(Path(arguments.out)), draw_faces(image, faces))
    report.skip(skipped)
    seen, most = len(report.counts), max(report.counts, default=0)
    print(f'{seen} photos, {sum(report.counts)} faces, {len(skipped)} photos skipped', file=sys.stderr)
    if most == predictor.limit and not (arguments.tile or arguments.max_faces):
        print(f'the model finds {most} faces in a photo at most; --tile finds more', file=sys.stderr)
    return PARTLY if skipped else DONE


def detect_video(
    arguments: argparse.Namespace, source: Union[str, int], predictor: Predictor, report: Report
) -> int:
    """Find the faces of a video's frames; Ctrl-C is how a camera's picture ends."""
    video, drawn = Video(source), None
    frames = islice(tqdm(video, unit='frame', disable=None), arguments.frames)
    images = (({'frame': number, 'seconds': round(seconds, 3)}, image) for number, seconds, image in frames)
    together = 1 if isinstance(source, int) else arguments.batch
    with files_aside(arguments.out) if arguments.out else nullcontext() as aside:
        try:
            for when, image, faces in look(predictor, images, together):
                report.add(dict(photo=str(source), **when), f'frame-{when["frame"]:06d}', image, faces)
                if aside:
                    drawn = drawn or video_writer(aside / VIDEO, video.rate, image)
                    drawn.write(cv2.cvtColor(draw_faces(image, faces), cv2.COLOR_RGB2BGR))
        except KeyboardInterrupt:
            if not isinstance(source, int):
                raise
        if drawn:
            drawn.release()
    if not report.counts:
        raise UnifaceError(f'{source}: holds no picture that can be read')
    print(f'{len(report.counts)} frames, {sum(report.counts)} faces', file=sys.stderr)
    return DONE


def video_writer(path: Path, rate: float, image: np.ndarray) -> cv2.VideoWriter:
    """What writes frames as large as an image into a new video."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, image.shape[1::-1])
    if not writer.isOpened():
        raise UnifaceError(f'{path}: this OpenCV cannot write videos there')
    return writer


def check_out(arguments: argparse.Namespace, photos: Sequence[PhotoFile]) -> None:
    """Refuse to overwrite anything but an earlier run's files; no photos mean a video."""
    out = Path(arguments.out)
    videos = [] if photos else [(Path(arguments.inputs[0]), out / VIDEO)]
    refuse_overwriting([(photo.path, photo.picture(out)) for photo in photos] or videos, out / LINES)
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
    with lines_file(Path(arguments.out) / LINES if arguments.out else None) as file:
        report = Report(arguments, file)
        if source is None:
            return detect_photos(arguments, photos, predictor, report)
        return detect_video(arguments, source, predictor, report)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    text = 'photos, folders, patterns; or one video file; or the number of a camera'
    parser.add_argument('inputs', nargs='+', metavar='PHOTO', help=text)
    add_predictor_options(parser)
    text = 'write faces.jsonl and marked pictures (or video.mp4) into this folder'
    parser.add_argument('--out', metavar='DIR', help=text)
    parser.add_argument('--crops', action='store_true', help='also write each face, upright, into DIR/crops')
    parser.add_argument('--json', action='store_true', help='print JSON, a line a photo or frame')
    text = 'with the 128 numbers that tell people apart'
    parser.add_argument('--embeddings', action='store_true', help=text)
    parser.add_argument('--frames', type=at_least(1), metavar='N', help='of a video or camera, the first N')


main = program('detect', __doc__, detect, add_options, partly='a photo could not be read and was skipped')

if __name__ == '__main__':
    sys.exit(main())
