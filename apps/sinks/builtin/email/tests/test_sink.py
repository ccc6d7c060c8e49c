"""Who gets a mail, how often, and what each answer of a mail server leads to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from pytest_django import Settings

from apps.sinks import suppression
from apps.sinks.builtin.email import line
from apps.sinks.builtin.email.sink import UNSURE_TRIES, Notification
from apps.sinks.builtin.email.tests.conftest import TO_RESPONDENTS, TO_TEAM, Desk
from apps.sinks.builtin.email.tests.server import Fault, MailServer, nobody
from apps.sinks.conformance import SinkConformance
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    Batch,
    ConfigurationError,
    Context,
    PermanentError,
    RetryableError,
    Sink,
)
from deploy.local.process import free_port

pytestmark = pytest.mark.services


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["of"][0]


class Conforming(SinkConformance):
    config: Mapping[str, Any]

    @pytest.fixture(autouse=True)
    def _desk(self, desk: Desk) -> None:
        self.desk = desk

    def make_sink(self, context: Context) -> Sink:
        return self.desk.sink(dict(self.config), context)

    def make_batch(self, sink: Sink, count: int = 3, sequence: int = 1) -> Batch:
        """Each submission with an address of its own."""
        batch = super().make_batch(sink, count, sequence)
        [part] = batch.parts
        given = tuple(
            replace(each, answers={**each.answers, "email": f"{each.id}@example.com"}) for each in part.submissions
        )
        return replace(batch, parts=(replace(part, submissions=given),))

    def times_seen(self, submission: UUID) -> int:
        return sum(mail.message["Message-ID"].startswith(f"<{submission}.") for mail in self.desk.server.taken)

    def break_service(self) -> bool:
        self.desk.server.faults.append(Fault.BUSY)
        return True


class TestConformanceOfConfirmations(Conforming):
    config = TO_RESPONDENTS


class TestConformanceOfNotifications(Conforming):
    config = TO_TEAM


class TestWhatIsSent:
    def test_a_confirmation_goes_to_the_address_that_was_given_and_to_nobody_else(self, desk: Desk) -> None:
        batch = desk.confirming(" Ada@EXAMPLE.com ", reply_to="team@example.org")

        desk.deliver(batch)

        [mail] = desk.server.taken
        assert (mail.sender, mail.to) == ("hub@forms.example.org", ("Ada@example.com",))
        assert mail.message["To"] == "Ada@example.com"
        assert mail.message["From"] == "FormHub <hub@forms.example.org>"
        assert mail.message["Reply-To"] == "team@example.org"
        assert mail.message["Subject"] == "Guests"
        assert str(batch.ids[0]) in mail.text
        assert str(batch.ids[0]) in mail.html

    def test_it_says_that_a_program_wrote_it_and_how_to_get_no_more(self, desk: Desk) -> None:
        desk.deliver(desk.confirming("ada@example.com"))

        [mail] = desk.server.taken
        link = mail.message["List-Unsubscribe"].strip(" <>")
        asked = suppression.opened(token_of(link))
        assert mail.message["Auto-Submitted"] == "auto-generated"
        assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert link in mail.text
        assert link in mail.html
        assert "example.com" not in link
        assert (asked.organization_id, asked.address) == (desk.organization, "ada@example.com")

    def test_the_same_mail_carries_the_same_id_and_that_of_another_action_another(self, desk: Desk) -> None:
        first = desk.confirming("ada@example.com")
        desk.deliver(first)
        desk.kept.clear()
        desk.deliver(first)
        desk.deliver(desk.batch(first.parts[0].submissions[0], TO_RESPONDENTS, binding=2))

        ids = [mail.message["Message-ID"] for mail in desk.server.taken]
        assert ids[0] == ids[1] == f"<{first.ids[0]}.1@forms.example.org>"
        assert ids[2] == f"<{first.ids[0]}.2@forms.example.org>"

    def test_a_notification_goes_to_the_team_with_the_answers_and_a_link(self, desk: Desk) -> None:
        batch = desk.notifying()

        desk.deliver(batch)

        [mail] = desk.server.taken
        assert mail.to == ("ann@example.org", "bob@example.org")
        assert mail.message["Subject"] == "New: Eve"
        assert "Name: Eve\nCount: 3" in mail.text.replace("\r\n", "\n")
        assert f'<a href="https://forms.example.org/s/{batch.ids[0]}/">' in mail.html
        assert mail.message["List-Unsubscribe"] is None

    def test_a_confirmation_repeats_answers_only_where_that_is_switched_on(self, desk: Desk) -> None:
        """The form refuses such a text; settings that come in by another way change nothing of it."""
        desk.deliver(desk.confirming("ada@example.com", text="<{{ name }}{{ answers }}>"))
        desk.deliver(desk.confirming("bob@example.com", text="<{{ name }}>", answers=True))

        said = [mail.text.splitlines()[0] for mail in desk.server.taken]
        assert said == ["<>", "<Ada>"]

    def test_what_begins_with_a_dot_or_is_not_ascii_arrives_as_it_was_written(self, desk: Desk) -> None:
        desk.deliver(desk.confirming("ada@example.com", text=".\n..tail\nGrüße 🙂"))

        assert desk.server.taken[0].text.replace("\r\n", "\n").startswith(".\n..tail\nGrüße 🙂\n")

    def test_all_mails_of_a_batch_go_over_one_connection(self, desk: Desk) -> None:
        batch = desk.confirming("ada@example.com")
        others = [desk.confirming(f"n{n}@example.com").parts[0].submissions[0] for n in range(3)]
        part = replace(batch.parts[0], submissions=(*batch.parts[0].submissions, *others))

        desk.deliver(replace(batch, parts=(part,)))

        assert (len(desk.server.taken), desk.server.connections) == (4, 1)


class TestWhoIsWrittenTo:
    @pytest.mark.parametrize("answer", [None, ""])
    def test_nobody_where_the_question_was_left_empty(self, desk: Desk, answer: object) -> None:
        desk.deliver(desk.confirming(answer))

        assert (desk.server.taken, desk.server.connections) == ([], 0)

    @pytest.mark.parametrize(
        "answer",
        [
            "a@example.com,b@example.com",
            "a@example.com b@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "a@example.com\n",
            "Ada <a@example.com>",
            "a@[127.0.0.1]",
            "a@localhost",
            "ä@example.com",
            ["a@example.com"],
            {"a": "b"},
            f"{'a' * 300}@example.com",
        ],
    )
    def test_nobody_where_the_answer_is_not_exactly_one_address(self, desk: Desk, answer: object) -> None:
        batch = desk.confirming(answer)

        error = desk.refused(batch, PermanentError)

        assert (error.code, error.part, error.ids) == ("invalid_address", 1, {batch.ids[0]})
        assert "example.com" not in str(error)
        assert desk.server.connections == 0

    def test_nobody_who_wants_no_more_mails(self, desk: Desk) -> None:
        link = suppression.link(desk.organization, "Ada@example.com")
        suppression.suppress(suppression.opened(token_of(link)))

        error = desk.refused(desk.confirming("ada@Example.com"), PermanentError)

        assert error.code == "suppressed"
        assert desk.server.taken == []

    def test_of_a_team_those_who_want_it(self, desk: Desk) -> None:
        link = suppression.link(desk.organization, "ann@example.org")
        suppression.suppress(suppression.opened(token_of(link)))

        desk.deliver(desk.notifying())

        assert [mail.to for mail in desk.server.taken] == [("bob@example.org",)]

    def test_no_respondent_who_could_not_put_an_end_to_it(self, desk: Desk, settings: Settings) -> None:
        settings.PUBLIC_URL = ""

        error = desk.refused(desk.confirming("ada@example.com"), ConfigurationError)

        assert "PUBLIC_URL" in error.remedy
        assert desk.server.taken == []


class TestHowManyMails:
    def test_two_hundred_submissions_with_one_address_are_one_mail(self, desk: Desk) -> None:
        desk.deliver(desk.confirming("victim@example.com"))
        codes = {desk.refused(desk.confirming(f"Victim+{n}@example.com"), PermanentError).code for n in range(199)}

        assert codes == {"recipient_limit"}
        assert len(desk.server.taken) == 1

    def test_other_actions_of_the_organization_go_on_until_the_days_are_used_up(
        self, desk: Desk, settings: Settings
    ) -> None:
        settings.MAIL_CONFIRMATIONS_PER_RECIPIENT_DAY = 3
        for binding in range(3):
            desk.deliver(desk.confirming("ada@example.com", binding))

        error = desk.refused(desk.confirming("ada@example.com", 4), PermanentError)

        assert error.code == "recipient_limit"
        assert "24 h" in str(error)
        assert len(desk.server.taken) == 3

    def test_what_an_organization_may_not_send_yet_waits(self, desk: Desk, settings: Settings) -> None:
        settings.MAIL_PER_ORGANIZATION_HOUR = 2
        for n in range(2):
            desk.deliver(desk.confirming(f"ada{n}@example.com"))

        error = desk.refused(desk.confirming("ada3@example.com"), BackpressureError)

        assert 3500 < error.after <= 3600
        assert len(desk.server.taken) == 2

    def test_a_repeat_counts_once(self, desk: Desk, settings: Settings) -> None:
        settings.MAIL_PER_ORGANIZATION_HOUR = 1
        desk.server.faults.append(Fault.BUSY)
        batch = desk.confirming("ada@example.com")
        desk.refused(batch, RetryableError)

        desk.deliver(batch)

        assert len(desk.server.taken) == 1

    def test_a_mail_that_nobody_got_does_not_count(self, desk: Desk) -> None:
        desk.server.codes["ada@example.com"] = 550
        desk.refused(desk.confirming("ada@example.com"), PermanentError)
        desk.server.codes.clear()

        desk.deliver(desk.confirming("ada@example.com"))

        assert len(desk.server.taken) == 1

    def test_a_team_is_not_flooded_either(self, desk: Desk, settings: Settings) -> None:
        settings.MAIL_NOTIFICATIONS_PER_RECIPIENT_HOUR = 2
        for _ in range(2):
            desk.deliver(desk.notifying())

        desk.refused(desk.notifying(), BackpressureError)

        assert len(desk.server.taken) == 2

    def test_none_is_sent_while_nobody_counts(self, desk: Desk, settings: Settings) -> None:
        settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"

        desk.refused(desk.confirming("ada@example.com"), BackpressureError)
        desk.refused(desk.notifying(), BackpressureError)

        assert (desk.server.taken, desk.server.connections) == ([], 0)


class TestTrouble:
    def test_a_server_that_is_down_is_tried_again(self, desk: Desk, settings: Settings) -> None:
        settings.EMAIL_PORT = free_port()
        batch = desk.confirming("ada@example.com")
        desk.refused(batch, RetryableError)
        settings.EMAIL_PORT = desk.server.port

        desk.deliver(batch)

        assert len(desk.server.taken) == 1

    @pytest.mark.parametrize("fault", [Fault.BUSY, Fault.DROP_BEFORE, Fault.FULL])
    def test_a_mail_that_was_certainly_not_taken_is_sent_again(self, desk: Desk, fault: Fault) -> None:
        desk.server.faults.append(fault)
        batch = desk.confirming("ada@example.com")
        desk.refused(batch, RetryableError)

        desk.deliver(batch)

        assert len(desk.server.taken) == 1

    @pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.LATE])
    def test_a_mail_without_an_answer_is_sent_again_with_the_same_id(
        self, desk: Desk, fault: Fault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(line, "ANSWER_SECONDS", 0.2)
        desk.server.faults.append(fault)
        batch = desk.confirming("ada@example.com")
        desk.refused(batch, AmbiguousError)
        monkeypatch.setattr(line, "ANSWER_SECONDS", 20)

        desk.deliver(batch)

        assert {mail.message["Message-ID"] for mail in desk.server.taken} == {f"<{batch.ids[0]}.1@forms.example.org>"}

    def test_a_mail_is_not_sent_again_for_ever_because_nobody_answers(self, desk: Desk) -> None:
        desk.server.faults.extend([Fault.DROP_AFTER] * 9)
        batch = desk.confirming("ada@example.com")
        for _ in range(UNSURE_TRIES):
            desk.refused(batch, AmbiguousError)

        error = desk.refused(batch, PermanentError)

        assert error.code == "outcome_unknown"
        assert len(desk.server.taken) == UNSURE_TRIES

    @pytest.mark.parametrize("code", [550, 551, 553])
    def test_an_address_that_the_server_refuses_is_final(self, desk: Desk, code: int) -> None:
        desk.server.codes["ada@example.com"] = code
        batch = desk.confirming("ada@example.com")

        error = desk.refused(batch, PermanentError)

        assert (error.code, error.ids) == ("recipient_refused", {batch.ids[0]})
        assert str(code) in str(error)
        assert "ada" not in str(error)

    def test_an_address_that_is_away_for_the_moment_is_tried_a_few_times(self, desk: Desk) -> None:
        desk.server.codes["ada@example.com"] = 450
        batch = desk.confirming("ada@example.com")
        assert desk.refused(batch, RetryableError).after == 60

        error = desk.refused(replace(batch, attempt=5), PermanentError)

        assert error.code == "recipient_unavailable"

    def test_a_mail_that_the_server_refuses_is_final(self, desk: Desk) -> None:
        desk.server.faults.append(Fault.REFUSE)

        assert desk.refused(desk.confirming("ada@example.com"), PermanentError).code == "mail_refused"

    def test_an_address_of_ours_that_the_server_refuses_is_for_the_operator(self, desk: Desk) -> None:
        desk.server.faults.append(Fault.REFUSE_SENDER)

        error = desk.refused(desk.confirming("ada@example.com"), ConfigurationError)

        assert "DEFAULT_FROM_EMAIL" in error.remedy

    def test_a_password_that_the_server_refuses_is_for_the_operator(self, desk: Desk, settings: Settings) -> None:
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "hub", "canary-password"
        closed = MailServer()
        with closed.running(authenticator=nobody, auth_required=True, auth_require_tls=False):
            settings.EMAIL_PORT = closed.port

            error = desk.refused(desk.confirming("ada@example.com"), ConfigurationError)

        assert "EMAIL_HOST_PASSWORD" in error.remedy
        assert "canary-password" not in f"{error} {error.remedy}"

    def test_no_mail_goes_over_a_line_that_should_be_safe_and_is_not(self, desk: Desk, settings: Settings) -> None:
        settings.EMAIL_USE_TLS = True

        error = desk.refused(desk.confirming("ada@example.com"), ConfigurationError)

        assert "EMAIL_USE_TLS" in error.remedy
        assert desk.server.taken == []


class TestATeamOfWhomSomeAreRefused:
    def test_the_others_get_it_and_the_owner_is_told(self, desk: Desk) -> None:
        desk.server.codes["bob@example.org"] = 550

        desk.deliver(desk.notifying())

        assert [mail.to for mail in desk.server.taken] == [("ann@example.org",)]
        [notice] = Notification.notices(TO_TEAM, desk.state)
        assert "bob@example.org" in notice

    def test_nobody_is_told_any_more_when_it_works_again(self, desk: Desk) -> None:
        desk.server.codes["bob@example.org"] = 550
        desk.deliver(desk.notifying())
        desk.server.codes.clear()

        desk.deliver(desk.notifying())

        assert Notification.notices(TO_TEAM, desk.state) == []

    def test_a_repeat_for_one_is_not_sent_to_the_others(self, desk: Desk) -> None:
        desk.server.codes["bob@example.org"] = 451
        batch = desk.notifying()
        desk.refused(batch, RetryableError)
        desk.server.codes.clear()

        desk.deliver(batch)

        assert [mail.to for mail in desk.server.taken] == [("ann@example.org",), ("bob@example.org",)]

    def test_it_has_failed_where_all_are_refused(self, desk: Desk) -> None:
        desk.server.codes.update({"ann@example.org": 550, "bob@example.org": 550})

        assert desk.refused(desk.notifying(), PermanentError).code == "recipient_refused"


class TestTheButton:
    def test_says_that_the_server_answers_and_how_a_mail_would_begin(self, desk: Desk) -> None:
        said = desk.sink(TO_TEAM).check()

        assert f"127.0.0.1:{desk.server.port}" in said
        assert "New: [name]" in said
        assert desk.server.taken == []

    def test_says_what_is_wrong_with_the_server(self, desk: Desk, settings: Settings) -> None:
        settings.EMAIL_PORT = free_port()

        with pytest.raises(RetryableError, match="does not answer"):
            desk.sink(TO_TEAM).check()

    def test_says_that_there_is_none(self, desk: Desk, settings: Settings) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

        assert "EMAIL_HOST" in desk.sink(TO_RESPONDENTS).check()


def test_other_backends_of_django_are_handed_the_same_mail(desk: Desk, settings: Settings, mailoutbox: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    desk.deliver(desk.confirming("ada@example.com"))

    [mail] = mailoutbox
    assert mail.to == ["ada@example.com"]
    assert mail.extra_headers["Auto-Submitted"] == "auto-generated"
