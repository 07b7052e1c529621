"""What ``opentelemetry-instrument`` finds: one light class a group, which loads nothing that is not used."""

from collections.abc import Collection
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # upstream hides its types

from mlotel import instrumentation

__all__ = ["IoInstrumentor", "SklearnInstrumentor"]


class _Instrumentor(BaseInstrumentor):  # type: ignore[misc]  # as above
    """``mlotel.instrument(name)`` in the form that OpenTelemetry's tools expect; an absent library is passed over."""

    name: ClassVar[str]

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: what is installed is instrumented, and nothing is said of what is not."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._installed = instrumentation.install(instrumentation.present(self.name))

    def _uninstrument(self, **kwargs: Any) -> None:
        instrumentation.remove(self._installed)


class IoInstrumentor(_Instrumentor):
    """``mlotel.instrument("io")`` in the form that OpenTelemetry's tools expect.

    It takes no providers: a file is recorded where the component is that reads or writes it.

    Example:
        >>> from mlotel.instrumentation._entry import IoInstrumentor
        >>> IoInstrumentor().instrument()
        >>> IoInstrumentor().uninstrument()
    """

    name = "io"


class SklearnInstrumentor(_Instrumentor):
    """``mlotel.instrument("sklearn")`` in the form that OpenTelemetry's tools expect.

    It takes no providers: the global ones are used, or those of ``mlotel.configure()``.

    Example:
        >>> from mlotel.instrumentation._entry import SklearnInstrumentor
        >>> SklearnInstrumentor().instrument()
        >>> SklearnInstrumentor().uninstrument()
    """

    name = "sklearn"
