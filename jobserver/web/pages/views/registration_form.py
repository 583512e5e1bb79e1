"""The registration form of a project: its questions, in order, and the answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobserver.domain.base.registration import Registration
from jobserver.domain.base.validation import checked
from jobserver.errors import Error, invalid
from jobserver.service.accounts.private_store import Contact
from jobserver.web.pages.forms import text

MAX_RESEARCHERS = 100
_INDEX = re.compile(r"researchers\.(\d+)")
LINES = {
    "job_title": "Job title",
    "team_name": "Team",
    "region": "Region",
}
TEXTS = {
    "purpose": "What is the purpose of the research?",
    "requested_data_meets_purpose": "How does the requested data meet that purpose?",
    "why_data_is_required": "Why is this data required?",
    "data_access_legal_basis": "What is the legal basis for access to the data?",
    "satisfying_confidentiality": "How is the duty of confidentiality satisfied?",
    "ethics_approval": "What ethics approval does the project have?",
    "is_research_on_cmo_priority_list": "Is the research on the Chief Medical Officer's priority list?",
    "funding_source": "Who funds the project?",
    "team_details": "Who is in the team, and from which organisations?",
    "previous_experience_with_ehr": "What experience does the team have with electronic health records?",
    "evidence_of_scripting_languages": "What evidence is there of coding skills (Python, R or Stata)?",
    "evidence_of_sharing_in_public": "What evidence is there of sharing code in public?",
}


_ROW = ("name", "trained_at", "accredited")


@dataclass(frozen=True, slots=True)
class Row:
    """One named researcher, as typed."""

    name: str = ""
    trained_at: str = ""
    accredited: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """As typed, valid or not; the form shows them again beside the errors. ``fields``: all but the researchers'."""

    fields: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Row] = (Row(),)

    def get(self, key: str) -> str:
        return self.fields.get(key, "")

    @property
    def contact(self) -> Contact:
        return Contact(self.get("email"), self.get("telephone"))

    def registration(self) -> Registration:
        """Raises `Error` (invalid), which names each field with a problem."""
        researchers = [
            {
                "name": row.name,
                "passed_researcher_training_at": row.trained_at or None,
                "is_ons_accredited_researcher": row.accredited,
            }
            for row in self.rows
            if row != Row()
        ]
        values = {key: self.get(key) for key in ("project_lead", *LINES, *TEXTS)}
        try:
            return checked(
                Registration, {**values, "researchers": researchers, "declaration": self.get("declaration") == "on"}
            )
        except Error as error:
            raise self._with_rows(error) from None

    def _with_rows(self, error: Error) -> Error:
        """The faults of researchers count the form's rows, and not only those that are filled in."""
        filled = [number for number, row in enumerate(self.rows) if row != Row()]
        faults = [
            replace(fault, key=_INDEX.sub(lambda match: f"researchers.{filled[int(match[1])]}", fault.key))
            for fault in error.faults
        ]
        return invalid(error.message, faults=faults)


def read() -> Answers:
    """The form that was sent. The limits here are above the document's own, so that those give the error."""
    keys = ("name", "slug", "project_lead", "email", "telephone", "declaration", "researchers", *LINES, *TEXTS)
    rows = (f"researcher_{row}_{key}" for row in range(_rows(text("researchers", 4))) for key in _ROW)
    return as_typed({key: [text(key, 20_000).replace("\r\n", "\n")] for key in (*keys, *rows)})


def as_typed(typed: Mapping[str, Sequence[str]]) -> Answers:
    """The form that was refused; an empty one if none was."""
    fields = {key: values[0] for key, values in typed.items() if values}
    count = fields.get("researchers", "")
    rows = [
        Row(
            fields.get(f"researcher_{number}_name", ""),
            fields.get(f"researcher_{number}_trained_at", ""),
            bool(fields.get(f"researcher_{number}_accredited")),
        )
        for number in range(_rows(count))
    ]
    return Answers(fields, rows)


def _rows(count: str) -> int:
    return max(1, min(int(count), MAX_RESEARCHERS)) if count.isascii() and count.isdecimal() else 1


def with_another_row(answers: Answers) -> Answers:
    return Answers(answers.fields, (*answers.rows, Row())[:MAX_RESEARCHERS])
