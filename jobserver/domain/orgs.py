"""Organisations: each has projects, and members whose roles count in all of these.

Administrators change them, and people who manage all projects."""

from dataclasses import dataclass
from typing import TypeAlias

from pydantic import Field

from jobserver.domain.base.layout import DocPath, Kind
from jobserver.domain.base.permissions import ORG_ROLES, Actor, Permission
from jobserver.domain.base.planning import require_absent, require_free_url, write_document
from jobserver.domain.base.rights import Rights
from jobserver.domain.base.rules import KeyFault, Proposal, Rules
from jobserver.domain.base.state import Change, Changes, State
from jobserver.domain.base.values import Document, Line, Slug, Version
from jobserver.domain.members import Member, gains, member_faults


class Org(Document):
    version: Version = 1
    slug: Slug
    name: Line
    members: tuple[Member, ...] = Field(default=(), strict=False)

    def path_keys(self, path: DocPath) -> dict[str, object]:
        return {"slug": path.name}

    def refers_to(self, kind: Kind, name: str) -> bool:
        return kind is Kind.USER and any(member.username == name for member in self.members)


@dataclass(frozen=True, slots=True)
class AddOrg:
    slug: str
    name: str = ""


Command: TypeAlias = AddOrg


def plan(state: State, command: Command, actor: Actor) -> Changes:
    require_free_url(Kind.ORG, command.slug)
    require_absent(state.org(command.slug), Kind.ORG, command.slug)
    after = Org(slug=command.slug, name=command.name or command.slug)
    return write_document(Kind.ORG, command.slug, None, after, "org.created", f"{actor.name} added org {command.slug}")


def _faults(proposal: Proposal, change: Change) -> list[KeyFault]:
    _, after = change.of(Org)
    return member_faults(after.members, ORG_ROLES, proposal) if after is not None else []


def _may_write(rights: Rights, change: Change) -> bool:
    """People who manage projects do not give themselves roles."""
    before, after = change.of(Org)
    return after is not None and rights.may(Permission.MANAGE_PROJECTS) and not gains(before, after, rights.actor.name)


RULES = Rules(faults=_faults, create=_may_write, update=_may_write)
