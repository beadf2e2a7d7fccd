"""The rule of verdicts: against SciPy, against the theory of normal differences, and with bad input."""
import json
import math

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from scipy import stats

import ledger
from course.machinery import verdict

SEEDS = 10


def drawn(mean, sd=1.0, n=SEEDS, seed=0):
    """Differences with exactly this mean and sd (n − 1)."""
    d = np.random.default_rng(seed).standard_normal(n)
    return mean + sd * (d - d.mean()) / d.std(ddof=1)


def judged(a, relation, b, effect):
    return verdict.compare("it", (a, relation, b), effect)["judged"]


@pytest.mark.parametrize("n", [5, 10, 40])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_interval_is_scipys(n, level):
    d = drawn(0.3, n=n, seed=n)
    mean, low, high = verdict.interval(d, level)
    scipys = stats.ttest_1samp(d, 0).confidence_interval(level)
    assert np.allclose([mean, low, high], [d.mean(), *scipys], rtol=1e-12)
    assert np.allclose([low, high], stats.t.interval(level, n - 1, loc=d.mean(), scale=stats.sem(d)), rtol=1e-12)


def test_interval_is_near_the_bootstraps():
    d = drawn(0.3, n=40)
    _, low, high = verdict.interval(d)
    boot = stats.bootstrap((d,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    assert abs(low - boot.low) < 0.05 and abs(high - boot.high) < 0.05


def test_interval_of_equal_differences_has_no_width():
    assert verdict.interval([0.25] * 5) == (0.25, 0.25, 0.25)
    assert judged([2.25] * 5, ">", 2, "psnr") == "yes" and judged([1] * 5, "=", 1, "rmse") == "yes"


@pytest.mark.parametrize("effect", verdict.EFFECTS)
def test_words_follow_from_the_smallest_effect(effect):
    _, smallest, ratio, _ = verdict.EFFECTS[effect]
    d = math.log1p(smallest) if ratio else smallest
    half = 0.5 * d * math.sqrt(SEEDS) / stats.t.ppf(0.975, SEEDS - 1)  # the sd of an interval of ± d / 2
    b = np.linspace(1, 3, SEEDS)
    for at, words in [(1.6, "yes reversed reversed reversed yes"), (-1.6, "reversed yes reversed yes reversed"),
                      (0.4, "no_difference no_difference yes yes yes"), (1.0, "open not_so open open yes"),
                      (-0.6, "not_so open open yes open")]:
        a = b * np.exp(drawn(at * d, half)) if ratio else b + drawn(at * d, half)
        said = [judged(a, relation, b, effect) for relation in (">", "<", "=", "<=", ">=")]
        assert [word.replace(" ", "_") for word in said] == words.split()
        assert [judged(b, relation, a, effect) for relation in ("<", ">", "=", ">=", "<=")] == said  # turned round


def test_wide_interval_is_open():
    assert judged(drawn(0.1, sd=5), ">", 0, "psnr") == "open"


def test_ratio_is_geometric_and_said_as_a_ratio():
    found = verdict.compare("it", ([1, 2, 4, 8, 16], "<", [2, 4, 8, 16, 32]), "rmse")
    assert (found["mean"], found["n"], found["judged"]) == (0.5, 5, "yes")
    assert verdict.in_words(found) == "ratio 0.5000 [0.5000, 0.5000], n = 5"
    assert verdict.in_words(verdict.compare("it", ([3, 1, 2, 2, 2], ">", 1.5), "psnr")) == (
        "difference 0.50 [-0.38, 1.38] dB, n = 5")
    assert verdict.in_words(verdict.compare("it", ([0, 0, 0, 0, -1e-9], "=", 0), "share")) == (
        "difference 0.000 [0.000, 0.000], n = 5")


@pytest.mark.parametrize(("words", "said"), [
    ("yes yes", "holds"), ("yes open", "holds when"), ("yes reversed", "holds when"),
    ("yes no_difference", "holds when"), ("reversed reversed", "false as told"),
    ("reversed no_difference", "false as told"), ("reversed open", "open here"),
    ("not_so not_so", "false as told"), ("not_so no_difference", "false as told"), ("not_so open", "open here"),
    ("not_so yes", "holds when"),
    ("no_difference no_difference", "no difference here"), ("no_difference open", "open here"), ("open", "open here")])
def test_verdict_of_a_claim(words, said):
    assert verdict.verdict([word.replace("_", " ") for word in words.split()]) == said


@pytest.mark.parametrize(("judged", "said"), [
    ("yes yes", "holds"), ("yes open reversed", "holds when: 0 (open: 1; against it: 1 of 3)"),
    ("reversed yes yes not_so", "holds when: 1; 2 (against it: 2 of 4)"), ("yes no_difference", "holds when: 0"),
    ("open not_so open", "open here (against it: 1 of 3)"), ("open", "open here"),
    ("reversed not_so", "false as told")])
def test_the_words_name_what_says_yes_and_count_what_is_against_it(judged, said):
    conditions = [{"condition": str(i), "judged": w.replace("_", " ")} for i, w in enumerate(judged.split())]
    assert verdict.words(conditions) == said


def test_exact_is_judged_as_equality():
    found = verdict.compare("rank", ([7, 15], "=", [7, 15]), "exact")
    assert (found["judged"], verdict.in_words(found)) == ("yes", "exact, true in 2 of 2")
    found = verdict.compare("never worse", ([[1.0, 2], [3, 5]], "<=", [[1.0, 2], [3, 4]]), "exact")
    assert (found["judged"], verdict.in_words(found)) == ("reversed", "exact, true in 3 of 4")


@pytest.mark.parametrize(("given", "effect", "said"), [
    (([1, 2, 3, 4], "<", 2), "rmse", "got shape (4,), wanted numbers of 5 seeds or more in a row"),
    ((1.0, "<", 2.0), "rmse", "got shape (), wanted numbers of 5 seeds or more"),
    ((np.ones((5, 2)), "<", 2), "rmse", "got shape (5, 2), wanted numbers of 5 seeds or more in a row"),
    (([1, 2, 3, 4, 5], "<", [1, 2, 3, 4]), "rmse", "got shapes (5,), (4,), wanted equal"),
    (([], "<", 1), "exact", "got shapes (0,), (), wanted equal"),
    (([1, 2, 3, 4, math.nan], "<", 2), "psnr", "got nan or infinity, wanted finite numbers"),
    (([1, 2, 3, 4, math.inf], "=", 2), "exact", "got nan or infinity, wanted finite numbers"),
    (([0, 2, 3, 4, 5], "<", 2), "ratio", "got a number of 0 or below, wanted positive ones"),
    (([1, 2, 3, 4, 5], "!=", 2), "psnr", "got !=, wanted relations: < > = <= >="),
    (([1, 2, 3, 4, 5], [2] * 5, "<"), "psnr", "got [2, 2, 2, 2, 2], wanted relations"),
    (([1, 2, 3, 4, 5], "<", 2), "mse", "got mse, wanted effects: rmse, ratio, factor, psnr"),
    (([1, 2, 3, 4, 5], "<"), "psnr", "got tuple, wanted (a, relation, b)"),
    ([1, 2, 3, 4, 5], "psnr", "got list, wanted (a, relation, b)"),
])
def test_what_cannot_be_judged_is_one_clear_error(given, effect, said):
    with pytest.raises(ValueError) as error:
        verdict.record("name", "Sentence.", "lecture", {"blur": given}, effect)
    assert str(error.value).startswith(f"claim 'name': condition 'blur': {said}")


def test_claim_without_conditions():
    with pytest.raises(ValueError, match="claim 'name': got no conditions, wanted one or more"):
        verdict.record("name", "Sentence.", "lecture", {}, "psnr")


def test_firm_is_the_verdict_of_wider_intervals():
    half = stats.sem(drawn(0)) * stats.t.ppf(0.975, SEEDS - 1)
    near = verdict.record("name", "S.", "lecture", {"it": (drawn(0.21 + half), ">", 0)}, "psnr")
    far = verdict.record("name", "S.", "lecture", {"it": (drawn(1 + half), ">", 0)}, "psnr")
    assert (near["verdict"], near["firm"], far["verdict"], far["firm"]) == ("holds", False, "holds", True)


def test_claim_prints_its_three_lines_and_stores_the_record(monkeypatch):
    kept = []
    for where in ("IPython.display.display", "course.machinery.numbers.display"):
        monkeypatch.setattr(where, lambda data, raw, metadata: kept.append((data, metadata)))
    torch.manual_seed(0)
    cnn = 0.4 + 0.01 * torch.rand(5)
    ssim = torch.tensor([0.9, 0.91, 0.92, 0.9, 0.7])
    verdict.claim("unet_beats", sentence="A UNet beats a plain CNN of the same size.", source="he2016deep, lecture",
                  conditions={"shading": (list(0.8 * cnn), "<", cnn), "weights": (1913, "=", 1913, "exact"),
                              "SSIM of the blurred pictures": (ssim, ">", 0.8, "ssim")},
                  effect="rmse", scale="480 updates, 64 pixels")
    (printed, about), (glued, where) = kept
    assert printed["text/plain"].splitlines() == [
        "Claim. A UNet beats a plain CNN of the same size. [he2016deep, the lecture behind this",
        "book]",
        "Verdict. Holds when: shading; weights (open: SSIM of the blurred pictures)",
        "Because. Ratios: geometric means; differences: means; in brackets intervals of 95 %,",
        "n = 5. Yes: the whole interval is as wanted. Open: more seeds may decide. Tried:",
        "480 updates, 64 pixels.",
        "- shading: yes; ratio 0.8000 [0.8000, 0.8000], n = 5; wanted < 0.9804",
        "- weights: yes; exact, true in 1 of 1; wanted true in all",
        "- SSIM of the blurred pictures: open; difference 0.0660 [-0.0497, 0.1817], n = 5;",
        "wanted > 0.005"]
    assert printed["text/html"] == verdict.shown(about["record"])
    assert glued == {"application/papermill.record/text/plain":
                     "'holds when: shading; weights (open: SSIM of the blurred pictures)'"}
    assert where["scrapbook"]["name"] == "claim_unet_beats"
    record = json.loads(json.dumps(about["record"]))
    assert record["sources"] == ["he2016deep", "lecture"]
    assert [(c["judged"], c["n"], c["effect"]) for c in record["conditions"]] == [
        ("yes", 5, "rmse"), ("yes", 1, "exact"), ("open", 5, "ssim")]


@pytest.mark.parametrize("judged", [["yes", "yes"], ["yes", "reversed"], ["no difference"] * 2, ["reversed", "not so"],
                                    ["open", "yes"], ["open", "not so"]])
def test_the_chip_and_the_rows_say_what_the_rule_says(judged):
    conditions = [{"condition": f"task {k} < 9", "effect": "rmse", "relation": "<", "mean": 1.1, "low": 1.0,
                   "high": 1.2, "n": 5, "smallest": 0.02, "judged": word} for k, word in enumerate(judged)]
    said = str(verdict.verdict(judged))
    soup = BeautifulSoup(verdict.shown({"sentence": "A & B.", "sources": ["lecture", "a<b"], "scale": "64 pixels",
                                        "verdict": said, "conditions": conditions}), "html.parser")
    claim, because = [p.text for p in soup.select("p")]
    sign, words = soup.select_one(".chip").text.split(" ", 1)
    assert (words, sign) == (said, verdict.SIGNS[said]) and soup.select_one(f".chip.{said.replace(' ', '-')}")
    assert claim == "Claim. A & B. [the lecture behind this book, a<b]"
    told = f"Verdict. {sign} {words}: yes in {judged.count('yes')} of 2"
    assert because == "; ".join([told, *(f"{word} in {judged.count(word)}" for word in verdict.MEANINGS
                                         if word in judged)]) + "."
    about = "Ratios: geometric means; in brackets intervals of 95 %, n = 5. Yes: the whole interval is as wanted. "
    meant = [f"{word}: {meaning}. " for word, meaning in (verdict.MEANINGS | {said: verdict.REASONS.get(said)}).items()
             if word in judged or word in verdict.REASONS and word == said]
    assert soup.caption.text == f"{about}{''.join(one.capitalize() for one in meant)}Tried: 64 pixels."
    rows = [[cell.text for cell in row.select("th, td")] for row in soup.select("tbody tr")]
    assert rows == [[f"task {k} < 9", f"{verdict.SIGNS[word]} {word}", "ratio 1.100 [1.000, 1.200]", "< 0.9804"]
                    for k, word in enumerate(judged)]


@pytest.mark.parametrize(("relation", "ratio", "difference"), [
    ("<", "< 0.9804", "< -0.2 dB"), (">", "> 1.02", "> 0.2 dB"), ("<=", "< 1.02", "< 0.2 dB"),
    (">=", "> 0.9804", "> -0.2 dB"), ("=", "0.9804 to 1.02", "-0.2 to 0.2 dB")])
def test_what_is_wanted_is_what_the_rule_asks(relation, ratio, difference):
    assert verdict.wanted({"effect": "rmse", "relation": relation}) == ratio
    assert verdict.wanted({"effect": "psnr", "relation": relation}) == difference
    low, high = {"<": (-1, -0.2), ">": (0.2, 1), "<=": (-1, 0.2), ">=": (-0.2, 1), "=": (-0.2, 0.2)}[relation]
    assert verdict.judge(low + 1e-6, high - 1e-6, 0.2, relation) == "yes"
    beyond = [(low - 1e-6, high - 1e-6)] * (low != -1) + [(low + 1e-6, high + 1e-6)] * (high != 1)
    assert all(verdict.judge(*interval, 0.2, relation) != "yes" for interval in beyond)


def test_counts_that_differ_stand_in_their_rows():
    found = verdict.record("name", "S.", "lecture", {"five": (drawn(1)[:5], ">", 0), "all": (drawn(1), ">", 0),
                                                     "rank": (7, "=", 7, "exact")}, "psnr")
    soup = BeautifulSoup(verdict.shown(found), "html.parser")
    assert soup.caption.text == ("Differences: means; in brackets intervals of 95 %. "
                                 "Yes: the whole interval is as wanted.")
    assert [row.select("td")[1].text for row in soup.select("tbody tr")] == [
        verdict.in_words(c) for c in found["conditions"]]


def test_every_verdict_and_every_word_on_a_condition_has_a_sign():
    assert set(verdict.SIGNS) == {*verdict.VERDICTS, *verdict.MEANINGS, "yes"}
    assert len({verdict.SIGNS[word] for word in verdict.VERDICTS}) == len(verdict.VERDICTS)


@pytest.fixture(scope="module")
def simulated():
    return {(r["effect"], r["n"], r["conditions"]): r for r in ledger.rates()}


def test_the_intervals_hold_the_truth_as_often_as_they_say(simulated):
    for row in simulated.values():
        assert abs(row["covered"] - 0.95) < 5 * math.sqrt(0.95 * 0.05 / (20_000 * row["conditions"])), row


def test_the_rates_are_those_of_the_theory(simulated):
    for (effect, n, conditions), row in simulated.items():
        yes = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, (effect - 1) * math.sqrt(n))  # above the smallest effect
        assert abs(row["holds"] - yes**conditions) < 0.015
        assert abs(row["holds"] + row["holds when"] - 1 + (1 - yes)**conditions) < 0.015
        assert math.isclose(sum(row[word] for word in verdict.VERDICTS), 1)


def test_the_rule_is_seldom_wrong(simulated):
    for (effect, _, conditions), row in simulated.items():
        if effect <= 1:  # nothing that matters: a "yes" in at most 2.5 % of the conditions
            assert row["holds"] + row["holds when"] < 0.03 * conditions
        if effect >= 1:
            assert row["false as told"] < (0.001 if effect > 1 else 0.03) and row["no difference here"] < 0.03


def test_rates_are_the_same_each_time_and_fit_a_table(simulated):
    assert ledger.rates() == list(simulated.values())
    table = ledger.rates_table(list(simulated.values())).splitlines()
    assert len(table) == 2 + 16 and {line.count("|") for line in table} == {4 + 5 + 1}
