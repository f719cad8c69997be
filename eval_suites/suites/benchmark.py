"""A benchmark: where its data comes from, how its official files become cases, and by which rules it is scored.

The rules lie in eval_suites/rules, by the benchmark's name; a benchmark adds what the files of predictions hold and a
run must make: the cases, and the form in which a rule takes a prediction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval_suites.baselines import Baseline, choose_majority
from eval_suites.by_rule import Translate, build_rule_scorer, pass_on
from eval_suites.cases import Case, CaseFile
from eval_suites.rules.judge import Judge, NoJudge
from eval_suites.rules.registry import find_rule
from eval_suites.scored import Training
from eval_suites.suites.folder import Folder
from eval_suites.suites.suite import Suite
from vlm.errors import DataError


@dataclass(frozen=True, slots=True)
class Questions:
    """Hold what a benchmark's files give: cases, split, training answers, and what its rule needs about all of them."""

    cases: tuple[Case, ...]
    split: str = "test"
    training: Training = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Describe a benchmark.

    `layout`: what the folder holds; `get`: where it comes from; `licence`: of annotations and images. `load` reads the
    folder. `tokens` bounds an answer. `rule` is its name among the rules where that is another. `translate` gives a
    rule its prediction and target from a model's text. `prepare` writes images that the files hold packed. `slow`: too
    slow to score while asking. `needs`: by protocol, the file that it cannot do without, and what to say about it.
    `towers`: the embeddings of a checkpoint answer, not its words. `refusal`: why no model of text can be asked.
    """

    name: str
    title: str
    layout: str
    get: str
    licence: str
    load: Callable[[Folder], Questions]
    about: str
    tokens: int = 64
    rule: str = ""
    translate: Translate = pass_on
    baselines: tuple[Baseline, ...] = ()
    probes: tuple[str, ...] = ()
    prepare: Callable[[Folder, Iterable[Case]], None] | None = None
    slow: bool = False
    needs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    towers: bool = False
    refusal: str = ""

    def open(self, root: Path) -> Folder:
        """Open the user's folder; DataError says what is missing and where it comes from."""
        return Folder(root, name=self.name, layout=self.layout, get=self.get)

    def ask(self, folder: Folder) -> tuple[CaseFile, Questions]:
        """Read the cases; DataError where the benchmark cannot be asked, is empty, or names a question twice."""
        if self.refusal:
            raise DataError(f"{self.name} cannot be asked: {self.refusal}")
        questions = self.load(folder)
        if not questions.cases:
            raise folder.refuse("holds no question")
        ids = [case.id for case in questions.cases]
        if len(set(ids)) != len(ids):
            twice = next(one for one in ids if ids.count(one) > 1)
            raise folder.refuse(f"names the question {twice!r} twice")
        digest = hashlib.sha256(repr([(c.id, c.instruction, c.phrase, c.images) for c in questions.cases]).encode())
        file = CaseFile(self.name, questions.split, questions.training, questions.cases, digest.hexdigest()[:16])
        return file, questions

    def protocol(self, name: str | None) -> str:
        """Give the own name of a protocol, the default for none; DataError lists the protocols."""
        return find_rule(self.rule or self.name, name).protocol

    def suite(self, questions: Questions, *, protocol: str | None = None, judge: Judge | None = None) -> Suite:
        """Build the suite that scores these questions by a protocol; DataError lists the protocols."""
        rule = find_rule(self.rule or self.name, protocol)
        judge = judge or NoJudge()
        file, words = self.needs.get(rule.protocol, ("", ""))
        if file and file not in questions.files:
            raise DataError(f"{self.name} by the protocol {rule.protocol} needs {words}")
        scorer = build_rule_scorer(
            rule, translate=self.translate, extras=questions.extras, files=questions.files, judge=judge
        )
        name = rule.protocol if judge.name == "none" else f"{rule.protocol} (judge {judge.name})"
        return Suite(
            self.name,
            self.title,
            f"{name}: {rule.source}",
            rule.headline,
            self.tokens,
            scorer,
            choose_majority(self.baselines, questions.training),
            lower_is_better=rule.headline in rule.errors,
            running=not self.slow,
            published=name,
            probes=self.probes,
        )
