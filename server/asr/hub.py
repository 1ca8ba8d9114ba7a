"""Finds a model: a local directory, the hub's cache on this machine, or the hub itself.

Nothing waits for a hub that is not there: it has to answer within seconds before a download begins.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError

from server.asr.contract import RecognizerError

Hub = Literal["modelscope", "huggingface"]
ANSWER_S = 5.0


def locate(model: str, hub: Hub, files: Sequence[str]) -> Path:
    """Return the directory of a model, which is downloaded if it has to be.

    Args:
        model: A directory, an id of the hub, or one of funasr's short names for those.
        hub: Where ids come from.
        files: What the directory must hold.

    Raises:
        RecognizerError: If there is no such directory or a file is missing, the hub does not
            answer, or it does not have the model.
    """
    return find_local(model, files) or _checked(model, _from_hub(model, hub), files)


def find_local(model: str, files: Sequence[str]) -> Path | None:
    """Return the directory of a model, or None if that is an id of a hub.

    Raises:
        RecognizerError: If it looks like a directory and is none, or a file is missing.
    """
    directory = Path(model).expanduser()
    if directory.is_dir():
        return _checked(model, directory, files)
    if model.startswith((".", "/", "~", "\\")):
        raise RecognizerError(f"there is no directory {model}")
    return None


def _checked(model: str, directory: Path, files: Sequence[str]) -> Path:
    missing = [file for file in files if not (directory / file).is_file()]
    if missing:
        raise RecognizerError(f"{model} is not a Paraformer directory: it lacks {', '.join(missing)}")
    return directory


def _from_hub(model: str, hub: Hub) -> Path:
    name, endpoint, fetch = _modelscope(model) if hub == "modelscope" else _huggingface(model)
    try:
        return Path(fetch(name, local_files_only=True))
    except Exception:  # each hub has its own for what is not in its cache
        pass
    try:
        _knock(endpoint)
        return Path(fetch(name))
    except Exception as error:
        raise RecognizerError(
            f"{model} is no local directory and the hub does not give it: {error}"
        ) from error


def _knock(endpoint: str) -> None:
    """Raise unless the hub answers; its own client would try again for half a minute."""
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=ANSWER_S).close()
    except HTTPError:  # an answer, whatever it says of this address
        pass
    except OSError as error:
        raise RecognizerError(f"{endpoint} does not answer: {getattr(error, 'reason', error)}") from error


def _modelscope(model: str) -> tuple[str, str, Callable[..., Any]]:
    from funasr.download.name_maps_from_hub import name_maps_ms
    from modelscope.hub.snapshot_download import snapshot_download
    from modelscope.hub.utils.utils import get_endpoint

    return name_maps_ms.get(model, model), get_endpoint(), snapshot_download


def _huggingface(model: str) -> tuple[str, str, Callable[..., Any]]:
    from funasr.download.name_maps_from_hub import name_maps_hf
    from huggingface_hub import constants, snapshot_download

    return name_maps_hf.get(model, model), constants.ENDPOINT, snapshot_download
