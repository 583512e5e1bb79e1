"""Users, organisations and projects of the old server, as documents, and how to reach people."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobserver.domain.base import names
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import GLOBAL_ROLES, ORG_ROLES, PROJECT_ROLES, Role
from jobserver.domain.base.registration import Registration, Researcher
from jobserver.domain.base.validation import checked
from jobserver.domain.members import Invitation, Member
from jobserver.domain.orgs import Org
from jobserver.domain.projects import Project
from jobserver.domain.users import User
from jobserver.errors import Error
from jobserver.service.accounts.private_store import Contact, check_email
from jobserver.service.imports import database as tables
from jobserver.service.imports.context import (
    DELETED_USER,
    EPOCH,
    UNKNOWN_ORG,
    ImportContext,
    ImportedDocument,
    origin,
)
from jobserver.service.imports.database import Row
from jobserver.service.imports.limits import ProjectLimits
from jobserver.service.imports.naming import RowNames
from jobserver.service.imports.values import line_of, roles_of, text_of, time_of, without_addresses

_LINES = ("job_title", "team_name", "region")
_TEXTS = (
    *("purpose", "requested_data_meets_purpose", "why_data_is_required", "data_access_legal_basis"),
    *("satisfying_confidentiality", "ethics_approval", "is_research_on_cmo_priority_list", "funding_source"),
    *("team_details", "previous_experience_with_ehr", "evidence_of_scripting_languages"),
    "evidence_of_sharing_in_public",
)


@dataclass(frozen=True, slots=True)
class _ProjectParts:
    """What other tables say of projects: id of the project -> it. ``orgs``: ids."""

    members: Mapping[object, tuple[Member, ...]]
    invitations: Mapping[object, tuple[Invitation, ...]]
    researchers: Mapping[object, tuple[Researcher, ...]]
    orgs: Mapping[object, object]


class ImportedPeople:
    """``emails``: username -> address; ``contacts``: project -> how to reach its lead. Both go to the private store."""

    def __init__(self, context: ImportContext) -> None:
        self._context = context
        self._database, self._notes = context.database, context.notes
        self._users: dict[str, User] = {}
        self.emails: dict[str, str] = {}
        self.contacts: dict[str, Contact] = {}

    def documents(self) -> Iterator[ImportedDocument]:
        """Users, then orgs, then projects: each names only documents before it."""
        yield from self._all_users()
        yield from self._all_orgs()
        yield from self._all_projects()

    def _all_users(self) -> Iterator[ImportedDocument]:
        accounts = self._accounts()
        yield from self._context.documents(tables.USERS, lambda row: self._user(row, accounts))
        if self._database.orphans(tables.WORKSPACES, "created_by_id", tables.USERS) or self._database.orphans(
            tables.REQUESTS, "created_by_id", tables.USERS
        ):
            user = User(username=DELETED_USER, name="Deleted user", active=False)
            yield ImportedDocument(Kind.USER, DELETED_USER, user, origin(None, EPOCH), tables.USERS)

    def _user(self, row: Row, accounts: Mapping[object, int]) -> ImportedDocument:
        username = self._context.users.add(row["id"], row.get("username"), "username")
        self._email(row, username)
        name = row.get("fullname") or f"{row.get('first_name') or ''} {row.get('last_name') or ''}"
        user = self._users[username] = checked(
            User,
            {
                "username": username,
                "github_id": accounts.get(row["id"]),
                "name": line_of(name),
                "roles": self._roles(tables.USERS, row, GLOBAL_ROLES),
                "active": bool(row.get("is_active", True)),
            },
        )
        if row.get("pat_token"):
            action = "not taken: make a new one with `jobserver user token`"
            self._notes.add(tables.USERS, row["id"], "pat_token", "is hashed in another way", action)
        created = origin(username, time_of(row.get("date_joined")))
        return ImportedDocument(Kind.USER, username, user, created, _row(tables.USERS, row))

    def _email(self, row: Row, username: str) -> None:
        column = "notifications_email" if row.get("notifications_email") else "email"
        if address := line_of(row.get(column)):
            try:
                self.emails[username] = check_email(address)
            except Error as error:
                self._notes.add(tables.USERS, row["id"], column, error.message, "not taken")

    def _accounts(self) -> dict[object, int]:
        """id of the user -> number of the account on GitHub. Each number is one user's."""
        accounts: dict[object, int] = {}
        for row in self._database.rows(tables.ACCOUNTS):
            number = str(row.get("uid") or "")
            if row.get("provider") != "github" or not (number.isascii() and number.isdecimal() and len(number) < 19):
                problem, action = f"{row.get('provider')} {number!r:.40} is no number on GitHub", "not taken"
                self._notes.add(tables.ACCOUNTS, row["id"], "uid", problem, action)
            elif int(number) in accounts.values():
                self._notes.add(tables.ACCOUNTS, row["id"], "uid", f"{number} is another user's too", "not taken")
            else:
                accounts[row.get("user_id")] = int(number)
        return accounts

    def _roles(self, table: str, row: Row, allowed: frozenset[Role]) -> tuple[Role, ...]:
        roles, others = roles_of(row.get("roles"), allowed)
        for role in others:
            self._notes.add(table, row["id"], "roles", f"{role} is no role here", "not given: give a role by hand")
        return roles

    def _members(self, table: str, column: str, allowed: frozenset[Role]) -> dict[object, tuple[Member, ...]]:
        """id of the org or project -> its members."""
        members: dict[object, dict[str, Member]] = defaultdict(dict)
        for row in self._database.rows(table):
            username = self._context.users.get(row.get("user_id"))
            if username is None:
                self._notes.add(table, row["id"], "user_id", "names no user", "not taken")
                continue
            roles = self._roles(table, row, allowed)
            members[row.get(column)].setdefault(username, Member(username=username, roles=roles))
        return {key: tuple(by_name[name] for name in sorted(by_name)) for key, by_name in members.items()}

    def _all_orgs(self) -> Iterator[ImportedDocument]:
        members = self._members(tables.ORG_MEMBERS, "org_id", ORG_ROLES)
        yield from self._context.documents(tables.ORGS, lambda row: self._org(row, members))
        column = "org_id" if self._database.has(tables.PROJECTS, "org_id") else "id"
        parent = tables.ORGS if column == "org_id" else tables.COLLABORATIONS
        key = "id" if column == "org_id" else "project_id"
        if self._database.orphans(tables.PROJECTS, column, parent, key):
            unknown = Org(slug=UNKNOWN_ORG, name="Unknown organisation")
            yield ImportedDocument(Kind.ORG, UNKNOWN_ORG, unknown, origin(None, EPOCH), tables.ORGS)

    def _org(self, row: Row, members: Mapping[object, tuple[Member, ...]]) -> ImportedDocument:
        slug = self._context.orgs.add(row["id"], row.get("slug"), "slug")
        values = {"slug": slug, "name": line_of(row.get("name")) or slug, "members": members.get(row["id"], ())}
        author = self._context.users.get(row.get("created_by_id"))
        created = origin(author, time_of(row.get("created_at")))
        return ImportedDocument(Kind.ORG, slug, checked(Org, values), created, _row(tables.ORGS, row))

    def _all_projects(self) -> Iterator[ImportedDocument]:
        members = self._members(tables.PROJECT_MEMBERS, "project_id", PROJECT_ROLES)
        parts = _ProjectParts(members, self._invitations(members), self._researchers(), self._leading_orgs())
        slugs = RowNames(tables.PROJECTS, Kind.PROJECT, names.SLUG, 64, self._notes, "x/")
        limits = ProjectLimits(self._notes)
        return self._context.documents(tables.PROJECTS, lambda row: self._project(row, parts, slugs, limits))

    def _project(self, row: Row, parts: "_ProjectParts", slugs: RowNames, limits: ProjectLimits) -> ImportedDocument:
        key = row["id"]
        org = self._context.orgs.get(row.get("org_id", parts.orgs.get(key)))
        slug = slugs.add(key, row.get("slug"), "slug")
        if org is None:
            org = UNKNOWN_ORG
            self._notes.add(tables.PROJECTS, key, "org_id", "names no org", f"takes {UNKNOWN_ORG!r}")
        name = f"{org}/{slug}"
        project = checked(
            Project,
            {
                "slug": slug,
                "name": line_of(row.get("name")) or slug,
                "org": org,
                "members": parts.members.get(key, ()),
                "registration": self._registration(row, parts.researchers.get(key, ())),
                "invitations": parts.invitations.get(key, ()),
                **limits.of(row),
            },
        )
        self._context.projects[key] = name
        self._contact(row, name)
        author = self._context.users.get(row.get("created_by_id"))
        created = origin(author, time_of(row.get("created_at")))
        return ImportedDocument(Kind.PROJECT, name, project, created, _row(tables.PROJECTS, row))

    def _leading_orgs(self) -> dict[object, object]:
        """id of the project -> id of its org: the one that leads, else the first."""
        orgs: dict[object, object] = {}
        for row in self._database.rows(tables.COLLABORATIONS, "project_id, is_lead DESC, id"):
            if row["project_id"] in orgs:
                problem = "is a further org of the project, which has one here"
                self._notes.add(tables.COLLABORATIONS, row["id"], "org_id", problem, "not taken")
            orgs.setdefault(row["project_id"], row["org_id"])
        return orgs

    def _invitations(self, members: dict[object, tuple[Member, ...]]) -> dict[object, tuple[Invitation, ...]]:
        """id of the project -> invitations that are open."""
        invitations: dict[object, dict[str, Invitation]] = defaultdict(dict)
        for row in self._database.rows(tables.INVITATIONS):
            project, username = row.get("project_id"), self._context.users.get(row.get("user_id"))
            if row.get("accepted_at") or any(member.username == username for member in members.get(project, ())):
                continue
            roles = self._roles(tables.INVITATIONS, row, PROJECT_ROLES)
            if username is None or not self._users[username].active or not roles:
                problem = "names no active user" if roles else "has no roles"
                self._notes.add(tables.INVITATIONS, row["id"], "user_id" if roles else "roles", problem, "not taken")
                continue
            invited_by = self._context.person(tables.INVITATIONS, row["id"], "created_by_id", row.get("created_by_id"))
            invitations[project][username] = Invitation(
                username=username,
                roles=roles,
                invited_by=invited_by,
                created_at=time_of(row.get("created_at")) or EPOCH,
            )
        return {key: tuple(by_name[name] for name in sorted(by_name)) for key, by_name in invitations.items()}

    def _researchers(self) -> dict[object, tuple[Researcher, ...]]:
        """id of the project -> the researchers of its registration."""
        known: dict[object, Researcher] = {}
        for row in self._database.rows(tables.RESEARCHERS):
            trained = time_of(row.get("passed_researcher_training_at"))
            known[row["id"]] = Researcher(
                name=without_addresses(line_of(row.get("name"))) or "(no name)",
                passed_researcher_training_at=trained.date().isoformat() if trained else None,
                is_ons_accredited_researcher=bool(row.get("is_ons_accredited_researcher")),
            )
        projects: dict[object, list[Researcher]] = defaultdict(list)
        for row in self._database.rows(tables.PROJECT_RESEARCHERS):
            if (researcher := known.get(row.get("researcherregistration_id"))) is not None:
                projects[row["project_id"]].append(researcher)
        return {project: tuple(researchers[:100]) for project, researchers in projects.items()}

    def _registration(self, row: Row, researchers: tuple[Researcher, ...]) -> Registration | None:
        """The answers of the registration form, which only the schema of 2021 has."""
        answers = {key: without_addresses(line_of(row.get(key))) for key in ("project_lead", *_LINES)}
        answers |= {key: without_addresses(text_of(row.get(key))) for key in _TEXTS}
        if not any(answers.values()) and not researchers:
            return None
        if any(without_addresses(str(row.get(key) or "")) != str(row.get(key) or "") for key in answers):
            problem, action = "holds an email address", "leaves the address out"
            self._notes.add(tables.PROJECTS, row["id"], "registration", problem, action)
        answers["project_lead"] = answers["project_lead"] or "(not known)"
        values = {**answers, "researchers": researchers, "declaration": bool(row.get("has_signed_declaration"))}
        try:
            return checked(Registration, values)
        except Error as error:
            self._context.not_taken(tables.PROJECTS, row["id"], error)
            return None

    def _contact(self, row: Row, name: str) -> None:
        contact = Contact(line_of(row.get("email")), line_of(row.get("telephone")))
        try:
            if contact != Contact():
                self.contacts[name] = contact.checked()
        except Error as error:
            self._notes.add(tables.PROJECTS, row["id"], error.where, error.message, "not taken")


def _row(table: str, row: Row) -> str:
    return f"{table}/{row['id']}"
