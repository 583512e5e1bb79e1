"""Invitations to projects, for who is invited: one's own, the signed links of emails, accepting and declining."""

from bottle import HTTPResponse
from itsdangerous import BadData, URLSafeSerializer

from jobserver.domain.base.values import timestamp
from jobserver.domain.members import Invitation, invitation_of
from jobserver.domain.plan import Command
from jobserver.domain.projects import AcceptInvitation, CancelInvitation
from jobserver.errors import Code, Error, forbidden, invalid, not_found
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import idempotency_key, text
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site

_OVER = "this invitation was accepted, declined or taken back"


class InvitationLinks:
    """Links that name one invitation, not a later one of the same person. They log nobody in."""

    def __init__(self, secret: str, base_url: str) -> None:
        self._base_url = base_url
        self._links = URLSafeSerializer(secret, salt="jobserver invitation")

    def url(self, project: str, invitation: Invitation) -> str:
        token = self._links.dumps([project, invitation.username, timestamp(invitation.created_at)])
        return f"{self._base_url}/invitations/{token}/"

    def read(self, token: str) -> tuple[str, str, str] | None:
        """(project, user name, when it was made); None for what is not ours."""
        try:
            project, username, made = self._links.loads(token)
        except (BadData, ValueError, TypeError):
            return None
        return str(project), str(username), str(made)


class Invitations:
    def __init__(self, site: Site, links: InvitationLinks) -> None:
        self._site, self._services, self._links = site, site.services, links
        site.add("/invitations/", self.listed, self.answer)
        site.add("/invitations/<token>/", self.linked)

    def listed(self, context: PageContext) -> HTTPResponse:
        _ = context.actor  # also where pages are public
        return self._site.page(context, "invitations.html", title="Invitations", invited=context.invitations)

    def linked(self, context: PageContext, token: str) -> HTTPResponse:
        """Only shows what to accept: mail scanners open links."""
        found = self._links.read(token)
        username = context.actor.name
        if found is None:
            raise not_found("this is no link to an invitation: is it complete?")
        name, invitee, made = found
        if invitee != username:
            raise forbidden(f"this invitation is for {invitee}, and you are logged in as {username}")
        project = context.directory.project(name)
        invitation = invitation_of(project, username) if project is not None else None
        if project is None or invitation is None or timestamp(invitation.created_at) != made:
            raise not_found(_OVER)
        invited = [(name, project, invitation)]
        return self._site.page(context, "invitations.html", title=f"Invitation to {project.name}", invited=invited)

    def answer(self, context: PageContext) -> HTTPResponse:
        name, what, username = text("project", 200), text("what"), context.actor.name
        commands: dict[str, Command] = {
            "accept": AcceptInvitation(name),
            "decline": CancelInvitation(name, username),
        }
        if what not in commands:
            raise invalid("expected accept or decline", "what")
        try:
            self._services.gate.submit(context.actor, commands[what], "web", idempotency_key(context.actor))
        except Error as error:
            project = context.directory.project(name)
            if error.code is not Code.NOT_FOUND or project is None:
                raise
            raise not_found(_OVER) from None
        return redirect(f"/orgs/{name}/" if what == "accept" else "/invitations/")
