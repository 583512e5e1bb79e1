"""Job requests: their folders on a backend's branch, with request.yaml, pipeline.yaml and jobs/.

requests   a job request: request it, cancel it, archive it
jobs       a job: report it, mark it as failed
pipelines  the actions of a request, as its pipeline.yaml stores them
refs       the branch, tag or commit that a person asked for
limits     what new requests must keep to
folders    what must hold between the files of one request
readings   what runners report between events, for the record
lifecycle  what may follow what, and the status of a request
query      the language of searches for job requests
outcomes   how a job or request ended: as its status says, cancelled or skipped
"""
