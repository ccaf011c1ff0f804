"""The 60 questions of `create-demo-runs --genai`: ten on each of six topics, with what the documentation says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A question, what the documentation says about it, and an answer that is wrong."""

    topic: str
    text: str
    answer: str
    wrong: str

    @property
    def document(self) -> str:
        """The passage of the documentation with the answer."""
        return f"{self.text} {self.answer}"


# For each topic a question with a gap, and what fills it with the answer.
_TOPICS = {
    "prices": (
        "What does {} cost per month?",
        {
            "the Starter plan": "9 EUR",
            "the Team plan": "29 EUR",
            "the Company plan": "119 EUR",
            "one more seat": "6 EUR",
            "100 GB more storage": "4 EUR",
            "the audit log": "12 EUR",
            "single sign-on": "15 EUR",
            "priority support": "49 EUR",
            "a sandbox": "7 EUR",
            "an extra region": "22 EUR",
        },
    ),
    "limits": (
        "What is the limit for {}?",
        {
            "the size of one upload": "2 GB",
            "requests per minute": "600",
            "projects in a workspace": "250",
            "members of a team": "80",
            "rows of an export": "1,000,000",
            "the length of a comment": "5,000 characters",
            "saved filters": "40",
            "webhooks per project": "12",
            "concurrent jobs": "16",
            "days that logs are kept": "90",
        },
    ),
    "install": (
        "How do I install {}?",
        {
            "the command line tool": "pipx install docbase",
            "the Python client": "pip install docbase-client",
            "the desktop app on Linux": "with the AppImage from the downloads page",
            "the desktop app on macOS": "brew install --cask docbase",
            "the server": "with the Helm chart docbase/server",
            "a plugin": "docbase plugin add NAME",
            "the language packs": "docbase lang add de fr",
            "the editor extension": "from the marketplace, as DocBase",
            "an older release": "pip install docbase-client==VERSION",
            "it without internet": "with the bundle docbase-offline.tar",
        },
    ),
    "api": (
        "Which endpoint {}?",
        {
            "lists projects": "GET /v2/projects",
            "creates a document": "POST /v2/documents",
            "deletes a document": "DELETE /v2/documents/ID",
            "searches": "POST /v2/search",
            "returns the own account": "GET /v2/me",
            "starts an export": "POST /v2/exports",
            "returns the status of an export": "GET /v2/exports/ID",
            "adds a member": "POST /v2/teams/ID/members",
            "rotates a key": "POST /v2/keys/ID/rotate",
            "lists changes": "GET /v2/changes",
        },
    ),
    "accounts": (
        "Where can I {}?",
        {
            "change my password": "Settings, Security",
            "turn on two-factor login": "Settings, Security, Two-factor",
            "invite a colleague": "Team, Members, Invite",
            "change the language": "Settings, Display",
            "delete my account": "Settings, Account, Delete",
            "see my invoices": "Workspace, Billing",
            "leave a team": "Team, Members, Leave",
            "change my name": "Settings, Profile",
            "connect a calendar": "Settings, Integrations",
            "turn off emails": "Settings, Notifications",
        },
    ),
    "security": (
        "How {}?",
        {
            "is data encrypted at rest": "with AES-256",
            "is data encrypted in transit": "with TLS 1.3",
            "often are backups made": "every six hours",
            "long are backups kept": "35 days",
            "can I report a vulnerability": "by mail to the security team",
            "are keys stored": "in a hardware module",
            "are deleted files removed": "after 30 days in the trash",
            "is access logged": "each request, in the audit log",
            "many regions hold data": "two, chosen per workspace",
            "is single sign-on set up": "with SAML, by an owner",
        },
    ),
}


def _questions() -> tuple[Question, ...]:
    found = []
    for topic, (text, facts) in _TOPICS.items():
        answers = list(facts.values())
        for place, (thing, answer) in enumerate(facts.items()):
            # A wrong answer is the right one to another question of the topic.
            found.append(Question(topic, text.format(thing), answer, answers[(place + 3) % len(answers)]))
    return tuple(found)


QUESTIONS = _questions()
