"""A source becomes a record set."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.executor import in_one_go, in_order
from uniface_mx.data.prepare.sets import DUPLICATE, Duplicates, record_name
from uniface_mx.data.prepare.worker import Job, Labelled, WorkItem, identities, label_photos
from uniface_mx.data.records import Record, RecordMeta, RecordWriter, record_path
from uniface_mx.data.rows import IGNORE
from uniface_mx.data.sources.base import Source, SourceImage

PHOTOS_A_TASK = 8
TASKS_AHEAD = 4
# Before that many photos a few bad ones say nothing.
PHOTOS_BEFORE_STOP = 100
BAD = ('missing', 'broken', 'tiny', 'huge')
NEGATIVES = '-negatives'


@dataclass
class Summary:
    """What a run did.

    Parameters
    ----------
    photos : int
        Looked at.
    new_answers : int
        Entries that were not in the cache.
    counts : Counter
        What the rules of labelling did.
    skipped : dict
        Reason to the names of the photos left out.
    written : dict
        File to the description of the record set.
    """

    photos: int = 0
    new_answers: int = 0
    counts: Counter = field(default_factory=Counter)
    skipped: Dict[str, List[str]] = field(default_factory=dict)
    written: Dict[str, RecordMeta] = field(default_factory=dict)

    def skip(self, reason: str, name: str) -> None:
        """Note a photo that is left out."""
        self.skipped.setdefault(reason, []).append(name)

    @property
    def bad(self) -> int:
        """Photos that could not be used."""
        return sum(len(self.skipped.get(reason, ())) for reason in BAD)


def shard_range(count: int, shard: int, shards: int) -> Tuple[int, int]:
    """First and last + 1 photo of part `shard` (from 1) of `shards` parts of `count` photos."""
    if not 1 <= shard <= shards:
        raise PrepareError(f'shard {shard}/{shards}: the first number goes from 1 to the second')
    return (shard - 1) * count // shards, shard * count // shards


def make(
    source: Source,
    name: str,
    job: Job,
    executor: Executor,
    cache: Cache,
    *,
    workers: int = 0,
    people: str = '',
    shard: int = 1,
    shards: int = 1,
    limit: Optional[int] = None,
    max_bad: float = 0.05,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Summary:
    """Write the record sets `name` (photos with faces to learn) and `name`-negatives.

    The negatives are photos without a face by their source, and in which the teacher is sure of none; what
    may be one is ignored. Of other photos in which the teacher sees no face nobody knows: they are left out.

    The bytes written follow from the source and the job alone. Duplicates are left out unless the set is one
    shard of several: then `merge` leaves them out.

    Parameters
    ----------
    name : str
        Of the record set.
    workers : int
        Of the executor: they decide how much work is kept under way.
    people : str
        Prefix of the persons' names, by default the source's name: sources that know the same people share
        one.
    shard, shards : int
        Which part of the source, from 1, of how many.
    limit : int, optional
        Only the first photos.
    max_bad : float
        Fraction of bad photos above which to stop.
    progress : callable
        Wraps the sequence of labelled photos, as `tqdm` does.

    Raises
    ------
    PrepareError
        Too many bad photos, or workers whose teachers differ.
    """
    first, last = shard_range(len(source) if limit is None else min(limit, len(source)), shard, shards)
    teachers = in_one_go(executor, identities, job.teachers)
    stated = {'embeddings': dict(teachers['embeddings'], mirror=job.mirror)}
    summary = Summary()
    with ExitStack() as stack:
        outputs = []
        for ending in ('', NEGATIVES):
            about = _about(source, job, teachers['landmarks'])
            writer = stack.enter_context(RecordWriter(f'{record_path(name, "")}{ending}', [about], stated))
            outputs.append(_Output(writer, Duplicates() if shards == 1 else None))
        photos = _labelled(source, range(first, last), job, teachers, executor, cache, workers)
        for image, photo in progress(photos):
            summary.photos += 1
            summary.new_answers += len(photo.entries)
            summary.counts.update(photo.counts)
            taught = photo.objects is not None and bool((photo.objects[:, IGNORE] == 0).any())
            reason = photo.skipped or ('' if taught else _no_negative(image, photo, job.complete))
            if reason:
                summary.skip(reason, photo.key)
            else:
                outputs[0 if taught else 1].add(_record(photo, source.name, people or source.name))
            if summary.photos >= PHOTOS_BEFORE_STOP:
                _stop_if_bad(summary, max_bad)
        _stop_if_bad(summary, max_bad)
        for key, reason in source.issues:
            summary.skip('annotation left out', f'{key}: {reason}')
        for output in outputs:
            output.state(summary)
    for output in outputs:
        summary.written[str(record_path(output.writer.name, '.rec'))] = output.writer.meta
        for text in output.repeated:
            summary.skip(DUPLICATE, text)
    return summary


def _about(source: Source, job: Job, landmark_teacher: Dict[str, str]) -> Dict[str, object]:
    """What a record set says of its source; the counts and what was left out are known at the end."""
    options = asdict(job)
    del options['teachers']
    return {
        'name': source.name,
        'kind': source.kind,
        'licence': source.licence,
        'landmark_teacher': landmark_teacher,
        'options': options,
    }


class _Output:
    """One of the record sets that a run writes."""

    def __init__(self, writer: RecordWriter, seen: Optional[Duplicates]) -> None:
        self.writer, self.seen = writer, seen
        self.repeated: List[str] = []

    def add(self, record: Record) -> None:
        first = self.seen.find(record) if self.seen else None
        if first is None:
            self.writer.add(record)
        else:
            self.repeated.append(f'{record_name(record)} = {first}')

    def state(self, summary: Summary) -> None:
        """Say what was left out; the writer takes it when its block ends."""
        (about,) = self.writer.meta.sources
        about['counts'] = {'photos': summary.photos, **summary.counts}
        about['skipped'] = dict(summary.skipped)
        if self.repeated:
            about['skipped'][DUPLICATE] = self.repeated


def _no_negative(image: SourceImage, photo: Labelled, complete: bool) -> str:
    """Why a photo without a face to learn is no negative, or nothing."""
    if complete:
        return ''
    if image.boxes is None:
        return 'no face seen'
    return 'a face seen where the source has none' if photo.surprises else ''


def _record(photo: Labelled, source: str, people: str) -> Record:
    person = None if photo.person is None else f'{people}/{photo.person}'
    size = photo.width, photo.height
    return Record(photo.jpeg, photo.objects, *size, source, photo.key, person, photo.picture)


def _labelled(
    source: Source,
    numbers: Sequence[int],
    job: Job,
    teachers: Dict[str, Dict[str, str]],
    executor: Executor,
    cache: Cache,
    workers: int,
) -> Iterator[Tuple[SourceImage, Labelled]]:
    """Each photo's annotation and label, in order; what is new goes to the cache first."""
    under_way: List[List[SourceImage]] = []

    def tasks() -> Iterator[Tuple[List[WorkItem], Job]]:
        for start in range(0, len(numbers), PHOTOS_A_TASK):
            images = [source[number] for number in numbers[start : start + PHOTOS_A_TASK]]
            under_way.append(images)
            yield [item for item in (_work_item(image, cache) for image in images) if item], job

    for photos, found in in_order(executor, label_photos, tasks(), max(TASKS_AHEAD * workers, 1)):
        if found != teachers:
            raise PrepareError(
                f'workers have different teachers, {teachers} and {found}: '
                'install the same package and weights everywhere'
            )
        cache.add([entry for photo in photos for entry in photo.entries])
        labelled = {photo.key: photo for photo in photos}
        for image in under_way.pop(0):
            yield image, labelled.get(image.key) or Labelled(image.key, skipped='missing')


def _work_item(image: SourceImage, cache: Cache) -> Optional[WorkItem]:
    """What a worker needs of a photo; None where there is no file."""
    try:
        data = image.path.read_bytes()
    except OSError:
        return None
    digest = hashlib.sha256(data).digest()
    # Workers have no use for the path, and it must not be able to change a label.
    return WorkItem(replace(image, path=None), data, digest, cache.get(digest))


def _stop_if_bad(summary: Summary, max_bad: float) -> None:
    if summary.bad > max_bad * summary.photos:
        names = [name for reason in BAD for name in summary.skipped.get(reason, ())]
        raise PrepareError(
            f'{summary.bad} of the first {summary.photos} photos are missing, broken, tiny or huge '
            f'({", ".join(names[:3])}, ...): over --max-bad {max_bad:g}'
        )
