"""A release under governance: its files with their states, what happened to it, and what this person can do now."""

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Permission
from jobserver.domain.outputs.approvals import (
    ReleaseState,
    Standing,
    file_groups,
    file_states,
    may_check,
    release_state,
)
from jobserver.domain.outputs.commands import decides
from jobserver.domain.outputs.documents import CheckedRelease, Decision, Review
from jobserver.domain.workspaces import Workspace
from jobserver.errors import invalid, not_found
from jobserver.index.queries.releases import releases_named
from jobserver.service.releases.checked import CheckedReleaseService, ReleaseName
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text, texts, unknown_button
from jobserver.web.pages.released.timeline import timeline
from jobserver.web.pages.routes.releases.access import viewed_workspace
from jobserver.web.pages.routes.releases.vouched import VouchedReleases
from jobserver.web.pages.site import Site
from jobserver.web.services import Services

_SAVED = {
    "approve": "Your approval is recorded.",
    "reject": "Your rejection is recorded.",
    "return": "The release is returned to its author. Earlier decisions no longer count.",
    "withdraw": "The files are withdrawn.",
    "request-publication": "A publisher can now decide.",
    "publish": "The files are published.",
    "request-end": "A publisher can now end the publication.",
    "end-publication": "The publication has ended.",
}
_DECISIONS: dict[str, Decision] = {"approve": "approved", "reject": "rejected", "return": "returned"}
_LONGEST = 2000  # characters of a comment
_UNDECIDED = frozenset(
    {ReleaseState.REQUESTED, ReleaseState.UNDER_REVIEW, ReleaseState.APPROVED, ReleaseState.REJECTED}
)


class ReleasePages:
    def __init__(self, site: Site, vouched: VouchedReleases) -> None:
        self._site, self._services, self._vouched = site, site.services, vouched
        site.add("/<name>/releases/<identifier>", self.show, self.change)

    def show(self, context: PageContext, name: str, identifier: str) -> HTTPResponse:
        workspace = viewed_workspace(self._services, context, name)
        release = find_release(self._services, name, identifier)
        if release is None:
            return self._vouched.show(context, workspace, identifier)
        standing = Standing.of(context.directory, release)
        states = file_states(release, standing)
        return self._site.page(
            context,
            "releases/release.html",
            title=f"Release {identifier[:10]} · {name}",
            workspace=workspace,
            release=release,
            state=release_state(file_groups(release), standing),
            standing=standing,
            files=[(file, states[file.path]) for file in release.files],
            steps=timeline(release),
            publication=release.open_publication,
            can=self._abilities(context, workspace, release, set(states.values())),
        )

    def _abilities(
        self, context: PageContext, workspace: Workspace, release: CheckedRelease, states: set[ReleaseState]
    ) -> frozenset[str]:
        """The buttons that this person is offered."""
        if context.user is None or release.withdrawn is not None:
            return frozenset()
        username, publication = context.user.username, release.open_publication
        is_checker = may_check(context.directory, username, workspace.name, release.backend)
        is_publisher = context.may(Permission.PUBLISH_OUTPUT, workspace.project)
        is_developer = context.may(Permission.RUN_JOB, workspace.project)
        is_reviewer = is_checker and username != release.author and not states.isdisjoint(_UNDECIDED)
        offered = {
            "review": is_reviewer,
            "return": is_reviewer and decides(release, Review(by=username, at=context.now, decision="returned")),
            "withdraw": is_checker or username == release.author or context.is_admin,
            "request-publication": is_developer and publication is None and bool(release.live_files()),
            "publish": is_publisher
            and publication is not None
            and publication.approved is None
            and publication.requested.by != username,
            "request-end": is_developer
            and publication is not None
            and publication.is_public
            and publication.end_requested is None,
            "end-publication": is_publisher and publication is not None,
        }
        return frozenset(name for name, is_offered in offered.items() if is_offered)

    def change(self, context: PageContext, name: str, identifier: str) -> HTTPResponse:
        viewed_workspace(self._services, context, name)
        release, service = find_release(self._services, name, identifier), self._services.checked_releases
        if release is None or service is None:
            raise not_found(f"workspace {name} has no release {identifier!r}")
        button = text("what")
        self._act(service, context, release, button)
        return self._site.saved(f"/{name}/releases/{identifier}", _SAVED[button])

    def _act(self, service: CheckedReleaseService, context: PageContext, release: CheckedRelease, button: str) -> None:
        actor, which, files = context.actor, ReleaseName.of(release), tuple(texts("files"))
        comment = text("comment", _LONGEST)
        match button:
            case "approve" | "reject" | "return":
                chosen = () if button == "return" else files  # it is the whole release that goes back
                service.review(actor, which, actor.name, _DECISIONS[button], "web", comment, chosen)
            case "withdraw":
                service.withdraw(actor, which, actor.name, _reason(comment), "web", files)
            case "request-publication":
                service.request_publication(actor, which, "web", files, comment)
            case "publish":
                service.publish(actor, which, "web")
            case "request-end":
                service.request_unpublication(actor, which, "web", comment)
            case "end-publication":
                service.unpublish(actor, which, "web", _reason(comment))
            case _:
                raise unknown_button()


def _reason(comment: str) -> str:
    if not comment:
        raise invalid("say why: everybody who looks for the files later reads it", "comment")
    return comment


def find_release(services: Services, name: str, identifier: str) -> CheckedRelease | None:
    """The release of the workspace, of a backend that this server shows."""
    if services.checked_releases is None:
        return None
    with services.index.view() as sql:
        named = releases_named(sql, identifier, services.visible.slugs())
    backend = next((release.backend for release in named if release.workspace == name), None)
    return services.checked_releases.find(ReleaseName(backend, name, identifier)) if backend is not None else None
