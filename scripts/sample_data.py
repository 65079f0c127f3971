"""The figures of the sample spreadsheets."""

from __future__ import annotations

from datetime import date
from typing import Any

Sheets = dict[str, list[list[Any]]]

SALARY_BANDS: Sheets = {
    "Bands": [
        ["Band", "Example", "From", "Middle", "To", "People"],
        ["A", "Apprentice", 16_800, 18_000, 19_200, 3],
        ["B", "Assembly, front desk", 28_500, 31_000, 34_500, 14],
        ["C", "Support, bookkeeping", 33_000, 37_500, 42_000, 12],
        ["D", "Engineer, sales, field service", 42_000, 50_000, 58_500, 21],
        ["E", "Senior engineer, team lead", 54_000, 63_000, 73_500, 9],
        ["F", "Head of department", 70_000, 82_000, 96_000, 3],
    ],
    "Rules": [
        ["Rule", "Since"],
        ["New colleagues start between From and Middle.", date(2019, 1, 1)],
        ["Nobody is paid below From, not even in the first months.", date(2021, 7, 1)],
        ["Above To, the yearly rise is half of the general rise.", date(2021, 7, 1)],
        [
            "A change of band is decided by two heads, in April and October.",
            date(2024, 4, 1),
        ],
    ],
}

BUDGET: Sheets = {
    "Overview": [
        ["Line", "2025 actual", "2026 budget", "Remark"],
        ["Gauges", 1_702_000, 1_905_000, "760 gauges at a mean price of 2,507 with accessories"],
        ["Hub", 548_000, 606_000, "8,400 gauges at 6.00 a month"],
        ["Service", 311_000, 340_000, "calibration, training, field visits"],
        ["Staff", -1_641_000, -1_758_000, "62 people; includes parental leave version 4"],
        ["Material", -604_000, -668_000, "cells + 4 % from April"],
        ["Other", -221_000, -262_000, "includes the search for a second supplier"],
        ["Result", 95_000, 163_000, "before tax"],
    ],
    "Projects": [
        ["Project", "Owner", "Budget", "Spent", "Until", "State"],
        ["Lid seal in a groove", "Ines Calder", 38_000, 35_400, date(2026, 1, 31), "done"],
        ["Second watcher", "Mara Osei", 12_000, 4_100, date(2026, 4, 30), "running"],
        ["Second supplier for cells", "Ruth Amsel", 40_000, 0, date(2026, 12, 15), "approved"],
        ["Conductivity option", "Piet Wouters", 25_000, 0, date(2026, 10, 31), "idea"],
        [
            "Rooms for support",
            "Nadia Ferrant",
            61_000,
            7_800,
            date(2026, 6, 1),
            "running",
        ],
    ],
    "Cash": [
        ["Month", "In", "Out", "End of month"],
        ["January", 214_000, 231_000, 1_388_000],
        ["February", 241_000, 259_000, 1_370_000],
        ["March", 287_000, 347_000, 1_310_000],
        ["April", 226_000, 248_000, 1_288_000],
        ["May", 233_000, 241_000, 1_280_000],
        ["June", 261_000, 302_000, 1_239_000],
    ],
}

PETTY_CASH: Sheets = {
    "March": [
        ["Date", "What", "In", "Out", "Signed"],
        ["2026-03-02", "Carried over", 212.4, 0, "RA"],
        ["2026-03-04", "Cake for the inspector", 0, 18.9, "IC"],
        ["2026-03-09", "Stainless shackles, twelve", 0, 64.2, "IC"],
        ["2026-03-12", "Parking in Tannau", 0, 9, "PW"],
        ["2026-03-17", "Old brass, sold", 41.5, 0, "IC"],
        ["2026-03-26", "Flowers, retirement", 0, 35, "NF"],
    ]
}

CUSTOMERS = (
    "Nr;Name;Ort;Land;Ansprechpartner;Pegel\r\n"
    "1001;Ostwick Harbour Board;Ostwick;GB;Jan van Rijn;3\r\n"
    "1007;Wasserwerk Tannau;Tannau;DE;Jürgen Weiß;2\r\n"
    "1012;Régie des eaux de Brénac;Brénac;FR;Hélène Garçon;5\r\n"
    "1015;Fjordtel AS;Tromsø;NO;Bjørn Åsen;0\r\n"
    "1019;Lelystad Polders;Lelystad;NL;Mieke de Groot;18\r\n"
)
"""An export of the old system: semicolons, Windows-1252, names with accents."""
