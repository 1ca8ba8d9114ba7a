"""Which Paraformers: names and places, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from server.asr.hub import Hub, find_local

if TYPE_CHECKING:
    from server.asr.paraformer import ParaformerRecognizer

STREAMING_FILES = ("config.yaml", "model.pt", "tokens.json", "am.mvn")
FILES = ("config.yaml", "model.pt")
_HUB_IDS = {"streaming": "paraformer-zh-streaming", "second_pass": "paraformer-zh", "punctuation": "ct-punc"}


@dataclass(frozen=True, slots=True)
class ParaformerModels:
    """Where the models come from: local directories or hub ids.

    Attributes:
        streaming: The model that gives partial texts.
        second_pass: An offline model that hears the whole utterance again and writes the final text.
        punctuation: A model that puts punctuation into the final text.
        hub: Where ids come from.
        threads: CPU threads of the models.
    """

    streaming: str
    second_pass: str | None = None
    punctuation: str | None = None
    hub: Hub = "modelscope"
    threads: int = 1

    @property
    def name(self) -> str:
        """All of them, for people."""
        parts = (self.streaming, self.second_pass, self.punctuation)
        return "paraformer " + " + ".join(Path(part).name for part in parts if part)

    def check(self) -> None:
        """Look at the local directories, without loading anything.

        Raises:
            RecognizerError: If one is not there, or incomplete.
        """
        find_local(self.streaming, STREAMING_FILES)
        for part in (self.second_pass, self.punctuation):
            if part is not None:
                find_local(part, FILES)

    def load(self) -> ParaformerRecognizer:
        """Load them; see `ParaformerRecognizer`."""
        from server.asr.paraformer import ParaformerRecognizer

        return ParaformerRecognizer(self)


def choose(
    model: str | None, second_pass: str | None, punctuation: str | None, hub: Hub, threads: int
) -> ParaformerModels:
    """Fill in what was not said.

    A model of the hub comes with the hub's models for the rest, as in FunASR's own runtime; a
    local directory comes alone. `none` leaves a part out.
    """
    alone = model is not None and Path(model).expanduser().is_dir()
    parts = {"second_pass": second_pass, "punctuation": punctuation}
    if not alone:
        parts = {name: part or _HUB_IDS[name] for name, part in parts.items()}
    chosen = {name: None if part == "none" else part for name, part in parts.items()}
    return ParaformerModels(model or _HUB_IDS["streaming"], **chosen, hub=hub, threads=threads)
