"""People by their embeddings: enrol, search, keep in a file."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from uniface_mx.deploy.predictor import Face, Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside
from uniface_mx.models.files import PathLike
from uniface_mx.nn.attention import EMBEDDING_DIM

FORMAT = 1
# What NumPy's reader and the entries raise, whatever is damaged first.
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile)


class GalleryError(UnifaceError):
    """A gallery that cannot be read or searched, or belongs to another model."""


class Entry(NamedTuple):
    """One enrolled face: whose it is, and the photo it comes from."""

    person: str
    photo: str


class Match(NamedTuple):
    """The entry of a person that is most like a face, and its cosine to it."""

    person: str
    similarity: float
    photo: str


class Gallery:
    """Enrolled faces.

    Parameters
    ----------
    model : str
        `Predictor.identity` of the model that embeds: embeddings of two models cannot be compared.
    dimension : int
        Of the embeddings.

    Attributes
    ----------
    entries : list of Entry
    embeddings : numpy.ndarray
        (n, dimension) float32 of unit length, a row an entry.
    """

    def __init__(self, model: str, dimension: int = EMBEDDING_DIM) -> None:
        self.model = model
        self.entries: List[Entry] = []
        self.embeddings = np.zeros((0, dimension), np.float32)

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, person: str, photo: str, face: Face) -> None:
        """Enrol a face; one that was enrolled before from this photo for this person is replaced."""
        if not person:
            raise GalleryError(f'{photo}: a person needs a name')
        self._drop(Entry(person, photo).__eq__)
        self.entries.append(Entry(person, photo))
        self.embeddings = np.concatenate([self.embeddings, np.asarray(face.embedding, np.float32)[None]])

    def remove(self, person: str, photos: Optional[Sequence[str]] = None) -> int:
        """Forget a person, or some of their photos.

        Parameters
        ----------
        person : str
        photos : sequence of str, optional
            As they were named when they were enrolled; all by default.

        Returns
        -------
        int
            How many entries that were.

        Raises
        ------
        GalleryError
            There is no such person, or no such photo of theirs; then nothing is forgotten.
        """
        known = {entry.photo for entry in self.entries if entry.person == person}
        if not known:
            raise GalleryError(f'{person!r} is not in the gallery')
        unwanted = known if photos is None else set(photos)
        missing = sorted(unwanted - known)
        if missing:
            raise GalleryError(f'{missing[0]}: is no photo of {person!r} in the gallery')
        before = len(self)
        self._drop(lambda entry: entry.person == person and entry.photo in unwanted)
        return before - len(self)

    def _drop(self, unwanted: Callable[[Entry], bool]) -> None:
        kept = [number for number, entry in enumerate(self.entries) if not unwanted(entry)]
        self.entries = [self.entries[number] for number in kept]
        self.embeddings = self.embeddings[kept]

    def people(self) -> Dict[str, int]:
        """Number of entries by person, sorted by name."""
        return dict(sorted(Counter(entry.person for entry in self.entries).items()))

    def search(self, faces: Sequence[Face], people: int = 1) -> List[List[Match]]:
        """The most similar people for each face, each by the most similar of their entries.

        Parameters
        ----------
        faces : sequence of Face
        people : int
            At most so many for a face.

        Returns
        -------
        list of list of Match
            By descending similarity; whether it is enough is for the caller to say.
        """
        return self._nearest([face.embedding for face in faces], people)

    def _nearest(self, embeddings: Sequence[np.ndarray], people: int) -> List[List[Match]]:
        if not len(self) or not len(embeddings):
            return [[] for _ in embeddings]
        try:
            import faiss
        except ImportError:
            raise GalleryError("searching a gallery needs FAISS: pip install 'faiss-cpu<1.9'") from None
        index, neighbours = faiss.IndexFlatIP(self.embeddings.shape[1]), min(len(self), 8 * people)
        index.add(np.ascontiguousarray(self.embeddings))
        while True:
            rows = zip(*index.search(np.asarray(embeddings, np.float32), neighbours))
            found = [self._first_of_each(*row)[:people] for row in rows]
            if neighbours == len(self) or all(len(matches) == people for matches in found):
                return found
            neighbours = min(len(self), 4 * neighbours)

    def identify(self, faces: Sequence[Face], threshold: float, people: int = 1) -> List[List[Match]]:
        """Who the faces of one photo are: for each the people that are at least as similar as `threshold`.

        With `people` at 1 nobody is named twice: people and faces are paired so that all pairs together are the
        most similar. With more, each face has its most similar ones, whoever the others are.
        """
        wanted = people if people > 1 else len(faces)
        found = [
            [match for match in matches if match.similarity >= threshold]
            for matches in self.search(faces, wanted)
        ]
        if people > 1:
            return found
        names = sorted({match.person for matches in found for match in matches})
        worth = np.zeros((len(faces), len(names)))
        for row, matches in enumerate(found):
            for match in matches:
                # Any pair that is similar enough is worth more than none.
                worth[row, names.index(match.person)] = match.similarity - threshold + 1
        chosen = {row: names[column] for row, column in zip(*linear_sum_assignment(-worth))}
        return [
            [match for match in matches if match.person == chosen.get(row)]
            for row, matches in enumerate(found)
        ]

    def _first_of_each(self, similarities: np.ndarray, numbers: np.ndarray) -> List[Match]:
        best: Dict[str, Match] = {}
        for similarity, number in zip(similarities, numbers):
            person, photo = self.entries[number]
            best.setdefault(person, Match(person, float(similarity), photo))
        return list(best.values())

    def doubts(self, alike: float, unlike: float) -> List[str]:
        """What looks wrong: faces too like somebody else, or unlike all others of their own person.

        Parameters
        ----------
        alike : float
            From this similarity on a face is too like somebody else.
        unlike : float
            Below it a face is not one of its person's.

        Returns
        -------
        list of str
            A sentence for each.
        """
        found: List[str] = []
        people: Dict[str, List[int]] = {}
        for number, entry in enumerate(self.entries):
            people.setdefault(entry.person, []).append(number)
        nearest = self._nearest(self.embeddings, 2)
        for number, (entry, matches) in enumerate(zip(self.entries, nearest)):
            found += [
                f'{entry.photo}: {entry.person} is like {person} on {photo} ({similarity:.2f})'
                for person, similarity, photo in matches
                if person != entry.person and similarity >= alike
            ]
            others = [other for other in people[entry.person] if other != number]
            if others and (self.embeddings[others] @ self.embeddings[number]).max() < unlike:
                found.append(f'{entry.photo}: unlike all other photos of {entry.person}')
        return found

    def save(self, path: PathLike) -> None:
        """Write an npz file of ``embeddings`` and ``about`` (JSON, no pickles), aside and renamed."""
        about = {'format': FORMAT, 'model': self.model, 'entries': [list(entry) for entry in self.entries]}
        with written_aside(path) as aside, open(str(aside), 'wb') as file:
            coded = np.frombuffer(json.dumps(about).encode('utf-8'), np.uint8)
            np.savez(file, embeddings=self.embeddings, about=coded)

    @classmethod
    def load(cls, path: PathLike, model: Optional[str] = None) -> Gallery:
        """Read a gallery.

        Parameters
        ----------
        path : path
        model : str, optional
            `Predictor.identity` of the model that will embed; without it nothing can be added or searched
            meaningfully.

        Raises
        ------
        GalleryError
            There is no such file, it is no gallery or a damaged one, or was made with another model.
        """
        try:
            with np.load(str(path), allow_pickle=False) as file:
                embeddings, about = file['embeddings'], json.loads(file['about'].tobytes().decode('utf-8'))
            version = about['format']
            if version != FORMAT:
                raise GalleryError(f'{path}: a gallery of format {version}, this version reads {FORMAT}')
            gallery = cls(about['model'])
            gallery.entries = [Entry(person, photo) for person, photo in about['entries']]
        except FileNotFoundError:
            raise GalleryError(f'{path}: no such gallery; enroll somebody') from None
        except DAMAGED as error:
            reason = error or type(error).__name__
            raise GalleryError(f'{path}: not a gallery, or damaged ({reason})') from None
        if (
            embeddings.ndim != 2
            or embeddings.dtype != np.float32
            or len(embeddings) != len(gallery.entries)
            or not np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-3)
        ):
            raise GalleryError(
                f'{path}: damaged: {len(gallery)} entries, and embeddings {embeddings.shape} that should be unit '
                'vectors, one each'
            )
        gallery.embeddings = embeddings
        if model is not None:
            gallery.require(model, path)
        return gallery

    def require(self, model: str, path: PathLike) -> None:
        """Raise `GalleryError`, naming the file `path`, where another model made this gallery."""
        if self.model != model:
            raise GalleryError(
                f'{path}: made with another model ({self.model[:12]}..., not {model[:12]}...); embeddings of '
                'two models cannot be compared: take that model, or enroll everybody anew'
            )


def open_gallery(path: PathLike, predictor: Predictor) -> Gallery:
    """The gallery in a file, or an empty one where there is none yet, for what a predictor embeds."""
    if Path(path).exists():
        return Gallery.load(path, predictor.identity)
    if not Path(path).resolve().parent.is_dir():
        raise GalleryError(f'{path}: there is no such folder to keep a gallery in')
    return Gallery(predictor.identity)
