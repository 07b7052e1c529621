"""Records: what the processes that used a spool folder delivered, kept and lost, and why."""

from collections.abc import Iterable, Mapping
from typing import Any

from mlotel.doctor._base import SIGNALS, Case, Result, Section
from mlotel.export._account import Told, read_all
from mlotel.export._explain import Cause, bare
from mlotel.export._outcome import Reason
from mlotel.types import Signal

_MOST_PROCESSES = 5
_LATE_S = 3600.0

REASONS: Mapping[Reason, Cause] = {
    "queue_full": Cause(
        "were recorded faster than they could be kept", "Record less of them, or raise OTEL_BSP_MAX_QUEUE_SIZE."
    ),
    "refused": Cause("were refused by the receiver", "Look at the receiver's own log, and at Endpoints above."),
    "spool_full": Cause(
        "found no room on the disk", "Free some space, raise MLOTEL_SPOOL_MAX_BYTES, or send what waits: mlotel flush"
    ),
    "spool_unusable": Cause(
        "could not be written to the spool", "Name a folder that can be written with configure(spool=) or MLOTEL_SPOOL."
    ),
    "torn": Cause("were in a line that was cut off", "Nothing to do: a process or machine stopped in the middle."),
    "encode": Cause("could not be written as OTLP", "The log of the program says which attribute it was."),
    "evicted": Cause(
        "were removed from the spool to make room", "Raise MLOTEL_SPOOL_MAX_BYTES, or send them earlier: mlotel flush"
    ),
    "cardinality": Cause("belonged to too many series", "Use fewer values for the attributes of that metric."),
}
"""What became of records that are lost, and what to do, by ``ml.telemetry.reason``."""


def _look(case: Case) -> list[Result]:
    told: list[Told] = []
    ignored = 0
    for folder in case.folders:
        found, foreign = read_all(folder)
        told, ignored = told + found, ignored + foreign
    services: dict[str, list[Told]] = {}
    for account in sorted(told, key=lambda account: account.updated, reverse=True):
        services.setdefault(account.service_name, []).append(account)
    results = [result for service, accounts in services.items() for result in _service(case, service, accounts)]
    if not told:
        said = "no process has left an account: none used the spool, or all of them delivered and lost nothing"
        results.append(Result("info", "processes", said, facts={"accounts": 0}))
    if ignored:
        facts = {"ignored": ignored}
        results.append(Result("info", "accounts", f"{ignored} that cannot be read were passed over", facts=facts))
    return results


def _service(case: Case, service: str, accounts: list[Told]) -> Iterable[Result]:
    exported, spooled = (_sums(account.sums(fate) for account in accounts) for fate in ("exported", "spooled"))
    dropped = _sums({signal: records} for account in accounts for (signal, _), records in account.dropped().items())
    running = sum(account.is_running and not account.is_ended for account in accounts)
    facts = {
        "service": service,
        "processes": len(accounts),
        "running": running,
        "exported": exported,
        "spooled": spooled,
        "dropped": dropped,
        "updated": max(account.updated for account in accounts),
    }
    many = f"{len(accounts)} processes" if len(accounts) > 1 else f"process {accounts[0].pid}"
    state = f"{running} running" if len(accounts) > 1 else ("running" if running else "ended")
    counts = [
        f"{_words(sums)} {word}"
        for sums, word in ((exported, "exported"), (spooled, "put on disk"), (dropped, "lost"))
        if sums
    ]
    said = f"{many}, {state}: {'; '.join(counts) or 'nothing'}"
    yield Result("info" if dropped else "ok", service, said, facts=facts)
    yield from _losses(accounts)
    yield from _failing(case, accounts)
    yield from _killed(accounts)
    yield from _elsewhere(case, accounts)


def _losses(accounts: list[Told]) -> Iterable[Result]:
    """A result for each reason, with the processes that lost most."""
    by_reason: dict[Reason, dict[Told, dict[Signal, int]]] = {}
    for account in accounts:
        for (signal, reason), records in account.dropped().items():
            if records:
                by_reason.setdefault(reason, {}).setdefault(account, {})[signal] = records
    for reason, losers in by_reason.items():
        ordered = sorted(losers, key=lambda account: sum(losers[account].values()), reverse=True)
        named = ", ".join(_process(account) for account in ordered[:_MOST_PROCESSES])
        more = f" and {len(ordered) - _MOST_PROCESSES} more" if len(ordered) > _MOST_PROCESSES else ""
        what, remedy = REASONS[reason]
        lost = _sums(losers.values())
        facts = {
            "reason": reason,
            "dropped": lost,
            "processes": [{"pid": account.pid, "host": account.host, **losers[account]} for account in ordered],
        }
        said = f"{_words(lost)} {what} ({reason}): {named}{more}"
        yield Result("fail", "lost", said, remedy, facts, is_below=True)


def _failing(case: Case, accounts: list[Told]) -> Iterable[Result]:
    """Endpoints that did not take the last request, of processes that run or have left something."""
    seen: dict[tuple[str, Cause], list[tuple[Told, Signal]]] = {}
    taken: set[tuple[Signal, str]] = set()
    for account in accounts:  # the latest first: what was taken since is no failure any more
        taken |= {
            (signal, account.endpoints.get(signal, ""))
            for signal in account.sums("exported")
            if signal not in account.failures
        }
        is_recent = case.now - account.updated < _LATE_S
        if is_recent and (account.is_running or account.sums("spooled")):
            for signal, cause in account.failures.items():
                if (signal, account.endpoints.get(signal, "")) in taken:
                    continue
                where = bare(account.endpoints.get(signal, "")).removesuffix(f"/v1/{signal}")
                seen.setdefault((where, cause), []).append((account, signal))
    for (where, cause), who in seen.items():
        signals = [signal for signal in SIGNALS if any(signal == found for _, found in who)]
        last = max(account.updated for account, _ in who)
        said = f"{', '.join(signals)} not taken by {where}: {cause.what} ({_ago(case.now - last)})"
        facts: dict[str, Any] = {"endpoint": where, "signals": signals, "pids": sorted({told.pid for told, _ in who})}
        yield Result("warn", "last failure", said, cause.remedy, facts, is_below=True)


def _killed(accounts: list[Told]) -> Iterable[Result]:
    from mlotel.export._claims import host_name

    killed = [a for a in accounts if not a.is_ended and not a.is_running and a.host == host_name()]
    if killed:
        named = ", ".join(str(account.pid) for account in killed[:_MOST_PROCESSES])
        more = f" and {len(killed) - _MOST_PROCESSES} more" if len(killed) > _MOST_PROCESSES else ""
        said = f"{named}{more} ended without a shutdown: what was in memory then is missing"
        facts = {"pids": [account.pid for account in killed]}
        yield Result("info", "killed", said, facts=facts, is_below=True)


def _elsewhere(case: Case, accounts: list[Told]) -> Iterable[Result]:
    """Endpoints of running processes that this shell knows nothing of: they were passed to ``configure()``."""
    known = {bare(route.endpoint) for route in case.routes.values() if route.kind == "otlp"}
    found: dict[str, int] = {}
    for account in accounts:
        if account.is_running:
            for signal, endpoint in account.endpoints.items():
                address = bare(endpoint)
                if "://" in address and address not in known:
                    base = address.removesuffix(f"/v1/{signal}")
                    found.setdefault(base, account.pid)
    for base, pid in found.items():
        said = f"process {pid} sends to {base}, which is not set here. Check it: mlotel doctor --endpoint {base}"
        yield Result("info", "endpoint", said, facts={"endpoint": base, "pid": pid}, is_below=True)


def _process(account: Told) -> str:
    from mlotel.export._claims import host_name

    where = "" if account.host == host_name() else f" on {account.host}"
    return f"process {account.pid}{where}"


def _sums(several: Iterable[Mapping[Signal, int]]) -> dict[Signal, int]:
    found: dict[Signal, int] = {}
    for one in several:
        for signal, records in one.items():
            found[signal] = found.get(signal, 0) + records
    return {signal: found[signal] for signal in SIGNALS if found.get(signal)}


def _words(sums: Mapping[Signal, int]) -> str:
    """``1,204 spans, 96 data points``."""
    names = {"traces": "span", "metrics": "data point", "logs": "log record"}
    return ", ".join(f"{sums[s]:,} {names[s]}{'' if sums[s] == 1 else 's'}" for s in SIGNALS if s in sums)


def _ago(seconds: float) -> str:
    if seconds < 90:
        return "just now"
    return f"{seconds / 60:.0f} min ago"


SECTION = Section(title="Records", place=3, look=_look)
