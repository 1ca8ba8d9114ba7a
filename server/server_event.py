"""What all events of the server have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FromServer(BaseModel):
    """`event_id` is filled on sending. NaN becomes null: a delay before the first lock is not a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")

    event_id: str | None = None
