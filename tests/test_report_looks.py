"""What was seen on pictures of the pages: marks over marks, empty boxes, a word said twice."""

import re
from itertools import combinations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from run_factory import Story, write_run

from selfreward.report.beside import beside
from selfreward.report.html import write_report
from selfreward.store.results import Store

PLACES = st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60), st.sampled_from(["0", "1", "12"])), max_size=9)


@given(PLACES)
def test_no_word_beside_a_marker_covers_another_or_a_marker(placed: list[tuple[float, float, str]]) -> None:
    words = [(x, base - 8, x + 8 * len(text), base) for x, base, text in beside(placed, 8)]
    dots = [(x - 3, y - 3, x + 3, y + 3) for x, y, _ in placed]
    for one, other in [*combinations(words, 2), *((word, dot) for word in words for dot in dots)]:
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_a_word_with_room_around_it_stands_right_above_its_marker() -> None:
    placed = [(50.0, 50.0, "0"), (150.0, 50.0, "1"), (250.0, 50.0, "")]
    assert list(beside(placed, 8)) == [(56.0, 44.0, "0"), (156.0, 44.0, "1")]
    assert [text for _, _, text in beside([(50.0, 50.0, "0")] * 5, 8)] == ["0"] * 4, "four corners, and no fifth"


def test_an_answer_of_blanks_is_called_empty_and_what_is_not_known_is_said_once(tmp_path: Path) -> None:
    story = Story((0.4, 0.5), verifier="none", texts={"report": " \n "}, report=6, train=8)
    page = write_report([write_run(Store(tmp_path, share=False), "blank", story)], tmp_path / "r.html")[0].read_text()
    answers = re.findall(r'<p class="answer">(.*?)</p>', page, re.DOTALL)
    assert sum("(empty)" in answer for answer in answers) > 3
    assert all(re.sub("<[^>]*>", "", answer).strip() for answer in answers)
    values = re.findall(r'<p class="value">(.*?)</p>', page, re.DOTALL)
    assert [re.sub("<[^>]*>", "", value).strip() for value in values].count("not known") == 2
