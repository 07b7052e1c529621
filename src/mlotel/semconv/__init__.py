"""Names on the wire, as constants: ``attributes``, ``metrics``, ``events``, ``spans``.

Import the module you need: ``from mlotel.semconv.attributes import ML_RUN_ID``.
"""
