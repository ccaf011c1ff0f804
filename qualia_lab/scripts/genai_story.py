"""Generate the story of `create-demo-runs --genai` as plain values; the same seed gives the same story.

A team builds an assistant that answers questions about a product from its documentation. Two prompts and three models
are evaluated on 60 questions: the second prompt is better in the mean, but worse on prices. One version is in use; on
the fourth day its prompt changes and questions about prices begin to fail. Sometimes it repeats a search, and one judge
always says yes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

from qualia_lab.scripts.demo_story import DAY, MINUTE
from qualia_lab.scripts.genai_questions import QUESTIONS, Question

SpanType = Literal["CHAIN", "RETRIEVER", "CHAT_MODEL", "TOOL"]

_SECOND = 1000
_REQUESTS_IN_USE = 120
_DAYS_IN_USE = 6
_BROKEN_SINCE = 4 * DAY
_HUMAN_ANSWERS = 30
_DOCUMENTS_FOUND = 3
_LONGEST_ANSWER = 60  # tokens
_SHARED_DIFFICULTY = 0.7  # how often a version finds a question as hard as the others do


@dataclass(frozen=True)
class Model:
    """A language model: its chance of a right answer with each prompt, seconds per answer, USD per 1,000 tokens."""

    name: str
    right: tuple[float, float]
    seconds: float
    price: float


@dataclass(frozen=True)
class Version:
    """A version of the assistant: a prompt and a model."""

    prompt: int
    model: Model

    @property
    def name(self) -> str:
        """The name of its evaluation run."""
        return f"{self.model.name}-prompt{self.prompt}"


@dataclass(frozen=True)
class Step:
    """A span of a trace; times are in ms after the start of the trace. The first step of a trace is its root."""

    name: str
    kind: SpanType
    start: int
    end: int
    inputs: Any
    outputs: Any = None
    error: str = ""
    tokens: tuple[int, int] | None = None
    cost: float = 0.0
    model: str = ""


@dataclass(frozen=True)
class Judgement:
    """A feedback on an answer; `value` is None where the judge failed with `error`."""

    name: str
    source: Literal["LLM_JUDGE", "CODE", "HUMAN"]
    judge: str
    value: bool | None
    rationale: str = ""
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """One request and what came of it.

    Attributes:
        version: the index of the version that answered.
        evaluated: whether it belongs to the evaluation of this version, not to its use.
        start: in ms relative to the time of writing.
        session: the conversation and the user, of requests in use.
    """

    question: Question
    version: int
    evaluated: bool
    start: int
    steps: tuple[Step, ...]
    judgements: tuple[Judgement, ...] = ()
    session: tuple[str, str] | None = None

    @property
    def failed(self) -> bool:
        """Whether there is no answer."""
        return bool(self.steps[0].error)


MODELS = (
    Model("small", (0.45, 0.60), 0.7, 0.0002),
    Model("medium", (0.66, 0.84), 1.5, 0.0010),
    Model("large", (0.80, 0.94), 3.2, 0.0060),
)
VERSIONS = tuple(Version(prompt, model) for model in MODELS for prompt in (1, 2))

# The versions in use, before and after the change of prompt.
IN_USE = (VERSIONS.index(Version(1, MODELS[1])), VERSIONS.index(Version(2, MODELS[1])))


def generate_genai_story(seed: int = 0) -> list[Answer]:
    """Generate all requests: first the evaluation of each version, then those in use, by time."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    answers = []
    difficulty = [rng.random() for _ in QUESTIONS]
    for index, version in enumerate(VERSIONS):
        begin = -DAY + index * 20 * MINUTE
        for place, question in enumerate(QUESTIONS):
            luck = difficulty[place] if rng.random() < _SHARED_DIFFICULTY else rng.random()
            right = luck < _chance_of_right(version, question)
            steps = _steps(rng, question, version, right=right, error=_rare_error(rng, version))
            judged = _judgements(rng, question, steps, right=right, by_human=index in IN_USE and place < _HUMAN_ANSWERS)
            answers.append(Answer(question, index, True, begin + place * 4 * _SECOND, steps, judged))
    return answers + _in_use(rng)


def _in_use(rng: random.Random) -> list[Answer]:
    """Requests of users over some days, by one version; since a release, questions about prices fail."""
    starts = sorted(rng.randrange(_DAYS_IN_USE * DAY) for _ in range(_REQUESTS_IN_USE))
    answers = []
    for number, start in enumerate(starts):
        question, broken = rng.choice(QUESTIONS), start >= _BROKEN_SINCE
        index = IN_USE[1] if broken else IN_USE[0]
        right = rng.random() < _chance_of_right(VERSIONS[index], question)
        error = _rare_error(rng, VERSIONS[index])
        if broken and question.topic == "prices":
            error = "search"
        searches = 4 if rng.random() < 0.06 and not error else 1
        steps = _steps(rng, question, VERSIONS[index], right=right, error=error, searches=searches)
        session = (f"session-{number // 3:03}", f"user-{rng.randrange(25):02}")
        answers.append(Answer(question, index, False, start - _DAYS_IN_USE * DAY, steps, (), session))
    return answers


def _chance_of_right(version: Version, question: Question) -> float:
    """The second prompt asks for quotes, and prices are in a table that cannot be quoted."""
    if question.topic == "prices":
        return 0.9 if version.prompt == 1 else 0.1
    return version.model.right[version.prompt - 1]


def _rare_error(rng: random.Random, version: Version) -> str:
    if version.model.name == "large" and rng.random() < 0.05:
        return "answer"
    return "search" if rng.random() < 0.02 else ""


def _steps(
    rng: random.Random, question: Question, version: Version, *, right: bool, error: str, searches: int = 1
) -> tuple[Step, ...]:
    """The spans of one request: a search, repeated or not, and the answer of the model; `error` names what fails."""
    steps, now = [], 3
    query = {"query": question.text}
    for _ in range(searches):
        end = now + round(1000 * rng.lognormvariate(-1.6, 0.4))
        if error == "search":
            reason = f"TimeoutError: no answer from documents-{rng.randrange(100, 999)} after 5000 ms"
            if question.topic == "prices":
                reason = f"KeyError: 'prices_{rng.choice(('eur', 'usd'))}'"
            steps.append(Step("search_documents", "RETRIEVER", now, end + 5000, query, error=reason))
            return (_root(question, end + 5003, error=reason), *steps)
        found = [{"page_content": question.document, "metadata": {"doc_uri": f"docs/{question.topic}.md"}}]
        found += [{"page_content": "…", "metadata": {"doc_uri": f"docs/other-{rng.randrange(40)}.md"}}] * (
            _DOCUMENTS_FOUND - 1
        )
        steps.append(Step("search_documents", "RETRIEVER", now, end, query, found))
        now = end + 2
    seconds = version.model.seconds * rng.lognormvariate(0, 0.3)
    end = now + round(1000 * seconds)
    tokens = (rng.randrange(350, 650) * version.prompt, rng.randrange(15, _LONGEST_ANSWER) * version.prompt)
    messages = {"messages": [{"role": "user", "content": question.text}], "temperature": 0}
    if error == "answer":
        reason = f"RateLimitError: 429 Too Many Requests, try again in {rng.randrange(5, 60)} s"
        steps.append(Step("chat_completion", "CHAT_MODEL", now, end, messages, error=reason, model=version.model.name))
        return (_root(question, end + 4, error=reason), *steps)
    text = question.answer if right else question.wrong
    steps.append(
        Step(
            "chat_completion",
            "CHAT_MODEL",
            now,
            end,
            messages,
            text,
            tokens=tokens,
            cost=sum(tokens) / 1000 * version.model.price,
            model=version.model.name,
        )
    )
    return (_root(question, end + 4, outputs=text), *steps)


def _root(question: Question, end: int, *, outputs: str | None = None, error: str = "") -> Step:
    return Step("answer_question", "CHAIN", 0, end, {"question": question.text}, outputs, error)


def _judgements(
    rng: random.Random, question: Question, steps: tuple[Step, ...], *, right: bool, by_human: bool
) -> tuple[Judgement, ...]:
    """What the judges say of an answer: one is wrong in 6 % and fails in 2 %, one always says yes."""
    if steps[0].error:
        return ()
    judged = [Judgement("contains_fact", "CODE", "contains_fact", right)]
    if rng.random() < 0.02:
        judged.append(Judgement("correctness", "LLM_JUDGE", "judge-large", None, error="JSONDecodeError: no verdict"))
    else:
        said = right if rng.random() < 0.94 else not right
        because = f"The expected answer is “{question.answer}”. The response {'agrees' if said else 'differs'}."
        judged.append(Judgement("correctness", "LLM_JUDGE", "judge-large", said, because))
    judged.append(
        Judgement("relevance", "LLM_JUDGE", "judge-small", True, "The response is about what the user asked.")
    )
    if by_human:
        judged.append(Judgement("correctness", "HUMAN", "reviewer", right, "" if right else "Not what our docs say."))
    return tuple(judged)
