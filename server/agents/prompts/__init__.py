"""Recordings of the texts in `server.agents.texts`: prompts.ogg, and prompts.json with each one's samples."""
