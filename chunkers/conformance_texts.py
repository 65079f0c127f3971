"""Texts that tear naive chunkers apart: for the conformance suite, and for anyone's own tests."""

from __future__ import annotations

FRAGMENTS = [
    "word", "Word", "WORD", " ", "  ", "\n", "\n\n",
    "\r\n", "\r\n\r\n", "\t", "don't", "'s", "'LL",
    "'", "1", "123", "1234567", "3.14", ".", "...",
    "! ", "? ", "// ", "/", "\\", "=", "-----", "_",
    "é", "e\u0301", "\u0301", "中文",
    "没有空格的句子", "。", "、", "カタカナ", "😀",
    "👨‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽", "\u200d", "\ufeff", "\u00a0", "\u3000",
    "ไทย", "สวัสดีครับ", "العربية", "עברית", "हिन्दी",
    "क्षि", "한국어", "\u1112\u1161\u11ab", "\x00", "\x1c",
    "\x85", "\u2028", "²", "½", "Ⅷ", "\u2019", "ß", "ǅ",
    "<|endoftext|>", "<|fim_prefix|>", "# Heading\n",
    "## Sub\n\n", "- item\n", "| a | b |\n",
    "|---|---|\n", "```python\nx = 1\n```\n", "> quote\n",
    "    indented\n", "a" * 40, " " * 40,
    "A sentence ends. ", "Dr. Smith, e.g., said so. ", "https://example.org/a?b=c ",
]  # fmt: skip
"""Pieces that any text can be put together from."""

SURROGATES = ["\ud800", "\udfff", "\ud83d\ude00"]
"""Halves of characters, which no valid text has."""

HOSTILE: dict[str, str] = {
    "empty": "",
    "blank": " \n\t\r\n ",
    "one character": "x",
    "special tokens": "<|endoftext|>" * 300,
    "long word": "a" * 20_000,
    "long line": "word and another, " * 3_000,
    "spaces": "a" + " " * 20_000 + "b",
    "newlines": "a" + "\n" * 20_000 + "b",
    "crlf": "line of text\r\n" * 2_000,
    "carriage returns": "line of text\r" * 2_000,
    "chinese": "没有空格的中文句子一直写下去" * 800,
    "thai": "สวัสดีครับผมชื่อ" * 800,
    "arabic": "هذا نص عربي طويل جدا. " * 500,
    "emoji": "👨‍👩‍👧‍👦" * 1_500,
    "zalgo": "e" + "\u0301" * 6_000 + " end",
    "flags": "🇩🇪" * 3_000,
    "nul": "\x00" * 4_000 + "text",
    "surrogates": "a \ud800 b \udfff c \ud83d\ude00 " * 200,
    "table": "| a | b |\n|---|---|\n" + "| cell one | cell two, longer |\n" * 600,
    "wide row": "| " + " | ".join(f"column {i}" for i in range(3_000)) + " |\n|---|\n",
    "long heading": "# " + "very long heading " * 400 + "\n\ntext\n",
    "headings only": "".join(f"{'#' * (i % 6 + 1)} Heading {i}\n" for i in range(600)),
    "deep list": "".join("  " * i + f"- level {i}\n" for i in range(120)),
    "fence": "```python\n" + "x = [1, 2, 3]  # comment\n" * 900 + "```\n",
    "digits": "0123456789" * 4_000,
    "hebrew": "זה משפט בעברית. וזה עוד אחד! " * 500,
    "bidirectional": "abc \u202e\u05d0\u05d1\u05d2\u202c def \u2067\u0627\u0628\u2069 " * 500,
    "mixed line ends": "one\rtwo\r\nthree\nfour\u2028five\x85six\x0bseven\x0c" * 400,
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufeff" * 1_500,
    "naughty": (
        "undefined null NaN 0x0 1E+02 \\u0000 %00 ../../etc &lt; \uff11\uff12 \u2070\u00b4\u2075 "
        "\U0001d404\U0001d42a \ufb03 \ufffe\uffff \ue000 \U000e0001\U000e0041 \ufff9a\ufffab\ufffb "
        "\u0d4c\u0d4d o\u0336\u0334 \u1f84 \U0010ffff \u180e \u115f \u3164 \ufdfd "
    )
    * 100,
    "injections": "<script>alert(1)</script> ${jndi:ldap://x} '; DROP TABLE x; -- {{7*7}} %s%n "
    * 300,
    "punctuation": "=-" * 10_000,
}
"""By name."""
