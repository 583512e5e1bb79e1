"""Between granian and the application: bodies in, streams out, and the path of BASE_URL.

http_server  granian, embedded in this process
gateway      the WSGI application behind an event loop
body         reads one request's body
bodies       limits the large bodies that callers send at once
environ      the WSGI environ of a request
mount        a BASE_URL with a path
routes       the patterns of all routes, compiled once
stream       what handlers and the gateway agree on beyond WSGI
"""
