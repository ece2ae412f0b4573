"""Settings: each from its environment variable, checked, with a default."""

from dataclasses import fields
from pathlib import Path

import pytest

from inference.settings import Settings, SettingsError

ENVIRONMENT = {
    "WORD_VECTORS_TABLE": "words",
    "MODEL_PATH": "/opt/m.model",
    "WORD_CACHE_SIZE": "1",
    "KNOWN_WORD_SECONDS": "5",
    "UNKNOWN_WORD_SECONDS": "6",
    "CORS_ALLOW_ORIGIN": "https://example.org",
    "LOG_LEVEL": "warning",
    "MAX_BODY_BYTES": "2",
    "MAX_SENTENCES": "3",
    "MAX_WORDS": "4",
    "MAX_DISTINCT_WORDS": "7",
    "MAX_EXPLAINED_WORDS": "8",
    "METRICS": "on",
}


def test_every_setting_has_a_variable() -> None:
    settings = Settings.from_environment(ENVIRONMENT)
    assert settings == Settings(
        "words", Path("/opt/m.model"), 1, 5, 6, "https://example.org", "WARNING", True, 2, 3, 4, 7, 8
    )
    defaults = Settings()
    assert all(getattr(settings, field.name) != getattr(defaults, field.name) for field in fields(Settings))


def test_without_variables_the_defaults_hold() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings() == Settings(
        "word-vectors", None, 10_000, 3600, 60, "*", "INFO", False, 65_536, 128, 256, 2000, 256
    )
    assert Settings.from_environment({"MODEL_PATH": ""}).model_path is None
    assert Settings.from_environment({"WORD_CACHE_SIZE": "0"}).word_cache_size == 0


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_WORDS", "7")
    assert Settings.from_environment().max_words == 7


@pytest.mark.parametrize(
    "name",
    ["WORD_CACHE_SIZE", "MAX_BODY_BYTES", "MAX_SENTENCES", "MAX_WORDS", "MAX_DISTINCT_WORDS", "MAX_EXPLAINED_WORDS"],
)
@pytest.mark.parametrize("value", ["", "-1", "1e3", "many", "²", "0x10"])
def test_a_setting_that_is_no_number_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(
        SettingsError, match=f"the environment variable {name} is .*; set it to a whole number, [01] or"
    ):
        Settings.from_environment({name: value})


def test_a_text_of_no_words_is_none() -> None:
    with pytest.raises(
        SettingsError, match="the environment variable MAX_WORDS is '0'; set it to a whole number, 1 or"
    ):
        Settings.from_environment({"MAX_WORDS": "0"})


def test_metrics_are_on_or_off() -> None:
    assert not Settings.from_environment({"METRICS": "off"}).metrics
    with pytest.raises(SettingsError, match="METRICS is 'true'; set it to on or off"):
        Settings.from_environment({"METRICS": "true"})


def test_a_log_level_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="LOG_LEVEL is 'LOUD'; set it to one of DEBUG, INFO, WARNING, ERROR"):
        Settings.from_environment({"LOG_LEVEL": "loud"})
