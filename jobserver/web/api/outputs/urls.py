"""Every URL of checked releases."""

from jobserver.web.api.common import Keys
from jobserver.web.api.outputs.calls import FILE_FILTERS, LIST_FILTERS, OutputsApi
from jobserver.web.endpoints import Endpoint
from jobserver.web.services import Services


def output_endpoints(services: Services, keys: Keys) -> list[Endpoint]:
    outputs = OutputsApi(services, keys)
    url = "/api/v2/workspaces/<name>/outputs"
    of_release = f"{url}/<backend>/<identifier>"
    return [
        Endpoint(f"{url}/", {"GET": outputs.index, "POST": outputs.request}, filters=LIST_FILTERS),
        Endpoint(f"{url}/files/", {"GET": outputs.files}, filters=FILE_FILTERS),
        Endpoint(f"{of_release}/", {"GET": outputs.show}),
        Endpoint(f"{of_release}/files/<path:path>", {"GET": outputs.download}),
        Endpoint(f"{of_release}/reviews/", {"POST": outputs.review}),
        Endpoint(f"{of_release}/withdraw/", {"POST": outputs.withdraw}),
        Endpoint(f"{of_release}/request-publication/", {"POST": outputs.request_publication}),
        Endpoint(f"{of_release}/publish/", {"POST": outputs.publish}),
        Endpoint(f"{of_release}/request-unpublication/", {"POST": outputs.request_unpublication}),
        Endpoint(f"{of_release}/unpublish/", {"POST": outputs.unpublish}),
    ]
