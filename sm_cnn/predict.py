"""SM-CNN from words to scores: the one way, which the handler and evaluate.py both take."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference import model_file
from inference.explanation import by_sentence, without_each
from inference.fields import Request, explain_field, text_field, texts_field
from inference.model_file import Batch, Model, ModelFileError
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from inference.word_vectors import by_length, embed
from sm_cnn import overlap

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURE = "sm_cnn"
EXAMPLE = {"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"}


def build(config: dict[str, Any]) -> "nn.Module":
    """Make the PyTorch module that `config` describes."""
    from sm_cnn.model import SMCNN  # here, as a package for ONNX Runtime has no torch

    return SMCNN.from_config(config)


def load(path: Path) -> Model:
    """Read the model file at `path`; raise ModelFileError if it is not one of an SM-CNN.

    Refuses a model whose overlap features can't be computed: at the start, not at every request.
    """
    model = model_file.load(path, ARCHITECTURE, build)
    if bool(model.config.get("features")) != (model.overlap is not None):
        raise ModelFileError(f"{path}: config and overlap do not fit: features but no data for them, or the reverse")
    if model.overlap is not None:
        try:
            found = overlap.features(model.overlap, ["word"], [["word"]], (np.zeros((1, 1)), np.zeros((1, 1, 1))))
            if found.shape[1] != overlap.count(model.config["features"]):
                raise ValueError(f"{found.shape[1]} features, but config says {model.config['features']}")
            if not np.isfinite(found).all():
                raise ValueError("features that are not finite numbers")
        except Exception as error:
            raise ModelFileError(f"{path}: overlap can't be used ({type(error).__name__}: {error})") from error
    return model


def read(fields: dict[str, Any], tokenizer: Tokenizer, settings: Settings) -> Request:
    """Return the texts of `sent1`, a string, and `sent2`, a string or a list; raise RequestError as needed."""
    question = text_field(fields, "sent1", tokenizer, settings)
    answers = texts_field(fields, "sent2", tokenizer, settings)
    words_of_pairs = sum(len(question.sentences[0]) + len(words) for words in answers.sentences)
    sentences = question.sentences + answers.sentences
    return Request(
        question.texts + answers.texts,
        sentences,
        question.truncated + answers.truncated,
        answers.is_list,
        explain_field(fields, sentences, words_of_pairs, settings),
    )


def batches(
    model: Model, sentences: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray | None]
) -> Iterator[Batch]:
    """Yield the arrays of the forward passes, each over answers of like length; a row of logits an answer.

    `sentences` are the question and its answers.
    """
    question, *answers = sentences
    asked, asked_lengths = embed([question], vectors, model.vector_length)
    for rows in by_length(answers):
        group = [answers[row] for row in rows]
        answer, lengths = embed(group, vectors, model.vector_length)
        inputs = {"question": asked, "question_lengths": asked_lengths, "answer": answer, "answer_lengths": lengths}
        if model.overlap is not None:
            inputs["features"] = overlap.features(model.overlap, question, group, (asked[0], answer))
        yield rows, inputs


def relevance(logits: np.ndarray) -> np.ndarray:
    """Return the score of each pair, higher for more relevant, of logits (pairs, 2)."""
    scores: np.ndarray = logits[:, 1] - logits[:, 0]
    return scores


def probability(logits: np.ndarray) -> np.ndarray:
    """Return the probability that each answer is relevant, of logits (pairs, 2): softmax of two classes."""
    relevant: np.ndarray = 1 / (1 + np.exp(-relevance(logits)))
    return relevant


def ranking(logits: np.ndarray) -> np.ndarray:
    """Return the pairs of logits (pairs, 2), the most relevant first; of equals the first is better."""
    return np.argsort(-relevance(logits), kind="stable")  # not by probabilities, which soon round to 1


def answer(model: Model, request: Request, logits: np.ndarray) -> dict[str, Any]:
    """Return the answer's fields for `logits` (answers, 2): score and probability of each pair, ranking of a list."""
    question, *answers = request.texts
    relevant = probability(logits).tolist()
    fields: dict[str, Any] = {
        "sent1": question,
        "sent2": answers if request.is_list else answers[0],
        "score": logits.tolist(),
        "probability": relevant if request.is_list else relevant[0],
    }
    if any(request.truncated):
        asked, *answered = request.truncated
        truncated = [asked or each for each in answered]
        fields["truncated"] = truncated if request.is_list else truncated[0]
    if request.is_list:
        fields["ranking"] = ranking(logits).tolist()
    return fields


def of_rows(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the answers to lists of one question say of each pair, as a row of a file has it; rank 1 is best."""
    shares = [share for answer in answers for share in answer["probability"]]
    order = ranking(np.array([row for answer in answers for row in answer["score"]], np.float32))
    ranks = {pair: rank for rank, pair in enumerate(order.tolist(), 1)}
    return [{"probability": share, "rank": ranks[pair]} for pair, share in enumerate(shares)]


def explain(
    model: Model, request: Request, vectors: Mapping[str, np.ndarray | None], logits: np.ndarray
) -> dict[str, Any]:
    """Return `words`, those of `sent1` and `sent2`, and `influence`, how much each raised a pair's `probability`.

    That is the probability with all words less the probability without this one, whose overlap features are those
    without it. Of a list, each pair has influences of the question's words.
    """
    question, *answers = request.sentences
    whole = probability(logits)

    def left(sentences: Sequence[Sequence[str]]) -> np.ndarray:
        return probability(model.logits(batches(model, sentences, vectors)))

    of_question = whole - [left([rest, *answers]) for rest in without_each([question])]  # (words, answers)
    of_answers = np.repeat(whole, [len(words) for words in answers]) - left([question, *without_each(answers)])
    sent1, sent2 = of_question.T.tolist(), by_sentence(of_answers, answers)
    if request.is_list:
        words: dict[str, Any] = {"sent1": question, "sent2": answers}
        return {"words": words, "influence": {"sent1": sent1, "sent2": sent2}}
    return {"words": {"sent1": question, "sent2": answers[0]}, "influence": {"sent1": sent1[0], "sent2": sent2[0]}}
