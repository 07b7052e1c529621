"""Recorded telemetry on this machine: read here, written by ``mlotel.export``."""
