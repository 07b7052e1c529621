"""What ``opentelemetry-instrument`` finds: one light class a group, which loads nothing that is not used."""

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # upstream hides its types

from mlotel import instrumentation

__all__ = ["IoInstrumentor"]


class IoInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # as above
    """``mlotel.instrument("io")`` in the form that OpenTelemetry's tools expect.

    It takes no providers: a file is recorded where the component is that reads or writes it.

    Example:
        >>> from mlotel.instrumentation._entry import IoInstrumentor
        >>> IoInstrumentor().instrument()
        >>> IoInstrumentor().uninstrument()
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: whatever is installed of the group is instrumented, and nothing else is needed."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._installed = instrumentation.install(instrumentation.resolve(["io"]))

    def _uninstrument(self, **kwargs: Any) -> None:
        instrumentation.remove(self._installed)
