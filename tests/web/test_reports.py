"""Scheduled reports: what is declared, what is in them for a role, when they are due, how they are sent."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from web_shop import SECRETS, Served

from prodsense.errors import ProdsenseError, UsageError
from prodsense.project import Project, read_project
from prodsense.web import reports
from prodsense.web.reports import Report, check_mail, deliver, due, read_reports, run

SETTINGS = """
pack = "delivery"

[[report]]
dashboard = "delivery.batch_operations_monitor"
role = "executive"
every = "1d"
to = "out"

[[report]]
name = "by-mail"
dashboard = "batch_operations_monitor"
role = "analyst"
every = "7d"
to = "mailto:ana@example.org, bo@example.org"

[smtp]
host = "mail.example.org"
sender = "reports@example.org"
user = "reports"
password_env = "TEST_MAIL_PASSWORD"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "prodsense.toml").write_text(SETTINGS)
    return read_project(tmp_path / "prodsense.toml")


def test_reports_are_read_from_the_settings(project: Project) -> None:
    daily, weekly = read_reports(project)
    assert (daily.name, daily.every, daily.addresses) == ("batch_operations_monitor-executive", 86_400, ())
    assert (weekly.name, weekly.every) == ("by-mail", 604_800)
    assert weekly.addresses == ("ana@example.org", "bo@example.org")


@pytest.mark.parametrize(("change", "told"), [
    ({"every": "often"}, "every"), ({"every": ""}, "needs every"), ({"role": ""}, "needs role"),
    ({"to": "mailto:nobody"}, "no mail address"), ({"to": "mailto:a@b.c\nBcc: x@y.z"}, "no mail address"),
    ({"name": "../evil"}, "no name for a file"), ({"colour": "red"}, "no setting colour"), ({"every": 5}, "should be"),
])  # fmt: skip
def test_a_wrong_report_says_what_is_wrong(project: Project, change: dict[str, Any], told: str) -> None:
    one = {**project.report[0], **change}
    with pytest.raises(UsageError, match=told):
        read_reports(Project(project.folder, report=(one,), smtp=project.smtp))


def test_two_reports_of_one_name_and_mail_without_a_server(project: Project) -> None:
    with pytest.raises(UsageError, match="two reports"):
        read_reports(Project(project.folder, report=(project.report[0],) * 2))
    with pytest.raises(UsageError, match="need host"):
        read_reports(Project(project.folder, report=project.report))
    with pytest.raises(UsageError, match="no setting password"):
        check_mail({"host": "h", "sender": "s", "password": "in the clear"})


@pytest.mark.slow
def test_a_report_is_what_its_role_sees(served: Served, project: Project) -> None:
    executive = read_reports(project)[0]
    with served.site.reader(executive.actor) as warehouse:
        files = deliver(executive, warehouse, project, "2024-02-01")
    assert [Path(f).name for f in files] == [
        "batch_operations_monitor-executive-2024-02-01.html", "batch_operations_monitor-executive-2024-02-01.png",
    ]
    page, picture = (Path(f).read_bytes() for f in files)
    assert b"Batch operations monitor" in page and picture.startswith(b"\x89PNG")
    assert not any(secret.encode() in page for secret in (SECRETS["value"], SECRETS["name"], SECRETS["wish"]))
    assert sorted(p.name for p in (project.folder / "out").iterdir()) == sorted(Path(f).name for f in files)


def test_a_role_without_the_dashboard_gets_no_report(served: Served, project: Project) -> None:
    partner = Report("p", "batch_operations_monitor", "partner", 60, "out", {"restaurant_id": "1001"})
    run(partner, served.site, project)
    assert not (project.folder / "out").exists()
    line = served.site.store.audit(1)[0]
    assert (line["method"], line["status"]) == ("REPORT", 500) and "may not ask" in line["refused"]


def test_a_report_is_due_again_after_its_interval(served: Served, project: Project, monkeypatch: Any) -> None:
    monkeypatch.setattr(reports, "deliver", lambda *_: [])
    daily = Report("due", "batch_operations_monitor", "admin", 86_400, "out")
    assert due((daily,), served.site, 1e9) == [daily]
    served.site.store.remember("report due", 1e9)
    assert due((daily,), served.site, 1e9 + 86_399) == []
    assert due((daily,), served.site, 1e9 + 86_400) == [daily]
    run(daily, served.site, project)
    assert due((daily,), served.site, __import__("time").time()) == []


@pytest.mark.slow
def test_mail_carries_the_report_and_both_files(served: Served, project: Project, monkeypatch: Any) -> None:
    sent: list[tuple[str, Any]] = []

    class Server:
        def __init__(self, host: str, port: int, timeout: float):
            sent.append(("connect", (host, port)))

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *_: object) -> None:
            sent.append(("quit", None))

        def starttls(self, context: Any) -> None:
            sent.append(("tls", context.check_hostname))

        def login(self, user: str, password: str) -> None:
            sent.append(("login", (user, password)))

        def send_message(self, message: EmailMessage) -> None:
            sent.append(("send", message))

    monkeypatch.setattr(smtplib, "SMTP", Server)
    monkeypatch.setenv("TEST_MAIL_PASSWORD", "from the environment")
    by_mail = read_reports(project)[1]
    with served.site.reader(by_mail.actor) as warehouse:
        assert deliver(by_mail, warehouse, project, "2024-02-01") == by_mail.addresses
    assert [what for what, _ in sent] == ["connect", "tls", "login", "send", "quit"]
    assert sent[0][1] == ("mail.example.org", 587) and sent[1][1] is True
    assert sent[2][1] == ("reports", "from the environment")
    message = sent[3][1]
    assert message["To"] == "ana@example.org, bo@example.org" and "2024-02-01" in message["Subject"]
    kinds = [part.get_content_type() for part in message.iter_attachments()]
    assert kinds == ["text/html", "image/png"]
    assert "Batch operations monitor" in message.get_body(("plain",)).get_content()


def test_a_mail_server_that_is_not_there(project: Project, monkeypatch: Any) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise OSError("connection refused")

    monkeypatch.setattr(smtplib, "SMTP", refused)
    with pytest.raises(ProdsenseError, match=r"mail\.example\.org:587 did not take the report"):
        reports.send(EmailMessage(), project.smtp)
