"""Several servers share one hosted repository (STATE_REMOTE). Its compare-and-swap on refs decides who wrote first.

sync        `Hosted`, the authority that the writer asks: when to write, whether it may, and refresh
publisher   pushes a batch, and finds out what happened when the host's answer does not say
branches    the hosted branches, and the local branches that follow them
trust       decides whether commits that arrive from the host can be trusted
follower    the thread that looks for what other servers wrote
relay       passes a push that this server accepted on to the host
adoption    accepts commits that were made on the host itself
status      when the host last answered
fairness    which server writes next on a branch that several servers write
rate_limit  how often this server may push to the host

May import domain, store, index, audit and the other packages of service.
"""
