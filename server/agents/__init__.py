"""Agents that speak in a session: what they decide, how it becomes sound, and when it is sent."""
