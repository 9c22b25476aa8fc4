"""The page: well-formed, alone, complete, safe; and the registry."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from consolidate.plan.plan import Plan, parse_plan, plan_digest
from consolidate.report import RENDERERS, pictures, words
from consolidate.report.html import render_html
from consolidate.report.summary import Flow

VOID = {"meta", "link", "br", "input"}


class Page(HTMLParser):
    """Tags in balance, attributes and text gathered."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


@pytest.mark.parametrize("name", ["small", "unchanged", "hostile", "large"])
def test_tags_are_balanced_and_nothing_is_fetched(name: str, request: pytest.FixtureRequest) -> None:
    page = render_html(request.getfixturevalue(name))
    parsed = Page(page)
    links = [value for _, attribute, value in parsed.attributes if attribute in ("href", "src", "xlink:href", "action")]
    assert links and all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"https?:|@import|url\(", page)
    assert not [attribute for _, attribute, _ in parsed.attributes if attribute.startswith("on")]


def test_every_link_within_the_page_has_a_target(large: Plan) -> None:
    parsed = Page(render_html(large))
    ids = [value for _, attribute, value in parsed.attributes if attribute == "id"]
    targets = {value[1:] for _, attribute, value in parsed.attributes if attribute == "href" and value.startswith("#")}
    assert targets <= set(ids) and len(ids) == len(set(ids))


def test_every_host_move_and_refusal_is_there(large: Plan) -> None:
    text = set(Page(render_html(large)).text)
    assert {host.name for host in large.hosts if host.action == "keep"} <= text
    assert {move.workload for move in large.moves} <= text
    assert {refusal.subject for refusal in large.refusals} <= text
    assert plan_digest(large) in text and large.fleet_digest in text and "2023-11-14 22:13 UTC" in text


def test_names_are_text_and_nothing_else(hostile: Plan) -> None:
    page = render_html(hostile)
    assert page.count("<script>") == 1, "ours"
    assert "{{ 7 * 7 }}" in page and "\x1b" not in page and "\u202e" not in page
    assert {value for tag, name, value in Page(page).attributes if tag == "i" and name == "class"} == {"dot iso-other"}


def test_it_says_what_the_shares_mean(small: Plan) -> None:
    text = " ".join("".join(Page(render_html(small)).text).split())
    assert "share of the allocatable CPU that is reserved in the busiest hour" in text
    assert "Average CPU use of the hosts that are on: 11.0 % before, 33.0 % after." in text


def test_no_changes_has_no_moves(unchanged: Plan) -> None:
    page = render_html(unchanged)
    assert "<h1>No changes: 1 host stays as it is</h1>" in page
    assert 'id="moves"' not in page and 'id="freed"' not in page


def test_overfull_hosts_stand_out_and_only_then_in_the_legend(small: Plan) -> None:
    host = small.hosts[0]
    overfull = replace(host, before=replace(host.before, cpu_permille=(1200,)))
    assert "more than 100 %" not in render_html(small)
    assert "more than 100 %" in render_html(replace(small, hosts=(overfull, *small.hosts[1:])))


@pytest.mark.parametrize(
    ("permille", "css"), [(0, "h0"), (99, "h0"), (100, "h1"), (999, "h9"), (1000, "h9"), (1001, "over")]
)
def test_colour_levels(permille: int, css: str) -> None:
    assert pictures.level(permille) == css


def test_a_strip_has_a_cell_a_host_and_hollow_ones_are_off(small: Plan) -> None:
    before, after = pictures.strip(small.hosts, "before"), pictures.strip(small.hosts, "after")
    assert before.count("<rect") == after.count("<rect") == 3
    assert (before.count('class="off"'), after.count('class="off"')) == (0, 2)
    assert "<title>deb-1 after: CPU 96.0 %, memory 90.5 %, runs 4</title>" in after


def test_ribbons_shorten_long_names_and_keep_them_in_the_tooltip() -> None:
    name = "a-very-long-operating-system"
    picture = pictures.ribbons([Flow(name, "debian", "vm", 3, 2048), Flow("debian", "debian", "container", 1, 0)])
    assert ">a-very-long-o… <" in picture and f"<title>{name}: 3 moves</title>" in picture
    assert f"<title>{name} → debian: 3 moves as virtual machines, 2.0 KiB</title>" in picture
    assert picture.count('class="iso-vm"') == picture.count('class="iso-container"') == 1


def test_a_flat_load_is_drawn_for_the_whole_day() -> None:
    assert pictures.heat((150,)).count("<rect") == 24
    assert "<title>23:00 15.0 %</title>" in pictures.heat((150,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.format_permille(999), "99.9 %"),
        (words.format_money(87.5, "EUR"), "87.50 EUR"),
        (words.format_money(12608.45, "EUR"), "12,608 EUR"),
        (words.format_watts(264.1), "264 W"),
        (words.format_watts(29089.1), "29.1 kW"),
        (words.format_energy(177_135), "177 MWh"),
        (words.format_energy(870), "870 kWh"),
        (words.format_time(None), "unknown"),
        (words.count(1, "host"), "1 host"),
        (words.count(1200, "host"), "1,200 hosts"),
        (words.from_to("29.1 kW", "8.9 kW"), ("29.1", "8.9 kW")),
        (words.from_to("1.2 kW", "900 W"), ("1.2 kW", "900 W")),
        (words.from_to("300", "67"), ("300", "67")),
        (words.printable("naïve\u00a0日本"), "naïve\u00a0日本"),
        (words.printable("a\x07b\u2028c"), "a\ufffdb\ufffdc"),
        (words.sentence("3 MiB to copy"), "3 MiB to copy"),
        (words.sentence("nothing, TiB"), "Nothing, TiB"),
    ],
)
def test_words(text: object, expected: object) -> None:
    assert text == expected


def test_json_is_the_document(small: Plan) -> None:
    assert parse_plan(RENDERERS["json"](small), "plan") == small


@pytest.mark.parametrize("kind", ["text", "markdown", "html", "json"])
def test_the_same_plan_is_the_same_report(kind: str, large: Plan) -> None:
    assert RENDERERS[kind](large) == RENDERERS[kind](large)


def test_the_registry_is_cheap_to_import() -> None:
    heavy = "{'rich', 'jinja2', 'pydantic', 'numpy'} & set(sys.modules)"
    code = f"import sys, consolidate.report as report; print(sorted(report.RENDERERS), {heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['html', 'json', 'markdown', 'text'] set()\n"
