"""Templates and their code."""

from jobserver.web.pages.render import environment


def test_a_template_is_compiled_once_for_all_servers_of_a_process() -> None:
    first, second = (environment().get_template("banners.html") for _ in range(2))
    assert first.root_render_func.__code__ is second.root_render_func.__code__
