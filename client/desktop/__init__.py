"""The microphone and the loudspeaker of this machine, without a browser."""
