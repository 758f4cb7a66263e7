from __future__ import annotations

import unicodedata

from deploy.devstack.demo.comparison import expected_names
from deploy.devstack.demo.workload import NAMES, SHARED, steps

SCRIPTS = [list(steps(number)) for number in range(300)]
STEPS = [step for script in SCRIPTS for step in script]
DOCUMENTS = [step.document for step in STEPS if step.document]


def test_posts_are_created_changed_and_deleted_in_this_order() -> None:
    for script in SCRIPTS:
        own = [step.method for step in script if step.shared is None]
        assert own[0] == "POST"
        assert "POST" not in own[1:]
        assert "DELETE" not in own[:-1]
    methods = [step.method for step in STEPS]
    assert min(methods.count(method) for method in ("PUT", "PATCH", "DELETE")) > 30


def test_shared_posts_are_changed_by_others_and_never_deleted() -> None:
    assert {step.shared for step in STEPS if step.shared is not None} == set(range(SHARED))
    assert all(step.method != "DELETE" for script in SCRIPTS[:SHARED] for step in script)


def test_it_is_the_same_in_every_run() -> None:
    assert [list(steps(number)) for number in range(300)] == SCRIPTS


def test_bodies_are_of_every_length_up_to_a_hundred_kilobytes() -> None:
    sizes = {len(document["body"].encode()) for document in DOCUMENTS if "body" in document}
    assert 0 in sizes
    assert 100_000 <= max(sizes) < 101_000
    assert len(sizes) > 50


def test_texts_leave_latin_and_the_first_plane_and_hold_what_json_escapes() -> None:
    written = {letter for document in DOCUMENTS for letter in document.get("body", "")}
    scripts = {unicodedata.name(letter, "NONE").split()[0] for letter in written}
    assert {"CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "CJK"} <= scripts
    assert {"HIRAGANA", "HANGUL", "COMBINING"} <= scripts
    assert max(written) > "\uffff"
    assert {'"', "\\", "\n", "\x01", "\u2028"} <= written


def test_some_names_are_one_name_in_two_normal_forms() -> None:
    assert len(expected_names(NAMES)) < len(set(NAMES))
    used = {name for document in DOCUMENTS for name in document.get("tags", ())}
    assert used == set(NAMES)
