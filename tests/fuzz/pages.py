"""The pages and the API as `tests/e2e/pages/test_odd_input.py` asks them, on and on, and by strangers too."""

import random
from contextlib import ExitStack
from urllib.parse import quote

from tests.e2e.harness import Site
from tests.e2e.pages.browser import Browser
from tests.e2e.pages.test_odd_input import CALLS, ODD, READ, anything, call
from tests.fuzz.tally import Tally

RAW = "".join(map(chr, range(1, 256))) + "&=;%+[]{}\"'<>" * 10


def fuzz(site: Site, chance: random.Random, tally: Tally) -> None:
    identifier = site.ask("generate")
    with ExitStack() as stack:
        browsers = [stack.enter_context(Browser(site, who)) for who in ("root", "alice", "carol", None)]
        forms = [one.token(one.get("/settings/")) if one is not browsers[-1] else "x" for one in browsers]
        clients = [stack.enter_context(site.client(who)) for who in ("tpp", "alice", None)]
        while tally.goes_on:
            kind = chance.randrange(4)
            if kind < 2:
                at = chance.randrange(len(browsers))
                form = forms[at] if chance.random() < 0.95 else chance.choice(ODD)
                answer = call(chance, browsers[at], identifier, form)
            elif kind == 2:
                path = chance.choice(CALLS).replace("ID", identifier)
                answer = chance.choice(clients).post(path, json=anything(chance))
            else:
                query = "".join(chance.choices(RAW, k=chance.randint(0, 60)))
                query = query if chance.random() < 0.3 else quote(query, safe="&=%+")
                path = chance.choice(READ).replace("ID", identifier)
                answer = chance.choice(browsers).get(
                    f"{path}?{query.replace('#', '').encode('unicode_escape').decode()}"
                )
            what = f"{answer.request.method} {answer.request.url} {answer.request.read()[:500]!r}"
            tally.answered(answer.status_code, what, answer.content)
