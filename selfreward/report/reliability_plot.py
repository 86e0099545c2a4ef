"""Reliability plot: what soft labels claim against what is true; on the diagonal they mean what they say."""

from selfreward.measuring.metrics.judge.label_calibration import calibrated
from selfreward.report.figures import Point, Series, phase_chart
from selfreward.report.reading import Reading
from selfreward.report.tables import number_text


def reliability_plot(reading: Reading) -> tuple[int, str] | None:
    """The last round with soft labels and its plot; None without any, or without a verifier."""
    if reading.verifier is None:
        return None
    for number in reversed(reading.rounds[1:]):
        if all(pair.label in (0.0, 1.0) for pair in reading.pairs(number)):
            continue
        prompts = {prompt.id: prompt for prompt in reading.prompts_of(number)}
        texts = {
            answer.response.id: answer.response.text
            for row in reading.train_answers(number).values()
            for answer in row.answers
        }
        found = calibrated(reading.pairs(number), prompts, texts, reading.verifier)
        if found is None:
            continue
        points = [
            Point(
                one.predicted,
                one.observed.value,
                one.observed.low,
                one.observed.high,
                label=f"claimed {one.predicted:.2f}, true "
                f"{number_text(one.observed.value, one.observed.low, one.observed.high)}, {one.rows} pairs",
            )
            for one in found[0].curve
            if one.observed.value is not None
        ]
        title = f"P(chosen is better), round {number}"
        return number, phase_chart([Series(reading.name, points)], "claimed by the label", title)
    return None
