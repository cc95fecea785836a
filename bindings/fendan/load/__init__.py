"""`fendan load`: orders sent to a running server at fixed instants, and how long each waited.

    orders       places and baskets: of a file, of a named workload, or learned from the server
    messages     they as bytes, with ids that no server has seen
    arrivals     the instants at which they are due: even, Poisson, or replayed
    sending      what came of messages; compiled and by_grpcio, the two clients that send them
    step         one rate for some seconds: latencies apart from errors, second by second
    stages       what the server's own metrics say of the same seconds
    knee         the highest rate at which p99 keeps below a bound
    run          steps one after another, until the server is gone or all is done
    report       what was found, as JSON and as a table; page and chart, as HTML with pictures
    command      the command line

The loop is *open*: messages are due at instants fixed beforehand, whatever has become of those
before, and latency counts from then. A server that stalls delays everything due meanwhile, and all
of that is counted (no coordinated omission).
"""
