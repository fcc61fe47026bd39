"""From the repository's Markdown to pages: links, includes, lists, the navigation, and what a page may load."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from deploy.docs.site import navigation
from deploy.docs.site.gather import gather
from deploy.docs.site.includes import fill_in
from deploy.docs.site.links import Places, lead_to_pages
from deploy.docs.site.markdown import anchor_of, as_mkdocs_reads_it, table
from deploy.docs.site.navigation import arrange
from deploy.docs.site.offline import loaded_from_elsewhere
from deploy.docs.site.page import REPOSITORY, Page, Problems

README = REPOSITORY / "README.md"
PLACES = Places({README: PurePosixPath("index.md")}, schemas=PurePosixPath("reference/contracts.md"))


def led(text: str, problems: list[str]) -> str:
    return lead_to_pages(text, README, PurePosixPath("deep/page.md"), PLACES, problems)


def test_link_leads_to_the_page_when_its_file_is_one() -> None:
    """From where the page is, with its anchor; a schema's to the contract's section."""
    problems: list[str] = []
    assert led("[a](README.md#try-it)", problems) == "[a](../index.md#try-it)\n"
    assert led("[b](libs/contracts/schema/RoomMetadata.schema.json)", problems) == (
        "[b](../reference/contracts.md#roommetadata)\n"
    )
    assert problems == []


def test_link_becomes_its_words_when_its_file_is_code() -> None:
    """The site is read where the repository can't be."""
    assert led("see [`the code`](Makefile), [x](https://livekit.io)", []) == "see `the code`, [x](https://livekit.io)\n"


def test_link_is_a_problem_when_it_leads_nowhere() -> None:
    """Named with its file, unless it only shows how a link is written."""
    problems: list[str] = []
    led("[a](nowhere.md)\n```\n[b](not/a/link.md)\n```", problems)
    assert problems == ["README.md: leads to nowhere.md, which isn't there"]


def test_section_stands_in_the_page_when_it_is_included(tmp_path: Path) -> None:
    """Without its heading, with what is below it; a heading within code doesn't end it."""
    (tmp_path / "a.md").write_text(
        "# A\n\n## One Two\n\ntext\n\n```sh\n# comment\n```\n\n### Deeper\n\n## Three\n\nno\n"
    )
    (tmp_path / "code.py").write_text("x = 1\n")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- include -->[it](a.md#one-two)\n<!-- include -->[code](code.py)\n")
    problems: list[str] = []
    text = "".join(part.text for part in fill_in(page, problems))
    assert text == "before\ntext\n\n```sh\n# comment\n```\n\n### Deeper\n````python\nx = 1\n````\n"
    assert problems == []


@pytest.mark.parametrize("target", ["a.md#gone", "gone.md", "gone.py"])
def test_include_is_a_problem_when_there_is_no_such_thing(tmp_path: Path, target: str) -> None:
    """A renamed heading is found out."""
    (tmp_path / "a.md").write_text("## here\n")
    page = tmp_path / "page.md"
    page.write_text(f"<!-- include -->[it]({target})\n")
    problems: list[str] = []
    fill_in(page, problems)
    assert len(problems) == 1


def test_list_has_an_empty_line_before_it_when_a_paragraph_is_before() -> None:
    """And code is left alone."""
    assert as_mkdocs_reads_it("text:\n- a\n- b\n") == "text:\n\n- a\n- b\n"
    assert as_mkdocs_reads_it("- a\n  more\n- b\n") == "- a\n  more\n- b\n"
    assert as_mkdocs_reads_it("```\ntext:\n- a\n```\n") == "```\ntext:\n- a\n```\n"


def test_bar_is_shown_as_itself_when_it_is_in_a_cell() -> None:
    """Within code, too."""
    assert table(["a"], [["x|y"], ["`p|q<`"]]) == "| a |\n| --- |\n| x\\|y |\n| <code>p&#124;q&lt;</code> |\n"
    assert table(["a"], [[r"`\*|x`"]]).endswith("| <code>&#92;&#42;&#124;x</code> |\n")


def test_anchor_is_as_forges_make_it_when_a_heading_has_signs() -> None:
    """The same rule as the site's."""
    assert anchor_of("What can't be, `code` & more") == "what-cant-be-code--more"


def pages(*places: str) -> list[Page]:
    return [Page(PurePosixPath(place), "# T\n") for place in places]


def test_page_is_in_the_navigation_when_nobody_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its folder's section, or in the one for the rest."""
    (tmp_path / "navigation.toml").write_text(
        '[[section]]\ntitle="A"\npages=["index.md"]\nrest=true\n[[section]]\ntitle="B"\nfolders=["b"]\n'
    )
    monkeypatch.setattr(navigation, "HERE", tmp_path)
    assert arrange(pages("index.md", "new.md", "b/x.md")) == [("A", ["index.md", "new.md"]), ("B", ["b/x.md"])]
    with pytest.raises(Problems, match=r"index\.md isn't there"):
        arrange(pages("new.md"))


def test_every_page_has_a_place_when_the_repository_is_gathered() -> None:
    """Whatever was written since; nothing leads nowhere."""
    found = gather()
    held = [place for _, places in arrange(found) for place in places]
    assert sorted(held) == sorted(str(page.place) for page in found if page.is_markdown)
    assert {"index.md", "reference/configuration.md", "reference/http-token.md", "services/token.md"} <= set(held)


@pytest.mark.parametrize(
    "loading",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/x.css">',
        '<img src="https://example.com/x.png">',
    ],
)
def test_site_is_refused_when_a_page_loads_from_elsewhere(tmp_path: Path, loading: str) -> None:
    """A link that a person may follow is no load."""
    page = tmp_path / "index.html"
    page.write_text('<a href="https://livekit.io">x</a><script src="assets/x.js"></script>')
    assert loaded_from_elsewhere(tmp_path) == []
    page.write_text(loading)
    assert len(loaded_from_elsewhere(tmp_path)) == 1


def test_site_is_refused_when_a_style_loads_from_elsewhere(tmp_path: Path) -> None:
    """Fonts come that way."""
    (tmp_path / "x.css").write_text("@import url('https://fonts.example/x');a{background:url(data:x)}")
    assert loaded_from_elsewhere(tmp_path) == ["x.css: loads https://fonts.example/x"]
