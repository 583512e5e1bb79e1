"""Invitations to projects: a person's own list, the signed links of emails, accepting and declining."""

from bottle import HTTPResponse
from itsdangerous import BadData, URLSafeSerializer

from jobserver.domain.base.values import timestamp
from jobserver.domain.members import Invitation, invitation_of
from jobserver.domain.plan import Command
from jobserver.domain.projects import AcceptInvitation, CancelInvitation
from jobserver.errors import Code, Error, forbidden, not_found
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import idempotency_key, text, unknown_button
from jobserver.web.pages.site import Site

_CLOSED = "this invitation has already been accepted, declined or cancelled"


class InvitationLinks:
    """Links that name one invitation, and no later one for the same person. They do not log anybody in."""

    def __init__(self, secret: str, base_url: str) -> None:
        self._base_url = base_url
        self._links = URLSafeSerializer(secret, salt="jobserver invitation")

    def url(self, project: str, invitation: Invitation) -> str:
        token = self._links.dumps([project, invitation.username, timestamp(invitation.created_at)])
        return f"{self._base_url}/invitations/{token}/"

    def read(self, token: str) -> tuple[str, str, str] | None:
        """(project, username, created_at as text); None for a token that this server did not sign."""
        try:
            project, username, created_at = self._links.loads(token)
        except (BadData, ValueError, TypeError):
            return None
        return str(project), str(username), str(created_at)


class Invitations:
    def __init__(self, site: Site, links: InvitationLinks) -> None:
        self._site, self._services, self._links = site, site.services, links
        site.add("/invitations/", self.index, self.answer)
        site.add("/invitations/<token>/", self.linked)

    def index(self, context: PageContext) -> HTTPResponse:
        _ = context.actor  # needs a person, also where pages are public
        return self._site.page(context, "people/invitations.html", title="Invitations", pending=context.invitations)

    def linked(self, context: PageContext, token: str) -> HTTPResponse:
        """Only shows the invitation: mail scanners open links, so opening one must not accept."""
        link = self._links.read(token)
        username = context.actor.name
        if link is None:
            raise not_found("this invitation link is not valid: check that you copied all of it")
        name, invitee, created_at = link
        if invitee != username:
            raise forbidden(f"this invitation is for {invitee}, and you are logged in as {username}")
        project = context.directory.project(name)
        invitation = invitation_of(project, username) if project is not None else None
        if project is None or invitation is None or timestamp(invitation.created_at) != created_at:
            raise not_found(_CLOSED)
        pending = [(name, project, invitation)]
        return self._site.page(
            context, "people/invitations.html", title=f"Invitation · {project.name}", pending=pending
        )

    def answer(self, context: PageContext) -> HTTPResponse:
        name, operation, username = text("project", 200), text("what"), context.actor.name
        commands: dict[str, Command] = {
            "accept": AcceptInvitation(name),
            "decline": CancelInvitation(name, username),
        }
        if operation not in commands:
            raise unknown_button()
        try:
            self._services.gate.submit(context.actor, commands[operation], "web", idempotency_key(context.actor))
        except Error as error:
            if error.code is Code.NOT_FOUND and context.directory.project(name) is not None:
                raise not_found(_CLOSED) from None
            raise
        if operation == "accept":
            return self._site.saved(f"/orgs/{name}/", "You are now a member of this project.")
        return self._site.saved("/invitations/", "Declined the invitation.")
