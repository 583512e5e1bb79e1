"""The reference runner as a controller: it does not call the server, the server calls it (docs/contract.md).

api     the calls: which token may do what, and each answer
book    the requests that were created here, as the transport of a runner's loop
server  answers HTTP, and runs a loop for each backend
spec    spec.json, the description of the calls

For trying jobserver out, as the runner is: NOT A SANDBOX. May import what `jobserver.runner` may.
"""
