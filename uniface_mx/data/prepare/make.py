"""A source becomes a record set."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.duplicates import DUPLICATE, Duplicates, record_name
from uniface_mx.data.prepare.errors import PrepareError
from uniface_mx.data.prepare.executor import in_one_go, in_order
from uniface_mx.data.prepare.look import Job, Outcome, Photo, identities, look_at
from uniface_mx.data.records import IGNORE, Record, RecordMeta, RecordWriter, record_path
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
    seconds, teacher_seconds : float
        Processor time of this process and the workers together, without loading the teachers; the teachers'
        part of it.
    counts : Counter
        What the rules of labelling did.
    skipped : dict
        Reason to the names of the photos left out.
    written : dict
        File to the description of the record set.
    """

    photos: int = 0
    new_answers: int = 0
    seconds: float = 0.0
    teacher_seconds: float = 0.0
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
        raise PrepareError('shard %d/%d: the first number goes from 1 to the second' % (shard, shards))
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
    source : Source
    name : str
        Of the record set.
    job : Job
    executor : concurrent.futures.Executor
    cache : Cache
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
        Wraps the sequence of outcomes, as `tqdm` does.

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
        outputs = [
            _Output(
                str(record_path(name, '')) + ending,
                source,
                job,
                teachers['landmarks'],
                stated,
                shards == 1,
                stack,
            )
            for ending in ('', NEGATIVES)
        ]
        start = time.process_time()
        for image, outcome in progress(
            _outcomes(source, range(first, last), job, teachers, executor, cache, workers, summary)
        ):
            summary.photos += 1
            summary.new_answers += len(outcome.entries)
            summary.counts.update(outcome.counts)
            taught = outcome.objects is not None and bool((outcome.objects[:, IGNORE] == 0).any())
            reason = outcome.skipped or ('' if taught else _no_negative(image, outcome, job.complete))
            if reason:
                summary.skip(reason, outcome.key)
            else:
                outputs[0 if taught else 1].add(_record(outcome, source.name, people or source.name))
            if summary.photos >= PHOTOS_BEFORE_STOP:
                _stop_if_bad(summary, max_bad)
        summary.seconds += time.process_time() - start
        _stop_if_bad(summary, max_bad)
        for key, reason in source.issues:
            summary.skip('annotation left out', f'{key}: {reason}')
        for output in outputs:
            output.state(summary)
    summary.written = {str(record_path(output.writer.name, '.rec')): output.writer.meta for output in outputs}
    for output in outputs:
        for text in output.repeated:
            summary.skip(DUPLICATE, text)
    return summary


class _Output:
    """One of the record sets that a run writes."""

    def __init__(
        self,
        name: str,
        source: Source,
        job: Job,
        landmark_teacher: Dict[str, str],
        teachers: Dict[str, Any],
        unique: bool,
        stack: ExitStack,
    ):
        # The writer takes what the dictionary holds when its block ends.
        self.info = {
            'name': source.name,
            'kind': source.kind,
            'licence': source.licence,
            'landmark_teacher': landmark_teacher,
            'options': _options(job),
            'counts': {},
            'skipped': {},
        }
        self.writer = stack.enter_context(RecordWriter(name, [self.info], teachers))
        self.seen = Duplicates() if unique else None
        self.repeated: List[str] = []

    def add(self, record: Record) -> None:
        first = self.seen.find(record) if self.seen else None
        if first is None:
            self.writer.add(record)
        else:
            self.repeated.append(f'{record_name(record)} = {first}')

    def state(self, summary: Summary) -> None:
        self.info['counts'] = {'photos': summary.photos, **summary.counts}
        self.info['skipped'] = dict(summary.skipped)
        if self.repeated:
            self.info['skipped'][DUPLICATE] = self.repeated


def _no_negative(image: SourceImage, outcome: Outcome, complete: bool) -> str:
    """Why a photo without a face to learn is no negative, or nothing."""
    if complete:
        return ''
    if image.boxes is None:
        return 'no face seen'
    return 'a face seen where the source has none' if outcome.surprises else ''


def _record(outcome: Outcome, source: str, people: str) -> Record:
    person = None if outcome.person is None else f'{people}/{outcome.person}'
    size = outcome.width, outcome.height
    return Record(outcome.jpeg, outcome.objects, *size, source, outcome.key, person, outcome.picture)


def _options(job: Job) -> Dict[str, Any]:
    return {key: value for key, value in asdict(job).items() if key != 'teachers'}


def _outcomes(
    source: Source,
    numbers: Sequence[int],
    job: Job,
    teachers: Dict[str, Dict[str, str]],
    executor: Executor,
    cache: Cache,
    workers: int,
    summary: Summary,
) -> Iterator[Tuple[SourceImage, Outcome]]:
    """(annotation, outcome) of each photo in order; what is new goes to the cache first."""
    under_way: List[List[SourceImage]] = []

    def tasks() -> Iterator[Tuple[List[Photo], Job]]:
        for start in range(0, len(numbers), PHOTOS_A_TASK):
            images, photos = [], []
            for number in numbers[start : start + PHOTOS_A_TASK]:
                image = source[number]
                images.append(image)
                try:
                    data = image.path.read_bytes()
                except OSError:
                    continue
                digest = hashlib.sha256(data).digest()
                # Workers have no use for the path, and it must not be able to change a label.
                photos.append(Photo(replace(image, path=None), data, digest, cache.get(digest)))
            under_way.append(images)
            yield photos, job

    for looked in in_order(executor, look_at, tasks(), max(TASKS_AHEAD * workers, 1)):
        if looked.teachers != teachers:
            raise PrepareError(
                f'workers have different teachers, {teachers} and {looked.teachers}: install the same package and weights everywhere'
            )
        summary.teacher_seconds += looked.teacher_seconds
        if looked.process != os.getpid():
            summary.seconds += looked.seconds
        cache.add([entry for outcome in looked.outcomes for entry in outcome.entries])
        outcomes = {outcome.key: outcome for outcome in looked.outcomes}
        for image in under_way.pop(0):
            yield image, outcomes.get(image.key) or Outcome(image.key, skipped='missing')


def _stop_if_bad(summary: Summary, max_bad: float) -> None:
    if summary.bad > max_bad * summary.photos:
        names = [name for reason in BAD for name in summary.skipped.get(reason, ())]
        raise PrepareError(
            '%d of the first %d photos are missing, broken, tiny or huge (%s, ...): over --max-bad %g'
            % (summary.bad, summary.photos, ', '.join(names[:3]), max_bad)
        )
