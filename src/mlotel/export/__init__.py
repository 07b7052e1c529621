"""How records leave the process: one queue a signal, one path for all three, and an account of what became of them.

``_queue`` holds records and delivers them from a thread of its own. ``_collect`` makes metrics of what was measured,
at an interval. A target (``otlp``, ``spool``, ``console``) takes a batch and says what became of it; ``_ledger`` adds
that up. An ``otlp`` target encodes, a ``_sender`` (``_http``, ``_grpc``) tries once, a ``_breaker`` says whether to
try at all. What is not taken is kept by ``_pending``; ``_recovery`` has it delivered by ``replay`` when the endpoint is
back. ``delivery`` is the three signals together: what ``flush``, ``shutdown`` and a fork have to be told.

Nothing here sets a global provider: that is ``mlotel._setup``'s work.
"""
