"""Every setting of a function: its environment variables, read once and checked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class SettingsError(ValueError):
    """An environment variable with a value that can't be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    """The settings of a function, with their defaults."""

    table: str = "word-vectors"
    model_path: Path | None = None  # None: the model file beside the handler
    word_cache_size: int = 10_000  # words
    known_word_seconds: int = 3600  # until a cached word is read again
    unknown_word_seconds: int = 60  # the same for a word that the table did not have
    cors_allow_origin: str = "*"  # "": no CORS headers, as where an API or a function URL has them
    log_level: str = "INFO"
    metrics: bool = False  # in the log line of each request, which CloudWatch then takes out
    # These bound the work of a request before any vector is read.
    max_body_bytes: int = 64 * 1024
    max_sentences: int = 128  # in a list
    max_words: int = 256  # of a text that a model takes whose file does not say how many; the rest is cut off
    max_distinct_words: int = 2000  # in a request; each may cost a read
    max_explained_words: int = 256  # in a request, of SM-CNN in all its pairs; each is left out once, in a forward pass

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings from `environment`; raise SettingsError for a value that can't be used."""
        log_level = environment.get("LOG_LEVEL", cls.log_level).upper()
        if log_level not in LOG_LEVELS:
            raise SettingsError(
                f"the environment variable LOG_LEVEL is {log_level!r}; set it to one of {', '.join(LOG_LEVELS)}"
            )
        model_path = environment.get("MODEL_PATH")
        return cls(
            table=environment.get("WORD_VECTORS_TABLE", cls.table),
            model_path=Path(model_path) if model_path else None,
            word_cache_size=_whole_number(environment, "WORD_CACHE_SIZE", cls.word_cache_size),
            known_word_seconds=_whole_number(environment, "KNOWN_WORD_SECONDS", cls.known_word_seconds),
            unknown_word_seconds=_whole_number(environment, "UNKNOWN_WORD_SECONDS", cls.unknown_word_seconds),
            cors_allow_origin=environment.get("CORS_ALLOW_ORIGIN", cls.cors_allow_origin),
            log_level=log_level,
            metrics=_switch(environment, "METRICS", cls.metrics),
            max_body_bytes=_whole_number(environment, "MAX_BODY_BYTES", cls.max_body_bytes),
            max_sentences=_whole_number(environment, "MAX_SENTENCES", cls.max_sentences),
            max_words=_whole_number(environment, "MAX_WORDS", cls.max_words, least=1),
            max_distinct_words=_whole_number(environment, "MAX_DISTINCT_WORDS", cls.max_distinct_words),
            max_explained_words=_whole_number(environment, "MAX_EXPLAINED_WORDS", cls.max_explained_words),
        )


def _switch(environment: Mapping[str, str], name: str, default: bool) -> bool:
    value = environment.get(name, "on" if default else "off")
    if value not in ("on", "off"):
        raise SettingsError(f"the environment variable {name} is {value!r}; set it to on or off")
    return value == "on"


def _whole_number(environment: Mapping[str, str], name: str, default: int, least: int = 0) -> int:
    value = environment.get(name, str(default))
    if not (value.isascii() and value.isdigit() and int(value) >= least):
        raise SettingsError(f"the environment variable {name} is {value!r}; set it to a whole number, {least} or more")
    return int(value)
