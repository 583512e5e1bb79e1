"""A user's roles and permissions, and the statuses of a workspace's actions."""

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor, granted
from jobserver.domain.members import Member
from jobserver.errors import not_found
from jobserver.index.queries.jobs import latest_jobs
from jobserver.index.queries.requests import RequestFilter, list_requests
from jobserver.web import http
from jobserver.web.services import Services


class PeopleApi:
    def __init__(self, services: Services) -> None:
        self._index, self._visible = services.index, services.visible

    def user(self, _: Actor, username: str) -> HTTPResponse:
        directory = self._index.directory()
        user = directory.user(username)
        if user is None:
            raise not_found(f"User {username} does not exist")
        active = user.active

        def within(members: tuple[Member, ...]) -> tuple[list[str], list[str]]:
            roles = [role for member in members if member.username == username for role in member.roles]
            return sorted(roles) if active else [], sorted(granted(roles)) if active else []

        orgs = [(slug, within(org.members)) for slug, org in directory.orgs.items() if _in(org.members, username)]
        # Two organisations may have projects with the same slug: the list has both.
        projects = [
            (project.slug, within(project.members))
            for project in directory.projects.values()
            if _in(project.members, username)
        ]
        projects.sort(key=lambda project: project[0])
        return http.answer(
            {
                kind: {
                    "global": sorted(granted(user.roles) if kind == "permissions" else user.roles) if active else [],
                    "orgs": [{"slug": slug, kind: lists[number]} for slug, lists in orgs],
                    "projects": [{"slug": slug, kind: lists[number]} for slug, lists in projects],
                }
                for number, kind in enumerate(("roles", "permissions"))
            }
        )

    def statuses(self, actor: Actor, name: str) -> HTTPResponse:
        """The latest status of each action on one backend: the token's own, that of the query, or the last used one."""
        if self._index.directory().workspace(name) is None:
            return HTTPResponse(b"", 404)
        slugs, is_named = self._visible.chosen(actor)
        with self._index.view() as sql:
            if not is_named:
                slugs = [row.backend for row in list_requests(sql, RequestFilter(workspace=name), slugs, 1)[:1]]
            latest = latest_jobs(sql, name, slugs)
            return http.answer({action: job.status for action, job in sorted(latest.items())})


def _in(members: tuple[Member, ...], username: str) -> bool:
    return any(member.username == username for member in members)
