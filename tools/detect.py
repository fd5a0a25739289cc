"""Find the faces in photos, a video or a camera's picture: JSON lines, marked pictures, upright crops."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Dict, Optional, Sequence

import cv2
from tqdm import tqdm

from uniface_mx.cli.options import (
    VIDEO_ENDINGS,
    PhotoFile,
    Video,
    add_predictor_options,
    batches,
    face_entry,
    find_photos,
    found_faces,
    lines_file,
    load_predictor,
    marked_photos,
    refuse_overwriting,
    report_skipped,
)
from uniface_mx.cli.program import DONE, PARTLY, STATUS, at_least, run
from uniface_mx.deploy.drawing import draw_faces, face_crop
from uniface_mx.errors import UnifaceError
from uniface_mx.files import files_aside
from uniface_mx.image import write_image

LINES, VIDEO = 'faces.jsonl', 'video.mp4'


def parse(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='detect', description=__doc__, epilog=STATUS.format('a photo could not be read and was skipped')
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='PHOTO',
        help='photos, folders, patterns; or one video file; or the number of a camera',
    )
    add_predictor_options(parser)
    parser.add_argument(
        '--out', metavar='DIR', help='write faces.jsonl and marked pictures (or video.mp4) into this folder'
    )
    parser.add_argument('--crops', action='store_true', help='also write each face, upright, into DIR/crops')
    parser.add_argument('--json', action='store_true', help='print JSON, a line a photo or frame')
    parser.add_argument(
        '--embeddings', action='store_true', help='with the 128 numbers that tell people apart'
    )
    parser.add_argument('--frames', type=at_least(1), metavar='N', help='of a video or camera, the first N')
    arguments = parser.parse_args(argv)
    if arguments.crops and not arguments.out:
        parser.error('--crops needs --out')
    if arguments.frames and video_source(arguments.inputs) is None:
        parser.error('--frames goes with a video or a camera')
    return arguments


def video_source(inputs: Sequence[str]):
    """The path or the camera's number, or None for photos."""
    if len(inputs) != 1 or Path(inputs[0]).suffix.lower() not in VIDEO_ENDINGS | {''}:
        return None
    if inputs[0].isdigit() and not Path(inputs[0]).exists():
        return int(inputs[0])
    return inputs[0] if Path(inputs[0]).suffix else None


class Report:
    """Says what was found: JSON lines, or a line for people, and crops."""

    def __init__(self, arguments: argparse.Namespace, file):
        self._arguments, self._file = arguments, file
        self.seen = self.faces = self.most = 0

    def add(self, about: Dict, name: str, image, faces) -> None:
        """Write down one photo or frame."""
        self.seen += 1
        self.faces += len(faces)
        self.most = max(self.most, len(faces))
        height, width = image.shape[:2]
        self.write(
            dict(
                about,
                width=width,
                height=height,
                faces=[face_entry(face, self._arguments.embeddings) for face in faces],
            )
        )
        if self._arguments.crops:
            for number, face in enumerate(faces):
                save(
                    Path(self._arguments.out) / 'crops' / f'{name}-{number}.jpg',
                    face_crop(image, face.landmarks),
                )

    def write(self, entry: Dict) -> None:
        """One JSON line, where they are wanted; else one for people."""
        line = json.dumps(entry)
        if self._file:
            print(line, file=self._file)
        if self._arguments.json:
            print(line, flush=True)
        elif 'faces' in entry:
            where = '{photo}: '.format(**entry) if 'frame' not in entry else 'frame {frame}: '.format(**entry)
            boxes = ', '.join(
                '{}x{} at {},{} ({:.2f})'.format(
                    round(right - left), round(bottom - top), round(left), round(top), face['score']
                )
                for face in entry['faces']
                for left, top, right, bottom in [face['box']]
            )
            tqdm.write(where + (boxes or 'no face'))


def save(path: Path, image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)


def detect_photos(
    arguments: argparse.Namespace, photos: Sequence[PhotoFile], predictor, report: Report
) -> int:
    skipped: Dict[str, str] = {}
    for photo, image, faces in found_faces(arguments, predictor, photos, skipped):
        report.add({'photo': str(photo.path)}, photo.name, image, faces)
        if arguments.out:
            save(Path(arguments.out) / (photo.name + '.jpg'), draw_faces(image, faces))
    for path, reason in skipped.items():
        report.write({'photo': path, 'error': reason})
    report_skipped(skipped)
    print(f'{report.seen} photos, {report.faces} faces, {len(skipped)} photos skipped', file=sys.stderr)
    if report.most == predictor.limit and not (arguments.tile or arguments.max_faces):
        print(f'the model finds {report.most} faces in a photo at most; --tile finds more', file=sys.stderr)
    return PARTLY if skipped else DONE


def detect_video(arguments: argparse.Namespace, source, predictor, report: Report) -> int:
    video, drawn = Video(source), None
    frames = (((number, seconds), image) for number, seconds, image in islice(iter(video), arguments.frames))
    together = 1 if isinstance(source, int) else arguments.batch
    with files_aside(arguments.out) if arguments.out else nullcontext() as aside:
        try:
            for batch in batches(tqdm(frames, unit='frame', disable=None), together):
                for ((number, seconds), image), faces in zip(batch, predictor([image for _, image in batch])):
                    report.add(
                        {'photo': str(source), 'frame': number, 'seconds': round(seconds, 3)},
                        f'frame-{number:06d}',
                        image,
                        faces,
                    )
                    if aside:
                        drawn = drawn or video_writer(aside / VIDEO, video.rate, image)
                        drawn.write(cv2.cvtColor(draw_faces(image, faces), cv2.COLOR_RGB2BGR))
        except KeyboardInterrupt:
            if not isinstance(source, int):
                raise
        if drawn:
            drawn.release()
    if not report.seen:
        raise UnifaceError(f'{source}: holds no picture that can be read')
    print(f'{report.seen} frames, {report.faces} faces', file=sys.stderr)
    return DONE


def video_writer(path: Path, rate: float, image) -> cv2.VideoWriter:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, image.shape[1::-1])
    if not writer.isOpened():
        raise UnifaceError(f'{path}: this OpenCV cannot write videos there')
    return writer


def detect(arguments: argparse.Namespace) -> int:
    source = video_source(arguments.inputs)
    photos = find_photos(arguments.inputs) if source is None else []
    if arguments.out:
        out = Path(arguments.out)
        marked = marked_photos(photos, out) if source is None else [(Path(str(source)), out / VIDEO)]
        refuse_overwriting(marked, out / LINES)
        if arguments.crops and any(photo.name.startswith('crops/') for photo in photos):
            raise UnifaceError('--crops: the photos lie in a folder crops themselves; name the folder itself')
        if arguments.crops and (out / 'crops').exists() and not (out / LINES).exists():
            raise UnifaceError(
                f'{out}/crops: was there before, and a crop might overwrite what is in it; choose another folder for '
                '--out'
            )
    predictor = load_predictor(arguments)
    with lines_file(Path(arguments.out) / LINES if arguments.out else None) as file:
        report = Report(arguments, file)
        if source is None:
            return detect_photos(arguments, photos, predictor, report)
        return detect_video(arguments, source, predictor, report)


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse(argv)
    return run('detect', lambda: detect(arguments))


if __name__ == '__main__':
    sys.exit(main())
