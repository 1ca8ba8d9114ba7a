from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import Settings, load_settings


def test_defaults_are_safe():
    settings = Settings()

    assert settings.host == "127.0.0.1"
    assert settings.token is None
    assert settings.origins == ()


def test_arguments_win_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = tmp_path / "duplex.toml"
    config.write_text('port = 1\nidle_s = 2\nmax_sessions = 3\nasr = "none"\n')
    monkeypatch.setenv("DUPLEX_PORT", "4")
    monkeypatch.setenv("DUPLEX_IDLE_S", "5")

    settings = load_settings(config, port=6, max_sessions=None)

    assert (settings.port, settings.idle_s, settings.max_sessions, settings.asr) == (6, 5, 3, "none")


def test_a_file_is_read_only_where_it_is_given(tmp_path: Path):
    config = tmp_path / "duplex.toml"
    config.write_text("port = 1\n")

    assert load_settings(config).port == 1
    assert load_settings().port == 8080


def test_a_worker_is_named_by_the_environment_and_fits_into_an_id(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DUPLEX_WORKER", "duplex-7d9f-x2")
    assert Settings().worker == "duplex-7d9f-x2"
    for wrong in ("", "a_b", "A", "x" * 64):
        with pytest.raises(ValidationError):
            Settings(worker=wrong)


def test_origins_come_as_words_between_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DUPLEX_ORIGINS", "https://a.example, https://b.example")

    assert Settings().origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    "line",
    ["prot = 1", "port = 70000", 'asr = "siri"', "max_sessions = 0", 'web_dir = "no"', 'aec_model = "no"'],
)
def test_a_wrong_file_is_refused(tmp_path: Path, line: str):
    config = tmp_path / "duplex.toml"
    config.write_text(line)

    key = line.split(" = ")[0]
    with pytest.raises(ValueError, match=rf"^{key}: [^\n]+$"):
        load_settings(config)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        load_settings(tmp_path / "none.toml")


def test_broken_toml_is_refused(tmp_path: Path):
    config = tmp_path / "duplex.toml"
    config.write_text("port = = 1")

    with pytest.raises(ValueError, match="line 1"):
        load_settings(config)


def test_a_certificate_without_a_key_is_refused(tmp_path: Path):
    with pytest.raises(ValidationError, match="belong together"):
        Settings(tls_certificate=tmp_path)


def test_the_token_does_not_show():
    assert "secret" not in repr(Settings(token="secret"))


def test_every_setting_is_in_the_docs_with_its_default():
    rows: dict[str, str] = {}
    for line in (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8").splitlines():
        if line.startswith("| `"):
            names, default = line.split("|")[1:3]
            rows |= {name.strip(" `"): default.strip(" `") for name in names.split(",")}
    assert set(rows) == set(Settings.model_fields)
    for name, default in rows.items():
        kept = Settings.model_fields[name].default
        assert not default or default == str(kept), name
        assert default or kept is None or kept == () or name == "agent_instructions", name
