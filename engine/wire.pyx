"""The protobuf face of the core: messages to its arrays and back, with no Python object an order.

    fields    a message's fields, one by one: read, skipped, written
    request   a request as columns                          what a service reads
    counts    a stock update as columns
    reply     verdicts as an answer                         what it writes
    call      orders to a request, an answer to decisions   the client's side of both

Nothing is added here but one name to import them by.
"""
from fendan.engine.call import Refusal, Response, read_response, write_request
from fendan.engine.counts import StockKind, StockRequest
from fendan.engine.reply import Reply
from fendan.engine.request import Kind, Request, columns_of, correlation_id

ROUTE, BATCH, STREAM = Kind
