"""Events as they come: from a pipe, a growing file, POST requests or Kafka, into a warehouse, each exactly once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from prodsense.cli.common import Written, commands, examples, notify, option
from prodsense.cli.progress import progress
from prodsense.contracts.options import split_names
from prodsense.errors import ProdsenseError, UsageError

if TYPE_CHECKING:
    from prodsense.engines.base import Engine
    from prodsense.realtime.checkpoint import Checkpointed
    from prodsense.realtime.decode import Intake

app = commands()


class _Stopped(Exception):  # noqa: N818  (no error: the user is done)
    """The user asked to end, and a commit is over."""


@app.command(
    epilog=examples(
        "prodsense stream clicks.ndjson --into shop.sessions --follow",
        "tail -F clicks.ndjson | prodsense stream - --into shop.sessions --test-user qa1,qa2",
        "prodsense stream http://127.0.0.1:8123 --into shop.sessions --timeout 20m --lateness 2m",
        "prodsense stream kafka://broker:9092/clicks --into shop.posts --size 5000 --follow",
    )
)
def stream(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A file of one JSON object a line, - for stdin, http://HOST:PORT to"
                       " listen for POST /events, or kafka://HOST[:PORT][,HOST...]/TOPIC."),
    ],
    into: Annotated[
        str, option("--into", "RELATION", "Where results are appended, like shop.sessions; made when absent.")
    ],
    *,
    name: Annotated[
        str | None, option("--name", "NAME", "The stream, by which a restart finds it (default: RELATION).")
    ] = None,
    size: Annotated[int | None, option("--size", "N", "A buffer of the last N events instead of sessions.")] = None,
    timeout: Annotated[
        str | None, option("--timeout", "TIME", "A session without an end closes after this long without events (30m).")
    ] = None,
    lateness: Annotated[str | None, option("--lateness", "TIME", "How far events may come out of order (5m).")] = None,
    test_user: Annotated[
        list[str] | None, option("--test-user", "ID", "A user who is not counted; repeat, or part by commas.")
    ] = None,
    test_users: Annotated[Path | None, option("--test-users", "FILE", "Such users, one id a line.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait at the end for more, until Ctrl-C.")] = False,
    flush: Annotated[
        bool,
        typer.Option("--flush", help="At the end count all that waits and close all sessions: the stream is over."),
    ] = False,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Most events in one transaction.")] = 10_000,
    kafka_config: Annotated[
        Path | None,
        option("--kafka-config", "FILE", "Settings of the Kafka client, name=value a line (security.protocol=...)."),
    ] = None,
    output: Written,
) -> None:
    """Take events in as they come and count them by session or as they leave a buffer.

    Events are JSON objects with session_id, user_id, event_type, timestamp and event_id; for --size with
    user_id, event_type, post_id, view_duration_seconds and event_id. Results, state and the place in the
    source are committed together: stop it at any moment, the same command goes on from there.
    """
    if size is not None and (timeout or lateness):
        raise UsageError("--timeout and --lateness are of sessions; a buffer of --size events has neither")
    origin = _source(source, follow, batch, kafka_config)
    users = _users(test_user, test_users)
    _relation(into)
    lengths = {"timeout": _length(timeout or "30m", "--timeout"), "lateness": _length(lateness or "5m", "--lateness")}
    with output.opened() as wh:
        found = _open(wh.engine, name or into, into, users, size, lengths)
        ended = _run(found, origin)
        if flush:
            found.flush()
        output.give(_totals(found))
    if not ended:
        notify("stopped before the end of what is there; the same command goes on from there")
        raise typer.Exit(130)


def _relation(into: str) -> None:
    """Before a warehouse is made for nothing."""
    from prodsense.realtime.checkpoint import check_output

    check_output(into)


def _open(
    engine: Engine, name: str, into: str, users: set[str], size: int | None, lengths: dict[str, timedelta]
) -> Checkpointed:
    from prodsense.realtime.checkpoint import FixedStream, Stream

    if size is not None:
        return FixedStream(engine, name, into, users, size=size)
    return Stream(engine, name, into, users, **lengths)


@dataclass(frozen=True)
class _Source:
    """`read` pushes into a stream, tells of every commit and asks whether to wait for more. `endless`: it has no end
    but the user's."""

    read: Callable[[Checkpointed, Callable[[Intake], None], Callable[[], bool]], None]
    endless: bool


def _run(found: Checkpointed, source: _Source) -> bool:
    """Read until the end or until the user stops it; returns whether the end was reached, where there is one."""
    with _signals() as asked, progress() as bar:
        if bar:
            bar.start(f"{found.output}: events", 0)

        def hear(intake: Intake) -> None:
            if bar:
                bar.advance(intake.lines + intake.malformed)
            if intake.malformed:
                lines = "line is" if intake.malformed == 1 else "lines are"
                notify(f"{intake.malformed:,} {lines} no JSON object and left out")
            if asked():
                raise _Stopped

        try:
            source.read(found, hear, lambda: not asked())
        except _Stopped:
            return source.endless
    return True


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM end the work after the commit at hand; a second one ends it at once, which loses nothing."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _source(source: str, follow: bool, batch: int, kafka_config: Path | None) -> _Source:
    scheme, separator, rest = source.partition("://")
    if kafka_config and scheme != "kafka":
        raise UsageError("--kafka-config is for a source kafka://HOST/TOPIC")
    if follow and (source == "-" or scheme == "http"):
        raise UsageError(f"--follow is for a file or Kafka; {source} is read until it ends")
    if source == "-":
        return _Source(_stdin(batch), True)
    if scheme == "http" and rest:
        return _Source(_listen(source), True)
    if scheme == "kafka" and rest:
        return _Source(_kafka(source, rest, follow, batch, kafka_config), follow)
    if separator:
        raise UsageError(f"{source} is no source of events; name a file, -, http://HOST:PORT or kafka://HOST/TOPIC")
    return _Source(_file(source, follow, batch), follow)


def _stdin(batch: int) -> Any:
    def read(found: Checkpointed, hear: Any, go_on: Any) -> None:
        from prodsense.realtime.sources import read_lines

        read_lines(found, sys.stdin.buffer, batch=batch, progress=hear)

    return read


def _file(path: str, follow: bool, batch: int) -> Any:
    def read(found: Checkpointed, hear: Any, go_on: Any) -> None:
        from prodsense.realtime.sources import read_file

        read_file(found, Path(path).expanduser(), batch=batch, follow=go_on if follow else None, progress=hear)

    if not Path(path).expanduser().is_file():
        raise UsageError(f"{path} is not a file; name a file of one JSON object a line, or - for stdin")
    return read


def _kafka(source: str, rest: str, follow: bool, batch: int, config: Path | None) -> Any:
    servers, _, topic = rest.partition("/")
    if not servers or not topic or "/" in topic:
        raise UsageError(f"{source}: write it as kafka://HOST:PORT/TOPIC, several servers parted by commas")

    def read(found: Checkpointed, hear: Any, go_on: Any) -> None:
        from prodsense.realtime.kafka import read_kafka, read_settings

        settings = read_settings(config) if config else None
        read_kafka(
            found, servers, topic, batch=batch, follow=go_on if follow else None, settings=settings, progress=hear
        )

    return read


def _listen(url: str) -> Any:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.path not in ("", "/", "/events"):
        raise UsageError(f"{url}: name the address to listen on, like http://127.0.0.1:8123; events go to its /events")

    def read(found: Checkpointed, hear: Any, go_on: Any) -> None:
        import socket

        import uvicorn

        from prodsense.realtime.sources import http_app

        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError as error:
                raise ProdsenseError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
            listener.listen(128)  # who connects before the server is up waits
            address = f"[{host}]" if ":" in host else host
            notify(f"listening: POST http://{address}:{listener.getsockname()[1]}/events; Ctrl-C ends it")
            if host not in ("127.0.0.1", "localhost", "::1"):
                notify(f"whoever reaches {host} can send events: keep it behind a gate that knows the senders")
            app = http_app(found, progress=hear)
            config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=10)
            uvicorn.Server(config).run(sockets=[listener])

    return read


def _users(named: list[str] | None, file: Path | None) -> set[str]:
    found = set(split_names(named))
    if file:
        found |= {line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()}
    return found


def _length(text: str, what: str) -> timedelta:
    from prodsense.behavior.durations import seconds

    if what == "--lateness" and text.strip() in ("0", "0s", "0m"):
        return timedelta(0)
    return timedelta(seconds=seconds(text, what))


#: Where events that are in no total ended, as the notes say it.
_WORDS = {
    "ignored": "lacking a field", "late": "late", "duplicate": "repeated", "test": "of test users",
    "end": "ends of sessions", "unmatched_end": "ends without a session",
}  # fmt: skip


def _totals(found: Checkpointed) -> Any:
    import pyarrow as pa

    from prodsense.metrics.result import Rows
    from prodsense.realtime.checkpoint import FixedStream

    totals, counts, waiting = found.totals, found.counts, found.waiting
    if isinstance(found, FixedStream):
        units = {"engagements": "count", "view_seconds": "seconds"}
        rows = pa.table({name: [totals[name]] for name in units})
    else:
        units = {"events": "count"}
        kinds = sorted(totals)
        rows = pa.table(
            {"event_type": pa.array(kinds, pa.string()), "events": pa.array([totals[k] for k in kinds], pa.int64())}
        )
    extras = {
        "stream": found.name, "output": found.output, "counts": counts, "waiting": waiting,
        "position": found.position,
    }  # fmt: skip
    left_out = ", ".join(f"{counts[name]:,} {words}" for name, words in _WORDS.items() if counts.get(name))
    notes = [f"{counts['read']:,} events read{': ' + left_out if left_out else ''}"]
    if any(waiting.values()):
        held = " and ".join(f"{n:,} {what if n != 1 else what[:-1]}" for what, n in waiting.items() if n)
        notes.append(f"not counted yet: {held}; --flush counts what waits")
    return Rows(arrow=rows, title=f"Totals of {found.name}", extras=extras, units=units, notes=tuple(notes))
