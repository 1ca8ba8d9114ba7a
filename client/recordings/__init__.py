"""The shipped recording: a person talks twice over an agent that keeps on talking (see README.md)."""
