"""Every setting of the service, in one frozen object; nothing else reads the environment."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from server.session_config import AgentName

VoiceName = Literal["auto", "piper", "flite", "espeak-ng", "shipped"]
AsrName = Literal["auto", "whisper", "paraformer", "none"]
INSTRUCTIONS = (
    "You talk with a person over a loudspeaker, and may be interrupted. Answer in one to three short "
    "sentences, as they are spoken: no lists, no markup, no emoji."
)
_TOKEN = re.compile(r"[A-Za-z0-9._~-]+")
_ENGINE = r"^(local|ray://[^/\s]+:\d+)$"
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """What a server does; read from arguments, then `DUPLEX_*`, then a TOML file, then these defaults.

    Attributes:
        agent: Who speaks in a session that does not choose.
        agent_voice: What the agents speak with; `auto` is piper with a model, else flite, else
            espeak-ng, else the recordings that ship.
        agent_voice_model: The `.onnx` file of a piper voice.
        agent_text: Text file that the narrator reads, in place of its own.
        agent_url: OpenAI-compatible endpoint of the `openai` agent, as far as `/v1`; without it there is
            no such agent.
        agent_model: Its model.
        agent_key: Its key.
        agent_instructions: What it is told about itself.
        aec_model: Checkpoint of the suppressor, as `duplex train` writes it; else the shipped one.
        asr: Recogniser; `auto` is paraformer where a model is named and can be had, else whisper.
        asr_model: Directory or hub id of the streaming model.
        asr_second_pass: The same of the offline model that writes the final text; `none` for none.
        asr_punctuation: The same of the punctuation model.
        asr_hub: Where ids come from.
        asr_threads: CPU threads of paraformer.
        asr_engine: `local`, or `ray://HOST:PORT` of a tier that recognises for several servers; what it runs
            is its own affair.
        turn_engine: The same of the turn model; while the tier does not answer in time, the local one does.
        asr_load_s: Its models are given up if they are not there after so long, a download included.
        max_sessions: Slots of the engine; memory is taken for all of them at the start.
        max_session_s: A connection is closed with 4410 after so long; 0 is never.
        handshake_s: A connection is cut off when a request, its answer or the TLS handshake before it makes
            no progress for so long.
        idle_s: A peer that sends nothing for so long is closed with 4408; 0 is never.
        max_behind_s: A peer that is so far behind real time, or reads nothing for so long, is closed
            with 4429.
        resume_s: How long a dropped session is kept.
        drain_s: How long sessions may go on after the server was told to stop.
        max_load: Share of the real-time budget above which no more sessions are admitted.
        max_sessions_per_address: Connections that one address may hold (IPv6: one /64); 0 is no limit. This
            machine's own are not counted.
        max_sessions_per_token: The same of one token.
        token: If set, clients must show it; several stand between commas, one for each application. Other
            machines are not served without one.
        origins: Web origins that may connect beside the server's own; `*` is all of them. Without a token
            the server's own are only this machine's names: others may be made to point here.
        record: Directory in which each session is kept: what came, what went out and the cleaned audio.
            Without it nothing that is heard is ever stored.
        record_days: Recordings are deleted after so long.
        record_gb: The oldest are deleted when all together are larger.
        web_dir: Directory of the page at `/`.
        tls: Speak https and wss; by default wherever other machines can reach the server. Without a
            certificate of one's own, `server.tls` keeps a self-signed one.
        tls_certificate: PEM file; belongs to `tls_key`.
        worker: Names this process in the ids of its sessions, so that who stands in front of several can
            send a client that resumes to the right one.
    """

    # Errors are printed, and what was given may be a secret.
    model_config = SettingsConfigDict(
        env_prefix="DUPLEX_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    log_level: LogLevel = "info"
    log_format: Literal["text", "json"] = "text"
    agent: AgentName = "none"
    agent_voice: VoiceName = "auto"
    agent_voice_model: Path | None = None
    agent_text: Path | None = None
    agent_url: str | None = Field(None, pattern="^https?://")
    agent_model: str | None = None
    agent_key: SecretStr | None = None
    agent_instructions: str = INSTRUCTIONS
    aec_model: Path | None = None
    asr: AsrName = "auto"
    asr_model: str | None = None
    asr_second_pass: str | None = None
    asr_punctuation: str | None = None
    asr_hub: Literal["modelscope", "huggingface"] = "modelscope"
    asr_threads: int = Field(1, ge=1, le=64)
    asr_load_s: float = Field(300, ge=1)
    asr_engine: str = Field("local", pattern=_ENGINE)
    turn_engine: str = Field("local", pattern=_ENGINE)
    max_sessions: int = Field(64, ge=1, le=1024)
    max_session_s: float = Field(3600, ge=0)
    handshake_s: float = Field(10, gt=0)
    idle_s: float = Field(60, ge=0)
    max_behind_s: float = Field(5, ge=1)
    resume_s: float = Field(30, ge=0)
    drain_s: float = Field(5, ge=0)
    max_load: float = Field(0.7, gt=0, le=1)
    max_sessions_per_address: int = Field(16, ge=0)
    max_sessions_per_token: int = Field(0, ge=0)
    token: SecretStr | None = None
    origins: Annotated[tuple[str, ...], NoDecode] = ()
    record: Path | None = None
    record_days: float = Field(7, gt=0)
    record_gb: float = Field(10, gt=0)
    web_dir: Path | None = None
    tls: bool | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    worker: str = Field("0", pattern=r"^[a-z0-9-]{1,63}$")

    @field_validator("origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Let the environment give a list as words between commas."""
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("token")
    @classmethod
    def _fits_into_headers(cls, token: SecretStr | None) -> SecretStr | None:
        """Refuse what a browser cannot send as a subprotocol; an empty token is none."""
        words = token.get_secret_value().split(",") if token else []
        parts = [word.strip(" ") for word in words if word.strip(" ")]
        if not parts:
            return None
        if not all(_TOKEN.fullmatch(part) for part in parts):
            raise ValueError("a token has letters, digits and - . _ ~ only: `openssl rand -hex 16` makes one")
        return SecretStr(",".join(parts))

    @field_validator("agent_voice_model", "agent_text", "aec_model", "web_dir", "tls_certificate", "tls_key")
    @classmethod
    def _must_exist(cls, path: Path | None) -> Path | None:
        if path is not None and not path.exists():
            raise ValueError(f"{path} does not exist")
        return path

    @property
    def tokens(self) -> tuple[str, ...]:
        """Each of which opens the service; none if everyone may come in."""
        return tuple(self.token.get_secret_value().split(",")) if self.token else ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be logged."""
        return (*self.tokens, *([self.agent_key.get_secret_value()] if self.agent_key else []))

    @model_validator(mode="after")
    def _whole_pair(self) -> Settings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if (self.agent_url is None) != (self.agent_model is None):
            raise ValueError("agent_url and agent_model belong together")
        if self.asr_engine != "local" and self.asr in ("whisper", "paraformer"):
            raise ValueError("asr_engine recognises with what it has: leave asr at auto, or none")
        return self


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings; an override of None counts as not given.

    Args:
        config: TOML file whose keys are the fields of `Settings`.
        overrides: Fields that win over the environment and the file.

    Raises:
        ValueError: If a key is unknown, a value is out of range or the file is not TOML.
        OSError: If the file cannot be read.
    """
    try:
        return _load(config, {name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        told = ((".".join(map(str, wrong["loc"])), wrong["msg"]) for wrong in error.errors())
        raise ValueError("; ".join(": ".join(filter(None, parts)) for parts in told)) from None


def _load(config: Path | None, given: dict[str, Any]) -> Settings:
    if config is None:
        return Settings(**given)
    content = tomllib.loads(config.read_text(encoding="utf-8"))

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, content)

    return FromFile(**given)
