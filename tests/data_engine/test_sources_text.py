"""Quirks and refusals of the sources for captions and questions, on tiny copies."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_engine.sources import (
    SOURCES,
    earthvqa,
    floodnet,
    karpathy,
    lrs_vqa,
    rs5m,
    rsicd,
    rsivqa,
    rsteller,
    skyscript,
    tar_shards,
    ucm,
)
from data_engine.sources.questions import ask
from tests.data_engine.makers import make_rsicd
from tests.data_engine.makers_text import TEXT_MAKERS, make_of_test, write_raster, write_tar
from tests.data_engine.makers_text import karpathy as karpathy_json
from vlm.errors import DataError
from vlm.records import Sample


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_of_test(request.node.name, tmp_path)


def answers(samples: list[Sample]) -> dict[str, str]:
    return {sample.id: sample.turns[0].answer.template for sample in samples}


class Rejected(list[tuple[str, str]]):
    """Collect what a source turns away: (reason, sentence)."""

    def __call__(self, reason: str, detail: str, where: str) -> None:
        self.append((reason, detail))


# Captions


def test_a_file_name_that_is_listed_twice_is_one_image_with_all_sentences(tmp_path):
    make_rsicd(tmp_path)
    path = tmp_path / "dataset_rsicd.json"
    content = json.loads(path.read_text())
    content["images"].append(content["images"][1] | {"sentences": [{"raw": "a second sentence ."}]})
    path.write_text(json.dumps(content))
    assert rsicd.references(tmp_path, split="train")["00002.jpg"] == ["a football field", "a second sentence"]
    ids = [sample.id for sample in rsicd.load(tmp_path, split="train")]
    assert len(set(ids)) == len(ids)


def test_ucm_reads_its_folder_or_the_one_above(made):
    samples = list(ucm.load(made, split="train"))
    assert answers(samples) == {
        "ucm/train/1/caption-0": "A field",
        "ucm/train/1/caption-1": "Rows of {{ crops }}",
    }
    assert list(ucm.load(made / "UCM_captions", split="train")) == samples
    assert samples[0].images[0].gsd_m == pytest.approx(0.3048)
    assert karpathy.load_captions(ucm.UCM, made, split="train") == {
        "1.tif": ["A field", "A field", "Rows of { crops }"]
    }


def test_a_broken_image_costs_its_own_samples_only(tmp_path):
    (tmp_path / "imgs").mkdir()
    (tmp_path / "dataset.json").write_text(
        json.dumps(karpathy_json(("1.tif", "train", ["a"]), ("2.tif", "train", ["b"])))
    )
    write_raster(tmp_path / "imgs" / "2.tif", np.zeros((3, 9, 9), np.uint8))
    rejected = Rejected()
    assert list(answers(list(ucm.load(tmp_path, split="train", reject=rejected)))) == ["ucm/train/2/caption-0"]
    ((reason, sentence),) = rejected
    assert reason == "missing image"
    assert "1.tif does not exist" in sentence


def test_nwpu_captions_takes_the_theme_from_the_folder(made):
    said = answers(list(SOURCES["nwpu_captions"].load(made, split="train")))
    assert said["nwpu_captions/train/baseball_diamond_001/theme"] == "baseball diamond"
    assert sum("/caption-" in key and "baseball" in key for key in said) == 2


def test_rs5m_reads_both_subsets_of_a_split_and_keeps_the_encoded_image(made):
    samples = list(rs5m.load(made, split="train"))
    assert answers(samples) == {
        "rs5m/train/pub11-train-0000/000": "souraku stadium {{ oita }}",
        "rs5m/train/pub11-train-0000/001": "an aerial view",
        "rs5m/train/rs3-train-0000/000": "a satellite image of a field",
    }
    assert all((sample.images[0].data or b"").startswith(b"\x89PNG") for sample in samples)
    assert len(list(rs5m.load(made, split="val"))) == 1


@pytest.mark.parametrize("kept", [600, 3000, -1])
def test_rs5m_damaged_shard_costs_what_is_lost_in_it(tmp_path, kept):
    TEXT_MAKERS["rs5m"][0](tmp_path)
    path = tmp_path / "train" / "pub11-train-0000.tar"
    whole = len(list(tar_shards.read_shard(path)))
    path.write_bytes(path.read_bytes().rstrip(b"\0")[:kept])
    with pytest.raises(DataError, match=r"pub11-train-0000\.tar"):
        list(rs5m.load(tmp_path, split="train"))
    rejected = Rejected()
    found = list(rs5m.load(tmp_path, split="train", reject=rejected))
    assert 1 <= len(found) <= whole + 1
    assert found[-1].id == "rs5m/train/rs3-train-0000/000"
    assert "damaged shard" in {reason for reason, _ in rejected}


def test_a_tar_record_says_what_it_lacks(tmp_path):
    write_tar(tmp_path / "rs3-train-0000.tar", {"7": {"img_name": b"x.jpg", "caption": b"\xff"}})
    (record,) = tar_shards.read_shard(tmp_path / "rs3-train-0000.tar")
    with pytest.raises(DataError, match=r"record 7 has no \.img_content; it has caption, img_name"):
        record.image("img_content")
    with pytest.raises(DataError, match=r"7\.caption is not UTF-8"):
        record.text("caption")


def test_rsteller_reads_distinct_texts_and_the_flight_date(made):
    samples = list(rsteller.load(made, split="train"))
    assert answers(samples) == {
        "rsteller/train/607/caption-0": "A road runs north",
        "rsteller/train/607/caption-1": "A road",
        "rsteller/train/608/caption-0": "A lake",
    }
    assert [sample.images[0].date for sample in samples] == ["2022-11-08", "2022-11-08", None]


def test_skyscript_reads_sensor_and_year_from_the_name(made):
    samples = list(skyscript.load(made, split="train"))
    assert [sample.turns[0].answer.template for sample in samples] == [
        "a school",
        "a school, surrounded by trees, and roads",
        "a lake",
    ]
    assert {(sample.images[0].sensor, sample.images[0].date) for sample in samples} == {
        ("SWISSIMAGE", "2019"),
        ("Sentinel-2", "2021"),
    }


def test_skyscript_asks_for_one_list(made):
    (made / "SkyScript_train_unfiltered_5M.csv").write_text("filepath,title\n")
    with pytest.raises(DataError, match=r"holds 2 lists of the split 'train'.*keep one of them"):
        list(skyscript.load(made, split="train"))
    (made / "SkyScript_val_5K.csv").write_text("path,text\n")
    with pytest.raises(DataError, match="expected filepath and title"):
        list(skyscript.load(made, split="val"))


def test_chatearthnet_reads_both_writers_and_both_spellings(made):
    said = answers(list(SOURCES["chatearthnet"].load(made, split="train")))
    assert said == {
        "chatearthnet/train/p_1_patch00/35-0": "The image shows water",
        "chatearthnet/train/p_1_patch00/4v-0": "Trees cover the north. Crops lie below",
    }


# Questions


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("1.tif:What is it?farmland", ("1.tif", "What is it?", "farmland")),
        ("P0003: how many ships?15\n", ("P0003", "how many ships?", "15")),
        ("", ("", "", "")),
        ("no colon", ("no colon", "", "")),
        ("a:b", ("a", "", "b")),
    ],
)
def test_rsivqa_lines(line, parts):
    assert rsivqa.split_line(line) == parts


def test_rsivqa_leaves_questions_without_a_noun_out(made):
    samples = list(rsivqa.load(made, split="all"))
    assert Counter(sample.task for sample in samples) == {"vqa": 3, "count": 2}
    said = answers(samples)
    assert said["rsivqa/all/UCM/ucm_res/000002"] == "one"
    assert said["rsivqa/all/DOTA/dota_val_vqa2/000001"] == "15"
    assert not any(key.endswith(("ucm_res/000003", "ucm_res/000004")) for key in said)


def test_rsivqa_refuses_a_broken_line(made):
    (made / "UCM" / "ucm_vqa.txt").write_text("1.tif:what is the theme of this picture\n")
    with pytest.raises(DataError, match=r"ucm_vqa\.txt line 1 is no <image>:<question>"):
        list(rsivqa.load(made, split="all"))


def test_earthvqa_counts_are_counts_and_areas_are_not(made):
    samples = list(earthvqa.load(made, split="train"))
    assert [(sample.task, sample.turns[0].answer.template) for sample in samples] == [
        ("vqa", "Yes"),
        ("count", "3"),
        ("vqa", "10%-20%"),
    ]
    path = made / "Train_QA.json"
    path.write_text(path.read_text().replace("Basic Judging", "Guessing"))
    with pytest.raises(DataError, match=r"entry 0 of 1\.png has type 'Guessing'"):
        list(earthvqa.load(made, split="train"))


def test_floodnet_groups_by_image_and_says_that_a_split_has_no_answers(made):
    samples = list(floodnet.load(made, split="train"))
    assert answers(samples) == {
        "floodnet/train/10165/0/complex_counting": "4",
        "floodnet/train/10165/1/condition_recognition": "flooded",
        "floodnet/train/10166/2/yes_no": "No",
    }
    assert samples[0].task == "count"
    hidden = {"0": {"Image_ID": "1.JPG", "Question": "Is the road flooded?", "Question_Type": "Yes_No"}}
    (made / "Questions" / "Test_Question.json").write_text(json.dumps(hidden))
    with pytest.raises(DataError, match="question 0 has no answer: those of 'test' are not in it"):
        list(floodnet.load(made, split="test"))


def test_lrs_vqa_asks_the_question_without_the_prompt(made):
    samples = {sample.id: sample for sample in lrs_vqa.load(made, split="test")}
    first = samples["lrs_vqa/test/FAIR_1/reasoning"]
    assert first.turns[0].instruction == "Is the largest bridge crossing a river?"
    assert samples["lrs_vqa/test/FAIR_2/count"].task == "count"
    assert "lrs_vqa/test/FAIR_3/object-color" in samples


def test_lrs_vqa_counts_a_bad_line_and_reads_on(made):
    path = made / "LRS_VQA" / "LRS_VQA_merged.jsonl"
    path.write_text('{"question_id": "FAIR_0"}\n' + path.read_text())
    with pytest.raises(DataError, match="line 1 lacks one of question_id, image"):
        list(lrs_vqa.load(made, split="test"))
    rejected = Rejected()
    assert len(list(lrs_vqa.load(made, split="test", reject=rejected))) == 3
    assert len(rejected) == 1


def test_rsvlm_qa_sentences_lose_their_last_period_only(made):
    samples = list(SOURCES["rsvlm_qa"].load(made, split="all"))
    assert [(sample.task, sample.turns[0].answer.template) for sample in samples] == [
        ("vqa", "In the center"),
        ("count", "There are 15 buildings"),
        ("caption", "A town. A road crosses it"),
    ]


@pytest.mark.parametrize(("question", "answer"), [("", "yes"), ("What?", ""), (" \n", "yes"), ("What?", " . ")])
def test_empty_questions_and_answers_are_refused(question, answer):
    with pytest.raises(DataError, match="expected neither to be empty"):
        ask(question, answer)
