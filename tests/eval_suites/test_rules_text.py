"""Rules on text: equal to the libraries that they stand in for, and to what their sources do with garbage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_suites.measure import Measure
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.rules.captions import RSRAG_WEIGHTS, rouge_l
from eval_suites.rules.changechat import name_kind, parse_counts, parse_places
from eval_suites.rules.choice_box import overlap_polygon, parse_box, parse_polygon
from eval_suites.rules.counting import parse_count
from eval_suites.rules.judge import NoJudge, build_judge
from eval_suites.rules.judged import payload
from eval_suites.rules.letters import read_choice, read_imagerag, read_letter, read_mme
from eval_suites.rules.meteor import align_captions, combine_meteor, prepare_sums
from eval_suites.rules.ngrams import count_ngrams, smooth_bleu
from eval_suites.rules.registry import find_rule
from eval_suites.rules.sentences import common_length, meteor, rouge, tokenize_words
from eval_suites.rules.wordnet import PACKED, WordNet, load_wordnet, pack_wordnet
from tests.data_engine.model_server import serve
from vlm.errors import InputError

WORDS = st.lists(st.sampled_from(["a", "road", "roads", "big", "large", "trees", "of"]), max_size=9).map(" ".join)
CORPUS = st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=2, max_size=5)


@given(CORPUS)
def test_ngrams_are_pycocoevalcaps(corpus: list[tuple[str, list[str]]]) -> None:
    cider = pytest.importorskip("pycocoevalcap.cider.cider")
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu_scorer")
    found, references = [one for one, _ in corpus], [others for _, others in corpus]
    grams = count_ngrams(found, references)
    keyed = {str(n): others for n, others in enumerate(references)}
    if any(word for others in references for one in others for word in one.split()):
        _, values = cider.Cider().compute_score(keyed, {str(n): [one] for n, one in enumerate(found)})
        assert grams.cider == pytest.approx(values, abs=1e-9)
    for row, one, others in zip(grams.bleu, found, references, strict=True):
        cooked = bleu.cook_test(one, bleu.cook_refs(others), eff="closest")
        assert [*cooked["correct"], *cooked["guess"], cooked["testlen"], cooked["reflen"]] == row.tolist()


@given(CORPUS)
def test_smoothed_bleu_is_nltks(corpus: list[tuple[str, list[str]]]) -> None:
    nltk = pytest.importorskip("nltk.translate.bleu_score")
    smooth = nltk.SmoothingFunction().method1
    sums = count_ngrams([one for one, _ in corpus], [others for _, others in corpus]).bleu
    for weights in RSRAG_WEIGHTS:
        ours = smooth_bleu(sums, weights)
        for value, (one, others) in zip(ours, corpus, strict=True):
            parted = [other.split() for other in others]
            theirs = nltk.sentence_bleu(parted, one.split(), weights, smooth) if one else 0.0
            assert value == pytest.approx(theirs, abs=1e-12)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_rouge_is_pycocoevalcaps_and_googles(said: str, references: list[str]) -> None:
    coco = pytest.importorskip("pycocoevalcap.rouge.rouge")
    google = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    assert rouge_l(said, references) == pytest.approx(coco.Rouge().calc_score([said], references))
    theirs = google.score(references[0], said)
    for ours, name in zip(rouge(references[0], said), ("rouge1", "rougeL"), strict=True):
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(tuple(theirs[name]))


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_common_length_is_the_longest_common_subsequence(first: list[int], second: list[int]) -> None:
    table = np.zeros((len(first) + 1, len(second) + 1), int)
    for i, one in enumerate(first, start=1):
        for j, other in enumerate(second, start=1):
            table[i, j] = table[i - 1, j - 1] + 1 if one == other else max(table[i - 1, j], table[i, j - 1])
    assert common_length(list(map(str, first)), list(map(str, second))) == table[-1, -1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR 1.5 needs Java")
def test_meteor_is_the_jars(tmp_path: Path) -> None:
    jar = pytest.importorskip("pycocoevalcap.meteor.meteor")
    found = ["many planes are parked near a terminal", "the big red house", "3 4 5 9", "", "roads and cars built"]
    references = [["some planes are parked close to the terminal", "aircraft near a terminal"], ["the big red house"],
                  ["3 4 5 6 7", "9 3 4"], ["a b c"], ["a road is built with houses nearby"]]  # fmt: skip
    sums = prepare_sums(align_captions(found, references))
    theirs = jar.Meteor()
    whole, each = theirs.compute_score(dict(enumerate(references)), {n: [one] for n, one in enumerate(found)})
    for stream in (theirs.meteor_p.stdout, theirs.meteor_p.stderr):
        stream.close()
    assert combine_meteor(sums) == pytest.approx(each, abs=1e-9)
    assert float(combine_meteor(sums.sum(axis=0))) == pytest.approx(whole, abs=1e-9)


def test_captions_without_java_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"needs Java.*coco-python"):
        align_captions(["a"], [["a"]])


def test_nltks_meteor_knows_stems_and_synonyms() -> None:
    same, stem = meteor([["a", "road"]], ["a", "road"]), meteor([["a", "road"]], ["a", "roads"])
    assert same == stem == meteor([["one", "house"], ["a", "grey"]], ["a", "gray"])
    # A quirk of nltk's: synonyms are sought among stems ("larg").
    assert meteor([["a", "large"]], ["a", "big"]) < same
    assert meteor([["harbor"]], ["airplane"]) == 0
    assert tokenize_words("It's a road. Big, isn't it?") == (
        "It", "'s", "a", "road", ".", "Big", ",", "is", "n't", "it", "?")  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [("two", "2", True), ("gray", "grey", True), ("planes", "airplane", True), ("Three", "3", True),
     ("bridge", "span", True), ("harbor", "port", False), ("ship", "boat", False), ("top left", "top-left", False),
     ("swimming_pool", "swimming pool", False), ("", "", False)],
)  # fmt: skip
def test_wordnet_shares_senses(first: str, second: str, shared: bool) -> None:
    assert load_wordnet().share_sense(first, second) == shared


def test_wordnet_is_packed_from_its_own_files(tmp_path: Path) -> None:
    texts = {
        "data.noun": "  1 licence\n00001 03 n 02 harbor 0 port 0 001 @ 02 n 0000 | x\n00002 03 n 01 place 0 000 | y\n",
        "data.verb": "00003 30 v 01 go 0 000 | move\n",
        "data.adj": "00004 00 a 01 afloat(p) 0 000 | on water\n",
        "data.adv": "", "noun.exc": "geese goose\n", "verb.exc": "went go\n", "adj.exc": "", "adv.exc": "",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    import lzma

    small = WordNet(lzma.decompress(pack_wordnet(tmp_path)).decode().splitlines(keepends=True))
    assert small.share_sense("Harbors", "port")
    assert small.share_sense("went", "goes")
    assert [lemma.name() for synset in small.synsets("afloat") for lemma in synset.lemmas()] == ["afloat"]
    assert PACKED.with_name("WORDNET_LICENSE.txt").read_text().startswith("WordNet Release 3.0")


@pytest.mark.parametrize(
    ("text", "inner"),
    [("B", "B"), (" no", " no"), ("<think>A or C</think><answer> B </answer>", "B"), ("<think>x</think>\nB", "B"),
     ("<think>x <answer>C</answer>", "C"), ("<answer>A</answer> then <ANSWER>B</ANSWER>", "B"), ("<answer>D", "D")],
)  # fmt: skip
def test_the_payload_is_what_stands_in_answer_tags(text: str, inner: str) -> None:
    assert payload(text) == inner


IMAGERAG = [
    ("The crane is near. Therefore, the correct answer is:\n\n(A) In the upper right", "A"),
    ("Based on this, the best answer is (D) since A and B fail", "D"),
    ("Between A and C. Answer: B", "B"),
    ("C", "C"),
    ("red", "A"),
    ("", "A"),
]


@pytest.mark.parametrize(("text", "letter"), IMAGERAG)
def test_imagerag_reads_behind_the_last_prefix(text: str, letter: str) -> None:
    assert read_imagerag(text, ["(A) red", "(B) blue"]) == letter


def test_long_text_without_a_letter_is_nothing() -> None:
    assert read_mme("it is in the left of the picture near the old harbor", ["(A) it"]) == ""
    assert [read_letter(text) for text in ("b) blue", "The answer is C.", "**D**", "none", "")] == [
        "B",
        "C",
        "D",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "label", "option", "letter"),
    [("B", "A", "red car", "B"), ("C is it", "A", "red", "C"), ("D. grass", "A", "red", "D"),
     ("The answer could be (B)", "A", "red", "B"), ("the answer is unclear", "A", "red", None),
     ("car", "A", "red_car", "A"), ("a red thing", "A", "Red car", "A"), ("", "A", "red", "A"),
     ("blue", "A", "red", None), ("", "A", "", None)],
)  # fmt: skip
def test_choices_template(text: str, label: str, option: str, letter: str | None) -> None:
    assert read_choice(text, label, option) == letter


def test_choices_boxes_forget_their_scale() -> None:
    assert parse_box("(50, 60, 90, 95)") == parse_box("[500, 600, 900, 950]") == pytest.approx((0.5, 0.6, 0.9, 0.95))
    assert parse_box("three numbers 1 2 3") is None
    crossed = parse_polygon("[[0.5, 0.6], [0.9, 0.95], [0.9, 0.6], [0.5, 0.95]]")
    assert crossed is not None
    assert overlap_polygon((0.5, 0.6, 0.9, 0.95), crossed) == pytest.approx(1)
    assert [parse_polygon(target) for target in ("B", "[broken", [1, 2, 3], [0.1, 0.2])] == [None] * 4


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("There are none.", 1),
        ("five", 5),
        ("12 cars", 12),
        ("I cannot tell", -1),
        ("", -1),
        ("seventeen", 7),
        ("3.9", 3),
    ],
)
def test_vleo_reads_the_first_integer(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "counts"),
    [("2 new roads and 14 new buildings have been constructed", (2, 14)),
     ("no new roads and 3 new buildings have been constructed", (0, 3)),
     ("there are no changes in roads or buildings", (0, 0)), ("no new roads or buildings", (0, 0)),
     ("roads were built", None), ("new things", None)],
)  # fmt: skip
def test_changechat_reads_counts(text: str, counts: tuple[int, int] | None) -> None:
    assert parse_counts(text) == counts


def test_changechat_reads_places_and_names_kinds() -> None:
    assert parse_places("roads ['top-left', 'nowhere'] buildings []") == ({"top-left"}, set())
    assert parse_places("roads are there") is None
    kinds = {"part/count": 1, "localization": 1, "cls": 1, "": {"road": 1}}
    found = [name_kind(Entry("e", "e", "x", target, category)) for category, target in kinds.items()]
    assert found == ["count", "loc", "binary", "count"]
    targets: list[Any] = [{"roads": []}, ["a", "b"], "Yes.", "roads [] buildings []", "a long answer"]
    assert [name_kind(Entry("e", "e", "x", target)) for target in targets] == [
        "loc",
        "caption",
        "binary",
        "loc",
        "open",
    ]


def test_earthvqas_rmse_is_on_the_numbers_of_classes(tmp_path: Path) -> None:
    rows = [("Basic Counting", "3", "5"), ("Basic Counting", "10%-20%", "0%-10%"), ("Basic Judging", "Yes", "yes"),
            ("Reasoning-based Counting", 4, 5), ("Basic Judging", "Yes", "No"),
            ("Basic Counting", "2", "Yes")]  # fmt: skip
    loaded = Loaded(tuple(Entry(str(n), str(n), said, true, kind) for n, (kind, true, said) in enumerate(rows)))
    (tmp_path / "words.json").write_text(json.dumps([*map(str, range(20)), "Yes", "No"]))

    def number(options: Options) -> dict[str, float]:
        scores = find_rule("earthvqa").score(loaded, options)
        measures = [one for one in scores.measures if isinstance(one, Measure)]
        return {one.name: float(one.combine(one.parts.sum(axis=0))) for one in measures}

    alone = number(Options())
    assert alone["OA"] == pytest.approx(1 / 6)
    assert alone["RMSE"] == pytest.approx(np.sqrt((2**2 + 1 + (10 / 7) ** 2 + (17 - 2) ** 2) / 4))
    told = number(Options(files={"vocabulary": tmp_path / "words.json"}))
    assert told["RMSE"] == pytest.approx(np.sqrt((2**2 + 1 + (10 / 7) ** 2 + (20 - 2) ** 2) / 4))


def test_an_endpoint_judges_what_the_rule_leaves_open_and_is_asked_once() -> None:
    rows = [("football field", "soccer pitch"), ("football field", "soccer pitch"), ("2", "3"), ("ship", "a ship")]
    values = {"question": "What is it?"}
    entries = tuple(Entry(str(n), str(n), said, true, "t", values) for n, (true, said) in enumerate(rows))
    with serve(lambda body: "1" if "soccer pitch" in body["messages"][0]["content"] else "0") as server:
        judge = build_judge(f"{server.url}#m", key_from="NOTHING")
        scores = find_rule("vrsbench-vqa").score(Loaded(entries), Options(judge=judge))
        judge.close()  # type: ignore[attr-defined]
    found = {one.name: one.combine(one.parts.sum(axis=0)) for one in scores.measures if isinstance(one, Measure)}
    assert (found["accuracy"], found["accuracy (judge m)"]) == (0.25, 0.75)
    assert len(server.requests) == 1, "equal prompts are asked once, what the rule decides is not asked"
    prompt = server.requests[0]["messages"][0]["content"]
    assert prompt.startswith(
        "Question: What is it?\nGround Truth Answer: football field\nPredicted Answer: soccer pitch\n"
    )


def test_rsvlms_judge_marks_captions_out_of_a_hundred() -> None:
    entries = (Entry("1", "a", "a road", "a road and a house", "caption"), Entry("2", "a", "no", "yes", "presence"))
    judge = build_judge("stub=<score>40</score><judge>Correct</judge>", key_from="")
    scores = find_rule("rsvlm-qa").score(Loaded(entries), Options(judge=judge))
    found = {one.name: one.combine(one.parts.sum(axis=0)) for one in scores.measures if isinstance(one, Measure)}
    assert found["accuracy (judge stub)"] == pytest.approx((0.4 + 1) / 2)
    assert found["excluding caption (judge stub)"] == 1
    assert found["excluding caption"] == 0
    assert 0 < found["accuracy"] < 0.5, "the headline is the string match, and ROUGE-L for captions"


def test_judges_are_named() -> None:
    assert isinstance(build_judge("none", key_from=""), NoJudge)
    assert build_judge("stub=0", key_from="").ask("anything") == "0"
    with pytest.raises(InputError, match="no judge 'gpt'"):
        build_judge("gpt", key_from="")
