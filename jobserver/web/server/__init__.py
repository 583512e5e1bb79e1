"""Between the web server and the application: bodies in, streams out, and the path that all is mounted at.

gateway  the WSGI application behind an event loop
body     one request's body, as it comes in
bodies   how many large bodies may be on their way, of one caller and of strangers
environ  the WSGI environ that handlers get
mount    a BASE_URL with a path
stream   what application and gateway agree on beyond WSGI
"""
