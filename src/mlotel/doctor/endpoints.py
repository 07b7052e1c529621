"""Endpoints: whether each signal would arrive where it is sent, tried as recording would do it."""

import os
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlotel.doctor import _reach
from mlotel.doctor._base import SIGNALS, Case, Result, Section
from mlotel.types import Signal

if TYPE_CHECKING:
    from mlotel._setup._options import Route
    from mlotel.doctor._probe import Heard

_LARGEST_SKEW_S = 5.0
_SOON_S = 14 * 86_400.0
_SYNC = "Keep both clocks right (NTP): otherwise records appear at times at which nothing happened."


def _look(case: Case) -> list[Result]:
    if case.refusal:
        return [Result("fail", "endpoints", "configure() refuses them, so none was tried", "See Settings.")]
    groups: dict[tuple[Any, ...], list[Signal]] = {}
    for signal in SIGNALS:
        route = case.routes[signal]
        if route.kind == "otlp":
            groups.setdefault((_place(signal, route), route.protocol), []).append(signal)
    found: list[list[Result]] = [[] for _ in groups]
    threads = [
        threading.Thread(target=_guarded, args=(case, place, signals, found[number]), daemon=True)
        for number, ((place, _), signals) in enumerate(groups.items())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [*(result for results in found for result in results), *_without(case)]


def _without(case: Case) -> list[Result]:
    """Signals that are sent nowhere."""
    kinds: dict[str, list[str]] = {}
    for signal in SIGNALS:
        if case.routes[signal].kind != "otlp":
            kinds.setdefault(str(case.routes[signal]), []).append(signal)
    results = []
    for kind, signals in kinds.items():
        facts = {"signals": signals, "kind": kind}
        if kind.startswith("spool"):
            said = "no endpoint is set here: they are recorded to a local folder"
            remedy = ""
            if len(signals) == len(SIGNALS):
                said += ". A program that passes endpoint= is checked with: mlotel doctor --endpoint URL"
        elif kind == "none":
            said, remedy = f"switched off by {_exporters(signals)}", ""
        else:
            said, remedy = f"printed on standard output only ({_exporters(signals)})", ""
        results.append(Result("info", ", ".join(signals), said, remedy, facts))
    return results


def _exporters(signals: Sequence[str]) -> str:
    return " and ".join(f"OTEL_{signal.upper()}_EXPORTER" for signal in signals)


def _place(signal: Signal, route: "Route") -> "_reach.Place | str":
    from mlotel.export._connection import connection
    from mlotel.export._explain import bare

    is_plain = route.protocol == "grpc" and connection(signal, route.endpoint, route.protocol, {}).is_insecure
    return _reach.place_of(route.endpoint, is_plain=is_plain) or bare(route.endpoint)


def _guarded(case: Case, place: "_reach.Place | str", signals: list[Signal], results: list[Result]) -> None:
    try:
        _examine(case, place, signals, results)
    except Exception as error:  # certificates and keys that cannot be read, providers that are not installed
        results.append(Result("fail", ", ".join(signals), case.hide(str(error)), "Nothing can be sent until then."))


def _examine(case: Case, place: "_reach.Place | str", signals: list[Signal], results: list[Result]) -> None:
    deadline = time.monotonic() + case.timeout_s
    route = case.routes[signals[0]]
    is_direct = isinstance(place, _reach.Place)
    is_grpc = route.protocol == "grpc"
    facts: dict[str, Any] = {"protocol": route.protocol, "signals": signals}
    name = place if isinstance(place, str) else f"{'https' if place.is_tls else 'http'}://{place.name}"
    said: list[str] = [route.protocol]
    if isinstance(place, _reach.Place):
        proxy = _reach.proxy_for(place, is_grpc=is_grpc)
        facts |= {"host": place.host, "port": place.port, "tls": place.is_tls}
        if proxy is not None:
            is_direct = False
            said.append(f"through the proxy {proxy.name}")
            facts["proxy"] = proxy.name
        failed = _reached(proxy or place, deadline, said, facts)
        if failed is not None:
            subject = name if proxy is None else f"{name}"
            results.append(Result("fail", subject, *failed, facts))
            return
    position = len(results)
    if isinstance(place, _reach.Place) and is_direct and place.is_tls:
        results += _tls(place, deadline, is_grpc=is_grpc, now=case.now, facts=facts)
    results.insert(position, Result("ok", name, ", ".join(said), facts=facts))
    heard = _ask(case, place if isinstance(place, _reach.Place) and is_direct else None, signals, deadline)
    results += _answers(case, signals, heard)
    results += _clock(heard, is_grpc=is_grpc)


def _reached(place: "_reach.Place", deadline: float, said: list[str], facts: dict[str, Any]) -> tuple[str, str] | None:
    """Look a host up and connect to it; returns what is wrong and the remedy."""
    from mlotel.export._explain import explain

    try:
        addresses = _reach.resolve(place, deadline - time.monotonic())
    except OSError as error:
        is_late = isinstance(error, TimeoutError)
        return explain("name resolution" if is_late else "name or service not known")
    facts["addresses"] = addresses
    if place.host not in addresses:
        more = f" and {len(addresses) - 2} more" if len(addresses) > 2 else ""
        said.append(", ".join(addresses[:2]) + more)
    try:
        facts["connected_s"] = round(_reach.connect(place, deadline - time.monotonic()), 6)
    except OSError as error:
        what, remedy = explain("timed out" if isinstance(error, TimeoutError) else str(error))
        return f"{what}, {place.name}" if "proxy" in facts else what, remedy
    said.append(f"connects in {_milliseconds(facts['connected_s'])}")
    return None


def _tls(place: "_reach.Place", deadline: float, *, is_grpc: bool, now: float, facts: dict[str, Any]) -> list[Result]:
    """The certificate. Whether it is trusted, the request tells: libraries trust different authorities."""
    try:
        found = _reach.certificate(place, deadline - time.monotonic(), is_grpc=is_grpc)
    except (OSError, ssl.SSLError):
        return []  # the request meets the same, and its answer says what it means
    if found is None:
        return []
    left_s = found.ends - now
    day = time.strftime("%Y-%m-%d", time.gmtime(found.ends))
    facts["certificate"] = {"names": list(found.names), "issuer": found.issuer, "ends": day}
    more = f" and {len(found.names) - 2} more" if len(found.names) > 2 else ""
    said = f"certificate for {', '.join(found.names[:2])}{more}, issued by {found.issuer}, "
    if left_s < 0:
        return [Result("fail", "TLS", f"{said}ended on {day}", "Have it renewed.", is_below=True)]
    if left_s < _SOON_S:
        return [
            Result("warn", "TLS", f"{said}ends on {day}", "Have it renewed: afterwards nothing arrives.", is_below=True)
        ]
    return [Result("ok", "TLS", f"{said}good until {day}", is_below=True)]


def _ask(
    case: Case, place: "_reach.Place | None", signals: list[Signal], deadline: float
) -> "dict[Signal, Heard | Exception]":
    from mlotel.doctor import _probe

    heard: dict[Signal, Heard | Exception] = {}

    def ask(signal: Signal) -> None:
        route = case.routes[signal]
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
        is_own = case.endpoint is None and bool(os.environ.get(own, "").strip())
        try:
            heard[signal] = _probe.ask(
                signal,
                route.endpoint,
                route.protocol,
                route.headers,
                max(0.2, deadline - time.monotonic()),
                place=place,
                variable=own if is_own else None,
            )
        except Exception as error:
            heard[signal] = error

    threads = [threading.Thread(target=ask, args=(signal,), daemon=True) for signal in signals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard


def _answers(case: Case, signals: list[Signal], heard: "Mapping[Signal, Heard | Exception]") -> list[Result]:
    """A result for signals that were answered alike."""
    alike: dict[tuple[str, str, str, str], list[Signal]] = {}
    for signal in signals:
        alike.setdefault(_judged(case, heard[signal]), []).append(signal)
    results = []
    for (verdict, word, said, remedy), same in alike.items():
        answers = [answer for signal in same if not isinstance(answer := heard[signal], Exception)]
        facts: dict[str, Any] = {"signals": same, "answer": word}
        if answers:
            took = [answer.took_s for answer in answers]
            facts["took_s"] = {signal: round(s, 6) for signal, s in zip(same, took, strict=True)}
            if verdict == "ok":
                said += f" in {_milliseconds(max(took))}"
        results.append(Result(verdict, ", ".join(same), said, remedy, facts, is_below=True))  # type: ignore[arg-type]  # a verdict, kept as text in the key
    return results


def _judged(case: Case, heard: "Heard | Exception") -> tuple[str, str, str, str]:
    """Verdict, the product's own word for the answer, what to say, remedy."""
    if isinstance(heard, Exception):
        return "fail", "error", case.hide(str(heard)), "Nothing can be sent until then."
    answer, cause = heard.answer, heard.cause
    message = case.hide(" ".join(answer.message.split()))[:200].rstrip(".")
    if cause is None:
        if message:
            return "warn", answer.verdict, f"an empty request is accepted, and it says: {message}", ""
        return "ok", answer.verdict, "an empty request is accepted", ""
    what = case.hide(cause.what).rstrip(".")
    if answer.verdict == "refused":
        said = f"it answers and refuses an empty request ({message or what}); address and credentials are taken"
        return "info", answer.verdict, said, "Whether it takes records, `mlotel flush` and the counts below tell."
    # Of a receiver that could not be spoken to, gRPC's own words say less than ours.
    is_its_own = answer.verdict == "misconfigured" and cause is answer.cause and "failed to connect" not in message
    said = f"{what}. It says: {message}" if message and is_its_own else what
    return "fail", answer.verdict, said, case.hide(cause.remedy)


def _clock(heard: "Mapping[Signal, Heard | Exception]", *, is_grpc: bool) -> list[Result]:
    answers = [found for found in heard.values() if not isinstance(found, Exception)]
    said = [found.ahead_s for found in answers if found.ahead_s is not None]
    if not said:
        if is_grpc and any(found.answer.verdict == "accepted" for found in answers):
            text = "not compared: answers over gRPC do not tell the time"
            return [Result("info", "clock", text, facts={"ahead_s": None}, is_below=True)]
        return []
    ahead_s = min(said, key=abs)
    facts = {"ahead_s": round(ahead_s, 3)}
    if abs(ahead_s) <= _LARGEST_SKEW_S:
        return [Result("ok", "clock", "the receiver's agrees with this one", facts=facts, is_below=True)]
    text = f"the receiver's is {_length(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'} this one"
    return [Result("warn", "clock", text, _SYNC, facts, is_below=True)]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def _length(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


SECTION = Section(title="Endpoints", place=2, look=_look)
