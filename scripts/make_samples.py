"""Make the binary files of `samples/`.

    python scripts/make_samples.py [--out FOLDER]

Needs the development extra. The same input gives the same files: times are fixed, and the parts
of packages come in a fixed order. The text files of `samples/` are written by hand and not touched.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sample_data import BUDGET, CUSTOMERS, PETTY_CASH, SALARY_BANDS
from sample_writers import mail, markup, office, opendocument, outlook, pdf, richtext

_CONTENT = Path(__file__).parent / "sample_content"


def _nodes(name: str) -> list[markup.Node]:
    return markup.read((_CONTENT / name).read_text(encoding="utf-8"))


def _invoice_mail() -> bytes:
    lines = (
        "number,part,quantity,unit_price,net\r\n2026-0106,40-100,12,1890.00,22680.00\r\n"
        "2026-0107,50-100,2,1150.00,2300.00\r\n"
    )
    letter = markup.read(
        "# Invoice 2026-0106\n\nPort of Skerry, Lighthouse Quay 1. Twelve gauges, 20 m version, "
        "delivered on 22 January 2026.\n\n| Part | Quantity | Net in euros |\n|---|---|---|\n"
        "| 40-100 | 12 | 22,680.00 |\n\nPayable within thirty days, without deduction."
    )
    return mail.eml(
        {
            "Message-ID": "<20260126090000.0106@larkmoor.example>",
            "Date": "Mon, 26 Jan 2026 09:00:00 +0000",
            "From": "Ruth Amsel <finance@larkmoor.example>",
            "To": "Accounts <accounts@port-of-skerry.example>",
            "Subject": "Invoices 2026-0106 and 2026-0107",
        },
        "Dear colleagues,\n\nplease find attached the invoice for your twelve gauges and a table "
        "of both invoices for your system. The training in March is invoiced separately, as you "
        "asked.\n\nThe purchase order on your side is PS-5512. If the number is missing on the "
        "payment, it takes us a week to find out whose money it is.\n\nKind regards,\nRuth Amsel\n",
        {
            "invoice-2026-0106.pdf": ("application/pdf", pdf.pdf(letter, "Larkmoor Instruments")),
            "invoices.csv": ("text/csv", lines.encode()),
        },
    )


def _reorganisation_mail() -> bytes:
    return outlook.msg(
        "Support moves to Ostwick - please keep to yourselves until Friday",
        ("Nadia Ferrant", "nadia.ferrant@larkmoor.example"),
        [("People team", "people@larkmoor.example")],
        datetime(2026, 3, 3, 16, 40, tzinfo=UTC),
        "Dear all,\n\nfrom 1 June the support desk will sit in Ostwick, by the workshop. Four of "
        "the six colleagues have said that they would like to move; for the other two there is a "
        "place in the Hub team in Bram, and I have talked to both.\n\nWhat we pay: the removal, a "
        "month of double rent, and 1,500 for the trouble. Those who commute get the train ticket "
        "for two years.\n\nI will tell the whole company at the weekly meeting on Friday at 15:00. "
        "Until then this is for our team only, because one of the two wants to tell her own team "
        "first.\n\nThe desks in Bram go to finance, who have asked for a room with a door since "
        "2022.\n\nNadia\n",
    )


def _damaged_report() -> bytes:
    """A Word file that a lost connection cut in half."""
    whole = office.docx(_nodes("travel-and-expenses.md"))
    return whole[: len(whole) // 2]


FILES: dict[str, Callable[[], bytes]] = {
    "handbook/travel-and-expenses.docx": lambda: office.docx(_nodes("travel-and-expenses.md")),
    "handbook/onboarding-checklist.odt": lambda: opendocument.odt(
        _nodes("onboarding-checklist.md")
    ),
    "people/parental-leave-policy.pdf": lambda: pdf.pdf(
        _nodes("parental-leave-policy.md"), "Larkmoor people team - parental leave, version 4"
    ),
    "people/salary-bands-2026.xlsx": lambda: office.xlsx(SALARY_BANDS),
    "people/support-moves.msg": _reorganisation_mail,
    "products/tg40-datasheet.pdf": lambda: pdf.pdf(
        _nodes("tg40-datasheet.md"), "TG40 data sheet, edition 11"
    ),
    "products/product-tour.pptx": lambda: office.pptx(_nodes("product-tour.md")),
    "products/a-short-book-on-water-levels.epub": lambda: opendocument.epub(
        "A short book on water levels", "Larkmoor Instruments", _nodes("water-levels.md")
    ),
    "finance/budget-2026.xlsx": lambda: office.xlsx(BUDGET),
    "finance/petty-cash.ods": lambda: opendocument.ods(PETTY_CASH),
    "finance/board-update-2026-q1.pptx": lambda: office.pptx(_nodes("board-update.md")),
    "finance/supplier-audit.rtf": lambda: richtext.rtf(_nodes("supplier-audit.md")),
    "finance/customers-old-system.csv": lambda: CUSTOMERS.encode("cp1252"),
    "mail/invoices-port-of-skerry.eml": _invoice_mail,
    "inbox/delivery-note-scan.pdf": lambda: pdf.scan((_CONTENT / "scan.txt").read_text()),
    "inbox/annual-report-draft.docx": _damaged_report,
}


def main() -> None:
    """Write every binary sample below `--out`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "samples")
    out = parser.parse_args().out
    for name, make in FILES.items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(make())
        print(f"{target.stat().st_size:>8,} bytes  {name}")


if __name__ == "__main__":
    main()
