"""What the demo writes: posts of every length, in many scripts, with names in several forms."""

# ruff: noqa: RUF001 - letters that look like others are the point here
from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SHARED = 5
"""The first posts are changed from all threads at once, and never deleted."""

TEXTS = (
    "A letter dropped into a pillar box is out of your hands. ",
    "Ein Brief im Kasten: Größe, Maß, Übermut – „fertig“. ",
    "Письмо опущено в почтовый ящик и дойдёт до адресата. ",
    "Το γράμμα έπεσε στο γραμματοκιβώτιο. ",
    "الرسالة في صندوق البريد وستصل إلى صاحبها. ",
    "המכתב בתיבת הדואר. ",
    "पत्र डाकपेटी में है और पहुँच जाएगा। ",
    "จดหมายอยู่ในตู้ไปรษณีย์แล้ว ",
    "信已投入邮筒，终会送达。",
    "手紙はポストに投函されました。",
    "편지는 우체통에 들어 있습니다. ",
    "Thư đã nằm trong hòm thư. ",
    "📮 👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇳🇴 👍🏽 ✉️ ",
    "e\u0301a\u0308o\u0302 \u0065\u0323\u0302 ﬁ ſ İ ı K Å ",
    "quotes \" and \\ and ' and </script> & %s {} \x01\x7f\u2028\r\n\t ",
)
"""Among them what JSON escapes, and characters outside the first plane."""

NAMES = (
    "News",
    "news",
    "Café",
    "Cafe\u0301",
    "Ångström",
    "\u212bngstro\u0308m",
    "한국",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8",
    "Tiếng Việt",
    "\u0958\u0932\u092e",  # a letter whose composed form NFC takes apart
    "  spaced out  ",
    "İstanbul",
    "日本語",
    "أخبار",
    "📮 post",
    "ﬁne print",
    "a" * 100,
)
"""Some are one name in two normal forms: the sender has both, and one arrives."""

LENGTHS = (0, 0, 1, 80, 500, 500, 3_000, 3_000, 20_000, 100_000)
"""Bytes of a body, about."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the API, on the post itself or on a shared one."""

    method: str
    document: dict[str, Any] | None = None
    shared: int | None = None


def steps(number: int) -> Iterator[Step]:
    """The calls about the post of that number, in their order; the same in every run."""
    chance = random.Random(number)  # noqa: S311 - repeatable, guards nothing
    yield Step("POST", document(chance))
    if number < SHARED:
        return
    for _ in range(chance.choice((0, 1, 1, 2))):
        whole = document(chance)
        field = chance.choice(sorted(whole))
        yield chance.choice((Step("PUT", whole), Step("PATCH", {field: whole[field]})))
    if number % 3 == 0:
        yield Step("PATCH", {"title": text(chance, 60)}, shared=number % SHARED)
    if number % 5 == 0:
        yield Step("DELETE")


def document(chance: random.Random) -> dict[str, Any]:
    """A whole post."""
    return {
        "title": text(chance, chance.choice((0, 20, 60, 200)))[:500],
        "body": text(chance, chance.choice(LENGTHS)),
        "categories": chance.sample(NAMES, chance.randrange(4)),
        "tags": chance.sample(NAMES, chance.randrange(7)),
    }


def text(chance: random.Random, size: int) -> str:
    """Mixed texts of about `size` bytes in UTF-8."""
    parts: list[str] = []
    while size > 0:
        parts.append(chance.choice(TEXTS))
        size -= len(parts[-1].encode())
    return "".join(parts)
