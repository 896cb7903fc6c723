"""Scheduled reports: dashboards as files into a folder or as mail, as a role sees them.

Declared in the project's settings, one table each::

    [[report]]
    dashboard = "delivery.batching_success_scorecard"
    role = "executive"
    every = "7d"
    to = "reports"                       # a folder, or "mailto:ana@example.org, bo@example.org"

    [smtp]                               # for mail
    host = "mail.example.org"
    sender = "reports@example.org"

The password of a mail server is never in the settings: `password_env` names the variable of the environment.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.behavior.durations import seconds
from prodsense.errors import ProdsenseError, UsageError, did_you_mean
from prodsense.web.actor import Actor

if TYPE_CHECKING:
    from email.message import EmailMessage

    from prodsense.charts.page import Page
    from prodsense.project import Project
    from prodsense.web.site import Site

log = logging.getLogger("prodsense.web")

_FIELDS: Mapping[str, type] = {
    "dashboard": str, "role": str, "every": str, "to": str, "name": str, "attributes": dict, "since": str, "until": str,
    "where": str,
}
_MAIL: Mapping[str, type] = {
    "host": str, "port": int, "sender": str, "user": str, "password_env": str, "tls": bool,
}
_ADDRESS = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
#: Files of a report, in this order.
ENDINGS = (".html", ".png")


@dataclass(frozen=True)
class Report:
    """A dashboard, who it is for, how often it goes where. `every` is seconds."""

    name: str
    dashboard: str
    role: str
    every: float
    to: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Mail addresses; none for a report that goes into a folder."""
        if not self.to.startswith("mailto:"):
            return ()
        return tuple(part.strip() for part in self.to.removeprefix("mailto:").split(","))

    @property
    def actor(self) -> Actor:
        """Who asks for it: the role alone decides what is in it."""
        return Actor(f"report {self.name}", self.role, dict(self.attributes), "token")


def read_reports(project: Project | None) -> tuple[Report, ...]:
    """The reports of a project; UsageError that says which one is wrong and how."""
    found = tuple(_read(one, number) for number, one in enumerate(project.report, 1)) if project else ()
    names = [report.name for report in found]
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise UsageError(f"two reports are named {twice}: give one of them another name")
    if project and any(report.addresses for report in found):
        check_mail(project.smtp)
    return found


def _read(given: Mapping[str, Any], number: int) -> Report:
    what = f"report {number}"
    _check(given, _FIELDS, what)
    for name in ("dashboard", "role", "every", "to"):
        if not given.get(name):
            raise UsageError(f"{what} needs {name}")
    name = given.get("name") or f"{given['dashboard'].split('.')[-1]}-{given['role']}"
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or name.startswith("."):
        raise UsageError(f"{what}: {name!r} is no name for a file: letters, digits, _ . -")
    filters = {key: given[key] for key in ("since", "until", "where") if key in given}
    every = seconds(given["every"], f"{what}: every")
    report = Report(name, given["dashboard"], given["role"], every, given["to"], given.get("attributes", {}), filters)
    for address in report.addresses:
        if not _ADDRESS.fullmatch(address):
            raise UsageError(f"{what}: {address!r} is no mail address")
    return report


def check_mail(smtp: Mapping[str, Any]) -> None:
    """UsageError where ``[smtp]`` cannot be used."""
    _check(smtp, _MAIL, "smtp")
    for name in ("host", "sender"):
        if not smtp.get(name):
            raise UsageError(f"reports by mail need {name} in [smtp]")


def _check(given: Mapping[str, Any], known: Mapping[str, type], what: str) -> None:
    for name, value in given.items():
        if name not in known:
            raise UsageError(f"{what} has no setting {name}.{did_you_mean(name, set(known))} Known: {', '.join(known)}")
        if not isinstance(value, known[name]) or (known[name] is int and isinstance(value, bool)):
            raise UsageError(f"{what}: {name} should be a {known[name].__name__}, not {value!r}")


# -- writing one -------------------------------------------------------------------------------------


def deliver(report: Report, warehouse: Any, project: Project, day: str) -> list[Path] | tuple[str, ...]:
    """Make a report of `warehouse` (already as its role sees it); returns its files, or the addresses it went to."""
    page = warehouse.dashboard(report.dashboard, **report.filters)
    if not report.addresses:
        folder = project.folder / Path(report.to).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        return [put(page, folder / f"{report.name}-{day}{ending}") for ending in ENDINGS]
    send(mail(report, page, str(project.smtp["sender"]), day), project.smtp)
    return report.addresses


def put(page: Page, target: Path) -> Path:
    """Write a page; whoever reads the folder sees the old file or the new one, never half of it."""
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        page.save(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def mail(report: Report, page: Page, sender: str, day: str) -> EmailMessage:
    """The message: the report as text, and both files."""
    import tempfile
    from email.message import EmailMessage

    message = EmailMessage()
    message["Subject"] = f"{page.title}, {day}"
    message["From"] = sender
    message["To"] = ", ".join(report.addresses)
    message.set_content(f"{page}\n")
    with tempfile.TemporaryDirectory() as folder:
        for ending, kind in zip(ENDINGS, (("text", "html"), ("image", "png")), strict=True):
            content = page.save(Path(folder) / f"report{ending}").read_bytes()
            message.add_attachment(content, *kind, filename=f"{report.name}-{day}{ending}")
    return message


def send(message: EmailMessage, smtp: Mapping[str, Any]) -> None:
    """Hand a message to the mail server; ProdsenseError when it does not take it."""
    import smtplib
    import ssl

    host, tls = str(smtp["host"]), bool(smtp.get("tls", True))
    port = int(smtp.get("port") or (587 if tls else 25))
    try:
        with smtplib.SMTP(host, port, timeout=30) as server:
            if tls:
                server.starttls(context=ssl.create_default_context())
            if smtp.get("user"):
                server.login(str(smtp["user"]), os.environ.get(str(smtp.get("password_env", "")), ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise ProdsenseError(f"the mail server {host}:{port} did not take the report: {error}") from None


# -- when they are due -------------------------------------------------------------------------------


class Reporter:
    """A thread that delivers what is due. When each was delivered last is kept, also over a restart."""

    def __init__(self, site: Site, project: Project, reports: tuple[Report, ...], wait: float = 30.0):
        self._site, self._project, self._reports, self._wait = site, project, reports, wait
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prodsense-reports", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stopped.wait(self._wait):
            for report in due(self._reports, self._site, time.time()):
                run(report, self._site, self._project)


def due(reports: tuple[Report, ...], site: Site, now: float) -> list[Report]:
    """Reports whose time has come: never delivered, or at least their interval ago."""
    return [report for report in reports if now - site.store.remembered(f"report {report.name}", 0.0) >= report.every]


def run(report: Report, site: Site, project: Project) -> None:
    """Deliver one and note it in the audit. A failure is tried again after the interval, not in a circle."""
    started, refused, status = time.time(), "", 200
    try:
        with site.reader(report.actor) as warehouse:
            deliver(report, warehouse, project, datetime.now(UTC).date().isoformat())
    except ProdsenseError as error:
        refused, status = error.message, 500
        log.error("report %s: %s", report.name, error.message)
    except Exception as error:
        refused, status = f"internal: {type(error).__name__}", 500
        log.exception("report %s failed", report.name)
    site.store.remember(f"report {report.name}", started)
    site.store.note(report.actor, "REPORT", report.dashboard, status, time.time() - started, refused=refused)
