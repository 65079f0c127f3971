"""Mail with attachments, with fixed boundaries and dates."""

from __future__ import annotations

from collections.abc import Mapping
from email import policy
from email.message import EmailMessage


def eml(
    headers: Mapping[str, str],
    body: str,
    attachments: Mapping[str, tuple[str, bytes]],
) -> bytes:
    """A message; `attachments` maps file names to (media type, bytes)."""
    message = EmailMessage(policy=policy.SMTP)
    for name, value in headers.items():
        message[name] = value
    message.set_content(body)
    for filename, (media_type, data) in attachments.items():
        main, sub = media_type.split("/")
        message.add_attachment(data, maintype=main, subtype=sub, filename=filename)
    message.set_boundary("=_larkmoor_2026")
    return message.as_bytes()
