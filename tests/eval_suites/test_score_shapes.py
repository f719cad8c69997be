"""Rules that no golden file shows, through the command line: numbers worked out by hand, in many shapes of files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval_suites.__main__ import main
from eval_suites.rules.registry import find_rule
from vlm.errors import DataError

Rows = list[dict[str, Any]]
Numbers = dict[str, float]
CHOICES = ["(A) In the upper right", "(B) Red", "(C) the red car", "(D) blue", "(E) This image doesn't feature it."]
# What an answer is read as: by MME-RealWorld's script, by lmms-eval, by ImageRAG.
MME = {"A": "AAA", "": "AAA", "F": "E-E", "the red car": "C-C", "blue": "D-D", "The best option is C": "CCC",
       "Best answer: D": "BDB", "Because A is wrong, C": "BBB", "I think that it is blue": "---",
       "the answer is A. The answer is B": "AAB", "Answer: D": "ADD", "answer B or so. Final Answer\nC": "BBC",
       "one two three four five six seven eight nine ten red": "---"}  # fmt: skip
QUERY = "Which?\nA.a red car\nB.Some_blue boat\nC.grass. land\nD.10 m"
CHOICE = [(" A ", "A", 1), ("B. Some", "B", 1), ("A red thing", "A", 1), ("The answer is d", "D", 0), ("", "D", 1),
          ("It could be C or B", "B", 0), ("some blue", "B", 1), ("it is a grass field", "C", 1), ("boat", "A", 1),
          ("boat", "D", 0), ("(B)", "B", 0), ("answer\n\nB", "B", 1), ("Correct option: B", "B", 1)]  # fmt: skip
SQUARE, DIAMOND = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]], [[0.3, 0.1], [0.5, 0.3], [0.3, 0.5], [0.1, 0.3]]
BOXES = [("(0.1, 0.1, 0.5, 0.5)", SQUARE, 1), ("(100,100,500,500)", SQUARE, 1), ("(0.5,0.5,0.1,0.1)", SQUARE, 1),
         ("(5,6,9,9)", [[0.05, 0.06], [0.09, 0.06], [0.09, 0.09], [0.05, 0.09]], 0), ("0.1, 0.2", SQUARE, 0),
         ("(0.1,0.1,0.3,0.5)", SQUARE, 0), ("1 ship at (0.1,0.1,0.5,0.5)", SQUARE, 0),
         ("[.15,.15,.45,.45]", DIAMOND, 1), ("[0.1,0.1,0.5,0.5]", DIAMOND, 0),
         ("[0.1,0.1,0.5,0.5]", [SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]], 1)]  # fmt: skip
COUNTS = [("Basic Counting", 3, 5), ("Basic Counting", 2, 2), ("Reasoning-based Counting", 0, 3),
          ("Basic Judging", 160, 160), ("Comprehensive Analysis", 20, 30), ("Basic Counting", 10, 7)]  # fmt: skip
XBD = [("[[0, 0, 10, 10, 45]]", "[[0, 0, 10, 10, 0]]"), ("[[0,0,10,10,0]][[5,0,15,10,0]]", "[[0,0,10,10,0]]"),
       ("no buildings", "[[0,0,5,5,0]]"), ("[[0,0,10,10,-5]]", "[[0,0,10,10,0]]"), ("[[90,90,99,99,3]]", "none"),
       ("[[0, 0, 10, 10, 0], [50, 50, 60, 60, 0]]", "[[0, 0, 10, 4, 0], [50,50,60,52,0]]")]  # fmt: skip
WORDS = [("FAIR", "count", "two", "2"), ("FAIR", "reasoning", " no", "no"), ("FAIR", "reasoning", "No", "no"),
         ("FAIR", "object category", "bridge.", "bridge"), ("FAIR", "object category", "plane", "airplane"),
         ("FAIR", "object category", "harbor", "port"), ("FAIR", "object category", "tennis_court", "tennis court"),
         ("STAR", "object category", "cars", "car"), ("STAR", "object category", "road", "street")]  # fmt: skip


@pytest.fixture
def score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Numbers]:
    """Write rows, or take a path, and give every number of the command's last line."""

    def run(said: Any, suite: str, protocol: str = "", *more: str) -> Numbers:
        path = said
        if not isinstance(said, Path):
            path = tmp_path / "said.json"
            path.write_text(json.dumps(said))
        main(["score", str(path), "--suite", suite, *(["--protocol", protocol] if protocol else []), *more])
        found = json.loads(capsys.readouterr().out.splitlines()[-1])
        tables = {f"{title}/{row}": one for title, rows in found["tables"].items() for row, one in rows.items()}
        return {name: one["value"] for name, one in (found["scores"] | tables).items()} | {"n": found["n"]}

    return run


def holds(found: Numbers, wanted: Numbers) -> None:
    assert {name: found.get(name) for name in wanted} == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(("place", "protocol"), enumerate(["official letter rule", "lmms-eval", "ImageRAG's rule"]))
def test_mme_realworlds_three_readings(score: Callable[..., Numbers], place: int, protocol: str) -> None:
    pairs = list(product(MME, "ABCDE"))
    rows = [{"Question_id": n, "Answer choices": CHOICES, "Ground truth": letter, "Category": "color",
             "Subtask": "Remote Sensing", "output": text} for n, (text, letter) in enumerate(pairs)]  # fmt: skip
    rows += [{**rows[0], "Question_id": "ocr", "Subtask": "OCR with Complex Context"}]
    wanted = {"micro": sum(MME[text][place] == letter for text, letter in pairs) / len(pairs), "n": len(pairs)}
    holds(score(rows, "mme-rs", protocol), wanted)
    holds(score([{("Output" if k == "output" else k): v for k, v in row.items()} for row in rows[::-1]],
                "MME_RealWorld", protocol), wanted)  # fmt: skip


def test_mme_realworlds_lists_of_letters_equal_nothing_but_for_lmms(score: Callable[..., Numbers]) -> None:
    rows = [{"Question_id": n, "Ground truth": target, "Output": said, "Category": "count"}
            for n, (target, said) in enumerate([(["A"], "A"), ("A", "A"), (["A", "B"], "B")])]  # fmt: skip
    assert [score(rows, "mme-rs", name)["micro"] for name in ("", "lmms", "imagerag")] == [1 / 3, 2 / 3, 1 / 3]


def choice_rows() -> Iterator[Rows]:
    """Give letters, then polygons, under several names."""
    texts = dict(zip("ABCD", ["a red car", "Some_blue boat", "grass. land", "10 m"], strict=True))
    yield [{"query": QUERY, "response": said, "label": label} for said, label, _ in CHOICE]
    yield [{"question": QUERY, "prediction": said, "answer": label} for said, label, _ in CHOICE]
    yield [{"prediction": said, "ground_truth": f"{label}.{texts[label]}"} for said, label, _ in CHOICE]
    yield [{"pred": said, "label": label, "options": list(texts.values())} for said, label, _ in CHOICE]
    yield [{"pred": said, "gt": label, "options": [f"{k}. {v}" for k, v in texts.items()]} for said, label, _ in CHOICE]


def test_choices_template_rule(score: Callable[..., Numbers]) -> None:
    wanted = {"accuracy": sum(right for *_, right in CHOICE) / len(CHOICE)}
    for rows in choice_rows():
        holds(score(rows, "choice", "template rule"), wanted)
        holds(score(rows[::-1], "CHOICE"), wanted)


def test_choices_grounding_by_polygons(score: Callable[..., Numbers], tmp_path: Path) -> None:
    share = sum(right for *_, right in BOXES) / len(BOXES)
    for key, write in (("label", list), ("label", json.dumps), ("gt_polygon", list), ("polygon", list),
                       ("ground_truth", lambda points: [x for point in points for x in point]),
                       ("gt", lambda points: [{"x": x, "y": y} for x, y in points])):  # fmt: skip
        rows = [{"id": n, "response": said, key: write(points)} for n, (said, points, _) in enumerate(BOXES)]
        holds(score(rows, "choice"), {"accuracy": share, "visual grounding Acc@.5": share})
    boxes = [{"query": "Where?", "response": said, "label": points} for said, points, _ in BOXES]
    tasks = {"image_modality": next(choice_rows()), "visual_grounding": boxes}
    for name, some in tasks.items():
        (tmp_path / "out" / "perception" / name).mkdir(parents=True)
        (tmp_path / "out" / "perception" / name / f"{name}.json").write_text(json.dumps(some))
    holds(score(tmp_path / "out", "choice"), {"accuracy by task/visual_grounding": share, "letters": 9 / 13})


def earthvqa_files(folder: Path) -> Iterator[Any]:
    """Give numbers of classes and words, as rows, columns, arrays and images with their questions."""
    shares = [f"{low}%-{low + 10}%" for low in range(0, 100, 10)]
    words = [*map(str, range(7)), *shares, *(f"text {number}" for number in range(17, 200))]
    for kind, true, said in (("questype", "gt", "pred"), ("Type", "Answer", "model_answer"),
                             ("type", "y_true", "y_pred"), ("type", "gt_idx", "pred_idx"),
                             ("question_type", "ground_truth", "answer")):  # fmt: skip
        for write in (int, float, str):
            yield [{kind: name, true: write(target), said: write(answer)} for name, target, answer in COUNTS]
    names, targets, answers = zip(*COUNTS, strict=True)
    yield {"questype": names, "gt": targets, "pred": answers}
    np.savez(folder / "said.npz", questype=np.array(names), gt=np.array(targets), pred=np.array(answers))
    yield folder / "said.npz"
    yield {"0001.png": [{"Type": name, "Question": "How many?", "Answer": words[target], "prediction": words[answer]}
                        for name, target, answer in COUNTS]}  # fmt: skip


def test_earthvqas_accuracy_and_error(score: Callable[..., Numbers], tmp_path: Path) -> None:
    wanted = {"OA": 2 / 6, "RMSE": sqrt((4 + 0 + (30 / 7) ** 2 + 9) / 4), "accuracy by type/Basic Counting": 1 / 3,
              "RMSE by type/Basic Counting": sqrt(13 / 3), "RMSE by type/Reasoning-based Counting": 30 / 7}  # fmt: skip
    for said in earthvqa_files(tmp_path):
        holds(score(said, "EarthVQA", "OA and RMSE"), wanted)


def test_earthvqas_words_have_numbers_where_the_list_is_there(score: Callable[..., Numbers], tmp_path: Path) -> None:
    rows = [{"type": "Basic Counting", "gt": "2", "pred": "Yes"}]
    words = [*map(str, range(20)), "Yes"]
    holds(score(rows, "earthvqa"), {"RMSE": 15})
    holds(score({"ANSWER_VOC": words, "rows": rows}, "earthvqa"), {"RMSE": 18})
    (tmp_path / "answer_vocabulary.json").write_text(json.dumps(words))
    holds(score(rows, "earthvqa"), {"RMSE": 18})


def test_earthdials_precision_on_xbd(score: Callable[..., Numbers]) -> None:
    """The angle of a prediction is left out, 0.25 is enough, a minus sign is no box: 4 of 6 boxes lie on a building."""
    for said, true in (("answer", "caption0"), ("prediction", "answer"), ("pred", "gt"), ("answer", "ground_truth")):
        rows = [{"question": "Where?", said: one, true: other} for one, other in XBD]
        for suite, protocol in (("xbd", "earthdial"), ("xBD", "xBD precision"), ("geochat-refer", "xbd")):
            holds(score(rows, suite, protocol), {"precision": 4 / 6})


def test_lrs_vqa_and_its_stripped_variant(score: Callable[..., Numbers]) -> None:
    rows = [{"question_id": f"{source}_{n}", "category": kind, "text": said, "ground_truth": target}
            for n, (source, kind, said, target) in enumerate(WORDS)]  # fmt: skip
    fair = (1 + 1 / 2 + 1 / 4) / 3
    plain = {"AA FAIR": fair, "OA FAIR": 3 / 7, "AA STAR": 0.5, "AA": (fair + 0.5) / 2, "OA": 4 / 9}
    holds(score(rows, "lrsvqa", "WordNet > .8, AA"), plain)
    holds(score([{"id": r["question_id"], "category": r["category"], "prediction": r["text"],
                  "answer": r["ground_truth"]} for r in rows[::-1]], "LRS-VQA"), plain)  # fmt: skip
    holds(score(rows, "lrsvqa", "stripped variant"), {"AA FAIR": (1 + 1 + 2 / 4) / 3, "OA": 6 / 9})


def test_earthdials_captions_are_means_over_references(score: Callable[..., Numbers], tmp_path: Path) -> None:
    """`planes` is one of two words, and none of the other reference: F1 2/3 and 0; METEOR takes the better one."""
    said, references = "planes", ["two planes", "a river"]
    rouge, meteor = (2 / 3 + 0) / 2, 0.5 * (10 * 1 * 0.5) / (0.5 + 9 * 1)
    wanted = {"ROUGE-1": rouge, "ROUGE-L": rouge, "METEOR": meteor}
    content: list[Any] = [
        [{"answer": said, **{f"caption{n}": text for n, text in enumerate(references)}}],
        [{"image": "a.jpg", "pred_caption": said, "gt_captions": references}],
        {"res": {"7": [said]}, "gts": {"7": references}},
        {"predictions": {"7": said}, "references": {"7": references}},
    ]
    for rows in content:
        holds(score(rows, "NWPU-Captions", "EarthDial caption rule"), wanted)
    coco = {"images": [{"id": 7, "file_name": "a.jpg"}],
            "annotations": [{"image_id": 7, "caption": text} for text in references]}  # fmt: skip
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    rows = [{"image_id": 7, "caption": said}]
    holds(score(rows, "caption-ucm", "earthdial", "--references", str(tmp_path / "coco.json")), wanted)


def count_pixels(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Numbers:
    """Count the changed class over all pixels, set above 127."""
    hit, said, true, size = 0, 0, 0, 0
    for found, target in pairs:
        hit += int(((found > 127) & (target > 127)).sum())
        said, true, size = said + int((found > 127).sum()), true + int((target > 127).sum()), size + target.size
    still = size - said - true + hit
    changed, unchanged = hit / (said + true - hit), still / (size - hit)
    return {"F1": 2 * hit / (said + true), "IoU": changed, "mIoU": (changed + unchanged) / 2, "recall": hit / true}


def grey_pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Give pictures of all greys, among them a prediction without a bright pixel, and pairs at the threshold."""
    draw = np.random.default_rng(3)
    pairs = [tuple(draw.integers(0, 256, (2, 12, 9), dtype=np.uint8)) for _ in range(3)]
    dark = draw.integers(0, 128, (12, 9), dtype=np.uint8), draw.integers(0, 256, (12, 9), dtype=np.uint8)
    return [*pairs, dark, (np.full((12, 9), 127, np.uint8), np.full((12, 9), 128, np.uint8))]


def test_change_masks_of_grey_pictures_are_set_above_127_in_all_files(
    score: Callable[..., Numbers], tmp_path: Path
) -> None:
    pairs = grey_pairs()
    for n, pair in enumerate(pairs):
        for side, mask in zip(("pred", "gt"), pair, strict=True):
            for path in (tmp_path / "two" / side / f"test_{n}.png", tmp_path / "one" / f"{side}_{n}.png"):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(path)
    holds(score(tmp_path / "two", "change-mask", "global F1/IoU"), count_pixels(pairs))
    holds(score(tmp_path / "one", "Change_Mask"), count_pixels(pairs))


@pytest.mark.parametrize("write", [np.uint8, np.int64, np.bool_, np.float32, lambda mask: mask.astype(np.uint8) * 255])
def test_change_masks_in_arrays(score: Callable[..., Numbers], tmp_path: Path, write: Callable[..., Any]) -> None:
    pairs = [((found > 127), (target > 127)) for found, target in grey_pairs()]
    found, target = (np.stack([write(pair[side]) for pair in pairs]) for side in (0, 1))
    shapes: list[dict[str, Any]] = [
        {"pred": found, "gt": target}, {"y_pred": found, "y_true": target},
        {"preds": found[..., None], "labels": target},
        {f"{side}_{n}": mask for side, masks in (("pred", found), ("gt", target)) for n, mask in enumerate(masks)},
        {f"{n}_{side}": mask for side, masks in (("pred", found), ("gt", target)) for n, mask in enumerate(masks)},
    ]  # fmt: skip
    for arrays in shapes:
        np.savez(tmp_path / "masks.npz", **arrays)
        wanted = count_pixels([(255 * pair[0].astype(int), 255 * pair[1].astype(int)) for pair in pairs])
        holds(score(tmp_path / "masks.npz", "change-mask"), wanted)


def table_of_benchmarks(page: Path) -> Iterator[tuple[list[str], str, list[str]]]:
    """Give suites, default protocol and alternatives of each row of the page's last table."""
    for line in page.read_text(encoding="utf-8").split("## 10.")[1].splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip("| ").split("|")]
        if line.startswith("| ") and len(cells) == 5 and cells[0] != "SUITE":
            names = [name for part in re.split(r" / |, (?![^{]*})", cells[0]) for name in unfold(part)]
            yield names, cells[1], [] if cells[3] == "–" else cells[3].split(", ")


def unfold(name: str) -> list[str]:
    found = re.fullmatch(r"(.*)\{(.*)\}(.*)", name)
    return [f"{found[1]}{one}{found[3]}" for one in found[2].split(",")] if found else [name]


def knows(suite: str, protocol: str) -> bool:
    try:
        return bool(find_rule(suite, protocol))
    except DataError:
        return False


def test_every_row_of_the_fields_table_is_a_suite_with_its_protocols(repository: Path) -> None:
    page = repository.parent / "shared" / "BENCHMARKS.md"
    if not page.is_file():
        pytest.skip("needs the field's table in ../shared/BENCHMARKS.md")
    rows = list(table_of_benchmarks(page))
    assert len(rows) == 20
    for suites, default, alternatives in rows:
        for suite in suites:
            assert find_rule(suite, default) is find_rule(suite), (suite, default)
        for protocol in alternatives:
            assert any(knows(suite, protocol) for suite in suites), (suites, protocol)
