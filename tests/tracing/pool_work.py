"""What worker processes of the tests do: modules, so that they can be pickled."""

import mlotel
from mlotel import _providers


def listen():
    """Make this process record, into memory."""
    from opentelemetry.sdk.trace import TracerProvider

    _providers.use(_providers.Providers(TracerProvider(shutdown_on_exit=False)))


def work(n):
    """Run a component; say where its span belongs, and what the run is."""
    listen()
    with mlotel.component("work") as c:
        c.param(n=n)
        span = c._scope.span
        run_id = span.attributes.get("ml.run.id")
    parent = None if span.parent is None else f"{span.parent.span_id:016x}"
    return n, f"{span.context.trace_id:032x}", parent, run_id


@mlotel.component
def decorated(n):
    """A decorated function of a module."""
    return n * 2


restored = []


def restore(settings):
    """Stands for what sets a worker process up."""
    restored.append(settings)


def what_was_restored():
    """What ``restore`` was called with in this process."""
    return list(restored)
