import base64
import json
from collections import deque
from dataclasses import replace
from html import escape as escaped
from pathlib import Path

import numpy as np
import pytest
from explored import CONTENT, FINDING
from make import recording

from backendcheck.cli.explore import parse_duration
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.explore.explore import Exploration, Search, go_on_counting, summary
from backendcheck.explore.findings import read_earlier, write_findings, write_scripts
from backendcheck.explore.judging import Judge
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.run import Options, _go_on_from
from backendcheck.explore.script import script_of
from backendcheck.explore.search import Plan
from backendcheck.explore.situation import Situation

_TARGET = next(target for target in keras_targets() if target.name == "keras.losses.Hinge")
_PLAN = Plan.of([_TARGET], 3)
_LEGS = ("tensorflow", "jax", "torch")


class Legs:
    """Legs that compute a loss from the labels alone. `wrong` is a leg that has another loss for a label of 2."""

    n_restarts = 0

    def __init__(self, wrong=""):
        self.wrong = wrong
        self.answers = deque()

    def submit(self, request):
        entry = request["arrays"]["y_true"]
        labels = np.frombuffer(base64.b64decode(entry["data"]), entry["dtype"]).astype(float)
        labels = np.nan_to_num(labels, nan=0.0)
        losses = {leg: float(labels.sum() + (10.0 if leg == self.wrong and (labels == 2).any() else 0.0)) for leg in _LEGS}
        self.answers.append({leg: recording(request["case"], leg, loss=loss) for leg, loss in losses.items()})

    def next_recordings(self):
        return self.answers.popleft()

    def observe(self, requests):
        assert not self.answers, "answers of others would come first"
        for request in requests:
            self.submit(request)
        return [self.next_recordings() for _ in requests]


def searched(n, wrong="torch", exploration=None):
    exploration = exploration or Exploration(seed=3)
    search = Search(Legs(wrong), _PLAN, exploration, lambda _: None)
    search.run(n_situations=n, budget_s=None)
    return search


def found(search):
    return sorted((str(each.sighting.signature), each.sighting.situation.key) for each in search.exploration.findings)


def test_a_difference_is_found_once_and_made_small():
    search = searched(300)
    (finding,) = search.exploration.findings
    assert finding.sighting.signature.legs == ("torch",)
    situation = finding.sighting.situation
    assert (situation.label_values, situation.n_examples, situation.sample_weight) == ("above-range", 1, "none")
    assert finding.hits > 3
    assert search.exploration.n_situations == 300
    assert 0 < summary(search)["pairs_covered"] <= 1


def test_legs_that_agree_have_no_finding():
    assert found(searched(300, wrong="")) == []


def test_the_same_seed_and_number_of_situations_give_the_same_findings():
    assert found(searched(150)) == found(searched(150))


def test_a_search_goes_on_where_it_ended():
    first = searched(100)
    again = searched(200, exploration=first.exploration)
    whole = searched(200)
    assert again.exploration.n_situations == 200
    assert found(again) == found(whole)
    assert [each.hits for each in again.exploration.findings] == [each.hits for each in whole.exploration.findings]


def test_what_was_left_out_is_counted_on_after_a_resume():
    search = searched(100)
    search.judge.counts.dismissed["a reason"] += 2
    search.judge.counts.unsupported += 1
    again = searched(100, exploration=search.exploration)
    go_on_counting(again, summary(search))
    again.judge.counts.dismissed["a reason"] += 1
    numbers = summary(again)
    assert numbers["dismissed"]["a reason"] == 3
    assert numbers["unsupported"] == summary(search)["unsupported"]


def test_a_budget_of_no_time_tries_one_batch():
    search = Search(Legs(), _PLAN, Exploration(seed=3), lambda _: None)
    search.run(n_situations=None, budget_s=0.0)
    assert 0 < search.exploration.n_situations < 100


def test_what_is_written_has_the_fields_of_the_contract(tmp_path):
    search = searched(200)
    kinds = {_TARGET.name: "loss"}
    (path,) = write_scripts(tmp_path, search.exploration.findings, kinds)
    content = write_findings(
        tmp_path, search.exploration, legs=_LEGS, budget_s=None, environments={}, numbers=summary(search), targets=[_TARGET.name],
        kinds=kinds,
    )  # fmt: skip
    assert content == json.loads((tmp_path / "findings.json").read_text())
    assert {
        "schema", "seed", "budget_s", "legs", "environments", "situations", "pairs_covered", "unsupported", "findings",
    } <= {*content}  # fmt: skip
    (entry,) = content["findings"]
    assert {
        "signature", "target", "situation", "oracle", "kind", "stage", "legs", "diagnosis", "headline", "hits", "first_s",
        "known", "case", "script", "confirmed",
    } <= {*entry}  # fmt: skip
    assert tmp_path / entry["script"] == path
    assert entry["case"].startswith("cases/explored.py::case_hinge")
    assert read_earlier(tmp_path) == content


def _page(tmp_path, *, known=None, confirmed=3):
    search = searched(200)
    (finding,) = search.exploration.findings
    finding.known, finding.confirmed = known, confirmed
    finding.sighting = replace(finding.sighting, headline="<b>worse</b>")
    kinds = {_TARGET.name: "loss"}
    write_scripts(tmp_path, search.exploration.findings, kinds)
    write_findings(
        tmp_path, search.exploration, legs=_LEGS, budget_s=None, environments={}, numbers=summary(search), targets=[_TARGET.name],
        kinds=kinds,
    )  # fmt: skip
    return finding, (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("target", "kind", "dtype"), [("keras.ops.mean", "labels", "float64"), ("keras.losses.Huber", "loss", "float32")]
)
def test_a_script_has_labels_in_the_type_in_which_the_target_got_them(target, kind, dtype):
    situation = Situation(target=target, labels="real", head="linear", label_dtype="float64", label_shape="(N,1)")
    recordings = {leg: recording("explored/x", leg, loss=value) for leg, value in (("jax", 0.5), ("torch", 0.7))}
    source = script_of(Judge(None, {target: kind}).sighting(situation, recordings, look_again=False), "x.py", kind)
    labels = source.partition("y_true = ")[2].partition("\n\n")[0].partition("\ny_pred")[0]
    assert eval(labels, {"np": np}).dtype == dtype


def test_the_page_has_each_finding_with_its_script_and_how_to_keep_it(tmp_path):
    finding, page = _page(tmp_path)
    assert '<h1 class="bad">1 new finding</h1>' in page
    assert "keras.losses.Hinge" in page
    assert "&lt;b&gt;worse&lt;/b&gt;" in page
    assert escaped((tmp_path / finding.script).read_text()).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    assert f"--accept {Path(finding.script).stem}" in page
    assert "of 3 processes" not in page


def test_the_page_of_known_findings_offers_nothing_to_keep(tmp_path):
    _, page = _page(tmp_path, known="label_range/one_past_the_last_class", confirmed=0)
    assert '<h1 class="good">1 known</h1>' in page
    assert "label_range/one_past_the_last_class" in page
    assert "--accept" not in page
    assert "confirmed in 0 of 3 processes" in page


def _refused(request):
    return {leg: recording(request["case"], leg, raised="TypeError: no") for leg in _LEGS}


def _not_observed(request):
    return {leg: recording(request["case"], leg, status="error", problem="out of memory") for leg in _LEGS}


@pytest.mark.parametrize("answer", [_refused, _not_observed])
def test_a_search_that_compared_nothing_says_so(answer):
    legs = Legs()
    legs.submit = lambda request: legs.answers.append(answer(request))
    search = Search(legs, _PLAN, Exploration(seed=3), lambda _: None)
    search.run(n_situations=60, budget_s=None)
    assert summary(search)["compared"] == 0


def test_situations_that_were_tried_to_make_a_finding_small_are_not_counted():
    search = searched(60)
    legs = search.legs
    legs.submit = lambda request: legs.answers.append(_refused(request))
    before = summary(search)
    (finding,) = search.exploration.findings
    search._shrunk(finding.sighting)
    search.near = search.plan.covering[0][:5]
    search._look_around()
    assert summary(search) == before
    assert before["compared"] == 60


def test_findings_are_strict_json(tmp_path):
    search = searched(200)
    (finding,) = search.exploration.findings
    nan = {"value/result": [np.nan, np.inf]}
    finding.sighting = replace(finding.sighting, recordings={leg: recording("a/b", leg, observations=nan) for leg in _LEGS})
    content = write_findings(
        tmp_path, search.exploration, legs=_LEGS, budget_s=None, environments={}, numbers={**summary(search)}, targets=[],
        kinds={_TARGET.name: "loss"},
    )  # fmt: skip
    assert content["findings"][0]["outcomes"]["jax"] == ["NaN", "Infinity"]
    json.loads((tmp_path / "findings.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(("wrong", "n_findings"), [("torch", 1), ("", 0)])
def test_a_finding_that_does_not_show_again_after_a_resume_is_counted_and_said(tmp_path, wrong, n_findings):
    first = searched(200)
    kinds, names = {_TARGET.name: "loss"}, [_TARGET.name]
    write_scripts(tmp_path, first.exploration.findings, kinds)
    write_findings(
        tmp_path, first.exploration, legs=_LEGS, budget_s=None, environments={}, numbers=summary(first), targets=names,
        kinds=kinds,
    )  # fmt: skip
    legs = Legs(wrong)
    legs.environments = {}
    search = Search(legs, _PLAN, Exploration(seed=3), lambda _: None)
    options = Options(targets=(), legs=_LEGS, out=tmp_path, budget_s=None, n_situations=200, seed=3, resume=True)
    _go_on_from(read_earlier(tmp_path), options, names, legs, search)
    exploration = search.exploration
    assert (len(exploration.findings), exploration.n_unconfirmed) == (n_findings, 1 - n_findings)
    assert len(exploration.notes) == 1 - n_findings


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 9}', '{"schema": 1, "seed": 0}', "[" * 100_000])
def test_a_damaged_result_is_not_gone_on_from(tmp_path, text):
    (tmp_path / "findings.json").write_text(text)
    with pytest.raises(UnreadableInput, match=r"findings\.json"):
        read_earlier(tmp_path)


@pytest.mark.parametrize("damage", [
    {"seconds": "9"}, {"legs": 3}, {"legs": ["jax; true"]}, {"legs": ["jax\0"]}, {"findings": None}, {"findings": {"a": 1}},
    {"findings": ["a"]}, {"findings": [{}]}, {"findings": [{"case": 3}]}, {"findings": [{"situation": {"target": 1}}]},
])  # fmt: skip
def test_a_result_with_another_value_is_refused(tmp_path, damage):
    path = tmp_path / "findings.json"
    path.write_text(json.dumps(CONTENT))
    assert read_earlier(tmp_path) == CONTENT
    entries = damage.get("findings")
    if isinstance(entries, list) and isinstance(entries[0], dict) and entries[0]:
        damage = {"findings": [FINDING | entries[0]]}
    path.write_text(json.dumps(CONTENT | damage))
    with pytest.raises(UnreadableInput):
        read_earlier(tmp_path)


def test_there_has_to_be_a_search_to_go_on_with(tmp_path):
    with pytest.raises(UnreadableInput, match="Explore without --resume first"):
        read_earlier(tmp_path)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1m", "ten", "5d", "nan"])
def test_what_is_not_a_duration_is_refused(text):
    with pytest.raises(UsageError, match="invalid duration"):
        parse_duration(text)


def test_a_refusal_with_the_same_words_is_one_finding_that_of_the_simpler_path():
    def refused(request):
        path, precision = request["path"], request.get("precision")
        refuses = path == "jit" or (path == "evaluate" and precision == ["float16"])
        torch = {"raised": f"RuntimeError: no {len(path)}"} if refuses else {"loss": 1.0}
        return {leg: recording(request["case"], leg, **(torch if leg == "torch" else {"loss": 1.0})) for leg in _LEGS}

    legs = Legs()
    legs.submit = lambda request: legs.answers.append(refused(request))
    search = Search(legs, _PLAN, Exploration(seed=3), lambda _: None)
    search.run(n_situations=250, budget_s=None)
    paths = {signature.path for signature in search.exploration.found if signature.kind == "raised"}
    assert paths == {"jit", "evaluate"}
    (finding,) = (each for each in search.exploration.findings if each.sighting.signature.kind == "raised")
    assert finding.sighting.situation.path == "evaluate"
