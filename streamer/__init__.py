"""Streamer: live human pose from webcams and IP cameras, on your own machine."""

__version__ = "0.1.0"
