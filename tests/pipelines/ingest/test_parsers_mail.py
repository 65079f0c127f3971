from __future__ import annotations

import base64
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing_tools import check, corpus, error_class, needs_data, one, outcomes, parse, shape, texts

from pipelines.ingest.parsers.mail import MailParser

SAMPLES = Path(__file__).parents[3] / "samples"


def message(subject: str = "Gauges", body: str = "Read them.\n") -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["Subject"], mail["From"], mail["To"] = subject, "Änne <a@x.org>", "b@x.org, c@x.org"
    mail["Date"] = "Wed, 18 Feb 2026 10:15:02 +0000"
    mail["Message-ID"] = "<1@x.org>"
    mail.set_content(body)
    return mail


def raw(headers: str, body: str | bytes) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    return headers.strip("\n").encode() + b"\n\n" + content


def test_headers_body_and_title() -> None:
    parsed = parse(message().as_bytes(), "eml")
    assert shape(parsed) == [
        ("message", None, parsed.text),
        ("header", None, "Subject: Gauges\nFrom: Änne <a@x.org>\nTo: b@x.org, c@x.org\n"
         "Date: Wed, 18 Feb 2026 10:15:02 +0000"),
        ("paragraph", None, "Read them."),
    ]  # fmt: skip
    assert parsed.blocks[0].locator == "<1@x.org>"
    assert (parsed.title, parsed.data_type) == ("Gauges", "email")
    assert parsed.media_type == "message/rfc822"


def test_quotes_and_forwarded_originals_have_depth() -> None:
    body = (
        "Yes.\n\n> Is it?\n>> It is not.\n> Well.\n\nBye.\n\n-----Original Message-----\n"
        "From: Bob\nThe gauge is low.\n"
    )
    parsed = parse(message(body=body).as_bytes(), "eml")
    assert shape(parsed)[2:] == [
        ("paragraph", None, "Yes."),
        ("quote", 1, "Is it?"),
        ("quote", 2, "It is not."),
        ("quote", 1, "Well."),
        ("paragraph", None, "Bye."),
        ("quote", 1, "-----Original Message-----\nFrom: Bob\nThe gauge is low."),
    ]


def test_of_two_renderings_the_richer_is_read_once() -> None:
    mail = message(body="Gauges: low, high.\n")
    mail.add_alternative("<p>Gauges:</p><ul><li>low</li><li>high</li></ul>", subtype="html")
    parsed = parse(mail.as_bytes(), "eml")
    assert texts(parsed, "list_item") == ["low", "high"]
    assert parsed.text.count("low") == 1


def test_an_empty_html_rendering_gives_way_to_the_plain_one() -> None:
    mail = message(body="All is said here.\n")
    mail.add_alternative("<html><body>&nbsp;<img src='x.png'></body></html>", subtype="html")
    assert "All is said here." in parse(mail.as_bytes(), "eml").text


def test_a_plain_body_that_says_something_else_is_kept_as_well() -> None:
    plain = "The minutes in full: " + " ".join(f"decision{n}" for n in range(40))
    mail = message(body=plain)
    mail.add_alternative("<p>See the attached programme for details.</p>", subtype="html")
    text = parse(mail.as_bytes(), "eml").text
    assert "decision39" in text
    assert "attached programme" in text
    notice = message(body="Your program cannot show this message. Please open it elsewhere.")
    notice.add_alternative("<p>The minutes.</p>", subtype="html")
    assert "cannot show" not in parse(notice.as_bytes(), "eml").text


def test_attachments_are_parsed_and_others_leave_their_names() -> None:
    mail = message()
    mail.add_attachment("a,b\n1,2\n", subtype="csv", filename="levels.csv")
    mail.add_attachment(b"<h1>Plan</h1><p>Row.</p>", "text", "html", filename="plan.html")
    mail.add_attachment(b"\x89PNG\r\n\x1a\n" + bytes(64), "image", "png", filename="photo.png")
    mail.add_attachment(b"", "application", "octet-stream", filename="nothing.bin")
    parsed = parse(mail.as_bytes(), "eml")
    assert [b.locator for b in parsed.blocks if b.kind == "attachment"] == [
        "levels.csv", "plan.html", "photo.png", "nothing.bin",
    ]  # fmt: skip
    assert texts(parsed, "heading") == ["Plan"]
    assert texts(parsed, "table_row") == ["a,b", "1,2"]
    assert len(parsed.warnings) == 2
    assert "PNG" in parsed.warnings[0]


@pytest.mark.parametrize(
    "disposition",
    [
        "filename*=utf-8''Gr%C3%BC%C3%9Fe.txt",
        'filename="=?utf-8?B?R3LDvMOfZS50eHQ=?="',
        'filename="Grüße.txt"',
    ],
)
def test_names_of_attachments_in_any_spelling(disposition: str) -> None:
    head = "Subject: x\nContent-Type: multipart/mixed; boundary=b"
    body = (
        f"--b\nContent-Type: text/plain\nContent-Disposition: attachment; {disposition}\n\n"
        "words\n--b--\n"
    )
    parsed = parse(raw(head, body), "eml")
    assert [b.locator for b in parsed.blocks if b.kind == "attachment"] == ["Grüße.txt"]


def test_messages_in_messages_are_read_to_the_end() -> None:
    inner = message("Innermost", "The core.\n")
    for level in range(6):
        outer = message(f"Level {level}", f"Around {level}.\n")
        outer.add_attachment(inner)
        inner = outer
    parsed = parse(inner.as_bytes(), "eml")
    assert "The core." in parsed.text
    assert len([b for b in parsed.blocks if b.kind == "message"]) == 7


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_attached_messages_in_an_encoding_are_read(encoding: str) -> None:
    inner = message("Inner", "Grüße vom Steg.\n").as_bytes()
    inner = base64.encodebytes(inner) if encoding == "base64" else inner.replace(b"=", b"=3D")
    headers = "Subject: outer\nMIME-Version: 1.0\nContent-Type: message/rfc822\n"
    parsed = parse(raw(f"{headers}Content-Transfer-Encoding: {encoding}", inner), "eml")
    assert "Subject: Inner" in parsed.text
    assert "Grüße vom Steg." in parsed.text


def test_delivery_reports_keep_their_fields() -> None:
    body = (
        "--b\nContent-Type: text/plain\n\nYour message was not delivered.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.x.org\n\n"
        "Final-Recipient: rfc822; b@x.org\nStatus: 5.1.1\n--b--\n"
    )
    head = "Subject: Returned\nContent-Type: multipart/report; boundary=b"
    text = parse(raw(head, body), "eml").text
    assert "Final-Recipient: rfc822; b@x.org" in text
    assert "Status: 5.1.1" in text


@pytest.mark.parametrize(
    ("charset", "data"),
    [
        ("iso-8859-1", "Grüße".encode("latin-1")),
        ("windows-1252", "Grüße".encode("cp1252")),
        ("utf-8", "Grüße".encode()),
        ("no-such", "Grüße".encode()),
        ("us-ascii", "Grüße".encode()),
        ("utf-8", "Grüße".encode("cp1252")),
        ("utf-7", "Grüße".encode()),
    ],
)
def test_character_sets_true_and_false(charset: str, data: bytes) -> None:
    head = (
        f"Subject: x\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit"
    )
    assert "Grüße" in parse(raw(head, data), "eml").text
    page = (
        f"Subject: x\nContent-Type: text/html; charset={charset}\nContent-Transfer-Encoding: 8bit"
    )
    assert "Grüße" in parse(raw(page, b"<p>" + data + b"</p>"), "eml").text


def test_headers_in_encoded_words_and_in_raw_bytes() -> None:
    encoded = "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?B?" + base64.b64encode(
        "für dich".encode("latin-1")
    ).decode() + "?=\nFrom: =?broken"  # fmt: skip
    parsed = parse(raw(encoded, "x"), "eml")
    assert parsed.title == "Grüßefür dich"
    assert "From: =?broken" in parsed.text
    bare = b"Subject: Gr\xfc\xdfe\nFrom: Stra\xc3\x9fe <a@x.org>\n\nx"
    text = parse(bare, "eml").text
    assert "Subject: Grüße" in text
    assert "Straße" in text


def test_mail_in_wide_characters_is_read() -> None:
    data = message().as_bytes().decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"):
        assert parse(data.encode(encoding), "eml").title == "Gauges"


@pytest.mark.parametrize("kind", ["multipart/encrypted; boundary=b", "application/pkcs7-mime"])
def test_encrypted_mail_is_rejected_and_within_another_told(kind: str) -> None:
    body = "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b--\n"
    secret = raw(f"Subject: Secret\nContent-Type: {kind}", body)
    assert error_class(secret, "eml") == "encrypted"
    outer = (
        b"Subject: outer\nContent-Type: multipart/mixed; boundary=o\n\n--o\n"
        b"Content-Type: message/rfc822\n\n" + secret + b"\n--o--\n"
    )
    parsed = parse(outer, "eml")
    assert "Subject: Secret" in parsed.text
    assert any("encrypted" in warning for warning in parsed.warnings)


def test_signed_mail_is_read() -> None:
    head = "Subject: Signed\nContent-Type: multipart/signed; boundary=b"
    body = (
        "--b\nContent-Type: text/plain\n\nSigned words.\n"
        '--b\nContent-Type: application/pgp-signature; name="signature.asc"\n\nxyz\n--b--\n'
    )
    assert "Signed words." in parse(raw(head, body), "eml").text


def test_mailboxes_hold_messages() -> None:
    box = (
        b"From a@x.org Mon Jan  1 00:00:00 2026\n" + message("One", "First.\n").as_bytes()
        + b"\r\n\r\n" + b"From b@x.org Tue Jan  2 00:00:00 2026\n"
        + message("Two", ">From here on.\n\nFrom inside a paragraph.\n").as_bytes()
    )  # fmt: skip
    parsed = parse(box, "mbox")
    assert len([b for b in parsed.blocks if b.kind == "message"]) == 2
    assert parsed.title == "One"
    assert "From here on." in parsed.text
    assert parsed.media_type == "application/mbox"


def test_limits_on_parts_and_depth() -> None:
    head = "Subject: x\nContent-Type: multipart/mixed; boundary=b"
    many = "--b\nContent-Type: text/plain\n\nword\n" * 3000 + "--b--\n"
    assert error_class(raw(head, many), "eml") == "limit_elements"
    deep = b"Subject: x\nContent-Type: message/rfc822\n\n" * 90 + b"Subject: y\n\nbody"
    assert error_class(deep, "eml") == "limit_depth"


def test_a_message_without_words_is_its_headers() -> None:
    assert parse(raw("Subject: only this\nFrom: a@x.org", ""), "eml").text == (
        "Subject: only this\nFrom: a@x.org"
    )


@given(st.binary(max_size=400))
def test_no_bytes_break_it(data: bytes) -> None:
    for format in ("eml", "mbox"):
        check(MailParser().parse(b"Subject: x\n" + data, name="", format=format, options={}))


@needs_data
def test_every_real_message_is_accounted_for() -> None:
    found = dict(outcomes([*corpus("**/*.eml")], "eml"))
    assert {name for name, outcome in found.items() if outcome != "ok"} == {"fake-encrypted.eml"}
    assert found["fake-encrypted.eml"] == "encrypted"
    assert {outcome for _, outcome in outcomes(corpus("**/*.mbox"), "mbox")} == {"ok"}


@needs_data
def test_real_messages_read_as_a_person_reads_them() -> None:
    reply = parse(one("testRFC822_x-.eml"), "eml")
    assert len(texts(reply, "quote")) >= 3
    wrapped = parse(one("testGroupWiseEml.eml"), "eml")
    assert "test2" in wrapped.text
    assert "TWltZS1" not in wrapped.text
    attached = parse(one("test-incremental-updates.eml"), "eml")
    assert "Testing Incremental" in texts(attached, "attachment")[0]
    laid_out = parse(one("email-no-utf8-2014-03-17.111517.eml"), "eml")
    assert texts(laid_out, "table") == []
    assert "Hi Slava," in laid_out.text


def test_samples() -> None:
    mail = parse((SAMPLES / "mail/invoices-port-of-skerry.eml").read_bytes(), "eml")
    assert [b.locator for b in mail.blocks if b.kind == "attachment"] == [
        "invoice-2026-0106.pdf", "invoices.csv",
    ]  # fmt: skip
    assert "40-100 | 12 | 22,680.00" in texts(mail, "table_row")
    thread = parse((SAMPLES / "mail/re-rust-on-connector.eml").read_bytes(), "eml")
    assert {b.level for b in thread.blocks if b.kind == "quote"} == {1, 2}
