"""A loaded model with its word vectors: from a request's fields to the answer's, with the seconds each part took."""

import gc
import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from inference import gateway, model_file, snapstart
from inference.check import with_check
from inference.fields import Request, distinct_words
from inference.hot_words import FOLDER, HotWords
from inference.model_file import Batch, Model
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from inference.word_vectors import Reading, VectorsError, WordVectors

ROOT = Path(__file__).parents[1]  # of the package or the checkout, where the handlers and the model files are


class Predict(Protocol):
    """What a model's predict.py has."""

    ARCHITECTURE: str
    EXAMPLE: dict[str, Any]  # the fields of a request

    def load(self, path: Path) -> Model:
        """Read a model file."""

    def read(self, fields: dict[str, Any], tokenizer: Tokenizer, settings: Settings) -> Request:
        """Check a request's fields and split them into words."""

    def batches(
        self, model: Model, sentences: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray | None]
    ) -> Iterator[Batch]:
        """Make the arrays of the forward passes."""

    def answer(self, model: Model, request: Request, logits: np.ndarray) -> dict[str, Any]:
        """Make the answer's fields of logits."""

    def of_rows(self, answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Say of each row of a file, of SM-CNN of one question, what the answers to it say."""

    def explain(
        self, model: Model, request: Request, vectors: Mapping[str, np.ndarray | None], logits: np.ndarray
    ) -> dict[str, Any]:
        """Make the answer's fields that say what each word did."""


class Outcome(NamedTuple):
    """What a request gave, and the seconds it took."""

    request: Request
    vectors: dict[str, np.ndarray | None]  # of each distinct word
    logits: np.ndarray
    t_sent_embedding: float
    t_inference: float


class Service:
    """A model and its word vectors, ready to answer."""

    def __init__(
        self,
        predict: Predict,
        model: Model,
        vectors: WordVectors,
        settings: Settings,
        load_seconds: float = 0.0,
        digest: str = "",
    ):
        """Answer with `model` and `vectors`; the first answer counts the `load_seconds` it took to load them.

        `digest` names the model file in the log.
        """
        self.predict, self.model, self.vectors, self.settings = predict, model, vectors, settings
        self.tokenizer = Tokenizer.from_config(model.config, settings.max_words)
        self.digest = digest
        self._load_seconds = load_seconds

    @classmethod
    def load(cls, predict: Predict, settings: Settings) -> "Service":
        """Load the model file and the hot words that travel with it."""
        started = time.perf_counter()
        path = settings.model_path or model_file.find(ROOT, predict.ARCHITECTURE)
        model = predict.load(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        vectors = WordVectors(
            _read_client,
            settings.table,
            model.vector_length,
            settings.word_cache_size,
            settings.known_word_seconds,
            settings.unknown_word_seconds,
            HotWords.open(ROOT / FOLDER),
        )
        return cls(predict, model, vectors, settings, time.perf_counter() - started, digest)

    def about(self) -> dict[str, Any]:
        """Return what the model is: its architecture, its labels if it has some, and its card."""
        labels = {name: value for name, value in self.model.config.items() if name == "labels"}
        return {"model": self.predict.ARCHITECTURE, **labels, **(self.model.card or {})}

    def health(self, deadline: float) -> dict[str, Any]:
        """Read a word that the model's check has, past the cache; return what serves. Raises VectorsError."""
        fields = self.model.check["request"] if self.model.check else self.predict.EXAMPLE
        word = self.predict.read(fields, self.tokenizer, self.settings).sentences[0][0]
        if self.vectors.read([word], deadline)[word] is None:
            raise VectorsError(f"table {self.vectors.table} does not have the word {word!r} of the model's check")
        serving = {"model": self.predict.ARCHITECTURE, "digest": self.digest, "table": self.vectors.table}
        return serving | ({"hot_words": self.vectors.hot.source} if self.vectors.hot else {})

    def answer(self, fields: dict[str, Any], deadline: float, facts: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a request's fields; `deadline`, in seconds of `time.monotonic()`, is for its reads.

        `facts` gets what the log is to know, no text of the caller's. Raises RequestError for what the caller sent,
        VectorsError when words can't be read.
        """
        started = time.perf_counter()
        facts = {} if facts is None else facts
        facts["model"] = self.digest
        outcome = self.run(fields, deadline, facts)
        explaining = time.perf_counter()
        explanation = (
            self.predict.explain(self.model, outcome.request, outcome.vectors, outcome.logits)
            if outcome.request.explain
            else {}
        )
        t_inference = outcome.t_inference + time.perf_counter() - explaining
        load_seconds, self._load_seconds = self._load_seconds, 0.0
        unknown = [word for word, vector in outcome.vectors.items() if vector is None]
        facts["unknown"] = len(unknown)
        facts["lookup_seconds"] = round(outcome.t_sent_embedding, 6)
        facts["inference_seconds"] = round(t_inference, 6)
        facts["load_seconds"] = round(load_seconds, 6)
        return {
            **self.predict.answer(self.model, outcome.request, outcome.logits),
            **explanation,
            "unknown_words": unknown,
            "t_overall": load_seconds + time.perf_counter() - started,
            "t_sent_embedding": outcome.t_sent_embedding,
            "t_load_model": load_seconds,
            "t_inference": t_inference,
        }

    def run(self, fields: dict[str, Any], deadline: float, facts: dict[str, Any] | None = None) -> Outcome:
        """Return what the model gives for a request's fields; arguments and errors as for `answer`."""
        started = time.perf_counter()
        request = self.predict.read(fields, self.tokenizer, self.settings)
        words, reading = distinct_words(request, self.settings), Reading()
        try:
            vectors = self.vectors.lookup(words, deadline, reading)
        finally:
            if facts is not None:
                facts |= {"words": sum(map(len, request.sentences)), "distinct": len(words), "hot": reading.hot}
                facts |= {"cached": reading.cached, "calls": reading.calls, "tries": len(reading.tries)}
        batches = list(self.predict.batches(self.model, request.sentences, vectors))
        embedded = time.perf_counter()
        logits = self.model.logits(batches)
        return Outcome(request, vectors, logits, embedded - started, time.perf_counter() - embedded)


def _read_client() -> Any:
    from inference.dynamodb import read_client  # here, as it imports boto3

    return read_client()


def start(predict: Predict) -> Service:
    """Start a function: read the settings, load the model."""
    settings = Settings.from_environment()
    logging.getLogger("inference").setLevel(settings.log_level)
    gc.disable()  # What is imported stays: searching it for garbage took a fifth of torch's import.
    service = Service.load(predict, settings)
    gc.freeze()  # Later collections leave it out, too.
    gc.enable()
    return service


def make_handler(predict: Predict) -> gateway.Handler:
    """Start a function of the API; return the handler that Lambda calls."""
    service = start(predict)
    answer = gateway.http_handler(service.answer, service.settings, service.about(), service.health)
    handler = with_check(answer, service)
    snapstart.register(handler, service.vectors.reconnect, predict.EXAMPLE)
    return handler
