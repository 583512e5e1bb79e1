"""The answers given when a project was registered. Contact details are elsewhere, because git keeps everything."""

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from jobserver.domain.base.values import LINE_SCHEMA, TEXT_SCHEMA, Day, Document, Line, Text

_ADDRESS = re.compile(r"[\w+-]@[\w-]+\.\w")


def _no_address(text: str) -> str:
    if "@" in text and _ADDRESS.search(text):
        raise ValueError("email addresses are not allowed here, because nothing can be erased from git")
    return text


_NO_ADDRESS = {"not": {"pattern": _ADDRESS.pattern}}
PublicLine: TypeAlias = Annotated[Line, AfterValidator(_no_address), WithJsonSchema({**LINE_SCHEMA, **_NO_ADDRESS})]
PublicText: TypeAlias = Annotated[Text, AfterValidator(_no_address), WithJsonSchema({**TEXT_SCHEMA, **_NO_ADDRESS})]
_Name = Annotated[
    PublicLine, StringConstraints(min_length=1), WithJsonSchema({**LINE_SCHEMA, **_NO_ADDRESS, "minLength": 1})
]


class Researcher(Document):
    name: _Name
    passed_researcher_training_at: Day | None = None
    is_ons_accredited_researcher: bool = False


class Registration(Document):
    """job-server's registration form, without the email address and telephone number."""

    project_lead: _Name
    job_title: PublicLine = ""
    team_name: PublicLine = ""
    region: PublicLine = ""
    purpose: PublicText = ""
    requested_data_meets_purpose: PublicText = ""
    why_data_is_required: PublicText = ""
    data_access_legal_basis: PublicText = ""
    satisfying_confidentiality: PublicText = ""
    ethics_approval: PublicText = ""
    is_research_on_cmo_priority_list: PublicText = ""
    funding_source: PublicText = ""
    team_details: PublicText = ""
    previous_experience_with_ehr: PublicText = ""
    evidence_of_scripting_languages: PublicText = ""
    evidence_of_sharing_in_public: PublicText = ""
    researchers: tuple[Researcher, ...] = Field(default=(), max_length=100, strict=False)
    declaration: bool = False
