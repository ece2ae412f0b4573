"""The fields of a request: checked, within the bounds of the settings, and split into the words that a model takes."""

from typing import Any, NamedTuple

from inference.settings import Settings
from inference.tokenizer import Tokenizer

# On average; texts of no more than MAX_EXPLAINED_WORDS could have a word as long as a body, which comes back once more.
BYTES_OF_EXPLAINED_WORD = 64


class RequestError(Exception):
    """What the caller sent can't be answered; the message says what is wrong and what would be right."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None):
        """Answer with HTTP `status`, `message`, and extra `headers`."""
        super().__init__(message)
        self.status, self.headers = status, headers or {}


class Request(NamedTuple):
    """The texts of a request; those of SM-CNN begin with the question."""

    texts: list[str]
    sentences: list[list[str]]  # the words of each text, at most as many as the model takes
    truncated: list[bool]  # whether a text has more words
    is_list: bool  # whether the caller sent a list, and gets lists back
    explain: bool = False  # whether the caller wants to know what each word did


def text_field(fields: dict[str, Any], name: str, tokenizer: Tokenizer, settings: Settings) -> Request:
    """Return field `name`, a string; raise RequestError when it is not one, empty or over a bound."""
    text = _text(_field(fields, name), name, "a string", settings)
    return _request({name: text}, False, tokenizer)


def texts_field(fields: dict[str, Any], name: str, tokenizer: Tokenizer, settings: Settings) -> Request:
    """Return field `name`, a string or a list of strings; raise RequestError as `text_field` does."""
    value = _field(fields, name)
    if not isinstance(value, list):
        text = _text(value, name, "a string or a list of strings", settings)
        return _request({name: text}, False, tokenizer)
    if not value:
        raise RequestError(400, f"{name} is an empty list; send at least one string")
    if len(value) > settings.max_sentences:
        raise RequestError(400, f"{name} has {len(value)} strings; send at most {settings.max_sentences} a request")
    places = [f"{name}[{index}]" for index in range(len(value))]
    texts = {place: _text(item, place, "a string", settings) for place, item in zip(places, value, strict=True)}
    if sum(map(_bytes, texts.values())) > settings.max_body_bytes:
        raise too_large(name, settings)
    return _request(texts, True, tokenizer)


def explain_field(fields: dict[str, Any], sentences: list[list[str]], words: int, settings: Settings) -> bool:
    """Return field `explain`, a boolean, False if it is not there; raise RequestError when it is none.

    Also raises it when an explanation is asked for, and the request has more `words` to explain than the bound, or the
    `sentences` that come back with it are longer than so many words are.
    """
    explain = fields.get("explain", False)
    if not isinstance(explain, bool):
        raise RequestError(400, f"explain is {json_type(explain)}; send true or false")
    if not explain:
        return False
    if words > (most := settings.max_explained_words):
        raise RequestError(400, f"the request has {words} words to explain; send at most {most}, or no explain")
    length = sum(_bytes(word) for sentence in sentences for word in sentence)
    if length > (most := settings.max_explained_words * BYTES_OF_EXPLAINED_WORD):
        raise RequestError(400, f"the words to explain have {length} bytes; send at most {most}, or no explain")
    return True


def distinct_words(request: Request, settings: Settings) -> list[str]:
    """Return the words of a request, each once; raise RequestError when they are over the bound."""
    words = list(dict.fromkeys(word for sentence in request.sentences for word in sentence))
    if len(words) > settings.max_distinct_words:
        most = settings.max_distinct_words
        raise RequestError(400, f"the request has {len(words)} distinct words; send at most {most} a request")
    return words


def too_large(name: str, settings: Settings) -> RequestError:
    """Return the error of a body or field that is over the bound."""
    return RequestError(413, f"{name} is over {settings.max_body_bytes} bytes; send less at a time")


def json_type(value: Any) -> str:
    """Return what a JSON value is, with its article."""
    names = {str: "a string", bool: "a boolean", dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value), "a number")


def _field(fields: dict[str, Any], name: str) -> Any:
    if name not in fields:
        raise RequestError(400, f"no field {name!r} in the request; send it as JSON")
    return fields[name]


def _text(value: Any, name: str, expected: str, settings: Settings) -> str:
    if not isinstance(value, str):
        raise RequestError(400, f"{name} is {json_type(value)}; send {expected}")
    if _bytes(value) > settings.max_body_bytes:  # in a direct invocation, which has no body to measure
        raise too_large(name, settings)
    return value


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))  # JSON can spell a lone surrogate


def _request(texts: dict[str, str], is_list: bool, tokenizer: Tokenizer) -> Request:
    """Return the request of `texts`, each under the name that an error calls it by."""
    sentences, truncated = [], []
    for name, text in texts.items():
        words = tokenizer(text)
        if not words:
            raise RequestError(400, f"{name} is empty; send a sentence")
        sentences.append(tokenizer.cut(words))
        truncated.append(len(sentences[-1]) < len(words))
    return Request(list(texts.values()), sentences, truncated, is_list)
