"""Spans of pipelines, components, the artifacts that they read and write, and the checks around them.

Only the OpenTelemetry API is used: where the spans go is decided by the host application, or by ``mlotel.configure``.
"""
