"""Peers: the only part of the service that knows aiortc."""
