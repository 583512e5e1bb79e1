"""Why requests and jobs wait, and how long that may take. Pure; what a runner did last is passed in.

backend_status  the state of a backend: what its runner sent last, in words
waiting         why a request or a job waits, in one sentence
forecast        when a request is expected to start and end, from past runs
usual           how long something usually takes, and what is slower
words           lengths of time, counts and lists in words
"""
